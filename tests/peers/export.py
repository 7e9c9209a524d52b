#!/usr/bin/env python3
"""Exports architectures and what PyTorch makes of them, for `make parity-architectures`.

    export.py FOLDER [NAME...]

For each name (default: all of cases.py) FOLDER/NAME gets WAY.onnx for each way, and

    input.npy                        a picture-like input
    logits.npy, gradient.npy         float32: the logits, d logit[top] / d input
    logits64.npy, gradient64.npy     the same weights in float64, the better truth

The input is the first of several for which PyTorch agrees with itself: its float32
gradient, and its float64 ones with results moved by a rounding, are within 1e-4 of the
float64 one. Where a ReLU or a maximum is within rounding of a tie, they are not, and two
correct programs differ by per cents in some pixels.
An export that fails leaves WAY.failed with the reason. What exists is kept.
"""

import contextlib
import copy
import json
import logging
import os
import sys
import time
import warnings

import numpy as np
import torch

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nets
from cases import CASES
from weights import field, prepare

SEED = 4
TRIES = 60
NEAR = 1e-4
ROUNDING = 5e-7
TYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}


class Nhwc(torch.nn.Module):
    """The layout of Keras: transposed first, as tf2onnx writes it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.permute(0, 3, 1, 2))


def build(name):
    library, builder, side, _ = CASES[name]
    torch.manual_seed(SEED)
    if library == "timm":
        import timm

        net = timm.create_model(builder, pretrained=False)
    elif library == "nets":
        net = getattr(nets, builder)()
    else:
        import torchvision

        net = getattr(torchvision.models, builder)(weights=None)
    return prepare(net, side, SEED)


def fold(net):
    """BatchNormalization into convolutions, as exporters do: done after rounding to a
    half type it would change the weights."""
    if any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules()):
        from torch.fx.experimental.optimization import fuse

        net = fuse(net)
    return net


def variant(name):
    """What is behind the dash: a type or a layout."""
    return name.partition("-")[2]


# ---- references -------------------------------------------------------------------------


def contiguous_gradient(module, inputs, y):
    if y.requires_grad:
        y.register_hook(lambda g: g.contiguous())


def mend(net):
    """PyTorch (2.14.1, CPU) reads a gradient that arrives at an eval-mode
    BatchNormalization in another layout as if it lay in the input's: wrong without a
    word, behind flatten(2).transpose(1, 2) for one. So give it what it can read."""
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.register_forward_hook(contiguous_gradient)
    return net


def believe(net, x, gradient, top):
    """Refuses a float64 gradient that central differences do not confirm."""
    v = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    with torch.no_grad():
        up, down = (net(x + h * v) for h in (1e-6, -1e-6))
    difference = float(up[0, top] - down[0, top]) / 2e-6
    slope = float((torch.from_numpy(gradient) * v).sum())
    if not abs(slope - difference) <= 1e-2 * np.linalg.norm(gradient):
        raise ValueError(f"PyTorch's gradient gives {slope:.6g} where differences give "
                         f"{difference:.6g}")


def run(net, x):
    x = x.clone().requires_grad_()
    logits = net(x)
    logits = logits[0] if isinstance(logits, (tuple, list)) else logits
    top = int(logits[0].argmax())
    (gradient,) = torch.autograd.grad(logits[0, top], x)
    return logits.detach().numpy(), gradient.numpy(), top


def gap(a, b):
    return float(np.abs(a - b).max() / np.abs(b).max())


def shaken(net, seed):
    """The same network with its layers' results moved by about a rounding, each element
    for itself: neighbours in a window too."""
    generator = torch.Generator().manual_seed(seed)

    def move(layer, inputs, y):
        noise = torch.randn(y.shape, generator=generator, dtype=y.dtype)
        return y + ROUNDING * y.detach().std() * noise

    net = copy.deepcopy(net)
    for layer in net.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear, torch.nn.BatchNorm2d)):
            layer.register_forward_hook(move)
    return net


def references(net, side, nhwc):
    """(distance, input, float32 and float64 results) of the first input that is not
    near a tie, else of the best one."""
    double = copy_as(net, torch.float64)
    best, seed = None, 0
    for seed in range(TRIES):
        x = field(seed, side)
        if nhwc:
            x = x.permute(0, 2, 3, 1).contiguous()
        ours, better = run(net, x), run(double, x.double())
        d = gap(ours[1], better[1])
        for shake in range(4):
            if d <= NEAR:
                d = max(d, gap(run(shaken(double, shake), x.double())[1], better[1]))
        if best is None or d < best[0]:
            best = (d, x, ours, better)
        if d <= NEAR:
            break
    return best


def copy_as(net, dtype):
    net = copy.deepcopy(net).to(dtype)
    net.train()  # some forget here what they keep for inference, in the old type
    return net.eval()


def write_references(net, name, folder):
    net = mend(copy.deepcopy(net))
    d, x, ours, better = references(net, CASES[name][2], variant(name) == "nhwc")
    believe(copy_as(net, torch.float64), x.double(), better[1], better[2])
    arrays = {
        "input": x.numpy(),
        "logits64": better[0],
        "gradient64": better[1],
        "logits": ours[0],
        "gradient": ours[1],
    }
    for key, value in arrays.items():
        np.save(os.path.join(folder, key + ".npy"), np.ascontiguousarray(value))
    print(f"{name}: PyTorch's gradients differ by {d:.1e}, logits by "
          f"{np.abs(ours[0] - better[0]).max() / np.abs(better[0]).max():.1e}; "
          f"|logit| <= {np.abs(ours[0]).max():.3g}, |g| <= {np.abs(ours[1]).max():.3g}")


# ---- exports ------------------------------------------------------------------------------


def parse(way):
    kind = way.rstrip("bh")
    exporter = kind.rstrip("0123456789")
    return exporter, int(kind[len(exporter):]), way[len(kind):]


def dynamic(exporter, free, nhwc):
    if not free:
        return {}
    axes = {0: "batch"}
    if "h" in free:
        axes |= {1: "height", 2: "width"} if nhwc else {2: "height", 3: "width"}
    if exporter == "script":
        return {"dynamic_axes": {"input": axes, "logits": {0: "batch"}}}
    return {"dynamic_shapes": ({k: torch.export.Dim.DYNAMIC for k in axes},)}


def export(net, x, path, way, nhwc):
    exporter, opset, free = parse(way)
    example = torch.cat([x, x]) if free and exporter == "dynamo" else x
    torch.onnx.export(net, (example,), path, opset_version=opset, dynamo=exporter == "dynamo",
                      input_names=["input"], output_names=["logits"],
                      **({"verbose": False} if exporter == "dynamo" else {}),
                      **dynamic(exporter, free, nhwc))


@contextlib.contextmanager
def quiet():
    """The exporters talk at length, from C++ too."""
    sys.stdout.flush()
    kept = os.dup(1)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def write_size(folder, way, x, nhwc):
    """Where the sides are free a sidecar must say them."""
    height, width = x.shape[1:3] if nhwc else x.shape[2:]
    with open(os.path.join(folder, way + ".json"), "w") as f:
        json.dump({"input": {"size": [height, width]}}, f)


def try_export(net, x, folder, way, nhwc):
    path = os.path.join(folder, way + ".onnx")
    failed = os.path.join(folder, way + ".failed")
    if os.path.exists(path) or os.path.exists(failed):
        return
    start = time.time()
    try:
        part = os.path.join(folder, way + ".part")
        os.makedirs(part, exist_ok=True)
        with quiet():
            export(net, x, os.path.join(part, way + ".onnx"), way, nhwc)
        if "h" in parse(way)[2]:
            write_size(folder, way, x, nhwc)
        for entry in sorted(os.listdir(part), key=lambda e: e.endswith(".onnx")):
            os.replace(os.path.join(part, entry), os.path.join(folder, entry))
        os.rmdir(part)
        print(f"{os.path.basename(folder)}/{way}: {time.time() - start:.0f} s", flush=True)
    except Exception as e:  # the exporters raise what they like
        with open(failed, "w") as f:
            f.write(f"{type(e).__name__}: {e}\n")
        print(f"{os.path.basename(folder)}/{way}: not exported: {str(e).splitlines()[0][:200]}",
              flush=True)


def make(folder, name):
    target = os.path.join(folder, name)
    os.makedirs(target, exist_ok=True)
    ways = CASES[name][3].split()
    complete = os.path.exists(os.path.join(target, "gradient.npy"))
    left = [w for w in ways if not any(
        os.path.exists(os.path.join(target, w + s)) for s in (".onnx", ".failed"))]
    if complete and not left:
        return
    net, nhwc = build(name), variant(name) == "nhwc"
    if nhwc:
        net = Nhwc(net).eval()
    dtype = TYPES.get(variant(name), torch.float32)
    if dtype in (torch.float16, torch.bfloat16):
        net = fold(net)
    narrow = net if dtype == torch.float32 else copy_as(net, dtype)
    net = net if dtype == torch.float64 else copy_as(narrow, torch.float32)
    x = field(0, CASES[name][2])
    x = x.permute(0, 2, 3, 1).contiguous() if nhwc else x
    for way in left:
        try_export(narrow, x.to(dtype), target, way, nhwc)
    if not complete and "--graphs" not in sys.argv:
        write_references(net, name, target)


def main():
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    names = [a for a in sys.argv[2:] if not a.startswith("--")] or list(CASES)
    for name in names:
        try:
            make(sys.argv[1], name)
        except Exception as e:
            print(f"{name}: {type(e).__name__}: {e}", flush=True)
            if len(names) == 1:
                raise


if __name__ == "__main__":
    main()
