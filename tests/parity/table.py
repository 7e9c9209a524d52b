"""Results as Markdown: docs/parity.md."""

import platform
from importlib.metadata import version

from row import GOAL, SMOOTH

LIBRARIES = {  # key: (what it is called, its package)
    "captum": ("Captum", "captum"),
    "pytorch-grad-cam": ("pytorch-grad-cam", "grad-cam"),
    "monai": ("MONAI", "monai"),
    "saliency": ("PAIR saliency", "saliency"),
    "rise": ("RISE, the authors' formula", None),
    "openvino": ("OpenVINO XAI, its formula", None),
    "formula": ("the paper's formula", None),
}

HEAD = """# How our maps agree with the reference libraries'

Written by `make parity` ({when}); do not edit. It compares what `saliscope explain` writes
with what the libraries make of the same network, input and class in PyTorch {torch}:
{versions}.

    make peers                     # the libraries, build/peers (Python)
    make parity                    # all of it: two hours on two processors
    make parity MODELS=resnet18 METHODS="gradcam ig" ARGS=--add

A number is the largest difference as a share of the range (max - min) of the library's map.
What is aimed at is {goal:g} or less. In brackets stands how far the library's own map in float32
is from the one it makes in float64. Costly methods are not computed in float64. Where
nothing stands, it has not been measured; `-`: the library does not take that network.

The networks are torchvision's with seeded random weights, whose statistics are made fit
(`tests/parity/models.py`): trained weights would need a download, and `ARGS=--pretrained` takes
them where that can be done. The picture has the spectrum of photographs, and is one for which the
network's gradient is the same in float32 and float64 (to 1e-5 of its largest value, or the best
of 20): where a ReLU is within rounding of zero, or two inputs of a MaxPool are that near to
each other, one program takes one way and another the other. A method that takes many
gradients meets such places whatever the picture is, so it is compared on `resnet18_smooth` too,
a ResNet-18 with SiLU for every ReLU and a mean for the maximum, which has none. Where a
difference is beyond the goal, the library is asked again in float64 with what layers make
moved by a rounding (5e-7 of its spread): what that does to its own map stands below the
table, for no two programs in float32 agree better. Methods that draw samples are given the same ones on both sides: our masks,
noise and subsets, drawn again in NumPy (`tests/parity/draws.py`).
"""


def machine():
    return {"machine": platform.machine(), "python": platform.python_version(),
            **{p: version(p) for p in ("torch", "torchvision", "numpy")},
            **{p: version(p) for _, p in LIBRARIES.values() if p}}


def library(row):
    return LIBRARIES[row.library][0]


def number(x):
    return f"{x:.0e}".replace("e-0", "e-") if x else "0"


def cell_text(cell):
    if cell is None:
        return ""
    if "failed" in cell:
        return "**failed**"
    text = number(cell["error"])
    if not cell["error"] <= GOAL:
        text = f"**{text}**"
    return text + (f" ({number(cell['theirs'])})" if "theirs" in cell else "")


def settings(row):
    words = [f"`--like {row.like}`"] if row.like else []
    words += [f"`{p}`" for p in row.params]
    words += [f"`--score {row.score}`"] if row.score else []
    return " ".join(words)


def head_of(columns, right):
    return ["| " + " | ".join(columns) + " |",
            "|" + "|".join("---:" if c in right else "---" for c in columns) + "|"]


def main_table(rows, results):
    lines = head_of(["method", "settings", "compared with", *SMOOTH], SMOOTH)
    for row in rows:
        cells = results["cells"].get(row.name(), {})
        if cells:
            shown = [cell_text(cells.get(m)) if m in row.models else "-" for m in SMOOTH]
            with_what = library(row) + (f": {row.call}" if row.call else "")
            lines.append("| " + " | ".join([row.method, settings(row), with_what, *shown]) + " |")
    return lines


def explanation(row, cell, smooth):
    """Why an error is beyond the goal; None: nobody knows. smooth: the cell of resnet18_smooth,
    if there is one."""
    if "failed" in cell:
        return None
    itself = [cell["theirs"], *cell.get("shaken", [])] if "theirs" in cell else [0]
    if cell.get("ours", 1) <= max(GOAL, 3 * max(itself)):
        return (f"rounding: the library's map in float64 is {number(cell['ours'])} from ours, "
                f"{number(cell['theirs'])} from the library's in float32, and "
                + ", ".join(number(s) for s in cell["shaken"]) + " from itself where what layers "
                f"make is moved by a rounding; {100 * cell['beyond']:.2g} % of the values are "
                "beyond the goal" + (f"; without kinks the error is {number(smooth['error'])}"
                                     if smooth and "error" in smooth else ""))
    return row.why or None


def misses(rows, results, unexplained=False):
    lines = []
    for row in rows:
        for model, cell in results["cells"].get(row.name(), {}).items():
            if "failed" not in cell and cell["error"] <= GOAL:
                continue
            smooth = results["cells"][row.name()].get("resnet18_smooth")
            why = explanation(row, cell, smooth)
            if not (unexplained and why):
                what = cell.get("failed") or number(cell["error"])
                lines.append(f"{row.name()}, {model}: {what}: {why or 'not explained'}")
    return lines


def recorded_table(recorded):
    methods = list(dict.fromkeys(m for cells in recorded.values() for m in cells))
    lines = head_of(["recorded case", *methods], methods)
    for case, cells in recorded.items():
        shown = [cell_text(cells.get(m)) for m in methods]
        lines.append("| " + " | ".join([case, *shown]) + " |")
    return lines


RECORDED = """
## Recorded maps

Trained networks and real pictures, maps recorded by others' runs of PyTorch and Captum
(`SHARED_DATA`, not in this repository; `tests/test_reference.c` holds the program to
them too). Gradients of trained ReLU networks have a few pixels in which a ReLU is
within rounding of zero; there PyTorch's own float32 and float64 differ by up to 4e-2, and what
counts is the correlation, which is {least:.6f} or more for every map here.
"""


def markdown(rows, results):
    from time import strftime

    found = results["machine"]
    versions = ", ".join(f"{name} {found[p]}" for name, p in LIBRARIES.values() if p)
    lines = [HEAD.format(when=strftime("%Y-%m-%d"), torch=found["torch"], versions=versions,
                         goal=GOAL), "## Libraries", ""]
    lines += main_table(rows, results)
    if beyond := misses(rows, results):
        lines += ["", "Beyond the goal:", "", *(f"* {line}" for line in beyond)]
    if any(results["recorded"].values()):
        least = min(c["correlation"] for cells in results["recorded"].values()
                    for c in cells.values())
        lines += [RECORDED.format(least=least), *recorded_table(results["recorded"])]
    return "\n".join(lines) + "\n"
