"""The rows of cases.csv for the cohort view: some 450 small pictures of 360 patients.

The story: three sites over two years. Site A screens, site B has the ward with the
portable machine that leaves a P on most of its pictures, and more illness; site C joins
in the second year with a detector the model has not met. From April 2025 site B's
detector drifts. A fifth of the patients come more than once; a nodule stays where it
is and gets plainer. Every patient is a function of its number alone.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from PIL import Image

from dataset import CLASSES, halve
from phantom import Case, generator, render, to_bits
from readers import READERS, read

PATIENTS = 360
VISITS = 3                                          # at most
START, DAYS = date(2024, 1, 1), 731
SITE_C_FROM, DRIFT_FROM = 366, 456                  # days: January and April 2025
PREVALENCE = {"A": (0.25, 0.12), "B": (0.50, 0.30), "C": (0.35, 0.20)}
MARKED = {"A": 0.03, "B": 0.85, "C": 0.03}
BANDS = ((40, "20-39"), (65, "40-64"), (999, "65-90"))


@dataclass(frozen=True)
class Visit:
    case: Case
    patient: int
    day: date

    @property
    def stem(self):
        return f"p{self.patient:03}-{self.case.index % VISITS + 1}"


def patient(number):
    """All visits of one patient."""
    rng = generator(Case("cohort", number), "label")
    first = int(rng.integers(0, DAYS - 60))
    shares = (0.45, 0.35, 0.20) if first >= SITE_C_FROM else (0.57, 0.43, 0.0)
    site = "ABC"[int(np.searchsorted(np.cumsum(shares), rng.random()))]
    has = rng.random(2) < PREVALENCE[site]
    plain = rng.uniform(0.15, 0.9, 2)
    who = dict(site=site, broad=bool(rng.random() < 0.2), sex="MF"[rng.integers(2)],
               age=int(rng.integers(20, 91)), patient=number)
    count = 1 + int(rng.random() < 0.20) + int(rng.random() < 0.06)
    visits = []
    for k in range(count):
        day = first if k == 0 else min(day + int(rng.integers(30, 240)), DAYS - 1)
        stays = k == 0 or rng.random() < 0.4        # a consolidation may have gone
        drift = max(0.0, (day - DRIFT_FROM) / (DAYS - DRIFT_FROM)) if site == "B" else 0.0
        case = Case("cohort", number * VISITS + k,
                    nodule=float(min(plain[0] + 0.12 * k, 1.0)) if has[0] else 0.0,
                    consolidation=float(plain[1]) if has[1] and stays else 0.0,
                    marker=bool(rng.random() < MARKED[site]), drift=drift, **who)
        visits.append(Visit(case, number, START + timedelta(day)))
    return visits


def visits():
    return [v for number in range(1, PATIENTS + 1) for v in patient(number)]


def facts(case, day=None, who=""):
    """What cases.csv says of a picture beside its files."""
    band = next(name for limit, name in BANDS if case.age < limit)
    calls = read(case, CLASSES)
    return {
        **{c: int(getattr(case, c) > 0) for c in CLASSES},
        **{f"reader:{r.name}": "|".join(calls[r.name]) or "none" for r in READERS},
        "patient": who, "site": case.site, "group:habitus": ("average", "broad")[case.broad],
        "group:sex": case.sex, "group:age": band, "date": day.isoformat() if day else "",
        "marker": int(case.marker),
        "conspicuity": max(case.nodule, case.consolidation) and
        "|".join(f"{getattr(case, c):.2f}" for c in CLASSES if getattr(case, c) > 0) or "",
    }


def draw(visit, folder):
    """Writes the picture at 128 x 128, 8 bits, and the mask of its findings; the row."""
    picture = render(visit.case)
    small = np.round(halve(to_bits(picture.grey, 8)) / 4).astype(np.uint8)
    Image.fromarray(small).save(folder / f"{visit.stem}.png", optimize=True)
    found = halve(picture.nodule | picture.consolidation) > 0
    roi = ""
    if found.any():
        roi = f"cohort/masks/{visit.stem}.png"
        Image.fromarray(found).convert("1").save(folder / "masks" / f"{visit.stem}.png",
                                                 optimize=True)
    return {"image": f"cohort/{visit.stem}.png", "roi": roi,
            **facts(visit.case, visit.day, f"p{visit.patient:03}")}
