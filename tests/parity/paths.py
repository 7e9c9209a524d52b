"""Along a way from a baseline, and through attention."""

import contextlib
from unittest import mock

import captum.attr
import numpy as np
import saliency.core as saliency
import torch

from row import Row

CNN = ("resnet18_smooth", "resnet18", "densenet121")


# ---- PAIR's saliency -----------------------------------------------------------------------------


def gradients(case):
    """What PAIR calls a network by: H x W x C, a batch of them."""

    def call(batch, call_model_args=None, expected_keys=None):
        x = torch.from_numpy(np.asarray(batch).transpose(0, 3, 1, 2)).to(case.dtype)
        x.requires_grad_()
        case.net(x)[:, case.target].sum().backward()
        return {saliency.INPUT_OUTPUT_GRADIENTS: x.grad.double().numpy().transpose(0, 2, 3, 1)}

    return call


def quantile(a, q, interpolation, made=np.quantile):
    """NumPy's, whose argument had another name when PAIR's code was written."""
    return made(a, q, method=interpolation)


def pair(cls, **asked):
    def reference(case):
        x = case.x[0].detach().double().numpy().transpose(1, 2, 0)
        with mock.patch("numpy.quantile", quantile):
            return cls().GetMask(x, gradients(case), **asked).transpose(2, 0, 1)

    return reference


def pair_row(method, cls, params=(), why="", **asked):
    return Row(method, "saliency", pair(cls, **asked), at="channels", params=params,
               call=cls.__name__, models=CNN, why=why)


# ---- several baselines ---------------------------------------------------------------------------


def several(case):
    """The mean over Captum's maps from three baselines of one value each."""
    x = case.x.requires_grad_()
    ig = captum.attr.IntegratedGradients(case.net)
    low, high = (torch.tensor([(level - m) / s for m, s in zip(MEAN, STD)], dtype=case.dtype)
                 .view(1, 3, 1, 1).expand_as(x) for level in (0, 1))
    mean = x.detach().mean((2, 3), keepdim=True).expand_as(x)
    return sum(ig.attribute(x, b, case.target, n_steps=20, internal_batch_size=10)
               for b in (low, high, mean)) / 3


# ---- attention -----------------------------------------------------------------------------------


@contextlib.contextmanager
def watched(net, kept):
    """Attention of each block, heads x tokens x tokens, goes to `kept`."""
    made, soften = torch.nn.MultiheadAttention.forward, torch.nn.functional.softmax

    def forward(self, q, k, v, **asked):  # which computes them at all
        return made(self, q, k, v, need_weights=True)[0], None

    def softmax(*given, **asked):
        kept.append(soften(*given, **asked))
        return kept[-1]

    with mock.patch.object(torch.nn.MultiheadAttention, "forward", forward), \
            mock.patch("torch.nn.functional.softmax", softmax):
        yield


def blocks(case):
    """All blocks' attention, and its gradient."""
    kept = []
    with watched(case.net, kept):
        score = case.net(case.x.detach().requires_grad_())[0, case.target]
    return kept, torch.autograd.grad(score, kept)


def to_grid(rolled):
    return rolled[0, 1:].reshape(14, 14)


def rollout(fusion, discard):
    """vit-explain's, but for its last line: rows are divided by rows' sums."""

    def reference(case):
        result = torch.eye(197, dtype=case.dtype)
        for attention in blocks(case)[0]:
            fused = {"mean": lambda a: a.mean(0), "max": lambda a: a.max(0)[0],
                     "min": lambda a: a.min(0)[0]}[fusion](attention.detach())
            smallest = fused.flatten().topk(int(fused.numel() * discard), largest=False)[1]
            fused.view(-1)[smallest[smallest != 0]] = 0
            a = (fused + torch.eye(197, dtype=case.dtype)) / 2
            result = a / a.sum(1, keepdim=True) @ result
        return to_grid(result)

    return reference


def chefer(case):
    """Chefer et al., ICCV 2021, eq. 5 and 6."""
    result = torch.eye(197, dtype=case.dtype)
    for attention, gradient in zip(*blocks(case)):
        result = result + (attention.detach() * gradient).clamp(min=0).mean(0) @ result
    return to_grid(result)


def rolled(reference, *params):
    return Row("rollout", "formula", reference, at="layer", params=params, models=("vit_b_16",))


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

TIES = ("points on the way where a ReLU is within rounding of zero, which only the picture "
        "itself was chosen to avoid; half of all elements differ by less than 1e-5 of the range")
GREEDY = ("each step moves the elements whose gradients are smallest: a rounding that changes "
          "which those are changes all steps after it")

# With more than one input at once PAIR takes the step length of the last one for all of them,
# which matters where steps are uneven.
ROWS = [
    Row("ig", "captum", several, at="channels", models=CNN,
        params=("steps=20", "baseline=black+white+mean"), call="IntegratedGradients, mean of 3"),
    pair_row("blurig", saliency.BlurIG, why=TIES, batch_size=4),
    pair_row("blurig", saliency.BlurIG, ("steps=20", "sigma=100", "sqrt=yes"), why=TIES, steps=20,
             max_sigma=100, sqrt=True),
    pair_row("guidedig", saliency.GuidedIG, ("steps=20",), x_steps=20, why=GREEDY),
    pair_row("guidedig", saliency.GuidedIG, why=GREEDY),
    rolled(rollout("mean", 0)),
    rolled(rollout("max", 0.9), "heads=max", "discard=0.9"),
    rolled(rollout("min", 0.5), "heads=min", "discard=0.5"),
    rolled(chefer, "relevance=gradient"),
]
