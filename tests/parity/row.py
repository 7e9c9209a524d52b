"""One comparison, and how far two maps are apart."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

ALL = ("resnet18", "densenet121", "vit_b_16")
SMOOTH = ("resnet18_smooth",) + ALL  # of methods that take many gradients, see models.py
GOAL = 1e-3


@dataclass(frozen=True)
class Row:
    method: str            # the program's name for it
    library: str           # a key of table.LIBRARIES
    reference: Callable    # from a case.Case to an array or tensor; a leading axis of one image
                           # is taken off
    at: str = "input"      # which of the program's maps: input H x W, layer h x w (before
                           # it is enlarged), channels C x H x W
    call: str = ""         # what is called, for the table
    params: tuple = ()     # of -P: ("steps=50",)
    like: str = ""         # of --like: then params are only what differs from the preset
    score: str = ""        # of --score
    seed: int = 0
    models: tuple = ALL
    costly: bool = False   # not again in float64
    why: str = ""          # of an error beyond the goal, where float64 does not tell it

    def name(self):
        """Of the row: results.json is kept by it."""
        words = [self.method, self.library, *self.params]
        words += ["like"] if self.like else []
        words += [self.score] if self.score else []
        words += [self.at] if self.at != "input" else []
        return " ".join(words)

    def options(self):
        words = ["-M", self.method]
        for p in self.params:
            words += ["-P", p]
        for option in ("like", "score"):
            if getattr(self, option):
                words += ["--" + option, getattr(self, option)]
        return words + (["--seed", str(self.seed)] if self.seed else [])


def spread(a):
    return float(np.max(a) - np.min(a))


def error(ours, theirs):
    """Largest difference as a share of the second map's range; inf for what is not finite."""
    difference = np.abs(np.float64(ours) - np.float64(theirs)).max()
    if not np.isfinite(difference):
        return float("inf")
    return float(difference / (spread(theirs) or 1.0))
