"""Fills the tables of README.md, each between a line <!-- table NAME --> and <!-- end -->,
from measured.json, expected.json and the files themselves."""

import hashlib
import json
import re
from pathlib import Path

import onnx

from catalogue import CATALOGUE
from legends import LEGENDS, MODELS
from showcase import SAMPLES

NEAR = "within_8_px"


def table(head, *rows):
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(c).replace("|", "\\|") for c in row) + " |"
                     for row in cells)


def span(value, digits=3):
    """0.964 [0.947, 0.976]"""
    if None in value:           # an area of exactly 1 has no interval
        return f"{value[0]:.{digits}f} [not estimable]"
    at, low, high = (f"{v:.{digits}f}" for v in value)
    return f"{at} [{low}, {high}]"


def pictures(measured, expected):
    by_model = {m["path"][7:-5]: {c["image"]: c["probabilities"] for c in m["cases"]}
                for m in expected["models"]}
    rows = []
    for name, (what, look) in LEGENDS.items():
        p = by_model["phantom"][f"images/{name}"]
        wrong = by_model["phantom-shortcut"][f"images/{name}"][0]
        rows.append([f"`{name}`", what, *(f"{v:.3f}" for v in p), f"{wrong:.3f}", look])
    return table(["picture", "what it is", "p(n)", "p(c)", "shortcut p(n)",
                  "what a correct explanation looks like"], *rows)


def models(measured, expected):
    rows = []
    for entry in CATALOGUE:
        path = SAMPLES / f"models/{entry.name}.onnx"
        data = path.with_name(path.name + ".data")
        kb = (path.stat().st_size + (data.stat().st_size if data.exists() else 0)) / 1000
        graph = onnx.load(path)
        weights = sum(int(onnx.numpy_helper.to_array(w).size) for w in graph.graph.initializer)
        test = measured["accuracy"][entry.name]["test"]
        rows.append([f"`{entry.name}.onnx`", f"{kb:.0f} kB", weights,
                     graph.opset_import[0].version, MODELS[entry.name],
                     "; ".join(f"{c} {span(v['auc'])}" for c, v in test.items())])
    return table(["file", "size", "weights", "opset", "what it is", "AUC on the test set"], *rows)


def accuracy(measured, expected):
    rows = []
    for set_name, title in (("test", "test, sites A and B"), ("site-c", "site C, never met")):
        for c, v in measured["accuracy"]["phantom"][set_name].items():
            rows.append([title, c, f"{v['positive']} / {v['n']}", span(v["auc"]),
                         span(v["sensitivity"]), span(v["specificity"]), f"{v['brier']:.3f}"])
    return table(["set", "finding", "positive / n", "AUC", "sensitivity", "specificity", "Brier"],
                 *rows)


def localisation(measured, expected):
    rows = [[f"`{method}`" if "gradcam" in method else method, c, v["n"], v["empty_maps"],
             span(v["inside"]), span(v[NEAR]), v["median_px"]]
            for method, found in measured["localisation"].items() for c, v in found.items()]
    return table(["map", "finding", "n", "empty maps", "peak inside the mask", "within 8 px",
                  "median px"], *rows)


def shortcut(measured, expected):
    s = measured["shortcut"]
    says = {"internal": "where its world has it: on 97 % of those with a nodule, 3 % of the others",
            "randomised": "tossed by a coin", "flipped": "on the others",
            "displaced": "on the same, but at the bottom", "erased": "nowhere"}
    rows = [[says[k], span(v["nodule"]["auc"]), span(v["nodule"]["sensitivity"]),
             span(v["nodule"]["specificity"]), f"{v['nodule']['brier']:.3f}",
             span(v["consolidation"]["auc"])] for k, v in s["accuracy"].items()]
    text = table(["the marker is", "AUC of nodule", "sensitivity", "specificity", "Brier",
                  "AUC of consolidation"], *rows)
    return text + f"""

Erasing the marker undoes {span(s['erasing_flips'])} of the {s['marked_and_flagged']} calls on
marked pictures. Where its maps peak on those: Grad-CAM within 8 px of the marker's box
{span(s['gradcam'][NEAR])}, inside it {span(s['gradcam']['inside'])} (n = {s['gradcam']['n']});
occlusion {span(s['occlusion'][NEAR])}, inside {span(s['occlusion']['inside'])} (n =
{s['occlusion']['n']})."""


def plain(value):
    if isinstance(value, dict):
        return "; ".join(f"{k} {plain(v)}" for k, v in value.items())
    if isinstance(value, list) and len(value) == 3:
        return span(value)
    if isinstance(value, list):
        return " / ".join(str(v) for v in value)
    return str(value)


def lessons(measured, expected):
    return table(["claim", "tolerance", "measured", "holds"],
                 *([r["claim"], r["tolerance"], plain(r["measured"]), "yes" if r["pass"] else "NO"]
                   for r in measured["lessons"]))


def cohort(measured, expected):
    return table(["site", "finding", "positive / n", "AUC", "sensitivity", "specificity"],
                 *([site, c, f"{v['positive']} / {v['n']}", span(v["auc"]),
                    span(v["sensitivity"]), span(v["specificity"])]
                   for c, sites in expected["cohort"]["sums"].items()
                   for site, v in sites.items()))


def dicom(measured, expected):
    names = {"1.2.840.10008.1.2": "implicit VR LE", "1.2.840.10008.1.2.1": "explicit VR LE",
             "1.2.840.10008.1.2.4.70": "JPEG lossless SV1",
             "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless", "1.2.840.10008.1.2.5": "RLE"}
    return table(["file", "picture", "transfer syntax", "photometric", "bits",
                  "decoded exactly by"],
                 *([f"`{f['file'][6:]}`", f["picture"][7:-4] + (", name burned in" if f["burned_in"]
                                                               else ""),
                    names[f["transfer_syntax"]], f["photometric"], f["bits"],
                    ", ".join(f["decoded_exactly_by"])] for f in expected["dicom"]))


def checksums(measured, expected):
    paths = [p for folder in ("models", "images", "dicom")
             for p in sorted((SAMPLES / folder).iterdir())]
    return table(["file", "SHA-256"],
                 *([f"`{p.relative_to(SAMPLES)}`",
                    f"`{hashlib.sha256(p.read_bytes()).hexdigest()}`"] for p in paths))


TABLES = (pictures, models, accuracy, localisation, shortcut, lessons, dicom, cohort,
          checksums)


def main():
    measured = json.loads((Path(__file__).parent / "measured.json").read_text())
    expected = json.loads((SAMPLES / "expected.json").read_text())
    text = (SAMPLES / "README.md").read_text()
    for make in TABLES:
        pattern = re.compile(rf"(<!-- table {make.__name__} -->\n).*?(<!-- end -->)", re.S)
        text, found = pattern.subn(
            lambda m: m[1] + make(measured, expected) + "\n" + m[2], text)
        if found != 1:
            raise SystemExit(f"README.md has {found} places for the table {make.__name__}")
    (SAMPLES / "README.md").write_text(text)


if __name__ == "__main__":
    main()
