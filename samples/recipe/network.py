"""The classifier: a small convolutional network with two findings.

The first thing it computes is local contrast: the picture less its mean over
15 x 15 pixels, times 4, as a second channel. Nodules differ from their
surroundings by a few per cent, and without that channel training needs several
times as many passes to notice them.

The head looks at the mean and at the maximum of each of the last feature maps. The
maximum is what lets a class activation map peak on a small finding: with the mean
alone a network of equal accuracy is free to spread its evidence.

`evidence` is the class activation map of that head: the mean and the maximum both
send back a gradient whose spatial average is their weight over 256, so Grad-CAM at
the last layer is this map, rectified and divided by 256.
"""

import torch
from torch import nn
from torch.nn import functional as F

MEAN, STD = 0.5, 0.25           # of the sidecar; the network is given (x - MEAN) / STD
WIDTHS = (2, 12, 24, 48, 64, 64)
POOL_AFTER = (1, 2, 3)          # 128 -> 64 -> 32 -> 16 pixels
WINDOW, CONTRAST_GAIN = 15, 4.0


class Net(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        pairs = list(zip(WIDTHS, WIDTHS[1:]))
        self.conv = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=False) for i, o in pairs)
        self.norm = nn.ModuleList(nn.BatchNorm2d(o) for _, o in pairs)
        self.head = nn.Linear(2 * WIDTHS[-1], classes)

    def features(self, x):
        """Outputs of the five activations, by the names they have in the file."""
        local = x - F.avg_pool2d(x, WINDOW, 1, WINDOW // 2, count_include_pad=False)
        x = torch.cat([x, CONTRAST_GAIN * local], 1)
        out = {}
        for n, (conv, norm) in enumerate(zip(self.conv, self.norm), 1):
            x = out[f"features.relu{n}"] = F.relu(norm(conv(x)))
            if n in POOL_AFTER:
                x = F.max_pool2d(x, 2)
        return out

    def forward(self, x, taps=None):
        """Logits. A dict given as taps receives the activations."""
        features = self.features(x)
        if taps is not None:
            taps.update(features)
        last = features[f"features.relu{len(self.conv)}"]
        return self.head(torch.cat([last.mean((2, 3)), last.amax((2, 3))], 1))

    def evidence(self, last):
        """What each of the 16 x 16 last cells says for each class."""
        for_mean, for_maximum = self.head.weight.chunk(2, 1)
        return F.conv2d(last, (for_mean + for_maximum)[:, :, None, None])


def normalise(x):
    """From pixels in 0..1 to the network's input."""
    return (torch.as_tensor(x, dtype=torch.float32) - MEAN) / STD


@torch.no_grad()
def logits(net, x, batch=100):
    net.eval()
    return torch.cat([net(normalise(x[i:i + batch])) for i in range(0, len(x), batch)]).numpy()


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
