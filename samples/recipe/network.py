"""The classifier: a small convolutional network with two findings.

The first thing it computes is local contrast: the picture less its mean over
15 x 15 pixels, times 4, as a second channel. Nodules differ from their
surroundings by a few per cent, and without that channel training needs several
times as many passes to notice them. Three convolutions lead down to 16 x 16 cells (the
stem, which other models share), two more stay there.

The usual head looks at the mean and at the maximum of each of the last feature maps. The
maximum is what lets a class activation map peak on a small finding: with the mean
alone (head "mean", the model phantom-gap, whose last convolution also reaches three
cells far) a network of equal accuracy is free to put its evidence anywhere near.

`evidence` is the class activation map of the usual head: the mean and the maximum both
send back a gradient whose spatial average is their weight over 256, so Grad-CAM at
the last layer is this map, rectified and divided by 256.
"""

import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = 0.5, 0.25           # of the sidecar; the network is given (x - MEAN) / STD
WIDTHS = (2, 16, 24, 48, 64, 64)
KERNELS = (5, 3, 3, 3, 3)
STRIDES = (2, 2, 1, 1, 1)       # 128 -> 64 -> 32 pixels,
POOL_AFTER = 3                  # -> 16; the stem ends here
WINDOW, CONTRAST_GAIN = 15, 4.0
FAR = 3                         # cells, with the other head
# Training computes the convolutions in bfloat16 where the processor can: twice as fast.
HALF = torch.ops.mkldnn._is_mkldnn_bf16_supported()


def with_contrast(x):
    """The picture and its local contrast as two channels. The mean is taken along rows, then
    along columns; at the edges over what there is."""
    half = WINDOW // 2
    mean = F.avg_pool2d(x, (1, WINDOW), 1, (0, half), count_include_pad=False)
    mean = F.avg_pool2d(mean, (WINDOW, 1), 1, (half, 0), count_include_pad=False)
    return torch.cat([x, CONTRAST_GAIN * (x - mean)], 1)


class Layers(nn.Module):
    """Convolution, normalisation, rectification, some of the five in a row."""

    def __init__(self, first, last, reach=1):
        super().__init__()
        self.first = first
        shapes = list(zip(WIDTHS, WIDTHS[1:], KERNELS, STRIDES))[first - 1:last]
        self.conv = nn.ModuleList(nn.Conv2d(i, o, k, stride=s, padding=k // 2, bias=False)
                                  for i, o, k, s in shapes)
        self.conv[-1].dilation = (reach, reach)
        self.conv[-1].padding = (shapes[-1][2] // 2 * reach,) * 2
        self.norm = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in shapes)

    def forward(self, x, taps):
        with torch.autocast("cpu", torch.bfloat16, enabled=HALF and self.training):
            for n, (conv, norm) in enumerate(zip(self.conv, self.norm), self.first):
                x = taps[f"features.relu{n}"] = F.relu(norm(conv(x)))
        return x.float() if self.training else x


class Stem(Layers):
    """From a picture to 48 maps of 16 x 16."""

    def __init__(self):
        super().__init__(1, POOL_AFTER)

    def forward(self, x, taps=None):
        return F.max_pool2d(super().forward(with_contrast(x), {} if taps is None else taps), 2)


class Net(nn.Module):
    def __init__(self, classes=2, head="both"):
        super().__init__()
        self.both = head == "both"
        self.stem = Stem()
        self.last = Layers(POOL_AFTER + 1, len(KERNELS), 1 if self.both else FAR)
        self.head = nn.Linear(WIDTHS[-1] * (1 + self.both), classes)

    def tail(self, cells, taps=None):
        """Logits from the stem's maps. A dict given as taps receives the activations, by the
        names they have in the file."""
        taps = {} if taps is None else taps
        x = taps[f"features.relu{len(KERNELS)}"] = self.last(cells, taps)
        return self.head(torch.cat([x.mean((2, 3))] + ([x.amax((2, 3))] if self.both else []), 1))

    def forward(self, x, taps=None):
        return self.tail(self.stem(x, taps), taps)

    def evidence(self, taps):
        """What each of the 16 x 16 last cells says for each class."""
        for_mean, for_maximum = self.head.weight.chunk(2, 1)
        return F.conv2d(taps[f"features.relu{len(KERNELS)}"],
                        (for_mean + for_maximum)[:, :, None, None])

    def pairs(self):
        """(convolution, normalisation) from first to last."""
        return [pair for part in (self.stem, self.last) for pair in zip(part.conv, part.norm)]


def normalise(x):
    """From pixels in 0..1 to the network's input."""
    return (torch.as_tensor(x, dtype=torch.float32) - MEAN) / STD


@torch.no_grad()
def in_batches(function, x, batch=100):
    return torch.cat([function(x[i:i + batch]) for i in range(0, len(x), batch)])


def logits(net, x):
    net.eval()
    return in_batches(lambda part: net(normalise(part)), x).numpy()


def grad_cam(net, x, target, layer):
    """Grad-CAM of one picture [1, 1, 128, 128] at a layer: the activations weighted
    by the spatial mean of the logit's gradient, summed, rectified."""
    net.eval()
    taps = {}
    logit = net(normalise(x), taps)[0, target]
    gradient, = torch.autograd.grad(logit, taps[layer])
    weights = gradient.mean((2, 3), keepdim=True)
    return F.relu((weights * taps[layer]).sum(1, keepdim=True)).detach()


def enlarge(cam, size=128):
    return F.interpolate(cam, size=(size, size), mode="bilinear", align_corners=False)[0, 0].numpy()
