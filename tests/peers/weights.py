"""Random weights and inputs under which a comparison means something.

A fresh network is a poor subject: layer scales of 1e-6 switch its blocks off, heads of
zeros give no logits, BatchNormalization statistics of 0 and 1 let activations explode.
So constants are replaced, and the statistics are those of the network's own activations
(then moved a little, so that no term cancels). And where a ReLU's input is within
rounding of zero, two correct programs differ in its gradient: offsets keep most away.
"""

import numpy as np
import torch


def field(seed, side, channels=3):
    """A picture with the spectrum of photographs (amplitude 1/f): smooth structure,
    edges of no scale, colours that go together; unit variance, some offset."""
    rng = np.random.default_rng(seed)
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    slope = 1 / np.maximum(np.hypot(fx, fy), 1 / side)
    spectrum = rng.standard_normal((channels + 1, *slope.shape)) + 1j * rng.standard_normal(
        (channels + 1, *slope.shape)
    )
    planes = np.fft.irfft2(spectrum * slope, s=(side, side))
    planes /= planes.std(axis=(1, 2), keepdims=True)
    x = 0.8 * planes[:1] + 0.5 * planes[1:] + 0.3 * rng.standard_normal((channels, 1, 1))
    return torch.from_numpy(x[None].astype(np.float32))


def _draw(generator, like, low, high):
    return torch.empty_like(like).uniform_(low, high, generator=generator)


def _normal(generator, like, deviation):
    return torch.empty_like(like).normal_(0, deviation, generator=generator)


BATCH_NORM = torch.nn.modules.batchnorm._BatchNorm


def _is_norm(module):
    return isinstance(module, BATCH_NORM) or "Norm" in type(module).__name__


def _beside(generator, scale):
    """Offsets of two to three scales, up or down: a ReLU behind them is mostly open or
    mostly shut, so that few of its inputs are within rounding of zero."""
    sign = torch.empty_like(scale).bernoulli_(0.5, generator=generator) * 2 - 1
    return sign * scale * _draw(generator, scale, 2, 3)


def _replace_constants(net, generator):
    for module in net.modules():
        for name, p in module.named_parameters(recurse=False):
            if _is_norm(module) and p.ndim == 1:
                if name == "weight":
                    p.copy_(_draw(generator, p, 0.7, 1.3))
                elif isinstance(module, (BATCH_NORM, torch.nn.GroupNorm)):
                    p.copy_(_beside(generator, module.weight))
                else:
                    p.copy_(_normal(generator, p, 0.1))
            elif p.numel() == 1 or p.std() > 1e-4:
                continue
            elif name == "bias":
                p.copy_(_normal(generator, p, 0.05))
            elif p.ndim >= 2 and name == "weight":
                p.copy_(_normal(generator, p, p[0].numel() ** -0.5))
            elif name.startswith(("cls", "pos", "class", "dist")):
                p.copy_(_normal(generator, p, 0.3))
            else:
                p.copy_(_draw(generator, p, 0.3, 0.8))


def _calibrate_norms(net, inputs, generator):
    norms = [m for m in net.modules() if isinstance(m, BATCH_NORM) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
        m.train()
    net(inputs)
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
        m.eval()
        var = m.running_var
        var.clamp_(min=float(var.mean()) * 0.05 + 1e-6)
        m.running_mean += 0.1 * var.sqrt() * _normal(generator, var, 1)
        var *= _draw(generator, var, 0.8, 1.25)


def _calibrate_layers(net, inputs, generator):
    """Where nothing normalises: each layer's weights and biases so that its results are
    as a BatchNormalization would leave them."""

    def hook(layer, inputs, y):
        axes = [i for i in range(y.ndim) if i != 1]
        spread = y.std(axes)
        spread.clamp_(min=0.3 * float(spread.mean()))
        layer.weight /= spread.reshape(-1, *[1] * (layer.weight.ndim - 1))
        layer.bias.sub_(y.mean(axes)).div_(spread)
        layer.bias += _beside(generator, torch.ones_like(spread))
        return layer.forward(inputs[0])

    layers = [m for m in net.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    hooks = [m.register_forward_hook(hook) for m in layers[:-1]]
    net(inputs)
    for h in hooks:
        h.remove()


def prepare(net, side, seed):
    """Eval mode, constants replaced, statistics calibrated; the same for a seed."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.cat([field(1000 + i, side) for i in range(4)])
    net.eval()
    with torch.no_grad():
        _replace_constants(net, generator)
        if any(_is_norm(m) for m in net.modules()):
            _calibrate_norms(net, inputs, generator)
        else:
            _calibrate_layers(net, inputs, generator)
    return net.requires_grad_(False)
