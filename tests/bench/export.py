#!/usr/bin/env python3
"""Writes the models of `make bench`: seeded random weights, float32, N x 3 x 224 x 224.

    export.py FOLDER [NAME...]

FOLDER/NAME.onnx has a dynamic batch and opset 17; FOLDER/NAME-SIDE.onnx, for a NAME
that ends so, another image size. weights.py makes statistics fit, so that activations
are of ordinary scale: denormal or infinite numbers would not run at ordinary speed.
What exists is kept.
"""

import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from weights import field, prepare

NAMES = ("resnet18 resnet50 densenet121 mobilenet_v2 efficientnet_b0 squeezenet1_1 vgg16 "
         "vit_b_16 convnext_tiny").split()
SIDE = 224
SEED = 5


def split(name):
    """("resnet18", 448) of "resnet18-448"."""
    base, _, side = name.partition("-")
    return base, int(side or SIDE)


def build(name):
    """The same network for the same name, in eval mode, its parameters without
    gradients."""
    import torchvision

    base, side = split(name)
    torch.manual_seed(SEED)
    return prepare(getattr(torchvision.models, base)(weights=None), side, SEED)


def export(name, path):
    net, x = build(name), field(0, split(name)[1])
    part = path + ".part"
    torch.backends.mha.set_fastpath_enabled(False)  # one operator, unknown to ONNX
    torch.onnx.export(net, (x,), part, opset_version=17, dynamo=False,
                      input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}})
    with torch.no_grad():
        logits = net(x)
    os.replace(part, path)
    print(f"{name}: logits {float(logits.min()):.3g} to {float(logits.max()):.3g}",
          flush=True)


def main():
    import warnings

    warnings.filterwarnings("ignore")
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for name in sys.argv[2:] or NAMES:
        path = os.path.join(folder, name + ".onnx")
        if not os.path.exists(path):
            export(name, path)


if __name__ == "__main__":
    main()
