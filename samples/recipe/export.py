"""Writes models/NAME.onnx and its sidecar from build/samples/NAME.pt.

The convolutional networks are built node by node (graph.py) so that every tensor has a
readable name and the file uses few, plain operators. The transformer goes through
PyTorch's older exporter, and phantom once more through the newer one with its weights in
a file of their own, because those are what people have. The last node is a Sigmoid in
all of them; the logits are the tensor before it.

    python export.py [NAME...]
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import dataset
import graph
import train
from catalogue import CATALOGUE, INTENDED_USE, VERSION
from figures import dumps, sigmoid, youden
from network import MEAN, STD, Net, logits, normalise

MODELS = Path(__file__).parent.parent / "models"
CAM_LAYER = "features.relu5"


class Probability(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, input):
        return torch.sigmoid(self.net(input))


def trained_net(name):
    net = train.RECIPES[name].make()
    net.load_state_dict(torch.load(dataset.BUILD / f"{name}.pt", weights_only=True))
    return net.eval()


def shipped_net(name="phantom"):
    """A convolutional file's weights in PyTorch, so that what is measured is what is shipped.
    The normalisations are already folded and are made to do no more than add the bias."""
    arrays = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy())
              for w in onnx.load(MODELS / f"{name}.onnx").graph.initializer}
    classes, width = arrays["head.weight"].shape
    net = Net(classes, "both" if width == 128 else "mean").requires_grad_(False)
    for n, (conv, norm) in enumerate(net.pairs(), 1):
        conv.weight.copy_(arrays[f"features.conv{n}.weight"])
        norm.bias.copy_(arrays[f"features.conv{n}.bias"])
        norm.eps = 0.0
    net.head.weight.copy_(arrays["head.weight"])
    net.head.bias.copy_(arrays["head.bias"])
    return net.requires_grad_(True).eval()


def logit_session(path):
    """The shipped file in onnxruntime, made to give the logits too. They come last."""
    model = onnx.load(path)
    made = {output: node for node in model.graph.node for output in node.output}
    last = made[model.graph.output[0].name]
    if last.op_type != "Sigmoid":
        raise SystemExit(f"{path.name} does not end in a Sigmoid")
    model.graph.output.append(helper.make_tensor_value_info(last.input[0], TensorProto.FLOAT,
                                                            None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def strip(model):
    """An exporter's file without the paths and stack traces of the machine that ran it."""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for info in (*model.graph.input, *model.graph.output, *model.graph.value_info,
                 *model.graph.initializer):
        info.doc_string = ""
        del info.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    return model


def write_traced(net, path):
    torch.onnx.export(Probability(net).eval(), (torch.zeros(2, 1, 128, 128),), path, dynamo=False,
                      opset_version=17, input_names=["input"], output_names=["probability"],
                      dynamic_axes={"input": {0: "N"}, "probability": {0: "N"}})
    model = strip(onnx.load(path))
    helper.set_model_props(model, {"intended_use": INTENDED_USE, "licence": "CC0-1.0"})
    onnx.save(model, path)


def write_external(net, path):
    """Weights beside the graph, as the newer exporter writes models too large for one file."""
    program = torch.onnx.export(
        Probability(net).eval(), (torch.zeros(2, 1, 128, 128),), dynamo=True,
        input_names=["input"], output_names=["probability"],
        dynamic_shapes=({0: torch.export.Dim("N", min=1, max=4096)},))
    model = strip(program.model_proto)
    helper.set_model_props(model, {"intended_use": INTENDED_USE, "licence": "CC0-1.0"})
    data = path.with_name(path.name + ".data")
    data.unlink(missing_ok=True)
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=True,
              location=data.name, size_threshold=256)
    data.chmod(0o644)


def sidecar(entry, digest, thresholds, prevalence):
    cam = {} if entry.exporter == "traced" else {"cam_layer": entry.cam_layer or CAM_LAYER}
    return {
        "name": entry.name, "version": VERSION, "sha256": digest,
        "intended_use": INTENDED_USE, "limitations": list(entry.limitations),
        "input": {"layout": "NCHW", "channels": "gray", "size": [128, 128],
                  "resize": "bilinear", "antialias": False, "round": False, "fit": "stretch",
                  "range": [0, 1], "mean": [MEAN], "std": [STD]},
        "activation": "sigmoid", "output": "probability", **cam,
        "classes": [{"name": name, "threshold": threshold, "cost_fp": fp, "cost_fn": fn}
                    for (name, fp, fn), threshold in zip(entry.classes, thresholds)],
        "calibration": {"temperature": 1.0},
        "prevalence": prevalence,
    }


def operating_points(name, net):
    """Thresholds that maximise Youden's index on the validation set of the model's own
    world, and the prevalence there."""
    recipe = train.RECIPES[name]
    x, y, _ = train.world("validation", recipe.world, np.random.default_rng(recipe.seed))
    probability = sigmoid(logits(net, x))
    thresholds = [round(youden(probability[:, k], y[:, k]), 3) for k in range(y.shape[1])]
    return thresholds, [round(float(p), 3) for p in y.mean(0)], x


def main(names=()):
    MODELS.mkdir(exist_ok=True)
    for entry in CATALOGUE:
        if names and entry.name not in names:
            continue
        source = entry.same_as or entry.name
        net = trained_net(source)
        thresholds, prevalence, x = operating_points(source, net)
        thresholds = [0.5 if name in entry.half else threshold
                      for (name, _, _), threshold in zip(entry.classes, thresholds)]
        path = MODELS / f"{entry.name}.onnx"
        write = {"built": lambda: onnx.save(graph.build(net, entry.name), path),
                 "traced": lambda: write_traced(net, path),
                 "external": lambda: write_external(net, path)}[entry.exporter]
        write()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (MODELS / f"{entry.name}.json").write_text(
            dumps(sidecar(entry, digest, thresholds, prevalence)))

        found = logit_session(path).run(None, {"input": normalise(x[:50]).numpy()})[-1]
        apart = float(np.abs(found - logits(net, x[:50])).max())
        print(f"{path.name}: {path.stat().st_size} bytes, thresholds {thresholds}, "
              f"largest difference between file and PyTorch {apart:.1e}")
        if not apart < 1e-3:
            raise SystemExit("the file does not compute what was trained")


if __name__ == "__main__":
    main(sys.argv[1:])
