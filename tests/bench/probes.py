#!/usr/bin/env python3
"""How fast PGD is: saliscope, the same loop in PyTorch, Foolbox's. `make bench-probes`.

    probes.py PROBES PEERS FOLDER [OPTIONS]

PROBES is probes.c built, PEERS a Python that has the peers, FOLDER what export.py wrote. The
results are FOLDER/probes.json and, as Markdown, standard output. docs/performance-probes.md
says what is measured.
"""

import argparse
import array
import json
import os
import random
import re
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tables
from engines import HERE, Process, others_cpu, own_cpu

GOAL = 2.5  # of PyTorch's time over ours
NAP = 0.05
SEED = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("probes")
    parser.add_argument("peers")
    parser.add_argument("folder")
    parser.add_argument("--names", nargs="*", default=["resnet50"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--eps", type=float, default=2 / 255)
    parser.add_argument("--write", metavar="FILE", help="put the table into FILE too")
    return parser.parse_args()


def picture(given, name):
    """A picture in unit intensity, of noise, not at the ends of its range."""
    side = int(name.partition("-")[2] or 224)
    path = os.path.join(given.folder, f"picture-{side}.f32")
    draw = random.Random(SEED)
    with open(path, "wb") as f:
        array.array("f", [0.1 + 0.8 * draw.random() for _ in range(3 * side * side)]).tofile(f)
    return path


def open_sides(given, name):
    model = os.path.join(given.folder, name + ".onnx")
    x, threads = picture(given, name), str(given.threads)
    settings = [f"steps={given.steps}", f"eps={given.eps!r}"]
    peer = [given.peers, os.path.join(HERE, "probes_peer.py"), model, x, threads]
    return {
        "saliscope": Process([given.probes, model, x, threads, "pgd", *settings, "control=0"]),
        "loop": Process([*peer, "loop", *settings]),
        "foolbox": Process([*peer, "foolbox", *settings]),
    }


def rotate(given, sides):
    """A round each, begun by another one; the first lays out weights and does not count."""
    times, keys = {key: [] for key in sides}, list(sides)
    spent = {key: [] for key in sides}
    for key in keys:
        sides[key].run(1)
    for i in range(given.rounds):
        for k in range(len(keys)):
            key = keys[(i + k) % len(keys)]
            time.sleep(NAP)
            before = own_cpu(sides[key].pid)
            times[key] += sides[key].run(1)
            spent[key].append(own_cpu(sides[key].pid) - before)
    return times, spent


def measure(given, name):
    row = {"name": name, "steps": given.steps}
    sides = open_sides(given, name)
    try:
        others, begin = others_cpu(), time.time()
        times, spent = rotate(given, sides)
        row["seconds"], row["others"] = time.time() - begin, others_cpu() - others
        for key, side in sides.items():
            row[key] = {"ms": statistics.median(times[key]), "min_ms": min(times[key]),
                        "cpu_s": statistics.median(spent[key]), **side.ask("values"),
                        **side.memory()}
    finally:
        for side in sides.values():
            side.close()
    return row


def seconds(side):
    return f"{side['ms'] / 1e3:.3g} ({side['min_ms'] / 1e3:.3g})"


def passes(side):
    return f"{side['forwards']} + {side['backwards']}"


def table(rows):
    heads = ["model", "steps", "saliscope, s", "passes", "PyTorch, s", "passes", "Foolbox, s",
             "PyTorch / ours", "of minima", "processor s", "for each pass", "Foolbox / ours", "MiB",
             "PyTorch's MiB"]
    lines = []
    for row in rows:
        ours, loop, foolbox = row["saliscope"], row["loop"], row["foolbox"]
        x = loop["ms"] / ours["ms"]
        own, its = (side["forwards"] + side["backwards"] for side in (ours, loop))
        lines.append([row["name"], str(row["steps"]), seconds(ours), passes(ours), seconds(loop),
                      passes(loop), seconds(foolbox), f"**{x:.2f}**" if x < GOAL else f"{x:.2f}",
                      f"{loop['min_ms'] / ours['min_ms']:.2f}",
                      f"{loop['cpu_s'] / ours['cpu_s']:.2f}", f"{x * own / its:.2f}",
                      f"{foolbox['ms'] / ours['ms']:.2f}", f"{ours['peak_mib']:.0f}",
                      f"{loop['peak_mib'] - loop['interpreter_mib']:.0f}"])
    return tables.table(heads, lines)


def main():
    given = arguments()
    given.engines = ["saliscope", "torch"]
    rows, machine = [], tables.machine(given, ("torch", "foolbox"))
    for name in given.names:
        rows.append(measure(given, name))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    with open(os.path.join(given.folder, "probes.json"), "w") as f:
        json.dump({"rows": rows, "machine": machine, "threads": given.threads}, f, indent=1)
    load = sum(r["others"] for r in rows) / sum(r["seconds"] for r in rows)
    peers = re.sub('[{}"]', "", machine["peers"])
    text = (f"{machine['processor']}, {machine['processors']} processors, {given.threads} "
            f"threads; {peers}; all processors together were busy "
            f"{load / machine['processors'] * 100:.0f} % of the time.\n\n{table(rows)}\n")
    print(text)
    if given.write:
        tables.write(given.write, "probes", text)


if __name__ == "__main__":
    main()
