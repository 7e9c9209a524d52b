#!/usr/bin/env python3
"""What passes.c does, by ONNX Runtime or PyTorch. For bench.py.

    peer.py ort|torch|torch-nhwc MODEL.onnx INPUT forward|gradient BATCH THREADS

Each is set up as its documentation advises for speed:

ONNX Runtime: all graph optimisations, THREADS threads that spin during a pass and stop
    when it returns ("session.force_spinning_stop"), so that they do not take processor
    time from others while idle.
PyTorch: eager, eval mode; parameters without gradients, so that a backward computes
    d logit / d input only; inference_mode for forwards. torch-nhwc: channels_last.
    Its OpenMP threads spin for GOMP_SPINCOUNT turns, see engines.py.
"""

import json
import os
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

SHOWN_MAX = 256  # as in passes.c


def resident():
    """VmRSS, in MiB."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


class Ort:
    def __init__(self, _, path, x, gradient, threads):
        import onnxruntime as ort

        self.library_mib = resident()
        if gradient:
            raise SystemExit("ONNX Runtime has no gradients")
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.session = ort.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.feed = {"input": x}

    def run(self):
        (self.logits,) = self.session.run(None, self.feed)

    def values(self):
        return {"logits": self.logits[0].tolist()}


class Torch:
    def __init__(self, engine, path, x, gradient, threads):
        import export
        import torch
        import torchvision  # noqa: F401, counted as the library

        self.library_mib = resident()
        torch.set_num_threads(threads)
        self.torch = torch
        name = os.path.splitext(os.path.basename(path))[0]
        weights = os.path.splitext(path)[0] + ".pt"
        self.net = export.load(name, weights)
        self.x = torch.from_numpy(x)
        if engine == "torch-nhwc":
            self.net = self.net.to(memory_format=torch.channels_last)
            self.x = self.x.to(memory_format=torch.channels_last)
        self.x.requires_grad_(gradient)
        self.gradient = gradient

    def run(self):
        if not self.gradient:
            with self.torch.inference_mode():
                self.logits = self.net(self.x)
            return
        self.logits = self.net(self.x)
        (self.dx,) = self.torch.autograd.grad(self.logits[:, 0].sum(), self.x)

    def values(self):
        values = {"logits": self.logits[0].tolist()}
        if self.gradient:
            dx = self.dx[0].contiguous().flatten()
            values["gradient"] = dx[:: dx.numel() // SHOWN_MAX + 1].tolist()
        return values


def main():
    engine, path, x, kind, batch, threads = sys.argv[1:]
    before = resident()
    begin = time.perf_counter()
    side = int(round((os.path.getsize(x) / 12) ** 0.5))
    x = np.fromfile(x, np.float32).reshape(1, 3, side, side)
    x = np.ascontiguousarray(np.repeat(x, int(batch), axis=0))
    peer = (Ort if engine == "ort" else Torch)(engine, path, x, kind == "gradient",
                                               int(threads))
    ready = (time.perf_counter() - begin) * 1e3
    print(json.dumps({"ready": ready, "interpreter_mib": before,
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
