"""Pictures for the tests of metrics: photos, noise, damage, masks."""

import cv2
import numpy as np
import skimage.data

from pipeline.seeds import rng


def random_picture(*purpose, shape=(40, 50, 3)):
    return rng(0, "metrics", *purpose).integers(0, 256, shape, np.uint8)


def noisy(picture, sigma, *purpose):
    noise = rng(0, "noise", *purpose).normal(0, sigma, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def photo(name, height=192, width=200, channels=3):
    """A part of one of scikit-image's photos."""
    found = getattr(skimage.data, name)()
    found = found if found.ndim == 3 else found[..., None].repeat(3, axis=2)
    small = cv2.resize(found, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small[..., :channels])


def blurred(picture, sigma=2.0):
    return cv2.GaussianBlur(picture, (0, 0), sigma).reshape(picture.shape)


def holes(shape, share=0.1):
    """A mask of a block and of single pixels."""
    height, width = shape[:2]
    mask = np.where(rng(0, "holes").random((height, width)) < share / 2, 255, 0).astype(np.uint8)
    mask[height // 4 : height // 2, width // 4 : width // 3] = 255
    return mask


def block(shape):
    mask = np.zeros(shape[:2], np.uint8)
    mask[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 255
    return mask


def pairs(channels=3):
    """Restorations of several kinds, beside their photos."""
    for name in ("astronaut", "coffee", "camera", "rocket"):
        clean = photo(name, channels=channels)
        yield noisy(clean, 15, name), clean
        yield blurred(clean), clean
        holed = clean.copy()
        holed[40:90, 50:120] = 255
        yield holed, clean
