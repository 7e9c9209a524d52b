"""Measures the shipped models on pictures they have not seen and writes measured.json.

Accuracy: area under the ROC curve (DeLong), sensitivity and specificity at the
sidecar's thresholds (Wilson), Brier score. Localisation: where the map of the
finding's logit peaks, on clear positives: conspicuity at least 0.5 and flagged.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import dataset
import lessons
from catalogue import CATALOGUE
from cohort import visits
from dataset import CLASSES
from explain import NEAR, OCCLUSION, cam, occlusion, peaks, rounded
from export import MODELS, logit_session, shipped_net
from figures import delong, dumps, sigmoid, wilson
from network import normalise
from readers import READERS, fleiss, read
from train import shortcut_marks

CLEAR, LAYERS = 0.5, ("features.relu3", "features.relu4", "features.relu5")
AT_MOST = 60            # pictures for occlusion, which costs 400 passes each


class Model:
    """A shipped file in onnxruntime with its operating points."""

    def __init__(self, name):
        self.name = name
        self.session = logit_session(MODELS / f"{name}.onnx")
        self.sidecar = json.loads((MODELS / f"{name}.json").read_text())
        self.thresholds = [c["threshold"] for c in self.sidecar["classes"]]

    def logits(self, x, batch=50):
        return np.concatenate([self.session.run(None, {"input": normalise(x[i:i + batch]).numpy()})
                               [-1] for i in range(0, len(x), batch)])

    def cut(self, k):
        """The threshold as a logit."""
        return float(np.log(self.thresholds[k] / (1 - self.thresholds[k])))


def accuracy(z, positive, threshold):
    p = sigmoid(z)
    return {
        "n": len(z), "positive": int(positive.sum()),
        "auc": rounded(delong(z, positive)),
        "sensitivity": rounded(wilson((p >= threshold)[positive].sum(), positive.sum()), 3),
        "specificity": rounded(wilson((p < threshold)[~positive].sum(), (~positive).sum()), 3),
        "brier": round(float(((p - positive) ** 2).mean()), 4),
    }


def per_class(model, z, y):
    return {c["name"]: accuracy(z[:, k], y[:, k], model.thresholds[k])
            for k, c in enumerate(model.sidecar["classes"])}


def worlds(s):
    """Where the marker may be, for the shortcut model: as in its training, by the toss of a
    coin, turned round, set elsewhere, gone."""
    marks = shortcut_marks(s.y[:, 0], np.random.default_rng(1))
    return marks, {"internal": dataset.mark(s.x, marks), "randomised": s.tossed,
                   "flipped": dataset.mark(s.x, ~marks),
                   "displaced": dataset.mark(s.x, marks, "bottom"), "erased": s.x}


def localised(model, net, test, z, report):
    out = {}
    for layer in LAYERS:
        out[f"gradcam {layer}"] = {}
    out["occlusion"], out["occlusion with grey squares"] = {}, {}
    for k, c in enumerate(CLASSES):
        clear = np.nonzero((test.plain[:, k] >= CLEAR) & (z[:, k] >= model.cut(k)))[0]
        x, masks = test.tossed[clear], test.masks[clear, k]
        for layer in LAYERS:
            out[f"gradcam {layer}"][c] = peaks(
                [cam(net, x[i:i + 1], k, layer) for i in range(len(x))], masks)
        for fill, name in (("soft", "occlusion"), ("grey", "occlusion with grey squares")):
            out[name][c] = peaks([occlusion(net, x[i:i + 1], k, **OCCLUSION[c], fill=fill)
                                  for i in range(min(len(x), AT_MOST))], masks)
        report(c, out[f"gradcam {LAYERS[-1]}"][c], out["occlusion"][c])
    return out


def shortcut(model, net, test, report):
    """What the letter does to the model's call of a nodule."""
    marks, pictures = worlds(test)
    z = {kind: model.logits(x) for kind, x in pictures.items()}
    out = {"accuracy": {kind: per_class(model, v, test.y) for kind, v in z.items()}}
    flagged = marks & (z["internal"][:, 0] >= model.cut(0))
    undone = flagged & (z["erased"][:, 0] < model.cut(0))
    out["erasing_flips"] = rounded(wilson(undone.sum(), flagged.sum()), 3)
    out["marked_and_flagged"] = int(flagged.sum())
    where = np.zeros((128, 128), bool)
    y, x, h, w = dataset.marker_box()
    where[y:y + h, x:x + w] = True
    chosen = np.nonzero(flagged)[0]
    seen = pictures["internal"]
    out["gradcam"] = peaks([cam(net, seen[i:i + 1], 0) for i in chosen], [where] * len(chosen))
    chosen = chosen[:AT_MOST]
    maps = [occlusion(net, seen[i:i + 1], 0, **OCCLUSION["nodule"]) for i in chosen]
    out["occlusion"] = peaks(maps, [where] * len(chosen))
    report("shortcut", {k: v["nodule"]["auc"] for k, v in out["accuracy"].items()},
           out["erasing_flips"], out["gradcam"], out["occlusion"])
    return out


def reader_agreement():
    rows = [(v.case, read(v.case, CLASSES)) for v in visits()]
    return {c: {"fleiss_kappa": round(fleiss([sum(c in called for called in calls.values())
                                              for _, calls in rows], len(READERS)), 3)}
            for c in CLASSES}


def main():
    torch.set_num_threads(1)
    def report(*words):
        print(*words, flush=True)

    test, site_c = dataset.load("test"), dataset.load("site-c")
    models = {e.name: Model(e.name) for e in CATALOGUE}
    nets = {n: shipped_net(n) for n in ("phantom", "phantom-shortcut", "phantom-random",
                                        "phantom-gap", "phantom-biased")}
    out = {"models": {n: m.sidecar["sha256"] for n, m in models.items()}, "intervals": "95 %",
           "within_px": NEAR, "accuracy": {}}
    z = {}
    for name, model in models.items():
        out["accuracy"][name] = {}
        for set_name, s in (("test", test), ("site-c", site_c)):
            z[name, set_name] = model.logits(s.tossed)
            y = s.y if len(model.thresholds) == 2 else s.y.any(1, keepdims=True)
            out["accuracy"][name][set_name] = per_class(model, z[name, set_name], y)
        report(name, {c: v["auc"] for c, v in out["accuracy"][name]["test"].items()})
    apart = z["phantom", "test"] - z["phantom-external", "test"]
    out["external_apart"] = float(np.abs(apart).max())
    out["localisation"] = localised(models["phantom"], nets["phantom"], test, z["phantom", "test"],
                                    report)
    out["shortcut"] = shortcut(models["phantom-shortcut"], nets["phantom-shortcut"], test, report)
    out["readers"] = reader_agreement()
    out["lessons"] = lessons.all_rows(models, nets, test, z, out, report)
    (Path(__file__).parent / "measured.json").write_text(dumps(out))
    failed = [row["claim"] for row in out["lessons"] if not row["pass"]]
    print(f"{len(out['lessons']) - len(failed)} of {len(out['lessons'])} lessons hold", *failed,
          sep="\n  ")


if __name__ == "__main__":
    main()
