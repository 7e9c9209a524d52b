"""Labelled sets of phantoms, drawn from (set, index) and kept under build/.

A picture is rendered at 256 x 256, rounded to 8 bits as a file would be, and
halved by averaging 2 x 2 pixels. That is exactly what the sidecar's
half-pixel-centred bilinear resize to 128 x 128 does to such a file, so the model
is trained on what it will be given.
"""

import multiprocessing
import os
from pathlib import Path

import numpy as np

from phantom import Case, generator, render, to_8_bit

BUILD = Path(__file__).parent / "build"
CLASSES = ("nodule", "consolidation")
COUNTS = {"train": 3200, "validation": 600, "test": 800, "site-c": 400}


def draw_case(set_name, index):
    """Labels first, then how plain each finding is, site, subgroup and marker.
    The marker is tossed independently of the findings: there is nothing to learn
    from it here."""
    rng = generator(Case(set_name, index), "label")
    nodule = rng.random() < 0.45
    consolidation = rng.random() < 0.30
    plain = rng.uniform(0.30, 1.0, 2)
    site = ("A", "B")[rng.integers(2)]
    return Case(set_name, index,
                nodule=float(plain[0]) if nodule else 0.0,
                consolidation=float(plain[1]) if consolidation else 0.0,
                site="C" if set_name == "site-c" else site,
                broad=bool(rng.random() < 0.15), marker=bool(rng.random() < 0.5))


def halve(image):
    """Sums of 2 x 2 pixels; exact in integers."""
    image = image.astype(np.uint16)
    return image[0::2, 0::2] + image[1::2, 0::2] + image[0::2, 1::2] + image[1::2, 1::2]


def make_row(key):
    case = draw_case(*key)
    picture = render(case)
    masks = np.stack([halve(picture.nodule) > 0, halve(picture.consolidation) > 0])
    return (halve(to_8_bit(picture.grey)), np.packbits(masks, axis=-1),
            (case.nodule, case.consolidation))


def load(set_name):
    """x float32 [n, 1, 128, 128] in 0..1, conspicuity float32 [n, 2] (label: > 0),
    masks bool [n, 2, 128, 128]."""
    path = BUILD / f"{set_name}-{COUNTS[set_name]}.npz"
    if not path.exists():
        BUILD.mkdir(exist_ok=True)
        keys = [(set_name, i) for i in range(COUNTS[set_name])]
        with multiprocessing.Pool(int(os.environ.get("JOBS", "1"))) as pool:
            rows = pool.map(make_row, keys, chunksize=50)
        sums, masks, plain = zip(*rows)
        np.savez_compressed(path, sums=np.stack(sums), masks=np.stack(masks),
                            plain=np.array(plain, np.float32))
    with np.load(path) as data:
        return (data["sums"][:, None].astype(np.float32) / 1020, data["plain"],
                np.unpackbits(data["masks"], axis=-1).astype(bool))


if __name__ == "__main__":
    for name in COUNTS:
        x, plain, _ = load(name)
        print(name, len(x), *(f"{c} {int((plain[:, k] > 0).sum())}" for k, c in enumerate(CLASSES)))
