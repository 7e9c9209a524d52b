"""The networks that maps are compared on: torchvision's, with seeded random weights.

Trained weights cannot be had without a download; --pretrained takes them where that is
possible. Random weights are made fit (tests/peers/weights.py), and the picture has the
spectrum of photographs: of several the first is taken for which the network's own gradient
is the same in float32 and float64, because two right programs differ where a ReLU is
within rounding of zero, or two of a MaxPool's inputs are near to each other. A method that
takes many gradients meets that whatever the picture is; resnet18_smooth has neither.
"""

import copy
import json
import os

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn

from weights import field, prepare

SIDE, SEED = 224, 5
TRIES, NEAR = 20, 1e-5
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class DenseNet(nn.Module):
    """torchvision's, whose last ReLU is a function: as a module, so that hooks find it."""

    def __init__(self, net):
        super().__init__()
        self.features, self.relu5, self.classifier = net.features, nn.ReLU(), net.classifier

    def forward(self, x):
        last = self.relu5(self.features(x))
        return self.classifier(torch.flatten(nn.functional.adaptive_avg_pool2d(last, 1), 1))


def smooth(net):
    """SiLU for every ReLU and a mean for the maximum: no kink where rounding could decide."""
    net.maxpool = nn.AvgPool2d(3, 2, 1)
    for module in net.modules():
        if isinstance(getattr(module, "relu", None), nn.ReLU):
            module.relu = nn.SiLU()
    return net


# name: (what wraps torchvision's, the layer in PyTorch, its tensor in the file)
LAYERS = {
    "resnet18": (None, lambda net: net.layer4, "/layer4/layer4.1/relu_1/Relu_output_0"),
    "resnet18_smooth": (smooth, lambda net: net.layer4, "/layer4/layer4.1/relu_1/Mul_output_0"),
    "densenet121": (DenseNet, lambda net: net.relu5, "/relu5/Relu_output_0"),
    "vit_b_16": (None, lambda net: net.encoder.layers[-1].ln_1,
                 "/encoder/layers/encoder_layer_11/ln_1/LayerNormalization_output_0"),
}
NAMES = tuple(LAYERS)


def layer_of(name, net):
    return LAYERS[name][1](net)


def tokens(name):
    """For libraries that need telling: tokens to C x h x w, the class token left out."""
    if not name.startswith("vit"):
        return None
    return lambda t: t[:, 1:].reshape(t.shape[0], 14, 14, -1).permute(0, 3, 1, 2)


def separate(net):
    """No ReLU in place: libraries that hook modules see what was there before."""
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net


def build(name, pretrained=False):
    torch.manual_seed(SEED)
    builder = getattr(torchvision.models, name.removesuffix("_smooth"))
    net = builder(weights="DEFAULT" if pretrained else None)
    change = LAYERS[name][0]
    net = separate(change(net) if change else net)
    if not pretrained:
        net = prepare(net, SIDE, SEED)
    return net.requires_grad_(False).eval()


def preprocess(pixels):
    """As the sidecar says, in double and then rounded."""
    x = (pixels.astype(np.float64) / 255 - MEAN) / STD
    return torch.from_numpy(x.transpose(2, 0, 1)[None].astype(np.float32).copy())


def picture(seed):
    x = field(seed, SIDE)[0].numpy().transpose(1, 2, 0)
    return np.clip(np.round((x * STD + MEAN) * 255), 0, 255).astype(np.uint8)


def gradient_gap(net, double, x):
    """How far the network's gradient in float32 is from that in float64."""
    with torch.no_grad():
        top = int(net(x)[0].argmax())
    found = []
    for n, v in ((net, x), (double, x.double())):
        v = v.clone().requires_grad_()
        found.append(torch.autograd.grad(n(v)[0, top], v)[0].double())
    return float((found[0] - found[1]).abs().max() / found[1].abs().max())


def calm_picture(net):
    double = copy.deepcopy(net).double()
    best = None
    for seed in range(TRIES):
        pixels = picture(seed)
        gap = gradient_gap(net, double, preprocess(pixels))
        if best is None or gap < best[0]:
            best = (gap, pixels)
        if gap <= NEAR:
            break
    return best


def export(net, path):
    torch.backends.mha.set_fastpath_enabled(False)  # one operator, unknown to ONNX
    torch.onnx.export(net, (torch.zeros(1, 3, SIDE, SIDE),), path, opset_version=17,
                      dynamo=False, input_names=["input"], output_names=["logits"],
                      dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}})


def write_sidecar(path):
    with open(path, "w") as f:
        json.dump({"input": {"channels": "RGB", "range": [0, 1], "mean": MEAN.tolist(),
                             "std": STD.tolist()}, "activation": "softmax"}, f)


def ready(name, folder, pretrained=False):
    """The network, and FOLDER/NAME.onnx, .json, .png of it; made if they are not there."""
    net = build(name, pretrained)
    path = os.path.join(folder, name)
    if not os.path.exists(path + ".png"):
        export(net, path + ".onnx")
        write_sidecar(path + ".json")
        gap, pixels = calm_picture(net)
        print(f"{name}: gradients in float32 and float64 differ by {gap:.1e}", flush=True)
        Image.fromarray(pixels).save(path + ".png")
    return net
