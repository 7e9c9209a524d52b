#!/usr/bin/env python3
"""Our maps against those of the reference libraries. `make parity`, docs/parity.md.

    parity.py SALISCOPE FOLDER [--models NAME...] [--methods NAME...] [--libraries NAME...]
              [--add] [--write FILE] [--threads N] [--list]

SALISCOPE is the program: maps come from its command line, as users get them. FOLDER gets
the models and pictures (models.py), every map, and results.json.

How a comparison is added: a file beside this one with a list ROWS of row.Row, and its name
in ROW_FILES below. A row is a method, the settings that the program is given, and a
function from a Case to the library's map:

    from row import Row

    def saliency(case):
        return captum.attr.Saliency(case.net).attribute(case.x, case.target, abs=False)

    ROWS = [Row("gradient", "captum", saliency, at="channels", call="Saliency(abs=False)")]

case.py says what a Case has: the network in PyTorch, the very input that the program made of
the picture (read back from its .npz), the class, the layer. The same function is called
a second time with the network and the input in float64 (unless the row is `costly`), and
where a difference is beyond the goal some more times, with what layers make moved by a
rounding: how far the library is from itself tells which differences are rounding. Samples that a method draws
come from the same numbers on both sides: draws.py has the program's own.
"""

import argparse
import importlib
import json
import os
import sys
import traceback
import warnings

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "peers")]
from row import GOAL, error, spread

SHAKES = 2

ROW_FILES = ["cams", "gradients", "perturbations", "rules", "paths"]


def all_rows():
    """Those of files that are there."""
    rows = []
    for name in ROW_FILES:
        if os.path.exists(os.path.join(HERE, name + ".py")):
            rows += importlib.import_module(name).ROWS
    return rows


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("saliscope")
    parser.add_argument("folder")
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--methods", nargs="*", default=[])
    parser.add_argument("--libraries", nargs="*", default=[])
    parser.add_argument("--recorded", metavar="DIR", default=os.environ.get("SHARED_DATA"),
                        help="recorded maps (default: $SHARED_DATA)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--pretrained", action="store_true",
                        help="torchvision's trained weights, which it downloads")
    parser.add_argument("--add", action="store_true",
                        help="keep what results.json has of other comparisons")
    parser.add_argument("--write", metavar="FILE", help="the tables, as Markdown")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    return parser.parse_args()


# ---- one comparison --------------------------------------------------------------------------


def compare(row, case):
    """A cell of the table: max errors as shares of the range of the library's map."""
    ours, record = case.ours(row)
    theirs = case.array(row, row.reference(case))
    if ours.shape != theirs.shape:
        raise ValueError(f"the program's map is {ours.shape}, the library's {theirs.shape}")
    cell = {"error": error(ours, theirs), "range": spread(theirs),
            "seconds": record["seconds"], "command": record["command"]}
    if not row.costly:
        exact = case.array(row, row.reference(case.double()))
        cell |= {"theirs": error(theirs, exact), "ours": error(ours, exact)}
        if not cell["error"] <= GOAL:
            cell["beyond"] = float(np.mean(np.abs(ours - theirs) > GOAL * cell["range"]))
            moved = [case.array(row, row.reference(case.shaken(i))) for i in range(SHAKES)]
            cell["shaken"] = [error(m, exact) for m in moved]
    return cell


def say(row, model, cell):
    if "failed" in cell:
        text = "FAILED " + cell["failed"]
    else:
        text = f"{cell['error']:.1e}"
        if "theirs" in cell:
            text += f"  (f64: theirs {cell['theirs']:.1e}, ours {cell['ours']:.1e})"
        if "shaken" in cell:
            text += "  shaken " + " ".join(f"{s:.1e}" for s in cell["shaken"])
    print(f"{row.name():58} {model:12} {text}", file=sys.stderr, flush=True)


def attempt(row, case):
    try:
        return compare(row, case)
    except Exception as e:  # libraries raise what they like
        traceback.print_exc()
        return {"failed": f"{type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}"}


# ---- all of them -------------------------------------------------------------------------------


def chosen(given, rows):
    return [r for r in rows if (not given.methods or r.method in given.methods) and
            (not given.libraries or r.library in given.libraries)]


def load(path):
    if os.path.exists(path):
        with open(path) as f:
            return json.load(f)
    return {"cells": {}, "recorded": {}}


def save(path, results):
    with open(path + ".part", "w") as f:
        json.dump(results, f, indent=1)
    os.replace(path + ".part", path)


def main():
    import case
    import models
    import recorded
    import table

    given = arguments()
    rows = all_rows()
    if given.list:
        for row in rows:
            print(row.name())
        return 0
    os.makedirs(given.folder, exist_ok=True)
    path = os.path.join(given.folder, "results.json")
    results = load(path) if given.add else {"cells": {}, "recorded": {}}
    results["machine"] = table.machine()
    for model in given.models or models.NAMES:
        subject = case.open_case(given, model)
        results.setdefault("models", {})[model] = subject.facts()
        for row in chosen(given, rows):
            if model in row.models:
                cell = attempt(row, subject)
                results["cells"].setdefault(row.name(), {})[model] = cell
                say(row, model, cell)
                save(path, results)
    if given.recorded and not given.libraries:
        for name, cells in recorded.compare(given).items():
            results["recorded"].setdefault(name, {}).update(cells)
        save(path, results)
    text = table.markdown(rows, results)
    if given.write:
        with open(given.write, "w") as f:
            f.write(text)
    failed = table.misses(rows, results, unexplained=True)
    for line in failed:
        print(line, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ["TQDM_DISABLE"] = "1"
    np.seterr(all="ignore")
    warnings.filterwarnings("ignore")
    sys.exit(main())
