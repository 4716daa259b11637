"""Lift the wear out of a scan that a user brings: its ground becomes 0, its marks remain."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.textures.fields import FULL, Gray

DARK_BELOW, LIGHT_ABOVE = 72, 195
GROUND_SIDE = 128
SHADING = 24  # what a lamp or a lens may do to the ground's level
NOISE_FLOOR = 2.5
MIN_FULL_SCALE = 24.0
MIN_FULL_SCALE_IN_SIGMAS = 5.0
# how much of a page may be marked, and how far its ground may drift, before it is a picture
MARKED_SHARE, GROUND_DRIFT = 0.5, 150.0
MARKED_LEVEL, MARKED_SIGMAS = 16.0, 4.0


def overlay_from_scan(image: Gray) -> Gray:
    """Turn a scan into an amplitude map of the same height and width.

    `image` is uint8 H×W or RGB H×W×3; the answer is uint8 H×W, 0 = leaves a photo alone, 255 = full
    mark. On a dark ground (median below 72) light marks count, on a light one (above 195) dark
    marks, on a mid-tone both. The soft ground and 2.5 sigma of the scan's own fine noise are taken
    off; then the 99.9th percentile becomes full scale, unless that would blow up noise.

    Operations: integer luma, area and bit-exact linear resize, uint8 median, float32 arithmetic.
    """
    gray = _gray(image)
    rise = _rise(gray)
    middle = int(np.median(gray))
    if middle > LIGHT_ABOVE:
        rise = -rise
    elif middle >= DARK_BELOW:
        rise = np.abs(rise)
    sigma = _noise(gray)
    marks = np.maximum(rise.astype(np.float32) - np.float32(NOISE_FLOOR * sigma), np.float32(0))
    top = float(np.sort(marks, axis=None)[(marks.size - 1) * 999 // 1000])
    full = max(top, MIN_FULL_SCALE, MIN_FULL_SCALE_IN_SIGMAS * sigma)
    overlay: Gray = np.minimum(marks * np.float32(255.0 / full), np.float32(255)).astype(np.uint8)
    return overlay


def overlay_with_alpha(image: Gray) -> Gray:
    """The same overlay as uint8 H×W×4, RGBA: white or black, as the marks are, behind its alpha."""
    gray = _gray(image)
    tone = np.where(_rise(gray) > 0, np.uint8(FULL), np.uint8(0))
    middle = int(np.median(gray))
    if not DARK_BELOW <= middle <= LIGHT_ABOVE:  # one side counts: no fringe of the other
        tone[:] = FULL if middle < DARK_BELOW else 0
    return np.stack([tone, tone, tone, overlay_from_scan(image)], axis=2)


def misfit(image: Gray) -> float:
    """How little an image is a blank page: 0 is clean, above 1 is more a picture than a page.

    A page's ground is even and leaves most pixels alone. Of 61 real scans of blank film and flat
    paper 59 lie below 1; of 328 real photos 304 lie above, the others are mostly even sky or wall.
    """
    gray = _gray(image)
    ground = _ground(gray)
    away = np.abs(gray.astype(np.int16) - ground)
    marked = float((away > max(MARKED_LEVEL, MARKED_SIGMAS * _noise(gray))).mean())
    low, high = np.percentile(ground, [3, 97])
    return marked / MARKED_SHARE + float(high - low) / GROUND_DRIFT


def _rise(gray: Gray) -> NDArray[np.int16]:
    """How far each pixel stands above the ground, or below it (negative)."""
    middle = int(np.median(gray))
    ground = _ground(gray).astype(np.int16)
    # a patch wider than the ground's window is wear, not ground
    if middle < DARK_BELOW:
        ground = np.minimum(ground, np.int16(middle + SHADING))
    elif middle > LIGHT_ABOVE:
        ground = np.maximum(ground, np.int16(middle - SHADING))
    return np.asarray(gray.astype(np.int16) - ground, dtype=np.int16)


def _gray(image: Gray) -> Gray:
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.size == 0:
        raise ValueError(f"a scan is uint8 H×W or H×W×3, not {image.dtype} {image.shape}")
    if image.ndim == 2:
        return image
    if image.shape[2] != 3:
        raise ValueError(f"a color scan has 3 channels, not {image.shape[2]}")
    red, green, blue = (image[:, :, channel].astype(np.uint32) for channel in range(3))
    return ((red * 77 + green * 150 + blue * 29 + 128) >> 8).astype(np.uint8)


def _ground(gray: Gray) -> Gray:
    """The scan without its marks: a wide median, taken small because it is smooth anyway."""
    height, width = gray.shape
    scale = min(1.0, GROUND_SIDE / max(height, width))
    small_size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(gray, small_size, interpolation=cv2.INTER_AREA)
    window = max(3, min(small_size) // 3) | 1
    small = cv2.blur(cv2.medianBlur(small, window), (window // 2 | 1, window // 2 | 1))
    ground = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return ground.astype(np.uint8)


def _noise(gray: Gray) -> float:
    """Robust sigma of the fine grain: half the pixels decide, so that marks do not count."""
    height, width = gray.shape
    if min(height, width) < 8:
        return 0.0
    half = cv2.resize(gray, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    # grain that a codec or lens smeared is told from marks one octave lower
    return max(_fine_sigma(gray), _fine_sigma(half.astype(np.uint8)))


def _fine_sigma(gray: NDArray[np.uint8]) -> float:
    """Sigma from the median of |second difference across of second difference down|."""
    wide = gray.astype(np.int32)
    down = wide[:-2] - 2 * wide[1:-1] + wide[2:]
    both = down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:]
    return float(np.median(np.abs(both))) / (6 * 0.6745)
