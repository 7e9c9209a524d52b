#!/usr/bin/env python3
"""How fast: saliscope, ONNX Runtime and PyTorch, interleaved in one run. `make bench`.

    bench.py PASSES SALISCOPE PEERS FOLDER [OPTIONS]

PASSES is passes.c built, SALISCOPE the program, PEERS a Python that has the peers (where
there is none, only saliscope runs), FOLDER what export.py wrote. The results are
FOLDER/results.json and, as Markdown, standard output. docs/performance.md says what is
measured and how noise is kept out. Needs nothing but Python's own library.
"""

import argparse
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tables
from engines import GROWN, NAMES, SIZES, Engine, Failed, others_cpu, own_cpu, start_up

FORWARD = ("saliscope", "ort", "torch")
GRADIENT = ("saliscope", "torch")
BURST_MS = 150      # of an engine's turn, at least one pass
WARM_BELOW_MS = 100  # passes shorter than this get one untimed before them in each turn
NAP = 0.02          # between turns, until the last one's threads have gone to sleep
LOAD_MOST = 0.05    # share of the processors others may take in a turn that counts
ROUNDS_LEAST = 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("passes")
    parser.add_argument("saliscope")
    parser.add_argument("peers")
    parser.add_argument("folder")
    parser.add_argument("--names", nargs="*", default=[])
    parser.add_argument("--batch", nargs="*", type=int, default=[])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tables", nargs="*", default=["main", "start"],
                        help="of main, start, threads, batch, size")
    parser.add_argument("--engines", nargs="*", default=list(FORWARD),
                        help="of saliscope, ort, torch, torch-nhwc")
    parser.add_argument("--seconds", type=float, default=20, help="of passes for one case")
    parser.add_argument("--patience", type=float, default=2,
                        help="how often that time, while others disturb")
    parser.add_argument("--priority", action="store_true",
                        help="before all others on this machine; needs the right to")
    parser.add_argument("--add", action="store_true",
                        help="keep what results.json has of other cases")
    parser.add_argument("--minimum", action="store_true",
                        help="ratios of minima: where others disturbed all the time")
    parser.add_argument("--quick", action="store_true", help="5 seconds, fewer rounds")
    parser.add_argument("--write", metavar="FILE", help="put the tables into FILE too")
    parser.add_argument("--section", default="results", help="between which marks")
    given = parser.parse_args()
    if given.quick:
        given.seconds = min(given.seconds, 5)
    return given


# ---- one case: a model, a batch, a number of threads --------------------------------------


class Turns:
    """What an engine's turns gave; those that others disturbed are kept apart."""

    def __init__(self, engine):
        self.engine = engine
        self.good, self.disturbed = [], []
        self.loads = []
        start = engine.run(2)[-1]
        self.n = max(1, min(50, round(BURST_MS / start)))
        self.warm = start < WARM_BELOW_MS

    def take(self):
        time.sleep(NAP)
        if self.warm:
            self.engine.run(1)
        others, own, begin = others_cpu(), own_cpu(self.engine.pid), time.time()
        times = self.engine.run(self.n)
        wall = time.time() - begin
        busy = others_cpu() - others - (own_cpu(self.engine.pid) - own)
        load = max(0.0, busy / (wall * os.cpu_count()))
        slack = 0.03 / wall  # clock ticks are coarse
        (self.good if load <= LOAD_MOST + slack else self.disturbed).extend(times)
        self.loads.append(load)

    def result(self):
        times = self.good if len(self.good) >= ROUNDS_LEAST else self.good + self.disturbed
        return {
            "ms": statistics.median(times),
            "min_ms": min(self.good + self.disturbed),
            "passes": len(times),
            "disturbed": len(self.disturbed),
            "load": statistics.mean(self.loads),
            **self.engine.memory(),
            "ready_ms": self.engine.ready,
        }


def gap(a, b):
    """Largest difference of two lists, relative to the largest value."""
    return max(map(lambda p: abs(p[0] - p[1]), zip(a, b))) / max(map(abs, b))


def agreement(turns):
    """Every engine against PyTorch, or ONNX Runtime: they must compute the same."""
    values = {key: t.engine.ask("values") for key, t in turns.items()}
    found = {}
    for (engine, kind), mine in values.items():
        other = values.get(("torch", kind)) or values.get(("ort", kind))
        if other and other is not mine:
            found[f"{engine} {kind}"] = {k: gap(mine[k], other[k]) for k in mine if k in other}
    return found


def measure(given, name, batch, threads, kinds=("forward", "gradient")):
    """One row of a table."""
    row = {"name": name, "batch": batch, "threads": threads}
    turns = {}
    try:
        for kind in kinds:
            for engine in given.engines:
                if kind == "gradient" and engine == "ort":
                    continue
                try:
                    opened = Engine(given, engine, name, kind, batch, threads)
                    turns[engine, kind] = Turns(opened)
                    row["macs"] = opened.macs or row.get("macs")
                except Failed as e:
                    row.setdefault("failed", {})[f"{engine} {kind}"] = str(e)
                    print(f"{name} {batch} {engine} {kind}: {e}", file=sys.stderr)
        row["agreement"] = agreement(turns)
        rotate(given, list(turns.values()))
        ours = turns.get(("saliscope", kinds[0]))
        row["peak_gflops"] = ours.engine.ask("peak") if ours else None
        for (engine, kind), t in turns.items():
            row.setdefault(engine, {})[kind] = t.result()
    finally:
        for t in turns.values():
            t.engine.close()
    return row


def rotate(given, turns):
    """Rounds in which every engine has its turn, each round begun by another one; as
    many as the time allows, and some more while others disturb them."""
    begin, rounds = time.time(), 0
    while turns:
        for i in range(len(turns)):
            turns[(rounds + i) % len(turns)].take()
        rounds += 1
        spent = time.time() - begin
        enough = all(len(t.good) >= ROUNDS_LEAST for t in turns)
        if rounds >= (3 if given.quick else ROUNDS_LEAST) and spent > given.seconds and (
                enough or spent > given.patience * given.seconds):
            break


def come_first():
    """Engines inherit it. Processes are weighed within their session's group first."""
    if os.getpid() != os.getsid(0):
        if os.getpid() == os.getpgid(0):  # a group's leader cannot begin a session
            if (child := os.fork()) > 0:
                sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.setsid()
    os.setpriority(os.PRIO_PROCESS, 0, -20)
    if os.path.exists("/proc/self/autogroup"):
        with open("/proc/self/autogroup", "w") as f:
            f.write("-20")


# ---- the tables ------------------------------------------------------------------------------


def cases(given):
    """(table, name, batch, threads) of everything asked for."""
    growth = given.names or GROWN
    for table in given.tables:
        if table == "main":
            for name in given.names or NAMES:
                for batch in given.batch or [1, 8]:
                    yield table, name, batch, given.threads
        for name in growth:
            if table == "threads":
                for threads in sorted({1, 2, 4, 8, 16, os.cpu_count()}):
                    if threads <= os.cpu_count():
                        yield table, name, (given.batch or [1])[0], threads
            elif table == "batch":
                for batch in given.batch or [1, 2, 4, 8, 16, 32]:
                    yield table, name, batch, given.threads
            elif table == "size":
                for side in SIZES:
                    yield (table, name if side == 224 else f"{name}-{side}",
                           (given.batch or [1])[0], given.threads)


def earlier(given):
    """What was measured before and is not asked for now."""
    path = os.path.join(given.folder, "results.json")
    if not given.add or not os.path.exists(path):
        return {"rows": []}
    with open(path) as f:
        results = json.load(f)
    asked = set(cases(given))
    results["rows"] = [r for r in results["rows"] if
                       (r["table"], r["name"], r["batch"], r["threads"]) not in asked]
    return results


def in_order(results):
    """Rows as they would have been measured in one run."""
    place = {name: i for i, name in enumerate(NAMES)}

    def key(row):
        name, _, side = row["name"].partition("-")
        return (place.get(name, len(NAMES)), name, int(side or 224), row["batch"],
                row["threads"])

    results["rows"].sort(key=key)


def keep(given, results):
    with open(os.path.join(given.folder, "results.json.part"), "w") as f:
        json.dump(results, f, indent=1)
    os.replace(f.name, os.path.join(given.folder, "results.json"))


def main():
    given = arguments()
    if given.priority:
        come_first()
    if not os.path.exists(given.peers):
        print(f"{given.peers} is not there: without peers", file=sys.stderr)
        given.engines = ["saliscope"]
    results = {**earlier(given), "machine": tables.machine(given),
               "threads": given.threads}
    for table, name, batch, threads in cases(given):
        if not os.path.exists(os.path.join(given.folder, name + ".onnx")):
            print(f"{name} is not exported", file=sys.stderr)
            continue
        row = {"table": table, **measure(given, name, batch, threads)}
        results["rows"].append(row)
        in_order(results)
        print(tables.line(row), file=sys.stderr, flush=True)
        keep(given, results)
    if "start" in given.tables:
        results["start"] = start_up(given, "resnet50")
        keep(given, results)
    text = tables.markdown(results, "min_ms" if given.minimum else "ms")
    print(text)
    if given.write:
        tables.write(given.write, given.section, text)


if __name__ == "__main__":
    main()
