"""Writes the pictures, their masks, the DICOM files, the cohort, the manifest cases.csv and
expected.json, which says what every shipped model makes of every named picture."""

import csv
import hashlib
import json
import multiprocessing
import os
import shutil
from datetime import date

import numpy as np
import torch
from PIL import Image

import cohort
import dicom
import showcase
from catalogue import CATALOGUE
from dataset import CLASSES
from export import CAM_LAYER, MODELS, logit_session, shipped_net
from explain import rounded
from figures import delong, dumps, sigmoid, wilson
from network import MEAN, STD, grad_cam
from showcase import DEMO, IMAGES, MASKS, SAMPLES, SHOWCASE

COHORT = SAMPLES / "cohort"
COLUMNS = ["image", *CLASSES, "roi", "patient", "site", "group:habitus", "group:sex", "group:age",
           "date", *(f"reader:{r.name}" for r in cohort.READERS), "marker", "conspicuity"]
# pictures that are the same chest with and without the marker
PAIRS = (("normal-marker.png", "normal-marker-erased.png"),
         ("nodule-marker.png", "nodule-marker-erased.png"))


# ---- as the sidecar says ------------------------------------------------------------------

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


def prepared(unit):
    """From grey 0..1 of any size to the network's input."""
    return ((resize_bilinear(unit, 128, 128) - MEAN) / STD).astype(np.float32)[None, None]


def stored(path):
    with Image.open(path) as file:
        full = 65535 if file.mode.startswith("I") else 255
        return np.asarray(file).astype(np.float32) / full


# ---- what is expected --------------------------------------------------------------------

class Judge:
    def __init__(self, name):
        self.path = MODELS / f"{name}.onnx"
        self.session = logit_session(self.path)
        self.classes = json.loads((MODELS / f"{name}.json").read_text())["classes"]

    def says(self, x):
        z = self.session.run(None, {"input": x})[-1][0]
        p = sigmoid(z)
        return {"logits": [round(float(v), 5) for v in z],
                "probabilities": [round(float(v), 6) for v in p],
                "flagged": [c["name"] for c, v in zip(self.classes, p) if v >= c["threshold"]]}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def of_cohort(judge, rows):
    """What the honest model makes of the cohort: every logit, and in sum per site."""
    rows = [r for r in rows if r["image"].startswith("cohort/")]
    said = [judge.says(prepared(stored(SAMPLES / r["image"]))) for r in rows]
    z = np.array([v["logits"] for v in said])
    out = {"rows": len(rows), "sums": {}}
    for k, c in enumerate(CLASSES):
        positive = np.array([r[c] == 1 for r in rows])
        flagged = np.array([c in v["flagged"] for v in said])
        sites = {"all": np.ones(len(rows), bool),
                 **{site: np.array([r["site"] == site for r in rows]) for site in "ABC"}}
        out["sums"][c] = {site: {
            "n": int(at.sum()), "positive": int((at & positive).sum()),
            "auc": rounded(delong(z[at, k], positive[at])),
            "sensitivity": rounded(wilson(int((at & positive & flagged).sum()),
                                          int((at & positive).sum())), 3),
            "specificity": rounded(wilson(int((at & ~positive & ~flagged).sum()),
                                          int((at & ~positive).sum())), 3),
        } for site, at in sites.items()}
    out["logits"] = {r["image"]: v["logits"] for r, v in zip(rows, said)}
    return out


def expected(dicom_files, rows):
    inputs = {s.file: prepared(stored(IMAGES / s.file)) for s in SHOWCASE}
    judges = {e.name: Judge(e.name) for e in CATALOGUE}
    cases = [{"image": f"images/{name}", "sha256": digest(IMAGES / name),
              "input_mean": round(float(x.mean()), 6), "input_std": round(float(x.std()), 6),
              **judges["phantom"].says(x)} for name, x in inputs.items()]
    models = [{"path": f"models/{judge.path.name}", "sha256": digest(judge.path),
               "cases": [{"image": f"images/{name}", **judge.says(x)}
                         for name, x in inputs.items()]}
              for judge in judges.values()]
    for said in dicom_files:
        said.update(judges["phantom"].says(prepared(said.pop("grey"))))
    unit = (inputs[DEMO] * STD + MEAN).astype(np.float32)
    cam = grad_cam(shipped_net(), torch.from_numpy(unit), 0, CAM_LAYER)[0, 0].numpy()
    return {
        "model": {"path": "models/phantom.onnx", "sha256": digest(judges["phantom"].path)},
        "made_with": "logits by onnxruntime, map by PyTorch, one CPU thread, float32",
        "tolerance": {"logits": 1e-3, "map": 1e-5},
        "cases": cases,
        "gradcam": {"image": f"images/{DEMO}", "class": CLASSES[0], "layer": CAM_LAYER,
                    "score": "logit", "width": cam.shape[1], "height": cam.shape[0],
                    "map": [[round(float(v), 7) for v in row] for row in cam]},
        "models": models,
        "flips": {"model": "models/phantom-shortcut.onnx", "class": CLASSES[0],
                  "pairs": [[f"images/{name}" for name in pair] for pair in PAIRS]},
        "dicom": dicom_files,
        "cohort": of_cohort(judges["phantom"], rows),
    }


# ---- files -------------------------------------------------------------------------------

def showcase_row(sample):
    row = showcase.write(sample)
    if sample.case is None:
        return {**row, **{c: 0 for c in CLASSES}, "marker": 0}
    return {**row, **cohort.facts(sample.case, date.fromisoformat(sample.date),
                                  f"s{sample.case.index:03}")}


def cohort_rows():
    shutil.rmtree(COHORT, ignore_errors=True)
    (COHORT / "masks").mkdir(parents=True)
    jobs = [(visit, COHORT) for visit in cohort.visits()]
    with multiprocessing.Pool(int(os.environ.get("JOBS", "1"))) as pool:
        return pool.starmap(cohort.draw, jobs, chunksize=20)


def write_dicom():
    by_stem = {s.stem: s for s in SHOWCASE if s.bits == 8 and s.file.endswith(".png")}
    grey = {f.picture: showcase.picture_of(by_stem[f.picture]).grey for f in dicom.FILES}
    said = dicom.write_all(SAMPLES / "dicom", grey.__getitem__)
    for file, entry in zip(dicom.FILES, said):
        values = dicom.stored_values(file, grey[file.picture]).astype(np.float32)
        full = np.float32(2 ** file.bits - 1)
        entry["grey"] = (full - values if file.photometric == "MONOCHROME1" else values) / full
    return said


def main():
    torch.set_num_threads(1)
    for folder in (IMAGES, MASKS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    rows = [showcase_row(sample) for sample in SHOWCASE] + cohort_rows()
    with open(SAMPLES / "cases.csv", "w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\r\n")
        table.writeheader()
        table.writerows(rows)
    document = expected(write_dicom(), rows)
    (SAMPLES / "expected.json").write_text(dumps(document))
    for case in document["cases"]:
        print(f"{case['image']:36}", *(f"{p:.3f}" for p in case["probabilities"]),
              ", ".join(case["flagged"]) or "-")


if __name__ == "__main__":
    main()
