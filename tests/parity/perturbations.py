"""Methods that hide parts of the input."""

import captum.attr
import monai.visualize
import torch
from captum._utils.models.linear_model import SkLearnLasso

import draws
from row import ALL, Row

MASKS, KEEP = 200, 0.5
SAMPLES, PIECES = 200, 5
ALPHA = 0.0001  # with Captum's 0.01 little is left of scores that change by so little


# ---- occlusion ------------------------------------------------------------------------------------


def captum_occlusion(window, stride):
    def reference(case):
        return captum.attr.Occlusion(case.net).attribute(
            case.x, sliding_window_shapes=(3, window, window), strides=(3, stride, stride),
            target=case.target, baselines=0, perturbations_per_eval=8)[:, 0]

    return Row("occlusion", "captum", reference, like="captum", costly=True,
               params=(f"window={window}", f"stride={stride}"), call="Occlusion")


def monai_occlusion(window, overlap):
    def reference(case):
        sensitivity = monai.visualize.OcclusionSensitivity(
            case.net, mask_size=window, overlap=overlap, verbose=False)
        with torch.no_grad():
            return sensitivity(case.x)[0][0, case.target].numpy()

    return reference


def monai_row(window, overlap, models):
    """Its defaults are 16 and 0.6; larger windows are for networks that take long."""
    stride = int(window * (1 - overlap))
    params = () if window == 16 else (f"window={window}", f"stride={stride}")
    return Row("occlusion", "monai", monai_occlusion(window, overlap), like="monai",
               params=params, models=models, costly=True, call="OcclusionSensitivity")


# ---- RISE -----------------------------------------------------------------------------------------------


def forward(net, batch, size=16):
    with torch.no_grad():
        return torch.cat([net(batch[i:i + size]) for i in range(0, len(batch), size)])


def authors_rise(case):
    """forward() of explanations.py in github.com/eclique/RISE, of one class."""
    side = case.x.shape[-1]
    masks = torch.from_numpy(draws.rise_masks(0, MASKS, 8, KEEP, side, side)).to(case.dtype)
    p = forward(case.probability_net(), masks[:, None] * case.x)
    sal = torch.matmul(p.T[case.target:case.target + 1], masks.view(MASKS, side * side))
    return (sal / MASKS / KEEP).view(side, side)


# ---- superpixels ------------------------------------------------------------------------------------------


def pieces(case):
    side = case.x.shape[-1]
    return torch.from_numpy(draws.grid_superpixels(side, side, PIECES))[None, None]


def kernelshap(case):
    samples = draws.kernelshap_samples(0, SAMPLES, PIECES**2)

    def given(original, **_):
        yield torch.ones(1, PIECES**2, dtype=torch.long)
        yield torch.zeros(1, PIECES**2, dtype=torch.long)
        for sample in samples:
            yield torch.from_numpy(sample)[None]

    shap = captum.attr.KernelShap(case.net)
    shap.perturb_func = given
    return shap.attribute(case.x, baselines=0, target=case.target, feature_mask=pieces(case),
                          n_samples=SAMPLES + 2, perturbations_per_eval=8)[:, 0]


def lime(case):
    samples = draws.lime_samples(0, SAMPLES, PIECES**2)

    def given(original, **_):
        for sample in samples:
            yield torch.from_numpy(sample)[None]

    explainer = captum.attr.Lime(case.net, SkLearnLasso(alpha=ALPHA), perturb_func=given)
    return explainer.attribute(case.x, baselines=0, target=case.target,
                               feature_mask=pieces(case), n_samples=SAMPLES,
                               perturbations_per_eval=8)[:, 0]


GRID = (f"samples={SAMPLES}", "segments=grid", f"cells={PIECES}")

ROWS = [
    captum_occlusion(32, 16),
    captum_occlusion(48, 40),
    monai_row(16, 0.6, ("resnet18",)),
    monai_row(48, 0.5, ALL),
    Row("rise", "rise", authors_rise, like="rise", costly=True, call="forward()",
        params=(f"masks={MASKS}", f"keep={KEEP}")),
    Row("kernelshap", "captum", kernelshap, like="captum", params=GRID, call="KernelShap",
        costly=True),
    Row("lime", "captum", lime, like="captum", params=(*GRID, f"alpha={ALPHA}"), call="Lime",
        costly=True),
]
