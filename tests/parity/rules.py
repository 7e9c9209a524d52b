"""Methods that change the backward: guided backpropagation, deconvnet, DeepLIFT, LRP.

Captum changes modules, so networks are written again with a module for everything, none of
them used twice and no ReLU in place; LRP's sums are Captum's Addition_Module. Where a rule
looks at weights, a normalisation is merged into the convolution before it, as the program
does and Captum does not.
"""

import contextlib
import copy
from unittest import mock

import captum.attr
import monai.visualize
import torch
from captum.attr._core import deep_lift
from captum.attr._utils.custom_modules import Addition_Module
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock

from row import Row

NETS = ("resnet18", "densenet121")


# ---- networks of modules ----------------------------------------------------------------------


class Block(nn.Module):
    """A BasicBlock with modules of its own."""

    def __init__(self, of):
        super().__init__()
        self.conv1, self.bn1, self.relu1 = of.conv1, of.bn1, nn.ReLU()
        self.conv2, self.bn2, self.downsample = of.conv2, of.bn2, of.downsample
        self.add, self.relu2 = Addition_Module(), nn.ReLU()

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.add(y, self.downsample(x) if self.downsample else x))


class DenseNet(nn.Module):
    """With a module for the last mean; MONAI looks for modules by the name `relu`."""

    def __init__(self, of):
        super().__init__()
        self.features, self.relu, self.classifier = of.features, nn.ReLU(), of.classifier
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.relu(self.features(x))), 1))


class Nothing(nn.Module):
    """Where a normalisation was: no leaf, so that Captum wants no rule for it."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Dropout(0)

    def forward(self, x):
        return x


def fuse(module, conv, norm):
    setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
    setattr(module, norm, Nothing())


def merge(net):
    """Each normalisation behind a convolution."""
    for module in net.modules():
        for conv, norm in (("conv1", "bn1"), ("conv2", "bn2"), ("0", "1"), ("conv0", "norm0"),
                           ("conv1", "norm2")):
            if isinstance(getattr(module, conv, None), nn.Conv2d) and isinstance(
                    getattr(module, norm, None), nn.BatchNorm2d):
                fuse(module, conv, norm)
    return net


def modules_of(case, merged=False):
    net = case.copy_net()
    if hasattr(net, "features") and hasattr(net, "classifier"):
        net = DenseNet(net)
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, BasicBlock):
                setattr(module, name, Block(child))
            elif isinstance(child, nn.ReLU):
                setattr(module, name, nn.ReLU())
    return (merge(net) if merged else net).eval()


def image(case):
    return case.x.clone().requires_grad_()


# ---- what ReLUs let back ------------------------------------------------------------------------


def hooked(make):
    def reference(case):
        return make(modules_of(case)).attribute(image(case), target=case.target)

    return reference


def monai_guided(case):
    return monai.visualize.GuidedBackpropGrad(modules_of(case))(
        case.x.detach().clone(), index=torch.tensor([case.target]))


def guided_gradcam(case):
    """Its layer: what the network ends with, before the mean."""
    net = modules_of(case)
    layer = net.relu if isinstance(net, DenseNet) else net.layer4
    return captum.attr.GuidedGradCam(net, layer).attribute(image(case), target=case.target)


# ---- DeepLIFT -----------------------------------------------------------------------------------


def add_unpooled(values, indices, *_):
    """max_unpool2d that adds: of windows that overlap and share a maximum it keeps one."""
    size = _[-1]
    flat = values.new_zeros(size[0], size[1], size[2] * size[3])
    return flat.scatter_add_(2, indices.flatten(2), values.flatten(2)).view(size)


class Apart(nn.Module):
    """Between a ReLU and a MaxPool2d: where both hook the same tensor, the ReLU sees what
    came before the pool's rule, which is then lost."""

    def forward(self, x):
        return x.clone()


@contextlib.contextmanager
def whole_pools():
    def maxpool2d(module, inputs, outputs, grad_input, grad_output, eps=1e-10):
        return deep_lift.maxpool(module, nn.functional.max_pool2d, add_unpooled, inputs,
                                 outputs, grad_input, grad_output, eps=eps)

    with mock.patch.dict(deep_lift.SUPPORTED_NON_LINEAR, {nn.MaxPool2d: maxpool2d}):
        yield


def lift(case):
    net = modules_of(case)
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                setattr(module, name, nn.Sequential(Apart(), child))
    with whole_pools():
        return captum.attr.DeepLift(net).attribute(image(case), target=case.target)


# ---- LRP ----------------------------------------------------------------------------------------


def with_epsilon(epsilon, rule):
    rule.STABILITY_FACTOR = epsilon
    return rule


def lrp(conv, first=None, epsilon=1e-9):
    """Rules of convolutions, and of the first; everything else has Captum's, epsilon."""

    def reference(case):
        net = modules_of(case, merged=True)
        convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        for i, module in enumerate(convs):
            module.rule = with_epsilon(epsilon, ((first or conv) if i == 0 else conv)())
        for module in net.modules():
            if isinstance(module, nn.Linear | nn.BatchNorm2d):
                module.rule = EpsilonRule(epsilon)
        return captum.attr.LRP(net).attribute(image(case), target=case.target)

    return reference


def captum_lrp(case):
    """As it comes: epsilon for everything, normalisations layers of their own."""
    return captum.attr.LRP(modules_of(case)).attribute(image(case), target=case.target)


def lrp_row(conv, reference, call, *more, epsilon="1e-9"):
    return Row("lrp", "captum", reference, at="channels", call=call, models=NETS,
               params=(f"conv={conv}", "dense=epsilon", "epsilon=" + epsilon, *more))


def like_captum(method, reference, call):
    return Row(method, "captum", reference, like="captum", at="channels", call=call,
               models=NETS)


ROWS = [
    like_captum("guidedbackprop", hooked(captum.attr.GuidedBackprop), "GuidedBackprop"),
    Row("guidedbackprop", "monai", monai_guided, like="monai", at="channels",
        call="GuidedBackpropGrad", models=NETS),
    like_captum("deconvnet", hooked(captum.attr.Deconvolution), "Deconvolution"),
    like_captum("guidedgradcam", guided_gradcam, "GuidedGradCam"),
    like_captum("deeplift", lift,
                "DeepLift, with MaxPool2d's rule made whole: behind a ReLU, and where windows "
                "overlap"),
    like_captum("lrp", captum_lrp, "LRP"),
    lrp_row("gamma_weights", lrp(GammaRule, epsilon=0.1), "LRP, GammaRule of convolutions",
            "first=gamma_weights", "gamma=0.25", epsilon="0.1"),
    lrp_row("alphabeta", lrp(lambda: Alpha1_Beta0_Rule(set_bias_to_zero=True), EpsilonRule),
            "LRP, Alpha1_Beta0_Rule(set_bias_to_zero) of convolutions but the first",
            "first=epsilon", "alpha=1", "bias=ignored"),
]
