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


def one_sign(found):
    """The sign of a singular vector is arbitrary: that end is positive which reaches farther."""
    return -found if -found.min() > found.max() else found


def run_cam(cls, case):
    """(what get_cam_image makes, what the call returns)"""
    kept = []

    class Keeping(cls):
        def get_cam_image(self, *args, **keywords):
            made = super().get_cam_image(*args, **keywords)
            eigen = cls in (pgc.EigenCAM, pgc.EigenGradCAM)
            kept.append(one_sign(made) if eigen else made)
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


def whole(cls):
    return lambda case: run_cam(cls, case)[1]


def raw_row(method, cls, **more):
    return Row(method, "pytorch-grad-cam", raw(cls), at="layer", params=BOTH,
               call=f"{cls.__name__}, get_cam_image", **more)


def like_row(method, cls, **more):
    return Row(method, "pytorch-grad-cam", whole(cls), like="pytorch-grad-cam",
               call=cls.__name__, **more)


# ---- Captum and MONAI -----------------------------------------------------------------------------


def captum_gradcam(case):
    cam = captum.attr.LayerGradCam(case.net, case.layer)
    made = cam.attribute(case.x.requires_grad_(), case.target)
    return captum.attr.LayerAttribution.interpolate(made, case.x.shape[2:])


def monai_cam(cls):
    def reference(case):
        net = case.copy_net().requires_grad_()
        layer = models.layer_of(case.name, net)
        name = next(n for n, m in net.named_modules() if m is layer)
        return cls(net, name)(case.x, case.target)

    return reference


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


PGC = {"gradcam": pgc.GradCAM, "gradcam++": pgc.GradCAMPlusPlus, "hirescam": pgc.HiResCAM,
       "layercam": pgc.LayerCAM, "xgradcam": pgc.XGradCAM, "eigencam": pgc.EigenCAM,
       "eigengradcam": pgc.EigenGradCAM}

ROWS = [
    *(raw_row(method, cls) for method, cls in PGC.items()),
    *(like_row(method, cls) for method, cls in PGC.items()),
    like_row("scorecam", pgc.ScoreCAM, costly=True),
    like_row("ablationcam", pgc.AblationCAM, costly=True),
    Row("gradcam", "captum", captum_gradcam, like="captum", models=CNN,
        call="LayerGradCam, interpolate"),
    Row("gradcam", "monai", monai_cam(monai.visualize.GradCAM), like="monai", models=CNN,
        call="GradCAM"),
    Row("gradcam++", "monai", monai_cam(monai.visualize.GradCAMpp), like="monai", models=CNN,
        call="GradCAMpp"),
    Row("reciprocam", "openvino", recipro(False), at="layer", params=BOTH,
        call="the formula, by hooks"),
    Row("reciprocam", "openvino", recipro(True), at="layer", params=BOTH + ("mask=gaussian",),
        call="the formula, by hooks"),
]
