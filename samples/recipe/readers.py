"""Simulated readers.

A reader calls a finding with a probability that is logistic in its conspicuity; each has a
conspicuity of even chance, a slope and a rate of false calls. Some findings are harder
than their conspicuity says and some chests look ill that are not; that is drawn once
per picture and finding and shared by all readers, so they tend to err together as
people do.
"""

from dataclasses import dataclass

import numpy as np

from phantom import generator

SHARED = 0.07           # sd of a picture's own difficulty, in units of conspicuity
MIMIC = 0.8             # sd of the logarithm of a picture's false-call rate


@dataclass(frozen=True)
class Reader:
    name: str
    even: float         # conspicuity called half the time
    slope: float
    false_calls: float


READERS = (Reader("R1", 0.28, 14, 0.02), Reader("R2", 0.34, 11, 0.04), Reader("R3", 0.38, 9, 0.06),
           Reader("R4", 0.50, 8, 0.03))      # the last is in training


def read(case, classes):
    """Per reader the findings called."""
    rng = generator(case, "reader")
    hard = SHARED * rng.standard_normal(len(classes))
    mimic = np.exp(MIMIC * rng.standard_normal(len(classes)))
    calls = {}
    for reader in READERS:
        toss = rng.random(len(classes))
        called = []
        for k, name in enumerate(classes):
            q = getattr(case, name)
            seen = 1 / (1 + np.exp(-reader.slope * (q - hard[k] - reader.even))) if q > 0 else 0.0
            false = min(reader.false_calls * mimic[k], 0.5)
            if toss[k] < seen + (1 - seen) * false:
                called.append(name)
        calls[reader.name] = called
    return calls


def fleiss(votes, readers):
    """Fleiss' kappa of yes-or-no votes: how many of the readers said yes, per picture."""
    votes = np.asarray(votes, float)
    agree = (votes * (votes - 1) + (readers - votes) * (readers - votes - 1)) \
        / (readers * (readers - 1))
    share = votes.mean() / readers
    chance = share ** 2 + (1 - share) ** 2
    return float((agree.mean() - chance) / (1 - chance))
