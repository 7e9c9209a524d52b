"""A contact sheet of the named pictures and some of the cohort, to look at."""

import csv

import numpy as np
from PIL import Image, ImageDraw

from dataset import BUILD
from showcase import SAMPLES, SHOWCASE

TILE, ACROSS, SMALL = 192, 7, 28


def tile(path, mask, label):
    with Image.open(path) as file:
        grey = np.asarray(file).astype(np.float32)
    grey = grey / (65535 if grey.max() > 255 else 255) * 255
    picture = Image.fromarray(grey.astype(np.uint8)).convert("RGB").resize((TILE, TILE))
    if mask:                    # the finding's outline
        with Image.open(mask) as file:
            inside = np.asarray(file.convert("L").resize((TILE, TILE))) > 127
        edge = inside & ~(np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1)
                          & np.roll(inside, -1, 1))
        pixels = np.array(picture)
        pixels[edge] = (255, 200, 0)
        picture = Image.fromarray(pixels)
    framed = Image.new("RGB", (TILE + 4, TILE + 16), "black")
    framed.paste(picture, (2, 14))
    ImageDraw.Draw(framed).text((3, 2), label, fill="white")
    return framed


def main():
    with open(SAMPLES / "cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    few = rows[:len(SHOWCASE)] + rows[len(SHOWCASE)::(len(rows) - len(SHOWCASE)) // SMALL][:SMALL]
    tiles = [tile(SAMPLES / r["image"], r["roi"] and SAMPLES / r["roi"],
                  r["image"].split("/")[1].rsplit(".", 1)[0][:24]
                  + (f" {r['site']} {r['date']}" if r["image"].startswith("cohort") else ""))
             for r in few]
    w, h = tiles[0].size
    sheet = Image.new("RGB", (w * ACROSS, h * -(-len(tiles) // ACROSS)), "black")
    for i, t in enumerate(tiles):
        sheet.paste(t, (w * (i % ACROSS), h * (i // ACROSS)))
    BUILD.mkdir(parents=True, exist_ok=True)
    sheet.save(BUILD / "contact-sheet.png")
    print("the contact sheet is", BUILD / "contact-sheet.png")


if __name__ == "__main__":
    main()
