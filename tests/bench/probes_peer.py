#!/usr/bin/env python3
"""What probes.c does, by PyTorch: the loop of PGD as it is written, and Foolbox's. For probes.py.

    probes_peer.py MODEL.onnx INPUT THREADS loop|foolbox [KEY=VALUE...]

Weights ask for no gradient, so that a backward computes the picture's alone. A step is a
forward, the gradient of the margin by which the lowest class is not called, a step down its
sign, the ball, the range. The loop ends with the forward that tells what it reached; Foolbox's
attack with its own. Obeys `run N` and `values` as probes.c.
"""

import json
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from peer import resident


class Loop:
    def __init__(self, path, x, threads, settings):
        import export
        import torch
        import torchvision  # noqa: F401, counted as the library

        self.library_mib = resident()
        torch.set_num_threads(threads)
        self.torch = torch
        stem = os.path.splitext(path)[0]
        self.net = export.load(os.path.basename(stem), stem + ".pt")
        self.x = torch.from_numpy(x)
        self.steps, self.eps = int(settings["steps"]), float(settings["eps"])
        with torch.no_grad():
            self.c = int(self.net(self.x).argmin())
        self.forwards = self.backwards = 0

    def margin(self, p):
        z = self.net(p)
        self.forwards += 1
        others = z.clone()
        others[:, self.c] = -self.torch.inf
        return (others.amax(1) - z[:, self.c]).sum()

    def run(self):
        torch, step = self.torch, 2.5 * self.eps / self.steps
        self.forwards = self.backwards = 0
        low, high = (self.x - self.eps).clamp(0, 1), (self.x + self.eps).clamp(0, 1)
        p = self.x.clone()
        for _ in range(self.steps):
            p.requires_grad_()
            (g,) = torch.autograd.grad(self.margin(p), p)
            self.backwards += 1
            p = torch.minimum(torch.maximum(p.detach() - step * g.sign(), low), high)
        with torch.no_grad():
            self.reached = float(self.margin(p))
        self.p = p

    def values(self):
        return {"forwards": self.forwards, "backwards": self.backwards,
                "linf": float((self.p - self.x).abs().max()), "margin": self.reached}


class Foolbox(Loop):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        import foolbox

        self.model = foolbox.PyTorchModel(self.net, bounds=(0, 1))
        self.goal = foolbox.criteria.TargetedMisclassification(self.torch.tensor([self.c]))
        self.attack = foolbox.attacks.LinfPGD(
            steps=self.steps, rel_stepsize=2.5 / self.steps, random_start=False)

    def run(self):
        self.forwards, self.backwards = self.steps + 1, self.steps
        _, self.p, flips = self.attack(self.model, self.x, self.goal, epsilons=self.eps)
        self.reached = -1.0 if bool(flips) else 1.0


def main():
    path, x, threads, kind, *pairs = sys.argv[1:]
    before, begin = resident(), time.perf_counter()
    side = int(round((os.path.getsize(x) / 12) ** 0.5))
    x = np.fromfile(x, np.float32).reshape(1, 3, side, side)
    peer = {"loop": Loop, "foolbox": Foolbox}[kind](
        path, x, int(threads), dict(p.split("=") for p in pairs))
    print(json.dumps({"ready": (time.perf_counter() - begin) * 1e3, "interpreter_mib": before,
                      "library_mib": peer.library_mib}), flush=True)
    for line in sys.stdin:
        word, _, n = line.strip().partition(" ")
        if word == "run":
            times = []
            for _ in range(int(n)):
                begin = time.perf_counter()
                peer.run()
                times.append((time.perf_counter() - begin) * 1e3)
            print(json.dumps(times), flush=True)
        elif word == "values":
            print(json.dumps(peer.values()), flush=True)


if __name__ == "__main__":
    main()
