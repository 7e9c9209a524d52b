"""The processes that bench.py asks for passes, and what the kernel says of them."""

import json
import os
import statistics
import subprocess
import time

NAMES = ("resnet18 resnet50 densenet121 mobilenet_v2 efficientnet_b0 squeezenet1_1 vgg16 "
         "vit_b_16 convnext_tiny").split()
GROWN = ["resnet50", "mobilenet_v2"]  # those whose growth is measured, unless others are named
SIZES = (112, 224, 448)

TICK = os.sysconf("SC_CLK_TCK")
HERE = os.path.dirname(os.path.abspath(__file__))
START_RUNS = 15

# GNU OpenMP's default keeps a thread spinning for tens of milliseconds: while idle it
# takes time from the others, and where two threads meet on one processor a pass of
# milliseconds takes seconds. This count is as fast on a quiet machine (docs/performance.md).
ENVIRONMENT = {"GOMP_SPINCOUNT": "100000"}


class Failed(Exception):
    pass


def others_cpu():
    """Processor seconds that went to anybody, so far; what a hypervisor kept counts."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, soft, steal = map(int, f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / TICK


def own_cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


class Process:
    """A program that says when it is ready and then obeys lines, each with a JSON answer."""

    def __init__(self, line):
        self.process = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**ENVIRONMENT, **os.environ})
        self.pid = self.process.pid
        said = self.read()
        self.ready, self.macs = said["ready"], said.get("macs")
        self.before = {k: said.get(k, 0) for k in ("interpreter_mib", "library_mib")}

    def read(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        said = self.process.stderr.read().strip().splitlines()
        self.close()
        raise Failed(said[-1] if said else "it ended")

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def run(self, n):
        return self.ask(f"run {n}")

    def memory(self):
        """Peak MiB of the process, and of it what there was before the engine was
        loaded (Python, NumPy) and before the model was."""
        with open(f"/proc/{self.pid}/status") as f:
            peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        return {"peak_mib": peak / 1024, **self.before}

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Engine(Process):
    """One engine with one model and batch, in a process of its own."""

    def __init__(self, given, engine, name, kind, batch, threads):
        path = os.path.join(given.folder, name)
        program = ([given.passes] if engine == "saliscope" else
                   [given.peers, os.path.join(HERE, "peer.py"), engine])
        super().__init__([*program, path + ".onnx", path + ".f32", kind, str(batch),
                          str(threads)])


def start_up(given, name):
    """Milliseconds from starting `saliscope classify` to its end, the logits printed;
    the model is in the file cache."""
    line = [given.saliscope, "classify", "-q", "-m", os.path.join(given.folder, name + ".onnx"),
            os.path.join(HERE, "..", "..", "samples", "images", "normal.png"),
            "--preset", "imagenet", "--threads", str(given.threads)]
    times = []
    for _ in range(START_RUNS + 1):
        time.sleep(0.02)
        begin = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - begin) * 1e3)
    return {"name": name, "ms": statistics.median(times[1:]), "min_ms": min(times)}
