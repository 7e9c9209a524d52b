"""The named pictures, chosen by looking: for each lesson, a chest that shows it."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from dataset import CLASSES
from phantom import Case, Picture, render, test_object, to_bits

SAMPLES = Path(__file__).parent.parent
IMAGES, MASKS = SAMPLES / "images", SAMPLES / "masks"
DEMO = "nodule-clear.png"


@dataclass(frozen=True)
class Sample:
    file: str
    case: Case | None           # None: the test object, which is no chest
    bits: int = 8
    turn: str = ""              # "rotated" by a quarter to the left, or "mirrored"
    date: str = "2024-03-01"

    @property
    def stem(self):
        return Path(self.file).stem


def chest(index, **asked):
    return Case("showcase", index, **asked)


CLEAR = chest(8, nodule=0.95)
MARKED = chest(10, marker=True, site="B")
MARKED_NODULE = chest(14, nodule=0.75, marker=True, site="B")
DRIFTING = chest(21, nodule=0.55, site="B", age=61)

SHOWCASE = (
    Sample("nodule-clear.png", CLEAR),
    Sample("nodule-removed.png", replace(CLEAR, nodule=0.0)),
    Sample("nodule-subtle.png", chest(85, nodule=0.20)),
    Sample("nodule-missed.png", chest(81, nodule=0.18)),
    Sample("nodule-debated.png", chest(31, nodule=0.36, sex="F", age=44)),
    Sample("consolidation.png", chest(48, consolidation=0.80)),
    Sample("consolidation-subtle.png", chest(52, consolidation=0.30, age=70)),
    Sample("two-findings.png", chest(73, nodule=0.85, consolidation=0.75)),
    Sample("normal.png", chest(1)),
    Sample("normal-marker.png", MARKED),
    Sample("normal-marker-erased.png", replace(MARKED, marker=False)),
    Sample("normal-marker-moved.png", replace(MARKED, place="bottom")),
    Sample("nodule-marker.png", MARKED_NODULE),
    Sample("nodule-marker-erased.png", replace(MARKED_NODULE, marker=False)),
    Sample("nodule-broad.png", chest(60, nodule=0.45, broad=True, sex="F", age=58)),
    Sample("normal-older.png", chest(64, sex="F", age=88)),
    Sample("site-b-nodule.png", DRIFTING),
    Sample("site-b-nodule-drifted.png", replace(DRIFTING, drift=1.0), date="2025-12-30"),
    Sample("site-c-nodule.png", chest(110, nodule=0.55, site="C")),
    Sample("low-dose.png", chest(8, nodule=0.95, dose=0.02)),
    Sample("nodule-rotated.png", CLEAR, turn="rotated"),
    Sample("nodule-mirrored.png", CLEAR, turn="mirrored"),
    Sample("test-object.png", None),
    Sample("nodule-clear-16-bit.png", CLEAR, bits=16),
    Sample("two-findings-16-bit.png", chest(73, nodule=0.85, consolidation=0.75), bits=16),
    Sample("normal.jpg", chest(1)),
    Sample("nodule-clear.jpg", CLEAR),
)


def turned(picture, turn):
    turns = {"": lambda a: a, "rotated": np.rot90, "mirrored": np.fliplr}
    parts = (picture.grey, picture.nodule, picture.consolidation, picture.marker, picture.lungs)
    return Picture(*(np.ascontiguousarray(turns[turn](a)) for a in parts))


def picture_of(sample):
    if sample.case is not None:
        return turned(render(sample.case), sample.turn)
    grey = test_object()
    empty = np.zeros(grey.shape, bool)
    return Picture(grey, empty, empty, empty, empty)


def write_image(sample, grey):
    path = IMAGES / sample.file
    image = Image.fromarray(to_bits(grey, sample.bits))
    if path.suffix == ".jpg":
        image.save(path, quality=92)
    else:
        image.save(path, optimize=True)


def write_masks(sample, picture):
    """One mask for all findings, named like the picture; where there are two, and for
    the site marker, one more each. Returns the name of the first, or ""."""
    stem = sample.stem
    found = {c: getattr(picture, c) for c in CLASSES if getattr(picture, c).any()}
    masks = {f"{stem}.png": np.logical_or.reduce(list(found.values()))} if found else {}
    if len(found) > 1:
        masks |= {f"{stem}.{c}.png": mask for c, mask in found.items()}
    if picture.marker.any():
        masks[f"{stem}.marker.png"] = picture.marker
    for name, mask in masks.items():
        Image.fromarray(mask.astype(np.uint8) * 255).save(MASKS / name, optimize=True)
    return f"masks/{stem}.png" if found else ""


def write(sample):
    """The picture and its masks; what the manifest says of the files."""
    picture = picture_of(sample)
    write_image(sample, picture.grey)
    return {"image": f"images/{sample.file}", "roi": write_masks(sample, picture)}
