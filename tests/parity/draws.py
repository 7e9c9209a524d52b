"""The program's random numbers and what its methods make of them (src/base/random.c, and
explain/mask.c, kernelshap.c, lime.c, smoothgrad.c, gradientshap.c), in NumPy: counted, not
drawn, so that a library can be given the same samples."""

import numpy as np
from skimage.transform import resize

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LAST = 2**64 - 1


def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bits(key, counter):
    with np.errstate(over="ignore"):
        return _mix(np.uint64(key) + (np.asarray(counter, np.uint64) + np.uint64(1)) * GOLDEN)


def key(seed, stream):
    with np.errstate(over="ignore"):
        return _mix(bits(seed, stream) ^ np.uint64(0xD1B54A32D192ED03))


def uniform(key_, counter):
    return (bits(key_, counter) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(key_, n):
    """The first n."""
    pair = np.arange((n + 1) // 2, dtype=np.uint64)
    radius = np.sqrt(-2 * np.log(1 - uniform(key_, 2 * pair)))
    angle = 2 * np.pi * uniform(key_, 2 * pair + np.uint64(1))
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:n]


# ---- what methods draw ------------------------------------------------------------------------


def gradient_noise(seed, samples, shape, sd, first=1):
    """[samples, *shape] of SmoothGrad, first=0 of GradientSHAP: what is added to x."""
    n = int(np.prod(shape))
    return np.stack([sd * normals(key(seed, first + i), n).reshape(shape)
                     for i in range(samples)])


def shap_points(seed, samples):
    """How far each sample of GradientSHAP lies from the baseline, 0..1."""
    return np.array([float(uniform(key(seed, i), np.uint64(LAST))) for i in range(samples)])


def rise_masks(seed, masks, cells, keep, height, width):
    """As the authors' generate_masks does it, with skimage, from our grids and shifts."""
    cell = np.array([-(-height // cells), -(-width // cells)])
    made = np.empty((masks, height, width))
    for i in range(masks):
        drawn = uniform(key(seed, i + 1), np.arange(cells * cells + 2, dtype=np.uint64))
        grid = (drawn[:-2] < keep).astype("float32").reshape(cells, cells)
        y, x = (drawn[-2:] * cell).astype(int)
        large = resize(grid, (cells + 1) * cell, order=1, mode="reflect", anti_aliasing=False)
        made[i] = large[y:y + height, x:x + width]
    return made


def grid_superpixels(height, width, cells):
    rows = np.arange(height) * cells // height
    return rows[:, None] * cells + np.arange(width) * cells // width


def lime_samples(seed, samples, n):
    """[samples, n] of 0 and 1."""
    j = np.arange(n, dtype=np.uint64)
    return np.stack([uniform(key(seed, i), j) < 0.5 for i in range(samples)]).astype(int)


def _kernelshap_sample(seed, i, n, cumulative):
    k = key(seed, i // 2)
    first = int(i % 2 == 0)
    size = 1 + int(np.searchsorted(cumulative, float(uniform(k, 0)), side="right"))
    present, order = np.full(n, 1 - first), np.arange(n)
    for j in range(min(size, n - 1)):
        pick = j + int(float(uniform(k, j + 1)) * (n - j))
        present[order[pick]] = first
        order[pick] = order[j]
    return present


def kernelshap_samples(seed, samples, n):
    """Without the two that have all and none."""
    sizes = np.arange(1, n)
    cumulative = np.cumsum(1 / (sizes * (n - sizes.astype(float))))
    cumulative /= cumulative[-1]
    return np.stack([_kernelshap_sample(seed, i, n, cumulative) for i in range(samples)])
