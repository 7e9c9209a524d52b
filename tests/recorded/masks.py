#!/usr/bin/env python3
"""Writes masks_data.h: a grid that scikit-image enlarges as the authors of RISE do.

    python3 tests/recorded/masks.py >tests/recorded/masks_data.h

Needs numpy and scikit-image (0.26.0 was used).
"""
from importlib.metadata import version

import numpy as np
from skimage.transform import resize

CELLS, SIZE = 3, (11, 7)

grid = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 1]], "float32")
cell = np.ceil(np.array(SIZE) / CELLS)
large = resize(grid, (CELLS + 1) * cell, order=1, mode="reflect", anti_aliasing=False)
print(f"/* Written by tests/recorded/masks.py with scikit-image {version('scikit-image')}. */")
print(f"enum {{ MASK_CELLS = {CELLS}, MASK_HEIGHT = {SIZE[0]}, MASK_WIDTH = {SIZE[1]},")
print(f"       MASK_ROWS = {large.shape[0]}, MASK_COLUMNS = {large.shape[1]} }};")
print("static const unsigned char mask_cells[MASK_CELLS][MASK_CELLS] = {")
print(",\n".join("    {" + ", ".join(str(int(v)) for v in row) + "}" for row in grid) + "};")
print("static const float mask_enlarged[MASK_ROWS][MASK_COLUMNS] = {")
print(",\n".join("    {" + ", ".join(f"{v:.6g}{'F' if '.' in f'{v:.6g}' else '.F'}" for v in row) + "}"
                 for row in large) + "};")
