"""Results as Markdown, and into docs/performance.md."""

import os
import platform
import re
import subprocess

# Ratios of medians that are aimed at: of ONNX Runtime's forward, by name.
GOAL_FORWARD = {"resnet18": 0.75, "resnet50": 0.9, "densenet121": 0.7, "vgg16": 0.5}
GOAL_GRADIENT = 0.45  # of PyTorch's
GOAL_OWN = 2.2        # gradient of our own forward
GOAL_MEMORY = {"forward": 1.0, "gradient": 0.5}
GOAL_START_MS = 250

TITLES = {"threads": "Growth with threads", "batch": "Growth with the batch",
          "size": "Growth with the image's size"}


def machine(given, peers=("torch", "onnxruntime")):
    """What the numbers hold for."""
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    found = {"processor": model[1] if model else platform.machine(),
             "processors": os.cpu_count(), "kernel": platform.release()}
    code = ("import json; from importlib.metadata import version as v; print(json.dumps({"
            + ", ".join(f"'{p}': v('{p}')" for p in peers) + "}))")
    if len(given.engines) > 1:
        said = subprocess.run([given.peers, "-c", code], capture_output=True, text=True)
        found["peers"] = said.stdout.strip()
    return found


statistic = "ms"  # or "min_ms": what ratios and rates are made of


def value(row, engine, kind, key=None):
    """None where it was not measured."""
    key = key or statistic
    return row.get(engine, {}).get(kind, {}).get(key)


def ratio(a, b):
    return a / b if a is not None and b else None


def number(x, digits=3):
    if x is None:
        return ""
    return f"{x:.0f}" if x >= 10 ** (digits - 1) else f"{x:#.{digits}g}"


def times(row, engine, kind):
    ms, least = value(row, engine, kind, "ms"), value(row, engine, kind, "min_ms")
    return f"{number(ms)} ({number(least)})" if ms else ""


def against(x, goal):
    """Bold where the goal is missed."""
    text = f"{x:.2f}" if x is not None else ""
    return f"**{text}**" if x is not None and goal and not x <= goal else text


def mib(row, engine, kind, before="interpreter_mib"):
    """Of saliscope all; of the others without Python and NumPy, or without what there
    was once their library was loaded."""
    peak = value(row, engine, kind, "peak_mib")
    return peak - value(row, engine, kind, before) if peak else None


def torch_mib(row, kind):
    whole, net = mib(row, "torch", kind), mib(row, "torch", kind, "library_mib")
    return f"{number(whole)} ({number(net)})" if whole else ""


def rate(row, kind):
    """GFLOP/s; the gradient with respect to the input costs as much as the forward."""
    ms = value(row, "saliscope", kind)
    if not ms or not row.get("macs"):
        return None
    return (2 if kind == "forward" else 4) * row["macs"] * row["batch"] / ms * 1e-6


def share(row, kind, peaks):
    x = ratio(rate(row, kind), peaks.get(row["threads"]))
    return f"{x * 100:.0f} %" if x else ""


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "|---" * 1 + "|---:" * (len(heads) - 1) + "|"]
    return "\n".join(lines + ["| " + " | ".join(r) + " |" for r in rows])


def best_peaks(results):
    """By the number of threads: while others work, most rows see less than there is."""
    peaks = {}
    for row in results["rows"]:
        peaks[row["threads"]] = max(peaks.get(row["threads"], 0), row["peak_gflops"] or 0)
    return peaks


def forward(rows, first, peaks):
    heads = first[0] + ["saliscope, ms", "GFLOP/s", "of peak", "ONNX Runtime, ms",
                        "PyTorch, ms", "/ ORT", "/ PyTorch", "MiB", "ORT's MiB", "PyTorch's",
                        "/ ORT"]
    lines = []
    for row in rows:
        ms = value(row, "saliscope", "forward")
        memory = [mib(row, e, "forward") for e in ("saliscope", "ort")]
        lines.append(first[1](row) + [
            times(row, "saliscope", "forward"), number(rate(row, "forward")),
            share(row, "forward", peaks), times(row, "ort", "forward"),
            times(row, "torch", "forward"),
            against(ratio(ms, value(row, "ort", "forward")),
                    GOAL_FORWARD.get(row["name"], 1.0)),
            against(ratio(ms, value(row, "torch", "forward")), None),
            *map(number, memory), torch_mib(row, "forward"),
            against(ratio(*memory), GOAL_MEMORY["forward"])])
    return table(heads, lines)


def gradient(rows, first, peaks):
    heads = first[0] + ["saliscope, ms", "GFLOP/s", "of peak", "PyTorch, ms", "/ PyTorch",
                        "/ forward", "MiB", "PyTorch's MiB", "/ PyTorch"]
    lines = []
    for row in rows:
        ms = value(row, "saliscope", "gradient")
        memory = [mib(row, e, "gradient") for e in ("saliscope", "torch")]
        lines.append(first[1](row) + [
            times(row, "saliscope", "gradient"), number(rate(row, "gradient")),
            share(row, "gradient", peaks), times(row, "torch", "gradient"),
            against(ratio(ms, value(row, "torch", "gradient")), GOAL_GRADIENT),
            against(ratio(ms, value(row, "saliscope", "forward")), GOAL_OWN),
            number(memory[0]), torch_mib(row, "gradient"),
            against(ratio(*memory), GOAL_MEMORY["gradient"])])
    return table(heads, lines)


def head(results):
    peak = best_peaks(results).get(results["threads"])
    m = results["machine"]
    loads = [r[e][k]["load"] for r in results["rows"] for e in ("saliscope", "ort", "torch")
             for k in r.get(e, {})]
    parts = [f"{m['processor']}, {m['processors']} processors, {results['threads']} threads"]
    if peak:
        parts.append(f"measured peak {peak:.0f} GFLOP/s")
    if m.get("peers"):
        parts.append(re.sub(r'[{}"]', "", m["peers"]).replace("onnxruntime:", "ONNX Runtime").replace(
            "torch:", "PyTorch"))
    if loads:
        parts.append(f"others took {sum(loads) / len(loads) * 100:.0f} % of the processors")
    return "; ".join(parts) + "."


def worst(results):
    """The largest distance of our values from the peers'."""
    found = {}
    for row in results["rows"]:
        for key, gaps in row.get("agreement", {}).items():
            if key.startswith("saliscope"):
                for what, x in gaps.items():
                    found[what] = max(found.get(what, 0), x)
    return ", ".join(f"{what} within {x:.1e}" for what, x in sorted(found.items()))


def start_line(results):
    start = results.get("start")
    if not start:
        return []
    missed = "**" if start["ms"] > GOAL_START_MS else ""
    return [f"From the start of `saliscope classify` to its end with {start['name']}: "
            f"{missed}{start['ms']:.0f} ms{missed} (at best {start['min_ms']:.0f} ms)."]


def markdown(results, made_of):
    global statistic
    statistic = made_of
    parts = [head(results)]
    if statistic == "min_ms":
        parts.append("Ratios and rates are those of the minima, which others disturb least.")
    agreed = worst(results)
    if agreed:
        parts.append(f"Against PyTorch, relative to the largest value: {agreed}.")
    by_name = (["model", "N"], lambda r: [r["name"], str(r["batch"])])
    by_all = (["model", "N", "threads"],
              lambda r: [r["name"], str(r["batch"]), str(r["threads"])])
    for which in ("main", "threads", "batch", "size"):
        rows = [r for r in results["rows"] if r["table"] == which]
        if rows:
            first = by_name if which == "main" else by_all
            title = TITLES.get(which)
            parts += [f"### {title}"] if title else []
            peaks = best_peaks(results)
            parts += ["Forward:", forward(rows, first, peaks),
                      "Forward and gradient with respect to the input:",
                      gradient(rows, first, peaks)]
    return "\n\n".join(parts + start_line(results)) + "\n"


def line(row):
    """A row in short, while the others are under way."""
    text = f"{row['name']} batch {row['batch']} threads {row['threads']}:"
    for kind in ("forward", "gradient"):
        for engine in ("saliscope", "ort", "torch", "torch-nhwc"):
            if value(row, engine, kind):
                text += (f" {engine} {kind} {times(row, engine, kind)} ms"
                         f" {number(mib(row, engine, kind))} MiB;")
    return text


def write(path, section, text):
    """Between <!-- bench SECTION --> and <!-- end SECTION -->."""
    with open(path) as f:
        before = f.read()
    marks = f"<!-- bench {section} -->", f"<!-- end {section} -->"
    start, end = before.find(marks[0]), before.find(marks[1])
    if start < 0 or end < start:
        raise SystemExit(f"{path} has no marks '{marks[0]}' and '{marks[1]}'")
    with open(path, "w") as f:
        f.write(before[:start] + marks[0] + "\n" + text + before[end:])
