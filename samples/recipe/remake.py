"""Remakes everything under samples/ from nothing.

    python samples/recipe/remake.py [--keep-weights] [--jobs N]

The pictures, masks and tables must come out bit-identical with the versions in
requirements.txt; trained weights depend on the processor's arithmetic too. What
differs from the files that were there before is listed at the end, with how far
the scores moved. --keep-weights leaves models/ as it is and renews the rest.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path

SAMPLES = Path(__file__).parent.parent
MADE = ("images/*", "masks/*", "models/*", "cases.csv", "expected.json", "recipe/measured.json", "recipe/training.txt")


def digests():
    return {str(p.relative_to(SAMPLES)): hashlib.sha256(p.read_bytes()).hexdigest()
            for pattern in MADE for p in sorted(SAMPLES.glob(pattern))}


def scores():
    path = SAMPLES / "expected.json"
    if not path.exists():
        return {}
    cases = json.loads(path.read_text())["cases"]
    return {c["image"]: c["probabilities"] for c in cases}


def report(before, scores_before):
    after, scores_after = digests(), scores()
    changed = [n for n in after if before.get(n) != after[n]]
    gone = [n for n in before if n not in after]
    print(f"\n{len(after)} files, {len(after) - len(changed)} bit-identical to those before")
    for name in changed:
        print("  differs" if name in before else "  new    ", name)
    for name in gone:
        print("  gone   ", name)
    moved = [abs(a - b) for n in scores_after for a, b in
             zip(scores_after[n], scores_before.get(n, scores_after[n]))]
    if scores_before:
        print(f"largest change of a probability: {max(moved):.6f}")
    (SAMPLES / "SHA256SUMS").write_text("".join(f"{d}  {n}\n" for n, d in sorted(after.items())))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--keep-weights", action="store_true")
    arguments.add_argument("--jobs", type=int, default=1, help="processes that draw phantoms")
    options = arguments.parse_args()
    os.environ["JOBS"] = str(options.jobs)
    os.environ["OMP_NUM_THREADS"] = "1"         # before NumPy and PyTorch read it

    import export
    import measure
    import showcase
    import train

    before, scores_before = digests(), scores()
    if not options.keep_weights:
        train.main()
        export.main()
        measure.main()
    showcase.main()
    report(before, scores_before)


if __name__ == "__main__":
    main()
