"""Patterns of users' models that torchvision and timm do not have."""

import torch
from torch import nn


class OperatingPoints(nn.Module):
    """A chest X-ray DenseNet whose probabilities are stretched so that each class's
    operating point lies at one half, by assignments under a boolean mask, as
    torchxrayvision does it."""

    def __init__(self):
        super().__init__()
        import torchvision

        self.net = torchvision.models.densenet121(weights=None, num_classes=18)
        self.register_buffer("points", torch.linspace(0.05, 0.6, 18))

    def forward(self, x):
        p = torch.sigmoid(self.net(x))
        points = self.points.expand(p.shape[0], -1)
        low = p < points
        y = torch.zeros_like(p) + 0.5
        y[low] = p[low] / (points[low] * 2)
        y[~low] = 1 - (1 - p[~low]) / ((1 - points[~low]) * 2)
        return y


class EinsumAttention(nn.Module):
    """A small ViT whose attention is written in Einsum, as MONAI's is."""

    def __init__(self, width=96, heads=3, depth=3):
        super().__init__()
        self.heads = heads
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.place = nn.Parameter(0.3 * torch.randn(1, 36, width))
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(width),
                    "qkv": nn.Linear(width, 3 * width, bias=False),
                    "out": nn.Linear(width, width),
                    "norm2": nn.LayerNorm(width),
                    "mlp": nn.Sequential(
                        nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width)
                    ),
                }
            )
            for _ in range(depth)
        )
        self.head = nn.Linear(width, 50)

    def attend(self, block, x):
        b, n, c = x.shape
        qkv = block["qkv"](x).reshape(b, n, 3, self.heads, c // self.heads)
        q, k, v = torch.einsum("bnkhd->kbhnd", qkv)
        weights = torch.softmax(torch.einsum("blxd,blyd->blxy", q, k) * (c // self.heads) ** -0.5, -1)
        y = torch.einsum("bhxy,bhyd->bhxd", weights, v)
        return block["out"](torch.einsum("bhxd->bxhd", y).reshape(b, n, c))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2) + self.place
        for block in self.blocks:
            x = x + self.attend(block, block["norm1"](x))
            x = x + block["mlp"](block["norm2"](x))
        return self.head(x.mean(1))


class Resampler(nn.Module):
    """Resizing, group and instance normalisation, every activation: a small net for
    operators that big ones rarely have."""

    def __init__(self):
        super().__init__()
        acts = [nn.ELU(), nn.SELU(), nn.CELU(1.3), nn.PReLU(16), nn.Softplus(), nn.Softsign(),
                nn.Mish(), nn.GELU(), nn.GELU("tanh"), nn.LogSigmoid(), nn.Tanhshrink(),
                nn.Hardsigmoid(), nn.Hardtanh(-3, 3), nn.LeakyReLU(0.2), nn.SiLU()]
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        modes = ["zeros", "reflect", "replicate"] * 5
        modes[-1] = "circular"
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 3, 1, 1, padding_mode=m) for m in modes)
        self.acts = nn.ModuleList(acts)
        norms = [nn.GroupNorm(4, 16), nn.InstanceNorm2d(16, affine=True), nn.GroupNorm(1, 16),
                 nn.InstanceNorm2d(16), nn.GroupNorm(8, 16)] * 3
        norms[-1] = nn.LocalResponseNorm(3)
        self.norms = nn.ModuleList(norms)
        self.up = nn.ConvTranspose2d(16, 16, 3, 2, 1, 1, groups=2)
        self.head = nn.Linear(32, 10)

    def forward(self, x):
        from torch.nn.functional import interpolate

        x = self.stem(x)
        for conv, act, norm in zip(self.convs, self.acts, self.norms):
            x = x + 0.5 * act(norm(conv(x)))
        y = interpolate(self.up(x), size=(22, 28), mode="bilinear", align_corners=False)
        y = y + interpolate(x, size=(22, 28), mode="bicubic", align_corners=True)
        y = y + interpolate(x, size=(22, 28), mode="nearest")
        y = interpolate(y, scale_factor=1.5, mode="bilinear", align_corners=True)
        y = nn.functional.pixel_unshuffle(nn.functional.pixel_shuffle(y, 2), 2)
        return self.head(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1))
