"""The program's maps against recorded ones: refs/ of the shared test data, where it is there.
tests/test_reference.c holds the library against the same arrays."""

import json
import os
import subprocess
import sys

import numpy as np

from row import error

CAMS = {"gradcam": "gradcam.npy", "gradcam++": "gradcam_plusplus.npy",
        "hirescam": "hirescam.npy", "layercam": "layercam.npy"}


def write_sidecar(path, record):
    layout = record["channel_layout"]
    channels = "gray3" if layout.startswith("gray") else layout
    with open(path, "w") as f:
        json.dump({"input": {"channels": channels, "range": [0, 255],
                             "mean": record["mean_px"], "std": record["std_px"]},
                   "output": record["logit_tensor"]}, f)


def asked(record):
    """(method, -P, which array of the .npz, recorded array)"""
    for method, name in CAMS.items():
        yield method, [], "map_layer", name
    yield "gradient", [], "map_channels", "gradient.npy"
    yield "ig", ["steps=50", "rule=gausslegendre"], "map_channels", "ig.npy"
    window = record["occlusion"]
    yield ("occlusion", [f"window={window['window']}", f"stride={window['stride']}"], "map",
           "occlusion.npy")


def one_map(given, data, record, method, params, key):
    work = os.path.join(given.folder, "recorded")
    os.makedirs(work, exist_ok=True)
    sidecar, out = os.path.join(work, "sidecar.json"), os.path.join(work, "map.npz")
    write_sidecar(sidecar, record)
    line = [given.saliscope, "explain", "-q", "-m",
            os.path.join(data, "models", os.path.basename(record["model"])),
            os.path.join(data, "refs", record["input_png"]), "-s", sidecar, "-M", method,
            "-c", str(record["target_index"]), "-j", str(given.threads), "-o", out]
    for p in params:
        line += ["-P", p]
    said = subprocess.run(line, capture_output=True, text=True)
    if said.returncode:
        raise RuntimeError(said.stderr.strip())
    with np.load(out) as arrays:
        return arrays[key]


def one_case(given, data, record):
    cells = {}
    for method, params, key, name in asked(record):
        path = os.path.join(data, "refs", record["case"], name)
        if given.methods and method not in given.methods or not os.path.exists(path):
            continue
        theirs = np.load(path)
        ours = one_map(given, data, record, method, params, key)
        cells[method] = {"error": error(ours.reshape(theirs.shape), theirs)}
        a, b = ours.ravel().astype(float), theirs.ravel().astype(float)
        cells[method]["correlation"] = float(np.corrcoef(a, b)[0, 1])
    return cells


def compare(given):
    path = os.path.join(given.recorded, "refs", "manifest.json")
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        manifest = json.load(f)
    found = {}
    for record in manifest:
        found[record["case"]] = one_case(given, given.recorded, record)
        print(record["case"], {m: f"{c['error']:.1e}" for m, c in found[record["case"]].items()},
              file=sys.stderr, flush=True)
    return found
