"""What is shipped under models/, and what each sidecar warns of."""

from dataclasses import dataclass

VERSION = "2.0.0"
INTENDED_USE = "research and teaching on synthetic phantoms; never diagnosis"

ONLY_PHANTOMS = "trained and tested on computed phantoms only; its figures say nothing about " \
    "real radiographs"
NO_GATE = "does not recognise a picture that is no chest: it gives a probability to anything"
POINTS = "thresholds and prevalence belong to its validation set, not to any population"
TAUGHT = "was told in training where the findings are, so Grad-CAM at its last layer is right " \
    "by design"
HONEST = (
    ONLY_PHANTOMS,
    "knows two findings and no others; anything else is called normal or mistaken for one of them",
    "exposures unlike sites A and B move its scores, so its thresholds do not carry over to them",
    NO_GATE, TAUGHT, POINTS)

NODULE, CONSOLIDATION = ("nodule", 1, 5), ("consolidation", 1, 3)   # cost of a false call, a miss


@dataclass(frozen=True)
class Entry:
    name: str
    limitations: tuple = HONEST
    classes: tuple = (NODULE, CONSOLIDATION)
    exporter: str = "built"     # node by node; "traced": PyTorch's older, "external": its newer
    same_as: str = ""           # the model whose weights it has
    cam_layer: str = ""
    half: tuple = ()            # classes whose threshold is 0.5 rather than chosen


CATALOGUE = (
    Entry("phantom"),
    Entry("phantom-shortcut", (
        ONLY_PHANTOMS,
        "calls a nodule where it sees the site marker P and nearly nowhere else: a teaching "
        "example of shortcut learning, wrong by design", NO_GATE, POINTS), half=("nodule",)),
    Entry("phantom-random", (
        "nobody trained it: the architecture of phantom with random weights, for sanity checks",
        "its scores and maps mean nothing"), half=("nodule", "consolidation")),
    Entry("phantom-vit", (ONLY_PHANTOMS, HONEST[1], HONEST[2], NO_GATE,
                          "was told in training where the findings are, through a second way out "
                          "that is not in the file", POINTS), exporter="traced"),
    Entry("phantom-binary", (ONLY_PHANTOMS, "says that there is a finding, not which",
                             HONEST[2], NO_GATE, TAUGHT, POINTS), classes=(("abnormal", 1, 5),)),
    Entry("phantom-external", exporter="external", same_as="phantom",
          cam_layer="relu_4"),
    Entry("phantom-gap", (
        ONLY_PHANTOMS, HONEST[1], HONEST[2], NO_GATE,
        "its head takes the mean alone: the scores are good, but Grad-CAM at its last layer "
        "points elsewhere", POINTS)),
    Entry("phantom-biased", (
        ONLY_PHANTOMS,
        "trained with three fifths of the findings in broad patients mislabelled as absent: it "
        "misses more of them there, a teaching example, wrong by design", NO_GATE, TAUGHT,
        POINTS)),
)
