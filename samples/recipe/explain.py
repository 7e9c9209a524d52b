"""The explanations that are measured, and what they are measured with. Maps are
128 x 128 as the network's input."""

import numpy as np
import torch
from torch.nn import functional as F

from figures import wilson
from network import enlarge, grad_cam, normalise

NEAR = 8                        # pixels of the network's input, 2.8 mm each
OCCLUSION = dict(nodule=dict(window=12, stride=6), consolidation=dict(window=24, stride=6))
SOFT = 31                       # side of the window whose mean fills a soft square


def cam(net, x, target, layer="features.relu5"):
    return enlarge(grad_cam(net, torch.from_numpy(x), target, layer))


@torch.no_grad()
def occlusion(net, x, target, window=12, stride=6, fill="soft", batch=128):
    """By how much the logit falls when a square is filled with the picture's mean over 31 x 31
    pixels ("soft") or with mid grey, the input's zero ("grey"); a pixel gets the mean over the
    squares that cover it. x [1, 1, 128, 128]."""
    net.eval()
    at = normalise(x)
    fills = torch.zeros_like(at) if fill == "grey" else \
        F.avg_pool2d(F.pad(at, (SOFT // 2,) * 4, mode="reflect"), SOFT, 1)
    base = float(net(at)[0, target])
    starts = list(range(0, 128 - window + 1, stride))
    boxes = [np.s_[r:r + window, c:c + window] for r in starts for c in starts]
    total, covers = np.zeros((128, 128)), np.zeros((128, 128))
    for i in range(0, len(boxes), batch):
        some = boxes[i:i + batch]
        many = at.repeat(len(some), 1, 1, 1)
        for k, box in enumerate(some):
            many[k, 0][box] = fills[0, 0][box]
        falls = base - net(many)[:, target].numpy()
        for box, fall in zip(some, falls):
            total[box] += fall
            covers[box] += 1
    return total / np.maximum(covers, 1)


def gradients(net, inputs, target):
    inputs = inputs.detach().requires_grad_(True)
    return torch.autograd.grad(net(inputs)[:, target].sum(), inputs)[0]


def integrated_gradients(net, x, target, steps, batch=64):
    """Midpoint rule from a black picture; the map and the relative error of its sum."""
    end, start = normalise(x), normalise(np.zeros_like(x))
    at = (torch.arange(steps) + 0.5) / steps
    sum_ = torch.zeros_like(end)
    for i in range(0, steps, batch):
        a = at[i:i + batch, None, None, None]
        sum_ += gradients(net, start + a * (end - start), target).sum(0, keepdim=True)
    out = ((end - start) * sum_ / steps)[0, 0].numpy()
    with torch.no_grad():
        due = float(net(end)[0, target] - net(start)[0, target])
    return out, abs(out.sum() - due) / abs(due)


# ---- where a map peaks ---------------------------------------------------------------

def peak_distance(map_, mask):
    """Pixels from the map's peak to the nearest pixel of the mask (0 inside it). A map that
    is nowhere positive has no peak."""
    if not map_.max() > 0:
        return np.inf
    row, column = np.unravel_index(map_.argmax(), map_.shape)
    rows, columns = np.nonzero(mask)
    return np.hypot(rows - row, columns - column).min()


def peaks(maps, masks):
    distance = np.array([peak_distance(m, mask) for m, mask in zip(maps, masks)])
    n = len(distance)
    return {
        "n": n, "empty_maps": int(np.isinf(distance).sum()),
        "inside": rounded(wilson((distance == 0).sum(), n), 3),
        f"within_{NEAR}_px": rounded(wilson((distance <= NEAR).sum(), n), 3),
        "median_px": round(float(np.median(distance)), 2),
    }


def rounded(values, digits=4):
    """For JSON, which has no NaN: what cannot be estimated is null."""
    return [None if np.isnan(v) else round(float(v), digits) for v in values]


# ---- how alike two maps are ----------------------------------------------------------

def unit(map_):
    low, high = map_.min(), map_.max()
    return (map_ - low) / (high - low) if high > low else np.zeros_like(map_)


def ssim(a, b, window=11):
    """Mean structural similarity of two maps, each scaled to 0..1; uniform window."""
    planes = torch.from_numpy(np.stack([unit(a), unit(b)]).astype(np.float32))[:, None]

    def mean(v):
        return F.avg_pool2d(v, window, 1)

    ma, mb = mean(planes)
    sa, sb = mean(planes ** 2) - mean(planes) ** 2
    sab = mean(planes[:1] * planes[1:])[0] - ma * mb
    one, two = 0.01 ** 2, 0.03 ** 2
    value = (2 * ma * mb + one) * (2 * sab + two) / ((ma ** 2 + mb ** 2 + one) * (sa + sb + two))
    return float(value.mean())


def spearman(a, b):
    from figures import midranks
    ranks = [midranks(m.ravel()) for m in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


# ---- the smallest change that undoes a decision -----------------------------------------

def flips_at(net, x, target, z_threshold, eps, steps=10):
    """Whether projected gradient steps inside a cube of half-width eps (in units of the full
    grey range) carry the logit over its threshold."""
    with torch.no_grad():
        above = bool(net(normalise(x))[0, target] >= z_threshold)
    at = x = torch.as_tensor(x)
    for _ in range(steps):
        way = gradients(net, normalise(at), target).sign() * (-1 if above else 1)
        at = torch.min(torch.max(at + 2.5 * eps / steps * way, x - eps), x + eps).clamp(0, 1)
        with torch.no_grad():
            if bool(net(normalise(at))[0, target] >= z_threshold) != above:
                return True
    return False


def least_eps(net, x, target, z_threshold, most=32 / 255, halvings=8):
    """The smallest such half-width in grey levels of 255, by bisection; inf if none is found.
    An upper bound: a better attack may need less."""
    if not flips_at(net, x, target, z_threshold, most):
        return np.inf
    low, high = 0.0, most
    for _ in range(halvings):
        middle = (low + high) / 2
        low, high = (low, middle) if flips_at(net, x, target, z_threshold, middle) \
            else (middle, high)
    return high * 255
