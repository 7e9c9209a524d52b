"""Labelled sets of phantoms, drawn from (set, index) and kept under build/.

A picture that is to measure by is rendered at 256 x 256, rounded to 8 bits as a file
would be, and halved by averaging 2 x 2 pixels. That is exactly what the sidecar's
half-pixel-centred bilinear resize to 128 x 128 does to such a file. Pictures to train
on are rendered at 128 x 128 at once, which takes a quarter of the time and makes next
to no difference. The site marker P covers whole pixels of the
halved picture too and is set afterwards, so that one set of renderings serves models
that meet the marker in different company.
"""

import multiprocessing
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")       # each process draws alone
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dataclasses import replace
from pathlib import Path

import numpy as np

from phantom import FONT, LEAD, PLACES, Case, generator, render, to_bits

BUILD = Path(os.environ.get("SAMPLES_BUILD", Path(__file__).parents[2] / "build" / "samples"))
CLASSES = ("nodule", "consolidation")
COUNTS = {"train": 6000, "validation": 800, "test": 1600, "site-c": 800}
SIDE = 128


def draw_case(set_name, index):
    """Labels first, then how plain each finding is, site, subgroups and marker.
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
                broad=bool(rng.random() < 0.15), marker=bool(rng.random() < 0.5),
                sex="MF"[rng.integers(2)], age=int(rng.integers(20, 91)))


def halve(image):
    """Sums of 2 x 2 pixels; exact in integers."""
    image = image.astype(np.uint16)
    return image[0::2, 0::2] + image[1::2, 0::2] + image[0::2, 1::2] + image[1::2, 1::2]


def make_row(key):
    case = draw_case(*key)
    whole = key[0] != "train"
    picture = render(replace(case, marker=False), SIDE * (1 + whole))
    masks = np.stack([picture.nodule, picture.consolidation])
    if whole:
        masks = np.stack([halve(mask) > 0 for mask in masks])
    sums = halve(to_bits(picture.grey, 8)) if whole else np.round(picture.grey * 1020)
    return (sums.astype(np.uint16), np.packbits(masks, axis=-1),
            (case.nodule, case.consolidation),
            (case.marker, case.broad, case.site == "B", case.sex == "F", case.age))


def marker_box(place="top"):
    """The marker's box in a halved picture, with its margin of one pixel: y, x, height, width."""
    return PLACES[place] * 2 - 1, 5, 16, 12


def marker_pixels(place="top"):
    """Which pixels of a halved picture are lead."""
    lead = np.zeros((SIDE, SIDE), bool)
    glyph = np.array([[bit == "1" for bit in row] for row in FONT["P"]])
    top = PLACES[place] * 2
    lead[top:top + 14, 6:16] = glyph.repeat(2, 0).repeat(2, 1)
    return lead


def mark(x, marked, place="top"):
    """A copy of x [n, 1, 128, 128] with the marker on the pictures that are to have it."""
    out = x.copy()
    lead = to_bits(np.float32(LEAD), 8) / np.float32(255)
    out[(np.asarray(marked, bool))[:, None, None, None] & marker_pixels(place)] = lead
    return out


class Set:
    """x float32 [n, 1, 128, 128] in 0..1 without marker, plain float32 [n, 2]
    (conspicuity; label: > 0), masks bool [n, 2, 128, 128], and per picture marker,
    broad, site_b, female (bool) and age."""

    def __init__(self, arrays):
        self.x = arrays["sums"][:, None].astype(np.float32) / 1020
        self.plain = arrays["plain"]
        self.y = self.plain > 0
        self.masks = np.unpackbits(arrays["masks"], axis=-1).astype(bool)
        facts = arrays["facts"].T
        self.marker, self.broad, self.site_b, self.female = facts[:4].astype(bool)
        self.age = facts[4]

    def __len__(self):
        return len(self.x)

    @property
    def tossed(self):
        """The pictures with the marker where the coin says so."""
        return mark(self.x, self.marker)


def load(set_name):
    path = BUILD / f"{set_name}-{COUNTS[set_name]}.npz"
    if not path.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        keys = [(set_name, i) for i in range(COUNTS[set_name])]
        with multiprocessing.Pool(int(os.environ.get("JOBS", "1"))) as pool:
            rows = pool.map(make_row, keys, chunksize=50)
        sums, masks, plain, facts = zip(*rows)
        part = path.with_suffix(".part.npz")            # half a file must not pass for one
        np.savez(part, sums=np.stack(sums), masks=np.stack(masks),
                 plain=np.array(plain, np.float32), facts=np.array(facts, np.uint8))
        part.rename(path)
    with np.load(path) as arrays:
        return Set(arrays)


if __name__ == "__main__":
    for name in COUNTS:
        s = load(name)
        print(name, len(s), *(f"{c} {int(s.y[:, k].sum())}" for k, c in enumerate(CLASSES)),
              flush=True)
