"""Gradients of the input."""

import contextlib
from unittest import mock

import captum.attr
import monai.visualize
import numpy as np
import torch

import draws
from row import SMOOTH, Row

KINKLESS = ("resnet18_smooth",)

SAMPLES, NOISE = 8, 0.15


def captum_map(make, asked):
    """A reference that calls Captum's attribute()."""

    def reference(case):
        return make(case.net).attribute(case.x.requires_grad_(), target=case.target, **asked)

    return reference


def row(method, make, call, like="", **asked):
    return Row(method, "captum", captum_map(make, asked), at="channels", call=call, like=like,
               models=SMOOTH)


# ---- integrated gradients ------------------------------------------------------------------------

RULES = ("gausslegendre", "riemann_left", "riemann_right", "riemann_middle",
         "riemann_trapezoid")


def ig(rule):
    """Captum's default is the first."""
    asked = {"internal_batch_size": 10}
    if rule != RULES[0]:
        asked["method"] = rule
    return Row("ig", "captum", captum_map(captum.attr.IntegratedGradients, asked),
               at="channels", call="IntegratedGradients", like="captum",
               models=SMOOTH if rule == RULES[0] else KINKLESS,
               params=(f"rule={rule}",) if rule != RULES[0] else ())


# ---- with noise -------------------------------------------------------------------------------------


@contextlib.contextmanager
def given_noise(noise, default=torch.float32):
    """The normal numbers that libraries draw are these, one call after the other."""
    drawn = iter(noise)

    def normal(mean, sd, size=None, dtype=None, device=None):
        if size is None:  # Captum: all samples at once, sd a tensor
            return torch.from_numpy(noise).to(sd.dtype)
        return torch.from_numpy(next(drawn))[None].to(default)  # MONAI: one by one

    with mock.patch("torch.normal", normal):
        yield


def noise_of(case, samples, share, first=1):
    """share: of the range of x; None: 1, as it is."""
    x = case.x.detach()
    sd = 1.0 if share is None else share * float(x.max() - x.min())
    return draws.gradient_noise(0, samples, case.x.shape[1:], sd, first)


def tunnel(kind, samples, share, **asked):
    """NoiseTunnel of Saliency."""

    def reference(case):
        with given_noise(noise_of(case, samples, share)):
            return captum.attr.NoiseTunnel(captum.attr.Saliency(case.net)).attribute(
                case.x, nt_type=kind, nt_samples=samples, target=case.target, **asked)

    return reference


def own_noise(method, kind, params=()):
    """Signed gradients, noise in proportion to the range."""
    return Row(method, "captum", tunnel(kind, SAMPLES, NOISE, abs=False), at="channels",
               params=(f"samples={SAMPLES}", f"noise={NOISE}", *params), models=SMOOTH,
               call=f"NoiseTunnel(Saliency), {kind}")


def captum_noise(method, kind):
    """All of Captum's defaults: 5 samples, sd 1, absolute values."""
    return Row(method, "captum", tunnel(kind, 5, None), at="channels", like="captum",
               models=SMOOTH, call=f"NoiseTunnel(Saliency), {kind}")


def monai_smoothgrad(case):
    noise = noise_of(case, 25, 0.15)
    with given_noise(noise, case.dtype):
        return monai.visualize.SmoothGrad(case.copy_net(), verbose=False)(
            case.x.detach(), index=torch.tensor([case.target]))


def monai_gradient(case):
    return monai.visualize.VanillaGrad(case.copy_net())(
        case.x.detach(), index=torch.tensor([case.target]))


def shap(case, samples, noise):
    points = draws.shap_points(0, samples)
    with given_noise(noise), mock.patch("numpy.random.uniform", lambda *_: points):
        return captum.attr.GradientShap(case.net).attribute(
            case.x, baselines=torch.zeros_like(case.x), n_samples=samples, target=case.target)


def gradientshap(share):
    def reference(case):
        return shap(case, SAMPLES, noise_of(case, SAMPLES, share, first=0))

    return Row("gradientshap", "captum", reference, at="channels", call="GradientShap",
               params=(f"samples={SAMPLES}", f"noise={share}"), models=SMOOTH)


def captum_gradientshap(case):
    return shap(case, 5, np.zeros((5, *case.x.shape[1:])))


ROWS = [
    row("gradient", captum.attr.Saliency, "Saliency(abs=False)", abs=False),
    row("gradient", captum.attr.Saliency, "Saliency", like="captum"),
    Row("gradient", "monai", monai_gradient, at="channels", like="monai", call="VanillaGrad"),
    row("inputxgradient", captum.attr.InputXGradient, "InputXGradient", like="captum"),
    *map(ig, RULES),
    own_noise("smoothgrad", "smoothgrad"),
    own_noise("smoothgrad", "smoothgrad_sq", ("squared=yes",)),
    own_noise("vargrad", "vargrad"),
    captum_noise("smoothgrad", "smoothgrad"),
    captum_noise("vargrad", "vargrad"),
    Row("smoothgrad", "monai", monai_smoothgrad, at="channels", like="monai", models=SMOOTH,
        call="SmoothGrad"),
    gradientshap(NOISE),
    Row("gradientshap", "captum", captum_gradientshap, at="channels", like="captum",
        models=SMOOTH, call="GradientShap"),
]
