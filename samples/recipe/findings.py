"""Nodules and consolidations, each with its exact mask."""

import numpy as np

from anatomy import MU_LUNG, MU_SOFT, blur, texture

FIELD_CM = 36.0


def pick_place(rng, lungs):
    """A pixel of the lung, uniform over where it is more than 6 cm thick."""
    rows, columns = np.nonzero(lungs > 6.0)
    k = rng.integers(len(rows))
    return columns[k], rows[k]


def nodule_attenuation(rng, size, lungs, conspicuity):
    """A near-sphere, 18 to 34 mm across. Its attenuation is raised above that of
    water so that conspicuity 1 is plain even at 2.8 mm per pixel."""
    px = size / 128
    x0, y0 = pick_place(rng, lungs)
    radius, oval = rng.uniform(3.2, 6.0) * px, rng.uniform(0.87, 1.15)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    r = np.sqrt(((x - x0) * oval) ** 2 + ((y - y0) / oval) ** 2)
    chord = 2 * np.sqrt(np.clip(radius ** 2 - r * r, 0, None)) * FIELD_CM / size
    add = (MU_SOFT - MU_LUNG) * 4.0 * conspicuity * blur(chord, 0.6 * px)
    return add, r <= radius, dict(x=int(x0), y=int(y0), radius=float(radius))


def consolidation_attenuation(rng, size, lungs, conspicuity):
    """A patch of four to seven soft blobs, mottled, kept inside the lung."""
    px = size / 128
    x0, y0 = pick_place(rng, lungs)
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    patch = np.zeros((size, size), np.float32)
    for _ in range(rng.integers(4, 8)):
        bx, by = x0 + 5 * px * rng.standard_normal(), y0 + 6 * px * rng.standard_normal()
        spread = rng.uniform(3.5, 6.5) * px
        patch += np.exp(-0.5 * (((x - bx) / spread) ** 2 + ((y - by) / spread) ** 2))
    patch = np.clip(patch / np.percentile(patch, 99.5), 0, 1)
    mottled = patch * (1 + 0.18 * texture(rng, size, 1.2 * px))
    inside = lungs > 1.0
    add = 1.35 * conspicuity * np.clip(mottled, 0, 1.3) * np.clip(lungs / 8, 0, 1)
    return add, (patch > 0.35) & inside, dict(x=int(x0), y=int(y0))
