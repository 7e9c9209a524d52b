"""A convolutional network as an ONNX graph, node by node, with batch normalisation
folded into the convolutions."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from catalogue import INTENDED_USE, VERSION
from network import CONTRAST_GAIN, POOL_AFTER, WINDOW

OPSET = 13


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def constant(self, name, value):
        if hasattr(value, "detach"):
            value = value.detach().numpy()
        self.weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(self, op, name, *inputs, **attributes):
        """One node whose only output carries its name."""
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def folded(conv, norm):
    """Weight and bias of a convolution with the normalisation behind it."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


def build(net, name):
    g = Graph()
    half = WINDOW // 2
    mean = g.node("AveragePool", "contrast.rows", "input", kernel_shape=[1, WINDOW],
                  pads=[0, half, 0, half], strides=[1, 1], count_include_pad=0)
    mean = g.node("AveragePool", "contrast.mean", mean, kernel_shape=[WINDOW, 1],
                  pads=[half, 0, half, 0], strides=[1, 1], count_include_pad=0)
    local = g.node("Sub", "contrast.local", "input", mean)
    local = g.node("Mul", "contrast.gain", local, g.constant("contrast.factor", CONTRAST_GAIN))
    x = g.node("Concat", "contrast.channels", "input", local, axis=1)
    for n, (conv, norm) in enumerate(net.pairs(), 1):
        weight, bias = folded(conv, norm)
        x = g.node("Conv", f"features.conv{n}", x, g.constant(f"features.conv{n}.weight", weight),
                   g.constant(f"features.conv{n}.bias", bias),
                   kernel_shape=list(conv.kernel_size), strides=list(conv.stride),
                   dilations=list(conv.dilation),
                   pads=list(conv.padding) * 2)
        x = g.node("Relu", f"features.relu{n}", x)
        if n == POOL_AFTER:
            x = g.node("MaxPool", f"features.pool{n}", x, kernel_shape=[2, 2], strides=[2, 2])
    pooled = g.node("GlobalAveragePool", "head.mean", x)
    if net.both:
        pooled = g.node("Concat", "head.concat", pooled,
                        g.node("GlobalMaxPool", "head.maximum", x), axis=1)
    x = g.node("Flatten", "head.flatten", pooled, axis=1)
    x = g.node("Gemm", "logits", x, g.constant("head.weight", net.head.weight),
               g.constant("head.bias", net.head.bias), transB=1)
    g.node("Sigmoid", "probability", x)

    model = helper.make_model(
        helper.make_graph(
            g.nodes, name,
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 128, 128])],
            [helper.make_tensor_value_info("probability", TensorProto.FLOAT,
                                           ["N", len(net.head.bias)])], g.weights),
        opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
        producer_name="saliscope samples", producer_version=VERSION)
    helper.set_model_props(model, {"intended_use": INTENDED_USE, "licence": "CC0-1.0"})
    onnx.checker.check_model(model, full_check=True)
    return model
