"""Remakes everything under samples/ from nothing.

    python samples/recipe/remake.py [--keep-weights] [--jobs N]

or, in an environment of its own, `make samples`. Pictures, masks, DICOM files and tables
must come out bit-identical with the versions in requirements.txt; trained weights depend
on the processor's arithmetic too. Each file is listed at the end as the same or not, and
for each model how far its probabilities of the named pictures are from those before.
--keep-weights leaves models/ and what was measured of them as they are and renews the rest.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

SAMPLES = Path(__file__).parent.parent
MADE = ("images/*", "masks/*", "dicom/*", "cohort/*.png", "cohort/masks/*", "models/*",
        "cases.csv", "expected.json", "recipe/measured.json", "recipe/training/*")


def digests():
    return {str(p.relative_to(SAMPLES)): hashlib.sha256(p.read_bytes()).hexdigest()
            for pattern in MADE for p in sorted(SAMPLES.glob(pattern))}


def scores():
    """Per model and picture the probabilities."""
    path = SAMPLES / "expected.json"
    models = json.loads(path.read_text()).get("models", []) if path.exists() else []
    return {m["path"]: {c["image"]: c["probabilities"] for c in m["cases"]} for m in models}


def farthest(before, after):
    return max((abs(a - b) for image in after if image in before
                for a, b in zip(after[image], before[image])), default=float("nan"))


def report(before, scores_before):
    after, scores_after = digests(), scores()
    same = [n for n in after if before.get(n) == after[n]]
    print(f"\n{len(after)} files, {len(same)} bit-identical to those before")
    for name in after:
        known = "identical" if name in same else "differs" if name in before else "new"
        close = ""
        if name in scores_after and name in scores_before:
            close = f"max |dp| {farthest(scores_before[name], scores_after[name]):.6f} on the " \
                "named pictures"
        if close or known != "identical" or not name.startswith("cohort/"):
            print(f"  {known:10}{name:44}{close}".rstrip())
    cohort = [n for n in same if n.startswith("cohort/")]
    print(f"  identical {len(cohort)} files of cohort/")
    for name in sorted(before.keys() - after.keys()):
        print("  gone     ", name)
    (SAMPLES / "SHA256SUMS").write_text("".join(f"{d}  {n}\n" for n, d in sorted(after.items())))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--keep-weights", action="store_true")
    arguments.add_argument("--jobs", type=int, default=1, help="processes that draw phantoms")
    options = arguments.parse_args()
    os.environ["JOBS"] = str(options.jobs)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"                  # before NumPy and PyTorch read it

    import export
    import measure
    import readme
    import sheet
    import tables
    import train

    before, scores_before = digests(), scores()
    if not options.keep_weights:
        train.main()
        export.main()
        measure.main()
    tables.main()
    sheet.main()
    readme.main()
    report(before, scores_before)


if __name__ == "__main__":
    main()
