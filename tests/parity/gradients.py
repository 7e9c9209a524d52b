"""Gradients of the input."""

import contextlib
from unittest import mock

import captum.attr
import torch

import draws
from row import Row

STEPS = 50
SAMPLES, NOISE = 8, 0.15


def captum_map(make, asked):
    """A reference that calls Captum's attribute()."""

    def reference(case):
        return make(case.net).attribute(case.x.requires_grad_(), target=case.target, **asked)

    return reference


def row(method, make, call, params=(), **asked):
    return Row(method, "captum", captum_map(make, asked), at="channels", call=call,
               params=params)


# ---- integrated gradients ------------------------------------------------------------------------

RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle",
         "riemann_trapezoid")


def ig(rule):
    asked = {"n_steps": STEPS, "method": rule, "internal_batch_size": 10}
    return Row("ig", "captum", captum_map(captum.attr.IntegratedGradients, asked),
               at="channels", call="IntegratedGradients",
               params=(f"steps={STEPS}", f"rule={rule}"))


# ---- with noise -------------------------------------------------------------------------------------


@contextlib.contextmanager
def given_noise(noise):
    """Captum's normal numbers are these."""
    with mock.patch("torch.normal", lambda mean, sd: torch.from_numpy(noise).to(sd.dtype)):
        yield


def sd_of(case):
    return NOISE * float(case.x.detach().max() - case.x.detach().min())


def tunnel(kind, first=1):
    def reference(case):
        noise = draws.gradient_noise(0, SAMPLES, case.x.shape[1:], sd_of(case))
        saliency = captum.attr.Saliency(case.net)
        with given_noise(noise):
            return captum.attr.NoiseTunnel(saliency).attribute(
                case.x, nt_type=kind, nt_samples=SAMPLES, stdevs=1.0, target=case.target,
                abs=False)

    return reference


def noisy(method, kind, params=()):
    return Row(method, "captum", tunnel(kind), at="channels",
               params=(f"samples={SAMPLES}", f"noise={NOISE}", *params),
               call=f"NoiseTunnel(Saliency), {kind}")


def gradientshap(noise):
    def reference(case):
        sd = sd_of(case) * noise / NOISE
        added = draws.gradient_noise(0, SAMPLES, case.x.shape[1:], sd, first=0)
        points = draws.shap_points(0, SAMPLES)
        with given_noise(added), mock.patch("numpy.random.uniform", lambda *_: points):
            return captum.attr.GradientShap(case.net).attribute(
                case.x, baselines=torch.zeros_like(case.x), n_samples=SAMPLES, stdevs=1.0,
                target=case.target)

    return Row("gradientshap", "captum", reference, at="channels", call="GradientShap",
               params=(f"samples={SAMPLES}", f"noise={noise}"))


ROWS = [
    row("gradient", captum.attr.Saliency, "Saliency(abs=False)", abs=False),
    row("gradient", captum.attr.Saliency, "Saliency", ("magnitude=yes",)),
    row("inputxgradient", captum.attr.InputXGradient, "InputXGradient"),
    *map(ig, RULES),
    noisy("smoothgrad", "smoothgrad"),
    noisy("smoothgrad", "smoothgrad_sq", ("squared=yes",)),
    noisy("vargrad", "vargrad"),
    gradientshap(0),
    gradientshap(NOISE),
]
