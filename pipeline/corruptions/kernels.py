"""Small convolution kernels in whole numbers, so that every CPU gets the same bytes."""

import math

import cv2
import numpy as np

from pipeline.corruptions.base import Array

REACH = 5  # px from the middle of a kernel: OpenCV goes through slow Fourier space above 11×11


def convolve(tile: Array, weights: Array) -> Array:
    """A uint8 tile mirrored at its border, filtered by odd-sized weights in whole numbers.

    Their sum is made odd: no result lies halfway between two levels, so that neither OpenCV's order
    of summing nor its Fourier space can change a byte.
    """
    weights = odd(weights)
    parts = weights.astype(np.float32) / np.float32(weights.sum())
    return cv2.filter2D(tile, -1, parts).reshape(tile.shape)


def odd(weights: Array) -> Array:
    """With one more in the middle if their sum is even."""
    weights = weights.copy()
    weights[len(weights) // 2, len(weights) // 2] += 1 - weights.sum() % 2
    return weights


def line(length: float, angle: float) -> Array:
    """How many of the points along it, sixteen a pixel, fall into each pixel."""
    side = 2 * REACH + 1
    weights = np.zeros((side, side), np.int32)
    count, turn = math.ceil(16 * length), math.radians(angle)
    for number in range(count):
        along = length * ((number + 0.5) / count - 0.5)
        row, column = round(along * math.sin(turn)), round(along * math.cos(turn))
        weights[row + side // 2, column + side // 2] += 1
    return _trim(weights)


def disc(radius: float) -> Array:
    """Sixteenths of each pixel that a disc covers."""
    fine = 4
    steps = 2 * np.arange(-fine * REACH - fine // 2, fine * REACH + fine // 2) + 1
    inside = steps[:, None] ** 2 + steps**2 <= (2 * fine * radius) ** 2
    side = 2 * REACH + 1
    return _trim(inside.reshape(side, fine, side, fine).sum(axis=(1, 3)))


def ellipse(long: float, short: float, angle: float) -> Array:
    """A turned Gaussian, in parts of about a thousand."""
    turn, offsets = math.radians(angle), range(-REACH, REACH + 1)
    cos, sin = math.cos(turn), math.sin(turn)
    bell = [
        [
            math.exp(-(((x * cos + y * sin) / long) ** 2 + ((y * cos - x * sin) / short) ** 2) / 2)
            for x in offsets
        ]
        for y in offsets
    ]
    scale = 1000 / sum(map(sum, bell))
    return _trim(np.array([[round(value * scale) for value in row] for row in bell]))


def _trim(weights: Array) -> Array:
    """Without the empty rim, the same on all four sides."""
    middle = len(weights) // 2
    reach = int(np.abs(np.argwhere(weights) - middle).max(initial=0))
    kept = slice(middle - reach, middle + reach + 1)
    return weights[kept, kept].copy()
