"""Writes models/phantom.onnx and its sidecar from build/phantom.pt.

The graph is built node by node so that every tensor has a readable name and the
file uses few, plain operators. Batch normalisation is folded into the
convolutions. The last node is a Sigmoid; the logits are the tensor before it.
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

import dataset
from figures import dumps, sigmoid, youden
from network import CONTRAST_GAIN, MEAN, POOL_AFTER, STD, WINDOW, Net, logits, normalise

MODELS = Path(__file__).parent.parent / "models"
NAME, VERSION, OPSET = "phantom", "1.0.0", 13
CAM_LAYER = "features.relu5"
INTENDED_USE = "research and teaching on synthetic phantoms; never diagnosis"
LIMITATIONS = [
    "trained and tested on computed phantoms only; its figures say nothing about real radiographs",
    "knows two findings and no others; anything else is called normal or mistaken for one of them",
    "exposures unlike sites A and B move its scores, so its thresholds do not carry over to them",
    "does not recognise a picture that is no chest: it gives a probability to anything",
    "was told in training where the findings are, so Grad-CAM at its last layer is right by design",
    "thresholds and prevalence belong to its validation set, not to any population",
]


def trained_net():
    net = Net()
    net.load_state_dict(torch.load(dataset.BUILD / "phantom.pt", weights_only=True))
    return net.eval()


def shipped_net(path=MODELS / f"{NAME}.onnx"):
    """The file's weights in PyTorch, so that what is measured is what is shipped. The
    normalisations are already folded and are made to do no more than add the bias."""
    arrays = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy())
              for w in onnx.load(path).graph.initializer}
    net = Net().requires_grad_(False)
    for n, (conv, norm) in enumerate(zip(net.conv, net.norm), 1):
        conv.weight.copy_(arrays[f"features.conv{n}.weight"])
        norm.bias.copy_(arrays[f"features.conv{n}.bias"])
        norm.eps = 0.0
    net.head.weight.copy_(arrays["head.weight"])
    net.head.bias.copy_(arrays["head.bias"])
    return net.requires_grad_(True).eval()


def folded(conv, norm):
    """Weight and bias of a convolution with the normalisation behind it."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    weight = conv.weight * scale[:, None, None, None]
    return weight.detach().numpy(), (norm.bias - norm.running_mean * scale).detach().numpy()


def build(net):
    nodes, weights = [], []

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
        return name

    def node(op, name, *inputs, **attributes):
        """One node whose only output carries its name."""
        nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    mean = node("AveragePool", "contrast.mean", "input", kernel_shape=[WINDOW] * 2,
                pads=[WINDOW // 2] * 4, strides=[1, 1], count_include_pad=0)
    local = node("Sub", "contrast.local", "input", mean)
    local = node("Mul", "contrast.gain", local, constant("contrast.factor", CONTRAST_GAIN))
    x = node("Concat", "contrast.channels", "input", local, axis=1)
    for n, (conv, norm) in enumerate(zip(net.conv, net.norm), 1):
        weight, bias = folded(conv, norm)
        x = node("Conv", f"features.conv{n}", x, constant(f"features.conv{n}.weight", weight),
                 constant(f"features.conv{n}.bias", bias), kernel_shape=[3, 3], pads=[1] * 4)
        x = node("Relu", f"features.relu{n}", x)
        if n in POOL_AFTER:
            x = node("MaxPool", f"features.pool{n}", x, kernel_shape=[2, 2], strides=[2, 2])
    x = node("Concat", "head.concat", node("GlobalAveragePool", "head.mean", x),
             node("GlobalMaxPool", "head.maximum", x), axis=1)
    x = node("Flatten", "head.flatten", x, axis=1)
    x = node("Gemm", "logits", x, constant("head.weight", net.head.weight.detach().numpy()),
             constant("head.bias", net.head.bias.detach().numpy()), transB=1)
    node("Sigmoid", "probability", x)

    graph = helper.make_graph(
        nodes, NAME,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, 128, 128])],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT,
                                       ["N", len(dataset.CLASSES)])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8,
                              producer_name="saliscope samples", producer_version=VERSION)
    helper.set_model_props(model, {"intended_use": INTENDED_USE, "licence": "CC0-1.0"})
    onnx.checker.check_model(model, full_check=True)
    return model


def logit_session(path):
    """The shipped file in onnxruntime, made to give the logits too."""
    model = onnx.load(path)
    model.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def sidecar(digest, thresholds, prevalence):
    costs = {"nodule": (1, 5), "consolidation": (1, 3)}
    return {
        "name": NAME, "version": VERSION, "sha256": digest,
        "intended_use": INTENDED_USE, "limitations": LIMITATIONS,
        "input": {"layout": "NCHW", "channels": "gray", "size": [128, 128],
                  "resize": "bilinear", "antialias": False, "round": False, "fit": "stretch",
                  "range": [0, 1], "mean": [MEAN], "std": [STD]},
        "activation": "sigmoid", "output": "probability", "cam_layer": CAM_LAYER,
        "classes": [{"name": name, "threshold": threshold,
                     "cost_fp": costs[name][0], "cost_fn": costs[name][1]}
                    for name, threshold in zip(dataset.CLASSES, thresholds)],
        "calibration": {"temperature": 1.0},
        "prevalence": prevalence,
    }


def main():
    net = trained_net()
    x, plain, _ = dataset.load("validation")
    probability = sigmoid(logits(net, x))
    thresholds = [round(youden(probability[:, k], plain[:, k] > 0), 3)
                  for k in range(len(dataset.CLASSES))]
    prevalence = [round(float(p), 3) for p in (plain > 0).mean(0)]

    MODELS.mkdir(exist_ok=True)
    path = MODELS / f"{NAME}.onnx"
    onnx.save(build(net), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    text = dumps(sidecar(digest, thresholds, prevalence))
    (MODELS / f"{NAME}.json").write_text(text)

    found = logit_session(path).run(["logits"], {"input": normalise(x[:50]).numpy()})[0]
    apart = float(np.abs(found - logits(net, x[:50])).max())
    print(f"{path.name}: {path.stat().st_size} bytes, thresholds {thresholds}, "
          f"largest difference between file and PyTorch {apart:.1e}")
    if not apart < 1e-3:
        raise SystemExit("the file does not compute what was trained")


if __name__ == "__main__":
    main()
