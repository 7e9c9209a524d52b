#!/usr/bin/env python3
"""How fast maps are made: saliscope and Captum, interleaved in one run. `make bench-maps`.

    explanations.py MAPS PEERS FOLDER [OPTIONS]

MAPS is maps.c built, PEERS a Python that has the peers, FOLDER what export.py wrote. The
results are FOLDER/maps.json and, as Markdown, standard output. docs/performance.md says
how noise is kept out; what is different here, docs/performance-explanations.md.
"""

import argparse
import json
import os
import re
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tables
from engines import HERE, Failed, Process, others_cpu

BATCHES = (1, 4, 8, 16)
NAP = 0.05
PROBE = 16            # windows, masks or steps that find Captum's best batch
SHORT = 5             # passes of a turn of Grad-CAM
PART = {True: 32, False: 96}     # of a sweep, for each of Captum's turns; True: quick
ROUNDS = {True: 2, False: 5}

# task: (what our method is called, its parameters, Captum's default batch (None: not tried, all
# of 200 steps at once take 20 GiB), whether it has parts)
TASKS = {
    "gradcam": ("gradcam", [], 1, False),
    "ig": ("ig", ["steps=50"], 0, False),
    "ig-tolerance": ("ig", ["rule=adaptive", "tolerance=1", "steps=25", "steps_max=200"], None,
                     False),
    "occlusion-16": ("occlusion", ["window=16", "stride=8"], 1, True),
    "occlusion-32": ("occlusion", ["window=32", "stride=16"], 1, True),
    "rise": ("rise", ["masks=2000", "cells=8", "keep=0.5"], 100, True),
}
TITLES = {
    "gradcam": "Grad-CAM",
    "ig": "IG, 50 steps",
    "ig-tolerance": "IG, error below 1 %",
    "occlusion-16": "occlusion 16/8",
    "occlusion-32": "occlusion 32/16",
    "rise": "RISE, 2000 masks",
}
# What is aimed at: Captum's best over ours; and its default.
GOALS = {"gradcam": 2.4, "ig": 2.5, "ig-tolerance": 4, "occlusion-16": 5, "rise": 2.5}
GOALS_BY_NAME = {("occlusion-16", "vgg16"): 15, ("occlusion-16", "resnet50-512"): 15}
GOALS_DEFAULT = {"ig": 4}
GOAL_MEMORY = 0.25
NAMES = ["resnet18", "resnet50", "densenet121"]
SWEPT = ["vgg16", "resnet50-512"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maps")
    parser.add_argument("peers")
    parser.add_argument("folder")
    parser.add_argument("--names", nargs="*", default=[])
    parser.add_argument("--tasks", nargs="*", default=list(TASKS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="2 rounds, 32 windows a turn")
    parser.add_argument("--add", action="store_true",
                        help="keep what maps.json has of other cases")
    parser.add_argument("--write", metavar="FILE", help="put the table into FILE too")
    return parser.parse_args()


# ---- the two sides ------------------------------------------------------------------------------


def short_turn(side):
    """Where a pass is short the others have emptied the caches, and the first has weights to
    lay out: one untimed, then several."""
    side.run(1)
    return side.run(SHORT)


class Ours(Process):
    def __init__(self, given, name, task):
        self.short = task == "gradcam"
        path = os.path.join(given.folder, name)
        method, params, *_ = TASKS[task]
        super().__init__([given.maps, path + ".onnx", path + ".f32", str(given.threads),
                          method, *params])

    def turn(self, given):
        return short_turn(self) if self.short else self.run(1)


class Captum(Process):
    def __init__(self, given, name, task, batch, settings=()):
        path = os.path.join(given.folder, name)
        self.parts, self.short = TASKS[task][3], task == "gradcam"
        kind = task if task.startswith("ig") else task.partition("-")[0]
        super().__init__([given.peers, os.path.join(HERE, "explain_peer.py"), path + ".onnx",
                          path + ".f32", str(given.threads), kind, str(batch),
                          *TASKS[task][1], *settings])

    def turn(self, given):
        if self.parts:
            return self.ask(f"part 1 {PART[given.quick]}")
        return short_turn(self) if self.short else self.run(1)

    def probe(self):
        """One after the first, which lays out memory."""
        if self.parts:
            return self.ask(f"part 2 {PROBE}")[-1]
        return self.run(2)[-1]


found_best = {}


def best_batch(given, name, task):
    """Captum's: measured, one after the other, once for each kind of pass."""
    kind = task.partition("-")[0]
    if kind == "gradcam":
        return 1
    if (name, kind) not in found_best:
        spent = {}
        for batch in BATCHES:
            peer = Captum(given, name, kind if kind == "ig" else task, batch,
                          [f"steps={PROBE}"])
            spent[batch] = peer.probe()
            peer.close()
        found_best[name, kind] = min(spent, key=spent.get)
    return found_best[name, kind]


# ---- one case --------------------------------------------------------------------------------------


def rotate(given, sides):
    """Every side in turn, each round begun by another one."""
    times = {key: [] for key in sides}
    keys = list(sides)
    for i in range(given.rounds or ROUNDS[given.quick]):
        for k in range(len(keys)):
            key = keys[(i + k) % len(keys)]
            time.sleep(NAP)
            times[key] += sides[key].turn(given)
    return times


def correlation(a, b):
    """Of two maps; None where one is flat."""
    try:
        return statistics.correlation(a, b)
    except statistics.StatisticsError:
        return None


def agreement(given, sides, task):
    """Both made the same map; RISE's masks are drawn by each for itself."""
    if TASKS[task][3]:
        return None
    values = [sides[key].ask("values") for key in ("saliscope", "best")]
    return correlation(values[0]["map"], values[1]["map"])


def open_sides(given, name, task):
    batch, default = best_batch(given, name, task), TASKS[task][2]
    sides = {"saliscope": Ours(given, name, task), "best": Captum(given, name, task, batch)}
    if default not in (batch, None):
        sides["default"] = Captum(given, name, task, default)
    return batch, sides


def measure(given, name, task):
    row = {"name": name, "task": task, "threads": given.threads}
    row["batch"], sides = open_sides(given, name, task)
    try:
        others = others_cpu()
        begin = time.time()
        times = rotate(given, sides)
        row["seconds"], row["others"] = time.time() - begin, others_cpu() - others
        row["correlation"] = agreement(given, sides, task)
        for key, side in sides.items():
            row[key] = {"ms": statistics.median(times[key]), "min_ms": min(times[key]),
                        **side.memory()}
        row["saliscope"]["said"] = sides["saliscope"].ask("values")["checks"]
    finally:
        for side in sides.values():
            side.close()
    return row


# ---- the table -----------------------------------------------------------------------------------------


def net_mib(row, key):
    """Of Captum without Python and NumPy; in brackets without its libraries too."""
    side = row.get(key)
    return side["peak_mib"] - side["interpreter_mib"] if side else None


def seconds(side):
    return f"{side['ms'] / 1e3:.3g} ({side['min_ms'] / 1e3:.3g})" if side else ""


def goal_text(x, goal):
    """Bold where it is below what is aimed at."""
    if x is None:
        return ""
    return f"**{x:.2g}**" if goal and x < goal else f"{x:.2g}"


def table(results):
    heads = ["model", "map", "saliscope, s", "Captum at best, s", "batch", "default, s",
             "best / ours", "default / ours", "MiB", "Captum's", "ours / its"]
    lines = []
    for row in results["rows"]:
        ours, task = row["saliscope"], row["task"]
        best = row["best"]["ms"] / ours["ms"]
        default = row.get("default", row["best"] if TASKS[task][2] is not None else None)
        memory = net_mib(row, "best")
        share = ours["peak_mib"] / memory
        goal = GOALS_BY_NAME.get((task, row["name"]), GOALS.get(task))
        lines.append([
            row["name"], TITLES[task], seconds(ours), seconds(row["best"]), str(row["batch"]),
            seconds(default), goal_text(best, goal),
            goal_text(default and default["ms"] / ours["ms"], GOALS_DEFAULT.get(task)),
            f"{ours['peak_mib']:.0f}",
            f"{memory:.0f} ({row['best']['peak_mib'] - row['best']['library_mib']:.0f})",
            f"**{share:.2f}**" if share > GOAL_MEMORY else f"{share:.2f}"])
    return tables.table(heads, lines)


def markdown(results):
    m = results["machine"]
    load = sum(r["others"] for r in results["rows"]) / max(
        1e-9, sum(r["seconds"] for r in results["rows"])) / m["processors"]
    peers = re.sub('[{}"]', "", m["peers"])
    head = (f"{m['processor']}, {m['processors']} processors, {results['threads']} threads; "
            f"{peers}; all processors together were busy {load * 100:.0f} % of the time.")
    return head + "\n\n" + table(results) + "\n"


# ---- all of it ------------------------------------------------------------------------------------------


def cases(given):
    for name in given.names or NAMES + SWEPT:
        for task in given.tasks:
            if name not in SWEPT or task.startswith("occlusion"):
                yield name, task


def earlier(given, path):
    if not given.add or not os.path.exists(path):
        return []
    with open(path) as f:
        rows = json.load(f)["rows"]
    asked = set(cases(given))
    return [r for r in rows if (r["name"], r["task"]) not in asked]


def keep(path, results):
    order = {key: i for i, key in enumerate((n, t) for n in NAMES + SWEPT for t in TASKS)}
    results["rows"].sort(key=lambda r: order.get((r["name"], r["task"]), len(order)))
    with open(path + ".part", "w") as f:
        json.dump(results, f, indent=1)
    os.replace(path + ".part", path)


def main():
    given = arguments()
    path = os.path.join(given.folder, "maps.json")
    given.engines = ["saliscope", "torch"]
    machine = tables.machine(given, ("torch", "captum"))
    results = {"rows": earlier(given, path), "machine": machine, "threads": given.threads}
    for name, task in cases(given):
        try:
            row = measure(given, name, task)
        except Failed as e:
            print(f"{name} {task}: {e}", file=sys.stderr, flush=True)
            continue
        results["rows"].append(row)
        keep(path, results)
        print(f"{name} {TITLES[task]}: saliscope {seconds(row['saliscope'])} s, Captum "
              f"{seconds(row['best'])} s (batch {row['batch']}), default "
              f"{seconds(row.get('default'))} s", file=sys.stderr, flush=True)
    text = markdown(results)
    print(text)
    if given.write:
        tables.write(given.write, "maps", text)


if __name__ == "__main__":
    main()
