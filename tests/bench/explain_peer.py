#!/usr/bin/env python3
"""What maps.c does, by Captum, and RISE by its authors' loop. For explanations.py.

    explain_peer.py MODEL.onnx INPUT THREADS TASK BATCH [KEY=VALUE...]

TASK is gradcam, ig, ig-tolerance, occlusion or rise; BATCH what goes through at once
(internal_batch_size, perturbations_per_eval, gpu_batch; 0: all of it, Captum's default for
integrated gradients). Obeys `run N` and `values` as maps.c, and

    part N K     N times K of a sweep's windows or masks: [milliseconds of the whole sweep,
                 ...], which a part's time is scaled up to: each window costs the same
"""

import json
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peer import SHOWN_MAX, resident


class Task:
    def __init__(self, path, x, threads, batch, settings):
        import export
        import torch

        torch.set_num_threads(threads)
        self.torch, self.batch, self.settings = torch, batch, settings
        stem = os.path.splitext(path)[0]
        self.net = export.load(os.path.basename(stem), stem + ".pt")
        for module in self.net.modules():
            if isinstance(module, torch.nn.ReLU):
                module.inplace = False
        self.x = torch.from_numpy(x)
        self.said = {}

    def setting(self, key, fallback):
        return type(fallback)(self.settings.get(key, fallback))

    def values(self):
        """Channels summed where the map has them."""
        made = self.map.detach().numpy()[0].astype(np.float64)
        flat = (made.sum(0) if made.ndim == 3 and self.sums else made[0]).ravel()
        return {"map": flat[:: flat.size // SHOWN_MAX + 1].tolist(), "checks": self.said}

    sums = False

    def part(self, k):
        raise SystemExit("there are no parts of this")


class GradCam(Task):
    """LayerGradCam at what our automatic layer is, ReLU, bilinear."""

    LAYERS = {"resnet18": "layer4", "resnet50": "layer4", "densenet121": "features"}

    def __init__(self, path, *rest):
        super().__init__(path, *rest)
        from captum.attr import LayerAttribution, LayerGradCam

        name = os.path.splitext(os.path.basename(path))[0].partition("-")[0]
        self.enlarge = LayerAttribution.interpolate
        self.cam = LayerGradCam(self.net, getattr(self.net, self.LAYERS[name]))

    def run(self):
        made = self.cam.attribute(self.x.requires_grad_(), 0, relu_attributions=True)
        self.map = self.enlarge(made, self.x.shape[2:], "bilinear")


class Ig(Task):
    sums = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        from captum.attr import IntegratedGradients

        self.ig = IntegratedGradients(self.net)

    def steps(self, n):
        self.map, delta = self.ig.attribute(
            self.x, target=0, n_steps=n, internal_batch_size=self.batch or None,
            return_convergence_delta=True)
        return abs(float(delta[0]))

    def run(self):
        self.said = {"completeness_error": self.steps(self.setting("steps", 50))}


class IgTolerance(Ig):
    """As many steps as it takes, found as a user must: doubled until the error is small."""

    def run(self):
        with self.torch.no_grad():
            y = [float(self.net(x)[0, 0]) for x in (self.x, self.torch.zeros_like(self.x))]
        bound = self.setting("tolerance", 1.0) / 100 * abs(y[0] - y[1])
        n = self.setting("steps", 50)
        while (error := self.steps(n)) > bound and 2 * n <= self.setting("steps_max", 200):
            n *= 2
        self.said = {"completeness_error": error, "steps": n}


class Occlusion(Task):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        from captum.attr import Occlusion as Whole

        class Some(Whole):
            """Of the windows the first `most`."""

            most = None

            def _get_feature_idx_to_tensor_idx(self, *args, **keywords):
                windows = super()._get_feature_idx_to_tensor_idx(*args, **keywords)
                self.all = len(windows)
                return {k: v for k, v in windows.items() if not self.most or k < self.most}

        self.occlusion = Some(self.net)

    def run(self):
        window, stride = self.setting("window", 16), self.setting("stride", 8)
        with self.torch.no_grad():
            self.map = self.occlusion.attribute(
                self.x, sliding_window_shapes=(3, window, window), baselines=0, target=0,
                strides=(3, stride, stride), perturbations_per_eval=self.batch or 1)

    def part(self, k):
        """One forward is of the image as it is."""
        self.occlusion.most = k
        begin = time.perf_counter()
        self.run()
        spent = (time.perf_counter() - begin) * 1e3
        self.occlusion.most = None
        return spent * (self.occlusion.all + 1) / (min(k, self.occlusion.all) + 1)


class Rise(Task):
    """explanations.py of github.com/eclique/RISE, with its softmax, for one class, its masks
    made beforehand and not counted."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.n = self.setting("masks", 2000)
        side = self.x.shape[-1]
        grid = self.torch.rand(self.n, 1, 8, 8) < 0.5
        self.masks = self.torch.nn.functional.interpolate(
            grid.float(), (side, side), mode="bilinear")

    def look(self, masks):
        with self.torch.inference_mode():
            p = [self.torch.softmax(self.net(m * self.x), 1)[:, 0]
                 for m in masks.split(self.batch or 100)]
            self.map = (self.torch.cat(p)[None] @ masks.flatten(1)).reshape(
                1, 1, *masks.shape[2:]) / len(masks) / 0.5

    def run(self):
        self.look(self.masks)

    def part(self, k):
        begin = time.perf_counter()
        self.look(self.masks[:k])
        return (time.perf_counter() - begin) * 1e3 * self.n / min(k, self.n)


TASKS = {"gradcam": GradCam, "ig": Ig, "ig-tolerance": IgTolerance, "occlusion": Occlusion,
         "rise": Rise}


def timed(task):
    begin = time.perf_counter()
    task.run()
    return (time.perf_counter() - begin) * 1e3


def main():
    path, x, threads, kind, batch, *pairs = sys.argv[1:]
    before, begin = resident(), time.perf_counter()
    side = int(round((os.path.getsize(x) / 12) ** 0.5))
    x = np.fromfile(x, np.float32).reshape(1, 3, side, side)
    import captum  # noqa: F401, counted as the library
    import torchvision  # noqa: F401

    library = resident()
    task = TASKS[kind](path, x, int(threads), int(batch), dict(p.split("=") for p in pairs))
    print(json.dumps({"ready": (time.perf_counter() - begin) * 1e3,
                      "interpreter_mib": before, "library_mib": library}), flush=True)
    for line in sys.stdin:
        word, *numbers = line.split()
        if word == "run":
            print(json.dumps([timed(task) for _ in range(int(numbers[0]))]), flush=True)
        elif word == "part":
            print(json.dumps([task.part(int(numbers[1])) for _ in range(int(numbers[0]))]),
                  flush=True)
        elif word == "values":
            print(json.dumps(task.values()), flush=True)


if __name__ == "__main__":
    main()
