"""A network with its picture: what a reference function is given."""

import copy
import json
import os
import subprocess

import numpy as np
import torch

import export
import models


class Case:
    """
    name       "resnet18"
    net        the network in PyTorch: eval mode, weights that want no gradient
    x          its input, 1 x 3 x 224 x 224: the one that the program made
    target     the class: the top one
    layer      the module of `net` whose output CAMs look at; models.tokens(name) turns
               a transformer's into C x h x w
    layer_name the same in the program's words, for -l
    dtype      torch.float32, or torch.float64 in what double() returns
    """

    def __init__(self, given, name, net):
        self.given, self.name, self.net = given, name, net
        self.path = os.path.join(given.folder, name)
        self.layer_name = models.LAYERS[name][2]
        self.dtype = torch.float32
        self.x = torch.from_numpy(self._prepared())
        with torch.no_grad():
            self.target = int(net(self.x)[0].argmax())

    @property
    def layer(self):
        return models.layer_of(self.name, self.net)

    def double(self):
        """The same in float64."""
        other = copy.copy(self)
        other.net = copy.deepcopy(self.net).double()
        other.x, other.dtype = self.x.double(), torch.float64
        return other

    def shaken(self, seed):
        """In float64, what layers make moved by about a rounding of float32."""
        other = self.double()
        other.net = export.shaken(other.net, seed)
        return other

    def copy_net(self):
        """For libraries that change what they are given."""
        return copy.deepcopy(self.net)

    def probability_net(self):
        """The network with its softmax."""
        return torch.nn.Sequential(self.net, torch.nn.Softmax(1)).eval()

    # ---- the program -------------------------------------------------------------------------

    def _run(self, options, name):
        out = os.path.join(self.given.folder, f"{self.name}-{name}.npz")
        said = subprocess.run(
            [self.given.saliscope, "explain", "-q", "--json", "-m", self.path + ".onnx",
             self.path + ".png", "-j", str(self.given.threads), "-o", out, *options],
            capture_output=True, text=True)
        if said.returncode:
            raise RuntimeError(said.stderr.strip())
        with np.load(out) as arrays:
            return dict(arrays), json.loads(said.stdout)

    def _prepared(self):
        return self._run(["-M", "gradient"], "input")[0]["input"]

    def ours(self, row):
        """The program's map for a row, and its record."""
        options = [*row.options(), "-c", str(self.target), "-l", self.layer_name]
        arrays, record = self._run(options, row.method)
        key = {"input": "map", "layer": "map_layer", "channels": "map_channels"}[row.at]
        return arrays[key], record

    # ---- what the library made ---------------------------------------------------------------

    def array(self, row, made):
        """As an array with the axes of the program's map."""
        if isinstance(made, torch.Tensor):
            made = made.detach().numpy()
        made = np.asarray(made)
        axes = 3 if row.at == "channels" else 2
        while made.ndim > axes and made.shape[0] == 1:
            made = made[0]
        return made

    def facts(self):
        with torch.no_grad():
            logits = self.net(self.x)[0]
        return {"target": self.target, "score": float(logits[self.target]),
                "low": float(logits.min()), "high": float(logits.max())}


def open_case(given, name):
    torch.set_num_threads(given.threads)
    return Case(given, name, models.ready(name, given.folder, given.pretrained))
