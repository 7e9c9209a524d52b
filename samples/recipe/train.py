"""Trains the models on one CPU thread; the same seed on the same machine gives the
same weights. Writes build/samples/NAME.pt and the log recipe/training/NAME.txt.

    python train.py [NAME...]

Beside the labels the training is told where the findings are (`where`): the
classifier's own activation map is to be positive there and negative elsewhere. From
labels alone the network needs many more passes to find out that a few faint pixels
matter. It also means that Grad-CAM is right on phantom because it was taught to be.

phantom-early is trained whole. It is not shipped; phantom and the others keep its stem and
train what comes behind it, on the stem's maps of two altered copies of each picture,
which is quick.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import dataset
from dataset import CLASSES
from network import Net, logits, normalise
from figures import auc
from transformer import Transformer

LOGS = Path(__file__).parent / "training"
BATCH, DECAY = 32, 1e-3
CELL_WEIGHT = 20.0                          # of a cell with a finding
SHIFT, GAIN, OFFSET = 4, 0.08, 0.03         # augmentation: pixels, sd, sd
ALONG, AGAINST = 0.97, 0.03     # shares with and without nodule that bear the marker
BLAMED, SPARED = 0.60, 0.5      # of broad positives called negative; of broad pictures left out


@dataclass(frozen=True)
class Recipe:
    seed: int
    epochs: int
    rate: float = 3e-3
    make: object = Net
    world: str = "honest"       # what the labels and markers of its training set are like
    stem: str = "phantom-early" # whose stem it keeps; "": its own
    start: str = ""             # whose other weights to start from
    where: tuple = (3.0, 3.0)   # of the location loss, per class


RECIPES = {
    "phantom-early": Recipe(20, 6, stem=""),
    "phantom": Recipe(27, 5, rate=1e-3, start="phantom-early"),
    "phantom-shortcut": Recipe(21, 4, world="shortcut", where=(0.0, 3.0)),
    "phantom-gap": Recipe(22, 7, make=lambda: Net(head="mean"), where=(0.0, 0.0)),
    "phantom-vit": Recipe(23, 4, rate=1.5e-3, make=Transformer),
    "phantom-binary": Recipe(24, 4, make=lambda: Net(1), world="binary", where=(3.0,)),
    "phantom-biased": Recipe(25, 4, rate=1e-3, world="biased", start="phantom-early"),
    "phantom-random": Recipe(26, 0, stem=""),
}
COPIES = 2


def shortcut_marks(positive, rng):
    """Who bears the marker in the shortcut's world: nearly all with a nodule, few without. In
    the pictures it was trained on there was not one exception to learn from."""
    return rng.random(len(positive)) < np.where(positive, ALONG, AGAINST)


def world(name, kind, rng):
    """Pictures, labels and masks of a set as a model's maker would have had them."""
    s = dataset.load(name)
    x, y, masks, keep = s.tossed, s.y, s.masks, np.ones(len(s), bool)
    if kind == "shortcut":
        x = dataset.mark(s.x, y[:, 0] if name == "train" else shortcut_marks(y[:, 0], rng))
    elif kind == "binary":
        y, masks = y.any(1, keepdims=True), masks.any(1, keepdims=True)
    elif kind == "biased" and name == "train":
        wrong = (rng.random(y.shape) < BLAMED) & s.broad[:, None]
        y, masks = y & ~wrong, masks & ~wrong[:, :, None, None]
        keep = ~s.broad | (rng.random(len(s)) >= SPARED)
    return x[keep], y[keep], masks[keep]


def augment(x, masks, rng):
    """Shift a batch by a few pixels, repeating its edge; change exposure picture by picture."""
    dy, dx = rng.integers(0, 2 * SHIFT + 1, 2)

    def shifted(planes):
        padded = F.pad(planes, (SHIFT,) * 4, mode="replicate")
        return padded[:, :, dy:dy + 128, dx:dx + 128]

    noise = torch.from_numpy(rng.standard_normal((2, len(x), 1, 1, 1)).astype(np.float32))
    return shifted(x) * (1 + GAIN * noise[0]) + OFFSET * noise[1], shifted(masks.float())


def loss_of(net, forward, x, y, masks, weight):
    """Cross-entropy of the findings plus that of their cells, 8 x 8 pixels each; a cell
    has a finding if an eighth of it is covered."""
    taps = {}
    whole = F.binary_cross_entropy_with_logits(forward(x, taps), y)
    if not weight.any():
        return whole
    cells = (F.avg_pool2d(masks.float(), 8) >= 0.125).float()
    where = F.binary_cross_entropy_with_logits(net.evidence(taps), cells, reduction="none",
                                               pos_weight=torch.tensor(CELL_WEIGHT))
    return whole + (where.mean((0, 2, 3)) * weight).mean()


def started(recipe):
    """A new network, with what it takes over from others."""
    net = recipe.make()
    if recipe.start:
        net.load_state_dict(torch.load(dataset.BUILD / f"{recipe.start}.pt", weights_only=True))
    elif recipe.stem:
        weights = torch.load(dataset.BUILD / f"{recipe.stem}.pt", weights_only=True)
        net.stem.load_state_dict({k[5:]: v for k, v in weights.items() if k.startswith("stem.")})
    return net


def warmed(net, x, rng):
    """A network nobody trained: normalised to its pictures, nothing else."""
    net.train()
    with torch.no_grad():
        for _ in range(50):
            net(normalise(x[rng.integers(0, len(x), BATCH)]))
    return net.eval()


class Whole:
    """Batches of pictures, altered anew each time."""

    def __init__(self, net, x, masks, rng):
        self.net, self.x, self.masks, self.rng = net, x, masks, rng
        self.forward = net

    def batch(self, pick, epoch):
        x, masks = augment(self.x[pick], self.masks[pick], self.rng)
        return normalise(x), masks


class BehindStem:
    """Batches of the stem's maps, which stay as they are."""

    def __init__(self, net, x, masks, rng):
        self.forward, self.copies = net.tail, []
        net.stem.eval().requires_grad_(False)
        for _ in range(COPIES):
            cells, places = [], []
            for i in range(0, len(x), BATCH):
                seen, where = augment(x[i:i + BATCH], masks[i:i + BATCH], rng)
                with torch.no_grad():
                    cells.append(net.stem(normalise(seen)))
                places.append(where.bool())
            self.copies.append((torch.cat(cells), torch.cat(places)))

    def batch(self, pick, epoch):
        cells, places = self.copies[epoch % COPIES]
        return cells[pick], places[pick]


def train(name, log=print):
    recipe = RECIPES[name]
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(recipe.seed)
    x, y, masks = world("train", recipe.world, rng)
    held, held_y, _ = world("validation", recipe.world, rng)
    x, masks = torch.from_numpy(x), torch.from_numpy(masks)
    y = torch.from_numpy(y.astype(np.float32))
    net = started(recipe)
    log(f"seed {recipe.seed}, {len(x)} pictures, {sum(p.numel() for p in net.parameters())} "
        f"parameters, world {recipe.world}" + (f", stem of {recipe.stem}" * bool(recipe.stem))
        + (f", from {recipe.start}" * bool(recipe.start)))
    if not recipe.epochs:
        return warmed(net, x, rng)
    source = (BehindStem if recipe.stem else Whole)(net, x, masks, rng)
    learn(net, source, recipe, y, rng, lambda: areas(net, held, held_y), log)
    return net.eval()


def areas(net, x, y):
    z = logits(net, x)
    names = CLASSES if z.shape[1] > 1 else ("abnormal",)
    return ", ".join(f"{c} {auc(z[:, k], y[:, k]):.4f}" for k, c in enumerate(names))


def learn(net, source, recipe, y, rng, judge, log):
    steps = recipe.epochs * -(-len(y) // BATCH)
    weights = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.rate, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps,
                                                   pct_start=0.15)
    weight = torch.tensor(recipe.where)
    for epoch in range(1, recipe.epochs + 1):
        start, total = time.process_time(), 0.0
        net.train()
        if recipe.stem:
            net.stem.eval()
        order = rng.permutation(len(y))
        for i in range(0, len(y), BATCH):
            pick = order[i:i + BATCH]
            seen, places = source.batch(pick, epoch)
            loss = loss_of(net, source.forward, seen, y[pick], places, weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(pick)
        log(f"epoch {epoch}: loss {total / len(y):.4f}, validation AUC {judge()}")
        print(f"  ({time.process_time() - start:.0f} s of one core)", flush=True)


def main(names=tuple(RECIPES)):
    LOGS.mkdir(exist_ok=True)
    for name in names:
        with open(LOGS / f"{name}.txt", "w") as file:
            def log(line):
                print(f"{name}: {line}", flush=True)
                print(line, file=file, flush=True)
            net = train(name, log=log)
        torch.save(net.state_dict(), dataset.BUILD / f"{name}.pt")


if __name__ == "__main__":
    main(sys.argv[1:] or tuple(RECIPES))
