#!/usr/bin/env python3
"""Remakes tests/recorded/corruptions_data.h: what other libraries make of one small picture.

Needs NumPy, SciPy, Pillow, scikit-image, OpenCV and torchvision (make peers). Pictures are
[planes][10][13] in unit intensity, by a formula that the test has too.
"""
import io
import os

import cv2
import numpy as np
import PIL
import scipy
import scipy.ndimage as ndi
import skimage
import torch
import torchvision
from PIL import Image, ImageEnhance
from torchvision.transforms import functional as F

H, W = 10, 13


def picture(planes):
    """Levels of 8 bits, so that libraries of whole levels see the same."""
    k, y, x = np.meshgrid(np.arange(planes), np.arange(H), np.arange(W), indexing="ij")
    return (37 * x + 61 * y + 91 * k + 3 * x * y) % 256 // np.where(k == 2, 8, 1) / 255.0


def levels(p):
    return np.round(p * 255).astype(np.uint8)


def colour(p):
    return Image.fromarray(levels(p).transpose(1, 2, 0))


def grey(p):
    return Image.fromarray(levels(p[0]))


def back(image):
    a = np.asarray(image, np.float64) / 255
    return a[None] if a.ndim == 2 else a.transpose(2, 0, 1)


def jpeg(image, quality):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return back(Image.open(out))


def disc(radius):
    """By OpenCV's filter, of a disc made here."""
    reach = int(radius + 0.5)
    y, x = np.mgrid[-reach:reach + 1, -reach:reach + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return kernel / kernel.sum()


def place(p, degrees=0, zoom=1, right=0, down=0):
    turn = np.deg2rad(degrees)
    matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / zoom
    middle = np.array([(H - 1) / 2, (W - 1) / 2])
    offset = middle - matrix @ (middle + [down * H, right * W])
    return np.stack([ndi.affine_transform(c, matrix, offset, order=1, mode="nearest") for c in p])


def coarse(p, factor):
    out = []
    for c in p:
        image = Image.fromarray(c.astype(np.float32))
        small = image.resize((int(W * factor), int(H * factor)), Image.BOX)
        out.append(np.asarray(small.resize((W, H), Image.BOX), np.float64))
    return np.stack(out)


def cases():
    one, three = picture(1), picture(3)
    tensor = torch.from_numpy(one)
    # name, axis, setting, planes, result, tolerance in unit intensity
    yield "contrast", 0, 0.6, 3, back(ImageEnhance.Contrast(colour(three)).enhance(0.6)), 1.6 / 255
    yield "contrast", 0, 1.4, 1, back(ImageEnhance.Contrast(grey(one)).enhance(1.4)), 1.6 / 255
    yield "brightness", 0, 0.7, 1, back(ImageEnhance.Brightness(grey(one)).enhance(0.7)), 1.01 / 255
    yield "brightness", 0, 1.3, 3, F.adjust_brightness(torch.from_numpy(three), 1.3).numpy(), 2e-7
    yield "gamma", 0, 1.6, 1, skimage.exposure.adjust_gamma(one, 1.6), 2e-7
    yield "gamma", 0, 0.4, 1, F.adjust_gamma(tensor, 0.4).numpy(), 2e-7
    yield "window", 0, 0.7, 1, skimage.exposure.rescale_intensity(
        one, in_range=(0.15, 0.85), out_range=(0, 1)), 2e-7
    yield "blur", 0, 0.8, 1, ndi.gaussian_filter(one, (0, 0.8, 0.8), mode="mirror"), 3e-7
    yield "blur", 0, 4.0, 1, ndi.gaussian_filter(one, (0, 4, 4), mode="mirror"), 3e-7
    yield "defocus", 0, 2.3, 1, cv2.filter2D(
        one[0], -1, disc(2.3), borderType=cv2.BORDER_REFLECT_101)[None], 3e-7
    yield "jpeg", 0, 15, 1, jpeg(grey(one), 15), 1e-7
    yield "jpeg", 0, 50, 3, jpeg(colour(three), 50), 1e-7
    yield "downsample", 0, 0.3, 1, coarse(one, 0.3), 3e-7
    yield "downsample", 0, 0.8, 3, coarse(three, 0.8), 3e-7
    yield "rotate", 0, 8, 1, place(one, degrees=8), 3e-7
    yield "rotate", 0, 90, 1, ndi.rotate(one, 90, axes=(1, 2), reshape=False, order=1,
                                         mode="nearest"), 3e-7
    yield "shift", 0, 0.06, 1, ndi.shift(one, (0, 0, 0.06 * W), order=1, mode="nearest"), 3e-7
    yield "shift", 1, -0.1, 1, ndi.shift(one, (0, -0.1 * H, 0), order=1, mode="nearest"), 3e-7
    yield "scale", 0, 1.15, 1, place(one, zoom=1.15), 3e-7
    yield "scale", 0, 0.8, 3, place(three, zoom=0.8), 3e-7


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "corruptions_data.h"), "w") as out:
        out.write("/* Made by corruptions.py with NumPy %s, SciPy %s, Pillow %s,\n"
                  " * scikit-image %s, OpenCV %s, torchvision %s. */\n" % (
                      np.__version__, scipy.__version__, PIL.__version__, skimage.__version__,
                      cv2.__version__, torchvision.__version__.split("+")[0]))
        for name, axis, setting, planes, result, tolerance in cases():
            result = np.clip(result, 0, 1)
            assert result.shape == (planes, H, W), (name, result.shape)
            out.write('{"%s", %d, %g, %d, %.3g,\n {' % (name, axis, setting, planes, tolerance))
            numbers = ["%.7g" % v for v in result.ravel()]
            line = ""
            for i, v in enumerate(numbers):
                v += "," if i + 1 < len(numbers) else ""
                if len(line) + len(v) + 1 > 90:
                    out.write(line + "\n  ")
                    line = ""
                line += " " + v if line else v
            out.write(line + "}},\n")


main()
