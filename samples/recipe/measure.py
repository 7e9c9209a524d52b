"""Measures the trained classifier on sets it has not seen and writes measured.json.

Accuracy: area under the ROC curve (DeLong), sensitivity and specificity at the
sidecar's thresholds (Wilson), Brier score. Localisation: where Grad-CAM of the
finding's logit peaks, enlarged bilinearly to the input's 128 x 128 pixels, on
clear positives: conspicuity at least 0.5 and flagged.
"""

import json
from pathlib import Path

import numpy as np
import torch

import dataset
from export import MODELS, shipped_net
from figures import delong, dumps, sigmoid, wilson
from network import enlarge, grad_cam, logits

CLEAR, LAYERS, NEAR = 0.5, ("features.relu3", "features.relu4", "features.relu5"), 8


def rounded(values, digits=4):
    return [round(float(v), digits) for v in values]


def accuracy(z, positive, threshold):
    p = sigmoid(z)
    return {
        "n": len(z), "positive": int(positive.sum()),
        "auc": rounded(delong(z, positive)),
        "sensitivity": rounded(wilson((p >= threshold)[positive].sum(), positive.sum()), 3),
        "specificity": rounded(wilson((p < threshold)[~positive].sum(), (~positive).sum()), 3),
        "brier": round(float(((p - positive) ** 2).mean()), 4),
    }


def peak_distance(cam, mask):
    """Pixels from the map's peak to the nearest pixel of the mask (0 inside it) and to the
    mask's centre. A map that is zero everywhere has no peak."""
    if not cam.max() > 0:
        return np.inf, np.inf
    row, column = np.unravel_index(cam.argmax(), cam.shape)
    rows, columns = np.nonzero(mask)
    return (np.hypot(rows - row, columns - column).min(),
            np.hypot(rows.mean() - row, columns.mean() - column))


def localisation(net, x, masks, target, layer):
    distances = np.array([peak_distance(enlarge(grad_cam(net, x[i:i + 1], target, layer)),
                                        masks[i, target]) for i in range(len(x))])
    edge, centre = distances.T
    return {
        "n": len(x), "empty_maps": int(np.isinf(edge).sum()),
        "inside": rounded(wilson((edge == 0).sum(), len(x)), 3),
        f"within_{NEAR}_px": rounded(wilson((edge <= NEAR).sum(), len(x)), 3),
        f"within_{NEAR}_px_of_centre": rounded(wilson((centre <= NEAR).sum(), len(x)), 3),
        "median_px": round(float(np.median(edge)), 2),
        "p95_px": round(float(np.percentile(edge, 95)), 2),
    }


def main():
    torch.set_num_threads(1)
    net = shipped_net()
    sidecar = json.loads((MODELS / "phantom.json").read_text())
    thresholds = [c["threshold"] for c in sidecar["classes"]]
    out = {"model": sidecar["sha256"], "intervals": "95 %", "accuracy": {}, "gradcam": {}}
    for name in ("validation", "test", "site-c"):
        x, plain, masks = dataset.load(name)
        z = logits(net, x)
        out["accuracy"][name] = {c: accuracy(z[:, k], plain[:, k] > 0, thresholds[k])
                                 for k, c in enumerate(dataset.CLASSES)}
        if name != "test":
            continue
        for layer in LAYERS:
            out["gradcam"][layer] = {}
            for k, c in enumerate(dataset.CLASSES):
                clear = (plain[:, k] >= CLEAR) & (sigmoid(z[:, k]) >= thresholds[k])
                out["gradcam"][layer][c] = localisation(net, x[clear], masks[clear], k, layer)
    text = dumps(out)
    (Path(__file__).parent / "measured.json").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
