"""Class activation maps."""

import captum.attr
import monai.visualize
import numpy as np
import pytorch_grad_cam as pgc
import torch
from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

import models
from row import Row

CNN = ("resnet18", "densenet121")
BOTH = ("evidence=both",)


# ---- pytorch-grad-cam --------------------------------------------------------------------------


class Zero(AblationLayer):
    """The paper's: a channel is zero. Where a layer has negative values pytorch-grad-cam sets
    it to its minimum less 1e7, and lower for each further one of a batch."""

    def __call__(self, x):
        for values, channel in zip(self.activations, self.indices):
            values[channel] = 0
        return self.activations


class ZeroTokens(AblationLayerVit):
    def __call__(self, x):
        for values, channel in zip(self.activations, self.indices):
            values[:, channel] = 0
        return self.activations


def run_cam(cls, case):
    """(what get_cam_image makes, what the call returns)"""
    kept = []

    class Keeping(cls):
        def get_cam_image(self, *args, **keywords):
            kept.append(super().get_cam_image(*args, **keywords))
            return kept[-1]

    net = case.copy_net().requires_grad_()
    extra = {}
    if cls is pgc.AblationCAM:
        extra["ablation_layer"] = ZeroTokens() if case.name.startswith("vit") else Zero()
    with Keeping(net, [models.layer_of(case.name, net)],
                 reshape_transform=models.tokens(case.name), **extra) as cam:
        made = cam(case.x, [ClassifierOutputTarget(case.target)])
    return np.asarray(kept[0]), made


def raw(cls):
    return lambda case: run_cam(cls, case)[0]


def one_sign(cls):
    """The sign of a singular vector is arbitrary: that end is positive which reaches farther."""

    def reference(case):
        found = run_cam(cls, case)[0]
        return -found if -found.min() > found.max() else found

    return reference


def pgc_row(method, cls, params=(), reference=raw, **more):
    return Row(method, "pytorch-grad-cam", reference(cls), at="layer", params=BOTH + params,
               call=f"{cls.__name__}, get_cam_image", **more)


# ---- Captum and MONAI -----------------------------------------------------------------------------


def captum_gradcam(case):
    cam = captum.attr.LayerGradCam(case.net, case.layer)
    return cam.attribute(case.x.requires_grad_(), case.target)


def monai_gradcam(case):
    net = case.copy_net().requires_grad_()
    name = next(n for n, m in net.named_modules() if m is models.layer_of(case.name, net))
    return monai.visualize.GradCAM(net, name).compute_map(case.x, case.target)


# ---- OpenVINO XAI's formula --------------------------------------------------------------------------


def recipro_scores(case, masks):
    """The score with the layer multiplied by each mask; class tokens stay."""
    tokens = case.name.startswith("vit")

    def change(mask):
        m = mask.to(case.dtype)
        if not tokens:
            return lambda module, given, made: made * m
        flat = torch.cat([torch.ones(1, dtype=case.dtype), m.flatten()])
        return lambda module, given, made: made * flat[None, :, None]

    scores = []
    for mask in masks:
        hook = case.layer.register_forward_hook(change(mask))
        with torch.no_grad():
            scores.append(float(case.net(case.x)[0, case.target]))
        hook.remove()
    return scores


def recipro(gaussian):
    filt = np.outer([1, 2, 1], [1, 2, 1]) / 16 if gaussian else np.pad([[1]], 1)

    def reference(case):
        size = 14 if case.name.startswith("vit") else 7
        masks = [torch.zeros(size, size)]
        for i, j in np.ndindex(size, size):
            mask = np.zeros((size + 2, size + 2))
            mask[i:i + 3, j:j + 3] = filt
            masks.append(torch.from_numpy(mask[1:-1, 1:-1]))
        none, *scores = recipro_scores(case, masks)
        return np.reshape(scores, (size, size)) - none

    return reference


ROWS = [
    pgc_row("gradcam", pgc.GradCAM),
    Row("gradcam", "captum", captum_gradcam, at="layer", params=BOTH, models=CNN,
        call="LayerGradCam"),
    Row("gradcam", "monai", monai_gradcam, at="layer", models=CNN, call="GradCAM.compute_map"),
    pgc_row("gradcam++", pgc.GradCAMPlusPlus),
    pgc_row("hirescam", pgc.HiResCAM),
    pgc_row("layercam", pgc.LayerCAM),
    pgc_row("xgradcam", pgc.XGradCAM),
    pgc_row("eigencam", pgc.EigenCAM, reference=one_sign),
    pgc_row("eigengradcam", pgc.EigenGradCAM, reference=one_sign),
    pgc_row("scorecam", pgc.ScoreCAM, ("masks=corners",), costly=True),
    pgc_row("ablationcam", pgc.AblationCAM, ("divisor=score",), costly=True),
    Row("reciprocam", "openvino", recipro(False), at="layer", params=BOTH,
        call="the formula, by hooks"),
    Row("reciprocam", "openvino", recipro(True), at="layer", params=BOTH + ("mask=gaussian",),
        call="the formula, by hooks"),
]
