"""Areas, intervals and operating points, in NumPy, and how figures are written."""

import json
import re

import numpy as np


def midranks(x):
    order = np.argsort(x, kind="stable")
    _, inverse, count = np.unique(x[order], return_inverse=True, return_counts=True)
    ends = np.cumsum(count)
    rank = np.empty(len(x))
    rank[order] = (ends - (count - 1) / 2)[inverse]
    return rank


def auc(scores, positive):
    return delong(scores, positive)[0]


def delong(scores, positive):
    """Area under the ROC curve and its 95 % interval after DeLong, formed on the
    logit scale so that it stays below 1. An area of exactly 1 has no interval."""
    p, n = scores[positive], scores[~positive]
    ranks = midranks(np.concatenate([p, n]))
    above = (ranks[:len(p)] - midranks(p)) / len(n)
    below = 1 - (ranks[len(p):] - midranks(n)) / len(p)
    area = float(above.mean())
    error = np.sqrt(above.var(ddof=1) / len(p) + below.var(ddof=1) / len(n))
    if not 0 < area < 1:
        return area, float("nan"), float("nan")
    at, half = np.log(area / (1 - area)), 1.96 * error / (area * (1 - area))
    low, high = 1 / (1 + np.exp(-(at + np.array([-half, half]))))
    return area, float(low), float(high)


def wilson(hits, n):
    """Share and its 95 % Wilson interval."""
    z = 1.96
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return float(share), max(float(centre - half), 0.0), min(float(centre + half), 1.0)


def youden(probability, positive):
    """The threshold that maximises sensitivity + specificity, half-way between the
    two scores it separates."""
    values = np.unique(probability)
    cuts = (values[1:] + values[:-1]) / 2
    gain = [(probability[positive] >= t).mean() + (probability[~positive] < t).mean() for t in cuts]
    return float(cuts[int(np.argmax(gain))])


def sigmoid(z):
    return 1 / (1 + np.exp(-np.asarray(z, np.float64)))


def dumps(document):
    """JSON, indented, with each innermost list on one line."""
    return re.sub(r"\[[^][{}]*\]", lambda found: " ".join(found[0].split()),
                  json.dumps(document, indent=1)) + "\n"
