"""How far explanations move while the decision holds: a table of real models.

For each case the probe `explanation` attacks the input gradient once within each eps, and the
maps of several methods are compared before and after, beside what noise of the same norm does
to them. Nothing but saliscope is run; cases whose files are not there are left out.
"""
import argparse
import json
import os
import subprocess

METHODS = ["gradient", "smoothgrad", "ig", "gradcam"]
EPS = ["1/255", "2/255"]
CASES = [  # what it is, model, image, more
    ("phantom, a clear nodule", "samples/models/phantom.onnx",
     "samples/images/nodule-clear.png", []),
    ("phantom-vit, a clear nodule", "samples/models/phantom-vit.onnx",
     "samples/images/nodule-clear.png", []),
    ("EdgePneumoNet, NIH 00013731", "$/models/edgepneumonet_logit.onnx",
     "$/refs/00_edgepneumonet_logit__00013731_000/input.png", ["--preset", "imagenet"]),
    ("EdgePneumoNet, NIH 00017189", "$/models/edgepneumonet_logit.onnx",
     "$/refs/02_edgepneumonet_logit__00017189_000/input.png", ["--preset", "imagenet"]),
    ("tm_cxr3, normal", "$/models/tm_cxr3.onnx",
     "$/refs/10_tm_cxr3__Normal-Sample-1/input.png", ["--preset", "inception"]),
    ("SqueezeNet 1.1, zebra", "$/models/squeezenet1_1_fp32.onnx",
     "$/refs/06_squeezenet1_1_fp32__n02391049_zebra/input.png", ["--preset", "imagenet"]),
    ("MobileNet v2, dog", "$/models/mobilenet_v2_1.0_224.onnx",
     "$/refs/08_mobilenet_v2_1.0_224__dog/input.png", ["--preset", "inception"]),
]
TOP = """# Another explanation of the same decision

Within a grey level or two the picture is altered so that the top 5 % of the input gradient go
elsewhere, while the class is decided as before and its probability moves by less than 0.05
(EdgePneumoNet, which ends in a logit: f by less than 5 %). In each column is the share of a
method's own top 5 % that is left, and in brackets what noise of the same norm leaves of it
(mean of 8, of SmoothGrad and integrated gradients of 2). `score` is by how much the class's
probability (or logit) moved. The attack knows the gradient alone: what happens to the other
methods' maps happens by the way.

Made by `make parity-explanations` (`tests/parity/displaced.py`), with 40 steps and seed 0.
The phantoms are in `samples/`; the other models and images are not part of this repository.

"""


def probe(program, case, eps, method):
    name, model, image, more = case
    root = os.environ.get("SHARED_DATA", "")
    files = [path.replace("$", root) for path in (model, image)]
    if not all(os.path.exists(path) for path in files):
        return None
    line = [program, "probe", "-q", "--json", "-m", *files, *more, "-A", "explanation",
            "-P", f"eps={eps}", "-P", "draws=0", "-M", method, "-P", "agreement.sensitivity=0"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"refused": done.stderr.strip()}


def cell(record):
    if "refused" in record:
        return "none"
    maps = record["explanation"]
    if "agreement" not in maps:
        return "not moved"
    overlaps = [maps["agreement"]["top_overlap"], maps["noise"]["mean"]["top_overlap"]]
    left, noise = ("-" if v is None else f"{v:.2f}" for v in overlaps)
    return f"{left} ({noise})"


def rows(program):
    for case in CASES:
        for eps in EPS:
            records = [probe(program, case, eps, method) for method in METHODS]
            if None in records:
                print(f"skip: {case[0]} is not there")
                break
            first = records[0]
            moved = "-" if "refused" in first else f"{first['explanation']['score_change']:.1g}"
            row = f"| {case[0]} | {eps} | {moved} | " + " | ".join(map(cell, records)) + " |"
            print(row, flush=True)
            yield row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--table", required=True)
    options = parser.parse_args()
    head = ["| case | eps | score | " + " | ".join(METHODS) + " |",
            "|---|---|---|" + "---|" * len(METHODS)]
    body = list(rows(options.program))
    with open(options.table, "w", encoding="utf-8") as out:
        out.write(TOP + "\n".join(head + body) + "\n")


if __name__ == "__main__":
    main()
