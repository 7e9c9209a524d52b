"""Trains the classifier on one CPU thread; the same seed on the same machine
gives the same weights. Writes build/phantom.pt and the log training.txt.

Beside the labels the training is told where the findings are: the classifier's own
activation map is to be positive there and negative elsewhere. From labels alone the
network needs many more passes to find out that a few faint pixels matter. It also
means that Grad-CAM is right on this model because it was taught to be.
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

import dataset
from network import Net, logits, normalise
from figures import auc

SEED, EPOCHS, BATCH, RATE, DECAY = 20, 12, 32, 3e-3, 1e-3
WHERE_WEIGHT, CELL_WEIGHT = 1.0, 5.0        # of the location loss; of a cell with a finding
SHIFT, GAIN, OFFSET = 4, 0.08, 0.03         # augmentation: pixels, sd, sd


def augment(x, masks, rng):
    """Shift a batch by a few pixels, repeating its edge; change exposure picture by picture."""
    dy, dx = rng.integers(0, 2 * SHIFT + 1, 2)

    def shifted(planes):
        padded = F.pad(planes, (SHIFT,) * 4, mode="replicate")
        return padded[:, :, dy:dy + 128, dx:dx + 128]

    noise = torch.from_numpy(rng.standard_normal((2, len(x), 1, 1, 1)).astype(np.float32))
    return shifted(x) * (1 + GAIN * noise[0]) + OFFSET * noise[1], shifted(masks.float())


def loss_of(net, x, y, masks):
    """Cross-entropy of the findings plus that of their cells, 8 x 8 pixels each; a cell
    has a finding if an eighth of it is covered."""
    taps = {}
    whole = F.binary_cross_entropy_with_logits(net(normalise(x), taps), y)
    cells = (F.avg_pool2d(masks, 8) >= 0.125).float()
    where = F.binary_cross_entropy_with_logits(net.evidence(taps["features.relu5"]), cells,
                                               pos_weight=torch.tensor(CELL_WEIGHT))
    return whole + WHERE_WEIGHT * where


def train(seed=SEED, epochs=EPOCHS, log=print):
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    rng = np.random.default_rng(seed)
    x, plain, masks = dataset.load("train")
    x, y = torch.from_numpy(x), torch.from_numpy((plain > 0).astype(np.float32))
    masks = torch.from_numpy(masks)
    held, held_plain, _ = dataset.load("validation")

    net = Net()
    steps = epochs * -(-len(x) // BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps,
                                                   pct_start=0.15)
    log(f"seed {seed}, {len(x)} pictures, {sum(p.numel() for p in net.parameters())} parameters")
    for epoch in range(1, epochs + 1):
        start, total = time.time(), 0.0
        net.train()
        order = rng.permutation(len(x))
        for i in range(0, len(x), BATCH):
            pick = order[i:i + BATCH]
            seen, places = augment(x[pick], masks[pick], rng)
            loss = loss_of(net, seen, y[pick], places)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item() * len(pick)
        z = logits(net, held)
        areas = ", ".join(f"{c} {auc(z[:, k], held_plain[:, k] > 0):.4f}"
                          for k, c in enumerate(dataset.CLASSES))
        log(f"epoch {epoch}: loss {total / len(x):.4f}, validation AUC {areas}")
        print(f"  ({time.time() - start:.0f} s)", flush=True)
    return net.eval()


def main():
    with open(Path(__file__).parent / "training.txt", "w") as file:
        def log(line):
            print(line, flush=True)
            print(line, file=file, flush=True)
        net = train(log=log)
    torch.save(net.state_dict(), dataset.BUILD / "phantom.pt")


if __name__ == "__main__":
    main()
