#!/usr/bin/env python3
"""Writes the models of `make bench`: seeded random weights, float32, N x 3 x 224 x 224.

    export.py FOLDER [NAME...] [--sizes]

For each NAME (default: those that are timed)

    FOLDER/NAME.onnx        dynamic batch, opset 17
    FOLDER/NAME.pt          the same weights for PyTorch
    FOLDER/NAME.f32         an image's input, raw floats: the first of several for which
                            PyTorch's gradient is the same in float32 and float64; where a
                            ReLU is within rounding of zero two right programs differ

A NAME that ends in -SIDE has another image size; --sizes adds two for each NAME.
weights.py makes statistics fit, so that activations are of ordinary scale: with denormal
or infinite numbers nothing runs at its ordinary speed. What exists is kept.
"""

import copy
import os
import sys
import warnings

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
from engines import GROWN, NAMES, SIZES

SIDE = 224
SEED = 5
TRIES, NEAR = 20, 1e-5


def split(name):
    """("resnet18", 448) of "resnet18-448"."""
    base, _, side = name.partition("-")
    return base, int(side or SIDE)


def architecture(name):
    import torchvision

    return getattr(torchvision.models, split(name)[0])(weights=None)


def load(name, weights):
    """What was exported as NAME, with the least memory PyTorch can do it in."""
    with torch.device("meta"):
        net = architecture(name)
    net.load_state_dict(torch.load(weights), assign=True)
    return net.requires_grad_(False).eval()


def gradient(net, x):
    x = x.clone().requires_grad_()
    (dx,) = torch.autograd.grad(net(x)[0, 0], x)
    return dx.double()


def calm_input(net, side):
    """The one nearest to agreeing, if none does."""
    from weights import field

    double = copy.deepcopy(net).double()
    best = None
    for seed in range(TRIES):
        x = field(seed, side)
        right = gradient(double, x.double())
        gap = float((gradient(net, x) - right).abs().max() / right.abs().max())
        if best is None or gap < best[0]:
            best = (gap, x)
        if gap <= NEAR:
            break
    return best[1]


def write_input(name, weights, path):
    net = load(name, weights)
    x = calm_input(net, split(name)[1])
    x.numpy().tofile(path)
    with torch.no_grad():
        logits = net(x)
    print(f"{name}: logits {float(logits.min()):.3g} to {float(logits.max()):.3g}",
          flush=True)


def export(name, path, weights):
    from weights import field, prepare

    side = split(name)[1]
    torch.manual_seed(SEED)
    net, x = prepare(architecture(name), side, SEED), field(0, side)
    torch.backends.mha.set_fastpath_enabled(False)  # one operator, unknown to ONNX
    torch.onnx.export(net, (x,), path + ".part", opset_version=17, dynamo=False,
                      input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}})
    torch.save(net.state_dict(), weights)
    os.replace(path + ".part", path)


def main():
    warnings.filterwarnings("ignore")
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    given = [a for a in sys.argv[2:] if a != "--sizes"]
    names = given or NAMES
    if "--sizes" in sys.argv:
        names = names + [f"{n}-{s}" for n in given or GROWN for s in SIZES if s != SIDE]
    for name in names:
        path, weights, x = (os.path.join(folder, name + e) for e in (".onnx", ".pt", ".f32"))
        if not (os.path.exists(path) and os.path.exists(weights)):
            export(name, path, weights)
        if not os.path.exists(x):
            write_input(name, weights, x)


if __name__ == "__main__":
    main()
