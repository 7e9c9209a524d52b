"""A small vision transformer, of the kind that takes its tokens from convolutions.

phantom's stem, as it is, gives 16 x 16 tokens (pictures are few, and a transformer that
has to learn what an edge is needs many); then a class token, learnt positions, and three
pre-norm blocks of width 64 with four heads. The head reads the class token. Written
with PyTorch's LayerNorm, GELU and scaled_dot_product_attention, so that the export is
what any such model exports to.
"""

import torch
from torch import nn
from torch.nn import functional as F

from network import POOL_AFTER, WIDTHS, Stem

DIM, DEPTH, HEADS, GRID = 64, 3, 4, 16


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.fc1, self.fc2 = nn.Linear(DIM, 2 * DIM), nn.Linear(2 * DIM, DIM)

    def attend(self, x):
        n, tokens, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, tokens, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(n, tokens, DIM))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, classes=2):
        super().__init__()
        self.stem, self.embed = Stem(), nn.Conv2d(WIDTHS[POOL_AFTER], DIM, 1)
        self.cls = nn.Parameter(torch.zeros(1, 1, DIM))
        self.position = nn.Parameter(0.02 * torch.randn(1, 1 + GRID * GRID, DIM))
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, classes)
        self.aside = nn.Linear(DIM, classes)        # training only

    def tail(self, cells, taps=None):
        """Logits from the stem's maps. A dict given as taps receives the last tokens."""
        x = self.embed(cells).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.position
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        if taps is not None:
            taps["tokens"] = x
        return self.head(x[:, 0])

    def forward(self, x, taps=None):
        return self.tail(self.stem(x), taps)

    def evidence(self, taps):
        cells = self.aside(taps["tokens"][:, 1:])
        return cells.transpose(1, 2).reshape(len(cells), -1, GRID, GRID)
