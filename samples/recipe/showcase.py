"""Writes the named pictures, their masks, the manifest cases.csv and expected.json.

The indices were chosen by looking: for each lesson, a chest that shows it.
"""

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dataset import CLASSES
from export import CAM_LAYER, MODELS, shipped_net, logit_session
from figures import dumps
from network import MEAN, STD, grad_cam
from phantom import Case, Picture, render, test_object, to_16_bit, to_8_bit

SAMPLES = Path(__file__).parent.parent
IMAGES, MASKS = SAMPLES / "images", SAMPLES / "masks"
DEMO = "nodule-clear.png"


@dataclass(frozen=True)
class Sample:
    file: str
    case: Case | None           # None: the test object, which is no chest
    bits: int = 8


def chest(index, **asked):
    return Case("showcase", index, **asked)


SHOWCASE = (
    Sample("nodule-clear.png", chest(8, nodule=0.95)),
    Sample("nodule-subtle.png", chest(85, nodule=0.20)),
    Sample("nodule-missed.png", chest(81, nodule=0.24)),
    Sample("consolidation.png", chest(48, consolidation=0.80)),
    Sample("two-findings.png", chest(73, nodule=0.85, consolidation=0.75)),
    Sample("normal.png", chest(1)),
    Sample("normal-marker.png", chest(10, marker=True, site="B")),
    Sample("site-c-nodule.png", chest(101, nodule=0.80, site="C")),
    Sample("test-object.png", None),
    Sample("nodule-clear-16-bit.png", chest(8, nodule=0.95), bits=16),
    Sample("normal.jpg", chest(1)),
)


def picture_of(sample):
    if sample.case is not None:
        return render(sample.case)
    grey = test_object()
    empty = np.zeros(grey.shape, bool)
    return Picture(grey, empty, empty, empty, empty)


def write_image(sample, grey):
    path = IMAGES / sample.file
    if sample.bits == 16:
        Image.fromarray(to_16_bit(grey)).save(path, optimize=True)
    elif path.suffix == ".jpg":
        Image.fromarray(to_8_bit(grey)).save(path, quality=92)
    else:
        Image.fromarray(to_8_bit(grey)).save(path, optimize=True)


def write_masks(sample, picture):
    """One mask for all findings, named like the picture; where there are two, and for
    the site marker, one more each. Returns the name of the first, or ""."""
    stem = Path(sample.file).stem
    found = {c: getattr(picture, c) for c in CLASSES if getattr(picture, c).any()}
    masks = {f"{stem}.png": np.logical_or.reduce(list(found.values()))} if found else {}
    if len(found) > 1:
        masks |= {f"{stem}.{c}.png": mask for c, mask in found.items()}
    if picture.marker.any():
        masks[f"{stem}.marker.png"] = picture.marker
    for name, mask in masks.items():
        Image.fromarray(mask.astype(np.uint8) * 255).save(MASKS / name, optimize=True)
    return f"{stem}.png" if found else ""


def resize_bilinear(image, height, width):
    """Half-pixel-centred, no antialiasing."""
    def taps(out, size):
        at = np.clip((np.arange(out) + 0.5) * size / out - 0.5, 0, size - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, size - 1), (at - low).astype(np.float32)

    y0, y1, fy = taps(height, image.shape[0])
    x0, x1, fx = taps(width, image.shape[1])
    rows = image[y0] * (1 - fy)[:, None] + image[y1] * fy[:, None]
    return rows[:, x0] * (1 - fx) + rows[:, x1] * fx


def network_input(path):
    """The file as the sidecar says: stored range to 0..1, resized, normalised."""
    with Image.open(path) as file:
        full = 65535 if file.mode.startswith("I") else 255
        image = np.asarray(file).astype(np.float32) / full
    unit = resize_bilinear(image, 128, 128).astype(np.float32)
    return ((unit - MEAN) / STD)[None, None], unit[None, None]


def expected(sidecar):
    session, net = logit_session(MODELS / "phantom.onnx"), shipped_net()
    cases = []
    for sample in SHOWCASE:
        path = IMAGES / sample.file
        x, _ = network_input(path)
        z, p = (v[0] for v in session.run(["logits", "probability"], {"input": x}))
        cases.append({
            "image": f"images/{sample.file}",
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "input_mean": round(float(x.mean()), 6), "input_std": round(float(x.std()), 6),
            "logits": [round(float(v), 5) for v in z],
            "probabilities": [round(float(v), 6) for v in p],
            "flagged": [c["name"] for c, v in zip(sidecar["classes"], p) if v >= c["threshold"]],
        })
    x, unit = network_input(IMAGES / DEMO)
    cam = grad_cam(net, torch.from_numpy(unit), 0, CAM_LAYER)[0, 0].numpy()
    return {
        "model": {"path": "models/phantom.onnx", "sha256": sidecar["sha256"]},
        "made_with": "logits by onnxruntime, map by PyTorch, one CPU thread, float32",
        "tolerance": {"logits": 1e-3, "map": 1e-5},
        "cases": cases,
        "gradcam": {"image": f"images/{DEMO}", "class": CLASSES[0], "layer": CAM_LAYER,
                    "score": "logit", "width": cam.shape[1], "height": cam.shape[0],
                    "map": [[round(float(v), 7) for v in row] for row in cam]},
    }


def main():
    torch.set_num_threads(1)
    IMAGES.mkdir(exist_ok=True)
    MASKS.mkdir(exist_ok=True)
    with open(SAMPLES / "cases.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\r\n")
        table.writerow(["image", *CLASSES, "roi", "site", "group:habitus", "marker"])
        for sample in SHOWCASE:
            picture = picture_of(sample)
            write_image(sample, picture.grey)
            mask, case = write_masks(sample, picture), sample.case
            table.writerow([f"images/{sample.file}",
                            *(int(getattr(picture, c).any()) for c in CLASSES),
                            f"masks/{mask}" if mask else "",
                            case.site if case else "", ("average", "broad")[case.broad] if case else "",
                            int(case.marker) if case else 0])
    sidecar = json.loads((MODELS / "phantom.json").read_text())
    document = expected(sidecar)
    (SAMPLES / "expected.json").write_text(dumps(document))
    for case in document["cases"]:
        print(f"{case['image']:36}", *(f"{p:.3f}" for p in case["probabilities"]),
              ", ".join(case["flagged"]) or "-")


if __name__ == "__main__":
    main()
