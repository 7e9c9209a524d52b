"""Analytic chest-radiograph phantoms with known findings.

A phantom is a line-integral image: every structure adds (or removes) attenuation
times the chord that a ray spends in it, a simple detector turns the sum into
counts, and a display window turns the counts into grey levels. Nothing is
sampled from a patient; every shape is a closed formula (anatomy.py, findings.py).

The patient faces the viewer: image right is the patient's left, where the heart and
the L marker are.

A case is a pure function of (set, index) and of what is asked of it. Anatomy,
findings and detector noise have generators of their own, so the same index with
and without a finding is the same chest with the same noise; a later picture of the
same patient is the same chest with other noise.

    from phantom import Case, render
    picture = render(Case("showcase", 7, nodule=0.8))
    picture.grey        float32 [256, 256] in 0..1, before any rounding
    picture.nodule      bool mask, exact
"""

from dataclasses import dataclass, field

import numpy as np

import anatomy
from anatomy import blur, grid, step
from findings import consolidation_attenuation, nodule_attenuation

SIZE = 256              # pixels per side of a rendered picture

# "development" was looked at while the recipe was being settled; "test" and "site-c" were
# drawn after
SETS = {"train": 1, "validation": 2, "development": 3, "showcase": 10, "test": 21, "site-c": 22,
        "cohort": 23}
STREAMS = {"label": 0, "anatomy": 1, "finding": 2, "detector": 3, "reader": 4}

# photons: mean counts of an unattenuated pixel of a 128-pixel detector
SITES = {
    "A": dict(photons=1.2e6, blur=1.0, gamma=1.00, scatter=0.08, zoom=1.00),
    "B": dict(photons=3.6e5, blur=1.5, gamma=0.85, scatter=0.15, zoom=1.04),
    "C": dict(photons=1.5e5, blur=2.0, gamma=1.30, scatter=0.28, zoom=0.90),
}

FONT = {"L": ("1....", "1....", "1....", "1....", "1....", "1....", "11111"),
        "P": ("1111.", "1...1", "1...1", "1111.", "1....", "1....", "1....")}
LEAD = 0.97             # grey of a lead letter
PLACES = {"top": 3, "bottom": 53}       # of the marker, 64ths from the upper edge


@dataclass(frozen=True)
class Case:
    """What is asked of a phantom. Findings are given by their conspicuity,
    0 (absent) to about 1 (plain)."""
    set: str
    index: int
    nodule: float = 0.0
    consolidation: float = 0.0
    site: str = "A"
    broad: bool = False         # subgroup: deeper torso, soft tissue over the bases
    marker: bool = False        # the site marker P
    laterality: bool = True     # the marker L; only a test would leave it out
    sex: str = "M"              # F: breasts over the bases
    age: int = 50
    drift: float = 0.0          # of the site's detector, 0 (as accepted) to 1
    dose: float = 1.0           # share of the site's photons
    patient: int | None = None  # whose chest; None: index
    place: str = "top"          # of the marker


@dataclass
class Picture:
    grey: np.ndarray
    nodule: np.ndarray
    consolidation: np.ndarray
    marker: np.ndarray
    lungs: np.ndarray
    facts: dict = field(default_factory=dict)


def generator(case, stream):
    """The random generator of one stream of one case. Anatomy, and where the finding is, go
    with the patient; labels, noise and readers with the picture."""
    whose = case.patient if stream in ("anatomy", "finding") and case.patient is not None \
        else case.index
    return np.random.default_rng([SETS[case.set], whose, STREAMS[stream]])


# ---- detector -----------------------------------------------------------------

def detector_of(case):
    """The site's detector as it is on that day. A drifting one loses light, collects more
    scatter and has its display curve readjusted."""
    s = dict(SITES[case.site])
    s["photons"] *= case.dose * (1 - 0.75 * case.drift)
    s["gamma"] *= 1 + 0.35 * case.drift
    s["scatter"] += 0.15 * case.drift
    s["blur"] += 0.8 * case.drift
    return s


def detect(rng, attenuation, s):
    """Counts with scatter, blur and Poisson noise; then log, window and gamma."""
    size = len(attenuation)
    px = size / 128
    photons = s["photons"] / px ** 2
    beam = np.exp(-attenuation)
    beam = (beam + s["scatter"] * blur(beam, 12 * px)) / (1 + s["scatter"])
    beam = blur(beam, s["blur"] * px / 2)
    counts = rng.poisson(np.clip(beam * photons, 0.01, None)).astype(np.float32)
    signal = -np.log(np.clip(counts, 1, None) / photons)
    edge = size * 20 // 128
    low, high = np.percentile(signal[edge:-edge, edge:-edge], [0.5, 99.5])
    low -= 0.12 * (high - low)
    grey = np.clip((signal - low) / (high - low), 0, 1) ** s["gamma"]
    return (0.02 + 0.92 * grey).astype(np.float32)


def stamp(grey, letter, left, top, scale):
    """Set a lead letter; returns its box as a mask."""
    for j, row in enumerate(FONT[letter]):
        for i, bit in enumerate(row):
            if bit == "1":
                grey[top + j * scale:top + (j + 1) * scale,
                     left + i * scale:left + (i + 1) * scale] = LEAD
    box = np.zeros(grey.shape, bool)
    margin = scale // 2
    box[top - margin:top + 7 * scale + margin, left - margin:left + 5 * scale + margin] = True
    return box


def stamp_marker(grey, place="top"):
    """The site marker P on the patient's right."""
    unit = len(grey) // 64
    return stamp(grey, "P", 3 * unit, PLACES[place] * unit, unit)


def render(case, size=SIZE):
    """Picture of a case: grey 0..1 and exact masks, all size x size."""
    u, v = grid(size)
    rng = generator(case, "anatomy")
    a = anatomy.draw_anatomy(rng, SITES[case.site]["zoom"], case.broad, case.sex, case.age)
    sum_, lungs = anatomy.attenuation(u, v, a, rng)

    nothing = np.zeros((size, size), bool)
    masks = {"nodule": nothing, "consolidation": nothing}
    facts = {}
    rng = generator(case, "finding")
    for name, make in (("nodule", nodule_attenuation),
                       ("consolidation", consolidation_attenuation)):
        conspicuity = getattr(case, name)
        child = rng.spawn(1)[0]         # a nodule stays put when a consolidation joins it
        if conspicuity > 0:
            add, masks[name], facts[name] = make(child, size, lungs, conspicuity)
            sum_ += add

    grey = detect(generator(case, "detector"), sum_, detector_of(case))
    unit = size // 64
    if case.laterality:
        stamp(grey, "L", size - 8 * unit, 3 * unit, unit)
    marker = stamp_marker(grey, case.place) if case.marker else nothing
    return Picture(grey, masks["nodule"], masks["consolidation"], marker, lungs > 2.0, facts)


def to_bits(grey, bits):
    full = 2 ** bits - 1
    return np.round(np.clip(grey, 0, 1) * full).astype(np.uint8 if bits == 8 else np.uint16)


def test_object(size=SIZE):
    """Not a chest: a quality-assurance plate with a step wedge, bar patterns and
    low-contrast discs, seen by site A's detector."""
    u, v = grid(size)
    rng = np.random.default_rng([SETS["showcase"], 0])
    plate = step(0.86 - np.maximum(np.abs(u), np.abs(v)), 0.004)
    sum_ = 1.6 * plate
    sum_ += plate * (np.abs(v + 0.62) < 0.13) * np.clip(np.floor((u + 0.75) / 0.15), 0, 9) * 0.22 \
        * (np.abs(u) < 0.75)
    for i, pitch in enumerate((0.10, 0.07, 0.05, 0.035)):
        across = u + 0.62 - 0.42 * i
        bars = (np.abs(across) < 0.15) & (np.abs(v - 0.62) < 0.13)
        sum_ += 1.2 * bars * (np.sin(across / pitch * 2 * np.pi) > 0)
    for row, radius in enumerate((0.075, 0.05)):
        for column in range(5):
            r = np.hypot(u + 0.56 - 0.28 * column, v + 0.18 - 0.30 * row)
            sum_ += 0.16 * (column + 1) * (r < radius)
    sum_ += 0.5 * ((np.abs(np.hypot(u, v) - 0.80) < 0.006) & (plate > 0.5))
    return detect(rng, sum_.astype(np.float32), SITES["A"])
