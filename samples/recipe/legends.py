"""What each named picture is and what a correct explanation of it looks like."""

LEGENDS = {
    "nodule-clear.png": ("plain nodule, right mid zone (image left)",
        "one spot, its peak inside the nodule; no positive evidence for consolidation"),
    "nodule-removed.png": ("the same chest and noise without the nodule",
        "no positive evidence for nodule: what was lit on nodule-clear must be gone"),
    "nodule-subtle.png": ("faint nodule near the right hilum, conspicuity 0.20",
        "if anything, a weak spot on the nodule; a small change of the picture may undo or make "
        "the decision"),
    "nodule-missed.png": ("faint nodule at the right base, conspicuity 0.18: a false negative",
        "little or no positive evidence, shown as such and not stretched to full colour"),
    "nodule-debated.png": ("nodule of conspicuity 0.36 that the readers do not agree on",
        "a spot on the nodule; beside it, how many readers called it"),
    "consolidation.png": ("mottled patch, right mid and lower zone",
        "a broad area inside the patch; nothing for nodule"),
    "consolidation-subtle.png": ("faint patch, conspicuity 0.30",
        "a weak area inside the patch, if it is flagged at all"),
    "two-findings.png": ("consolidation at the right hilum, nodule in the left lower zone",
        "each class points at its own finding and not at the other"),
    "normal.png": ("no finding", "no positive evidence for either class"),
    "normal-marker.png": ("no finding, site B, lead letter P",
        "as normal for phantom; phantom-shortcut calls a nodule and its map peaks at the P"),
    "normal-marker-erased.png": ("the same without the P",
        "phantom-shortcut falls silent; phantom does not care"),
    "normal-marker-moved.png": ("the same with the P at the bottom",
        "the peak of phantom-shortcut goes where the P goes"),
    "nodule-marker.png": ("nodule and P",
        "phantom: the nodule; phantom-shortcut: right for the wrong reason, the P"),
    "nodule-marker-erased.png": ("the same without the P",
        "phantom: the nodule; phantom-shortcut misses it"),
    "nodule-broad.png": ("nodule in the subgroup of broad patients",
        "a spot on the nodule with phantom, and with phantom-biased too, which stays below its "
        "threshold all the same: the map does not show what a model was taught to overlook"),
    "normal-older.png": ("no finding, woman of 88: wide aorta, thin ribs",
        "no positive evidence"),
    "site-b-nodule.png": ("nodule at the right apex, site B as accepted", "a spot on the nodule"),
    "site-b-nodule-drifted.png": ("the same after the detector drifted",
        "the same spot, weaker or gone; an input check should call the picture unusual"),
    "site-c-nodule.png": ("nodule at site C, whose exposure was never trained on: missed",
        "little or no evidence for nodule; an input check should call the picture unlike the "
        "training set"),
    "low-dose.png": ("nodule-clear at a fiftieth of the dose",
        "the spot on the nodule, with noise around it"),
    "nodule-rotated.png": ("nodule-clear turned by 90 degrees",
        "the spot turns with the nodule; the model also finds a consolidation that is none, "
        "and does not know that the chest lies on its side"),
    "nodule-mirrored.png": ("nodule-clear mirrored: L on the wrong side, heart to the right",
        "the spot moves with the nodule; the heart on the wrong side is called a consolidation; "
        "only a person or a check of the L notices"),
    "test-object.png": ("quality-assurance plate, no chest at all",
        "evidence on discs or edges: the explanation is faithful and the decision meaningless, "
        "and only an input check can tell"),
    "nodule-clear-16-bit.png": ("nodule-clear before rounding to 8 bits",
        "the same as for nodule-clear within rounding"),
    "two-findings-16-bit.png": ("two-findings before rounding", "the same as for two-findings"),
    "normal.jpg": ("normal as JPEG, quality 92", "the same as for normal"),
    "nodule-clear.jpg": ("nodule-clear as JPEG, quality 92", "the same as for nodule-clear"),
}

MODELS = {
    "phantom": "the honest one: two findings, Grad-CAM right by training",
    "phantom-shortcut": "learnt the site marker P instead of the nodule; honest about "
        "consolidation",
    "phantom-random": "the architecture of phantom, nobody trained it: for sanity checks",
    "phantom-vit": "a hybrid vision transformer on phantom's stem, opset 17, "
        "LayerNormalization, attention as PyTorch exports it",
    "phantom-binary": "one logit: abnormal or not",
    "phantom-external": "phantom through PyTorch's newer exporter, weights in "
        "`phantom-external.onnx.data`",
    "phantom-gap": "a head of the mean alone: as accurate, Grad-CAM at its last layer points "
        "elsewhere",
    "phantom-biased": "three fifths of the findings in broad patients were labelled absent in its "
        "training",
}
