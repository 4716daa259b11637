"""Paired augmentation from params: the only place that knows albumentations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from pipeline import seeds
from pipeline.config import Section, Share
from pipeline.errors import ParamsError

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network at import

Array = np.ndarray
EXACT = ("horizontal_flip", "vertical_flip", "turn")  # move pixels, never mix or change them


class AugmentStep(Section):
    """One step. `amount`: share of the side (shift, zoom), of a turn (rotate) or of the range
    (light); the exact steps take 0. `p`: its probability.
    """

    name: Literal[
        "horizontal_flip", "vertical_flip", "turn", "shift", "rotate", "zoom",
        "light", "tone", "tint", "channels",
    ]  # fmt: skip
    p: Share
    amount: Share


class Augmenter:
    """The same random moves for all arrays of a sample.

    Steps that interpolate or change light would blur or shift damage that is already drawn, so they
    are refused for `stored` pairs and wanted before damage is drawn on the fly.
    """

    def __init__(self, steps: Sequence[AugmentStep], stored: bool) -> None:
        inexact = [step.name for step in steps if step.name not in EXACT]
        if stored and inexact:
            raise ParamsError(
                f"augment: {inexact[0]}",
                "mixes pixels, which stored pairs must not be",
                f"use {', '.join(EXACT)}, or draw damage on the fly (mode: fly)",
            )
        self._compose = _compose(steps) if steps else None

    def __call__(self, arrays: dict[str, Array], seed: int) -> dict[str, Array]:
        """Augment ``clean`` and, where given, ``corrupted``, ``mask`` and ``keep``; shapes may
        turn."""
        if self._compose is None:
            return arrays
        # Compose would give all steps one seed: every flip would then come with every turn.
        for number, step in enumerate(self._compose.transforms):
            step.set_random_seed(seeds.derive(seed, number) % 2**32)
        renamed = {("image" if name == "clean" else name): array for name, array in arrays.items()}
        out = self._compose(**renamed)
        return {
            name: np.ascontiguousarray(out["image" if name == "clean" else name]) for name in arrays
        }


def _compose(steps: Sequence[AugmentStep]) -> Any:
    import albumentations
    import cv2

    reflect = {"border_mode": cv2.BORDER_REFLECT_101}
    make = {
        "horizontal_flip": lambda step: albumentations.HorizontalFlip(p=step.p),
        "vertical_flip": lambda step: albumentations.VerticalFlip(p=step.p),
        "turn": lambda step: albumentations.RandomRotate90(p=step.p),
        "shift": lambda step: albumentations.Affine(
            translate_percent=(-step.amount, step.amount), p=step.p, **reflect
        ),
        "rotate": lambda step: albumentations.Affine(
            rotate=(-360 * step.amount, 360 * step.amount), p=step.p, **reflect
        ),
        "zoom": lambda step: albumentations.Affine(
            scale=(1 - step.amount, 1 + step.amount), keep_ratio=True, p=step.p, **reflect
        ),
        "light": lambda step: albumentations.RandomBrightnessContrast(
            brightness_limit=step.amount, contrast_limit=step.amount, p=step.p
        ),
        "tone": lambda step: albumentations.RandomToneCurve(
            scale=step.amount, per_channel=True, p=step.p
        ),
        "tint": lambda step: albumentations.RGBShift(
            *(3 * [(-255 * step.amount, 255 * step.amount)]), p=step.p
        ),
        "channels": lambda step: albumentations.ChannelShuffle(p=step.p),
    }
    return albumentations.Compose(
        [make[step.name](step) for step in steps],
        additional_targets={"corrupted": "image", "keep": "mask"},
    )
