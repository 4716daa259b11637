"""CIEDE2000: how far apart two colors are to the eye, for every pixel of two pictures at once.

Sharma, Wu, Dalal 2005, "The CIEDE2000 color-difference formula: implementation notes, supplementary
test data, and mathematical observations". In float32, and with directions of hue in place of their
angles: the cosines of a mean hue's multiples are polynomials of the bisector's coordinates.
"""

import functools
import math
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.fidelity import Picture

Plane: TypeAlias = NDArray[Any]  # float32

STRIP = 16_384  # pixels worked on at once, so that all stays in the CPU's cache
FAR = np.float32(25.0**7)  # chroma to the seventh, where the formula's corrections turn
TINY = np.float32(1e-12)
OPPOSITE = 1e-6  # length of the sum of two directions that cancel each other
LINEAR_END, CUBE_END = 0.04045, 0.008856  # where sRGB's and Lab's curves become straight lines


TO_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], np.float32)  # L's -16 beside


class Lab(NamedTuple):
    """L in 0..100, a and b in CIE units (±110), and chroma √(a² + b²): planes of one shape."""

    light: Plane
    a: Plane
    b: Plane
    chroma: Plane


def lab_of(plain: Picture) -> Lab:
    """CIE Lab under D65 of sRGB, uint8 H×W×3 or H×W (gray), as scikit-image's ``rgb2lab`` has it
    within 2e-4."""
    rgb = plain if plain.ndim == 3 else cv2.merge([plain] * 3)
    relative = cv2.transform(cv2.LUT(rgb, _linear_values()), _to_relative_xyz())
    root = np.where(relative > CUBE_END, np.cbrt(relative), 7.787 * relative + 16 / 116)
    light, a, b = cv2.split(cv2.transform(root, TO_LAB))
    return lab(light - 16, a, b)


def lab(light: Plane, a: Plane, b: Plane) -> Lab:
    """Planes, with the chroma that belongs to them."""
    return Lab(light, a, b, np.sqrt(a * a + b * b))


def mean_difference(one: Lab, other: Lab) -> float:
    """The mean of `differences`; symmetric."""
    flat = [[plane.reshape(-1) for plane in planes] for planes in (one, other)]
    total, size = 0.0, flat[0][0].size
    for start in range(0, size, STRIP):
        strip = slice(start, start + STRIP)
        parts = [Lab(*(plane[strip] for plane in planes)) for planes in flat]
        total += float(differences(*parts).sum(dtype=np.float64))
    return total / size


def differences(one: Lab, other: Lab) -> Plane:
    """ΔE00 of every pixel, with kL = kC = kH = 1; the numbers of the formula are the paper's."""
    seventh = _seventh((one.chroma + other.chroma) * 0.5)
    stretch = 1.5 - 0.5 * np.sqrt(seventh / (seventh + FAR))  # 1 + G
    a1, a2, b1, b2 = one.a * stretch, other.a * stretch, one.b, other.b
    chroma1, chroma2 = np.sqrt(a1 * a1 + b1 * b1), np.sqrt(a2 * a2 + b2 * b2)
    light = (one.light + other.light) * 0.5 - 50
    chroma = (chroma1 + chroma2) * 0.5
    d_light, d_chroma = other.light - one.light, chroma2 - chroma1
    u1, v1, u2, v2 = (part / np.maximum(length, TINY) for part, length in
                      ((a1, chroma1), (b1, chroma1), (a2, chroma2), (b2, chroma2)))  # fmt: skip
    # 2 sin(Δh / 2) is the distance of the two directions; its sign is that of the turn.
    d_u, d_v = u2 - u1, v2 - v1
    d_hue = np.sqrt(chroma1 * chroma2 * (d_u * d_u + d_v * d_v))
    d_hue = np.copysign(d_hue, u1 * d_v - d_u * v1)
    cosine, sine = _bisector(u1, v1, u2, v2)
    weight, turn = _hue_terms(cosine, sine)
    square = light * light
    d_light /= 1 + 0.015 * square / np.sqrt(20 + square)
    d_chroma /= 1 + 0.045 * chroma
    d_hue /= 1 + 0.015 * chroma * weight
    seventh = _seventh(chroma)
    turn *= -2 * np.sqrt(seventh / (seventh + FAR))  # RT
    total = d_light * d_light + d_chroma * d_chroma + d_hue * d_hue + turn * d_chroma * d_hue
    result: Plane = np.sqrt(np.maximum(total, 0))
    return result


def _bisector(u1: Plane, v1: Plane, u2: Plane, v2: Plane) -> tuple[Plane, Plane]:
    """Cosine and sine of the mean of two directions: halfway the shorter way round; the other one
    where one is 0; a quarter beyond the lesser angle where they are opposite."""
    x, y = u1 + u2, v1 + v2
    length = np.sqrt(x * x + y * y)
    opposite = (length < OPPOSITE) & ((u1 != 0) | (v1 != 0))
    if opposite.any():
        lesser = np.where((v1 > 0) | ((v1 == 0) & (u1 > 0)), 1, -1)[opposite]
        x[opposite], y[opposite] = -v1[opposite] * lesser, u1[opposite] * lesser
        length[opposite] = 1
    length = np.maximum(length, TINY)
    return x / length, y / length


def _hue_terms(c: Plane, s: Plane) -> tuple[Plane, Plane]:
    """The paper's T, and sin(2Δθ) with Δθ = 30° exp(-((h - 275°) / 25°)²), of the mean hue h."""
    c2, s2 = 2 * c * c - 1, 2 * s * c  # of 2h
    c3, s3 = c * (2 * c2 - 1), s * (2 * c2 + 1)
    c4, s4 = 2 * c2 * c2 - 1, 2 * s2 * c2
    weight = 1 - 0.17 * _shifted(c, s, 30) + 0.24 * c2
    weight += 0.32 * _shifted(c3, s3, -6) - 0.20 * _shifted(c4, s4, 63)
    off = np.arctan2(_shifted(c, s, 275 + 90), _shifted(c, s, 275)) * np.float32(180 / math.pi / 25)
    return weight, np.sin(np.float32(math.pi / 3) * np.exp(-off * off))


def _shifted(cosine: Plane, sine: Plane, degrees: float) -> Plane:
    """Cosine of the angle less so many degrees."""
    angle = math.radians(degrees)
    shifted: Plane = cosine * np.float32(math.cos(angle)) + sine * np.float32(math.sin(angle))
    return shifted


def _seventh(x: Plane) -> Plane:
    square = x * x
    seventh: Plane = square * square * square * x
    return seventh


@functools.cache
def _linear_values() -> Plane:
    """sRGB's 256 values in linear light, IEC 61966-2-1."""
    level = np.arange(256) / 255
    curve = ((level + 0.055) / 1.055) ** 2.4
    return np.where(level > LINEAR_END, curve, level / 12.92).astype(np.float32)


@functools.cache
def _to_relative_xyz() -> Any:
    from pipeline.losses.lab import RGB_TO_XYZ  # which imports torch

    return np.array(RGB_TO_XYZ, np.float32)
