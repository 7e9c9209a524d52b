#!/usr/bin/env python3
"""Writes cams_data.h: maps that pytorch-grad-cam makes of the bundled sample model.

    python3 tests/recorded/cams.py >tests/recorded/cams_data.h

To be run again when the sample model is another one. Needs what the samples' recipe needs
and grad-cam (1.5.7 was used). The maps are those of get_cam_image: before the rectification,
the min-max scaling and the enlarging. The sign of a singular vector is arbitrary; that end is
made positive here which reaches farther. Ablation-CAM is made to set channels to zero, as in
the paper, where a layer has negative values too: there grad-cam sets them to their minimum
less 1e7, and lower for each further one of a batch. It has no ReciproCAM: that is OpenVINO
XAI's formula, score of the layer with one position left or 3 x 3 of them, less the score with
none.
"""
import hashlib
import sys
import textwrap
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
import pytorch_grad_cam as pgc
from PIL import Image
from pytorch_grad_cam.ablation_layer import AblationLayer
from torch import nn

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "samples" / "recipe"))
from export import MODELS, shipped_net  # noqa: E402
from network import normalise  # noqa: E402

METHODS = {"gradcam": pgc.GradCAM, "gradcam++": pgc.GradCAMPlusPlus, "hirescam": pgc.HiResCAM,
           "layercam": pgc.LayerCAM, "xgradcam": pgc.XGradCAM, "eigencam": pgc.EigenCAM,
           "eigengradcam": pgc.EigenGradCAM, "scorecam": pgc.ScoreCAM,
           "ablationcam": pgc.AblationCAM}
GAUSSIAN = np.outer([1, 2, 1], [1, 2, 1]) / 16
# picture, class, layer, the module of network.py that makes it
CASES = [("nodule-clear.png", 0, "features.relu5", lambda net: net.tap),
         ("two-findings.png", 1, "features.conv4", lambda net: net.net.last.norm[0])]


class ZeroLayer(AblationLayer):
    def __call__(self, x):
        for values, channel in zip(self.activations, self.indices):
            values[channel] = 0
        return self.activations


class Tapped(nn.Module):
    """The network, its last features through a module that can be hooked."""

    def __init__(self, net):
        super().__init__()
        self.net, self.tap = net, nn.Identity()

    def forward(self, x):
        last = self.tap(self.net.last(self.net.stem(x), {}))
        return self.net.head(torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1))


def network_input(picture):
    """Halved: bilinear without antialiasing is the mean of two by two pixels here."""
    with Image.open(ROOT / "samples" / "images" / picture) as file:
        grey = np.asarray(file).reshape(128, 2, 128, 2).mean((1, 3)) / 255
    return normalise(grey)[None, None]


def raw_map(make, net, layer, x, target):
    kept = []

    class Keeping(make):
        def get_cam_image(self, *args, **keywords):
            kept.append(super().get_cam_image(*args, **keywords))
            return kept[-1]

    extra = {"ablation_layer": ZeroLayer()} if make is pgc.AblationCAM else {}
    with Keeping(net, [layer], **extra) as cam:
        cam(x, [pgc.utils.model_targets.ClassifierOutputTarget(target)])
    found = np.asarray(kept[0][0], np.float32)
    flip = make in (pgc.EigenCAM, pgc.EigenGradCAM) and -found.min() > found.max()
    return -found if flip else found


def score_of(net, layer, x, target, mask):
    hook = layer.register_forward_hook(lambda module, given, made: made * mask)
    with torch.no_grad():
        score = net(x)[0, target].item()
    hook.remove()
    return score


def recipro_map(net, layer, x, target, gaussian):
    size = 16
    filt = GAUSSIAN if gaussian else np.pad([[1]], 1)
    found = np.zeros((size, size))
    for i, j in np.ndindex(size, size):
        mask = np.zeros((size + 2, size + 2))
        mask[i:i + 3, j:j + 3] = filt
        found[i, j] = score_of(net, layer, x, target, torch.tensor(mask[1:-1, 1:-1]).float())
    return found - score_of(net, layer, x, target, 0)


def print_map(method, picture, target, name, found):
    print(f'    {{"{method}", "{picture}", {target}, "{name}",\n     {{', end="")
    numbers = ", ".join(f"{v:.5g}" for v in found.ravel())
    print("\n".join(textwrap.wrap(numbers, 98, subsequent_indent="      ")) + "}},")


def main():
    torch.set_num_threads(1)
    net = Tapped(shipped_net()).eval()
    print(f"/* Written by tests/recorded/cams.py with grad-cam {version('grad-cam')} and torch "
          f"{version('torch')}; do\n * not edit. */")
    digest = hashlib.sha256((MODELS / "phantom.onnx").read_bytes()).hexdigest()
    print(f'static const char recorded_model[] =\n    "{digest}";\n')
    print("static const struct recorded recorded[] = {")
    for picture, target, name, module in CASES:
        x = network_input(picture)
        for method, make in METHODS.items():
            print_map(method, picture, target, name,
                      raw_map(make, net, module(net), x, target))
        for gaussian in (False, True):
            print_map("reciprocam gaussian" if gaussian else "reciprocam", picture, target,
                      name, recipro_map(net, module(net), x, target, gaussian))
    print("};")


if __name__ == "__main__":
    main()
