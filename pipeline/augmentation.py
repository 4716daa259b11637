"""Paired augmentation from params: the only place that knows albumentations."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from pipeline import seeds
from pipeline.config import Section, Share
from pipeline.errors import ParamsError

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would ask the network at import

Array = np.ndarray


class Damages(Protocol):
    """A recipe, as far as it is needed here."""

    def damage(
        self, tile: Array, rng_of: Callable[..., np.random.Generator], photo_side: int | None = None
    ) -> Any: ...
    def replay(self, tile: Array, story: dict[str, Any]) -> Any: ...


EXACT = ("horizontal_flip", "vertical_flip", "turn")  # move pixels, never mix or change them
NUM_WORDS = 8  # of `seeds.words`
OR_FLY = ", or draw damage on the fly (mode: fly)"


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
        for problem in _inexact("augment", steps, OR_FLY) if stored else ():
            raise problem
        # Runs of exact and of other steps; a Compose is slow, one for each step would be slower.
        numbered = itertools.groupby(enumerate(steps), lambda one: one[1].name in EXACT)
        self._runs = [
            _ExactSteps(run) if exact else _OtherSteps(run)
            for exact, run in ((exact, list(run)) for exact, run in numbered)
        ]

    def __call__(self, arrays: dict[str, Array], seed: int) -> dict[str, Array]:
        """Augment ``clean`` and, where given, ``corrupted``, ``mask`` and ``keep``; shapes may
        turn. What comes out may be views, mirrored and turned, of what went in."""
        for run in self._runs:
            arrays = run(arrays, seed)
        return arrays


class _ExactSteps:
    """Flips and quarter turns, as views: no pixel is touched."""

    def __init__(self, steps: Sequence[tuple[int, AugmentStep]]) -> None:
        self.steps = steps

    def __call__(self, arrays: dict[str, Array], seed: int) -> dict[str, Array]:
        words: dict[int, tuple[int, ...]] = {}
        for number, step in self.steps:
            block, place = divmod(number, NUM_WORDS)
            if block not in words:
                words[block] = seeds.words(seed, "exact", block)
            word = words[block][place]
            if (word >> 11) / 2**53 < step.p:  # the last bits are left for the turn
                move = _move(step.name, word % 4)
                arrays = {name: move(array) for name, array in arrays.items()}
        return arrays


def _move(name: str, quarters: int) -> Callable[[Array], Array]:
    """The view of an H×W or H×W×C array that an exact step makes of it."""
    if name == "horizontal_flip":
        return lambda array: array[:, ::-1]
    if name == "vertical_flip":
        return lambda array: array[::-1]
    turns: list[Callable[[Array], Array]] = [
        lambda array: array,
        lambda array: array[:, ::-1].swapaxes(0, 1),
        lambda array: array[::-1, ::-1],
        lambda array: array[::-1].swapaxes(0, 1),
    ]
    return turns[quarters]


class _OtherSteps:
    """Steps that interpolate or change light, by albumentations."""

    def __init__(self, steps: Sequence[tuple[int, AugmentStep]]) -> None:
        self.numbers = [number for number, _ in steps]
        self.compose = _compose([step for _, step in steps])

    def __call__(self, arrays: dict[str, Array], seed: int) -> dict[str, Array]:
        # Compose would give all steps one seed: every shift would then come with every turn.
        for number, step in zip(self.numbers, self.compose.transforms, strict=True):
            step.set_random_seed(seeds.derive(seed, number) % 2**32)
        whole = {name: np.require(array, None, ["C", "W"]) for name, array in arrays.items()}
        whole["image"] = whole.pop("clean")
        out = self.compose(**whole)
        return {
            name: np.ascontiguousarray(out["image" if name == "clean" else name]) for name in arrays
        }


def stream_problems(
    where: str, mode: str, steps: Sequence[AugmentStep], given: bool
) -> list[ParamsError]:
    """What the stream block at `where` asks for that cannot be: damage on the fly though photos
    brought it (`given`), and steps that would change the damage of stored pairs."""
    problems = []
    if given and mode == "fly":
        what = "photos brought the damage of these shards"
        problems.append(ParamsError(f"params: {where}.mode", what, "write mode: stored"))
    if given or mode == "stored":
        problems += _inexact(f"params: {where}.augment", steps, "" if given else OR_FLY)
    return problems


def _inexact(where: str, steps: Sequence[AugmentStep], otherwise: str) -> list[ParamsError]:
    step = f"use {', '.join(EXACT)}{otherwise}"
    return [
        ParamsError(
            f"{where}.{number}: {one.name}", "mixes pixels, which stored pairs forbid", step
        )
        for number, one in enumerate(steps)
        if one.name not in EXACT
    ]


def _compose(steps: Sequence[AugmentStep]) -> Any:
    import albumentations
    import cv2

    reflect = {"border_mode": cv2.BORDER_REFLECT_101}
    make = {
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


def as_albumentations(recipe: Damages, p: float = 1.0) -> Any:
    """A recipe (`corruptions.Recipe`) as an albumentations transform, for other pipelines.

    Its targets: ``image``, uint8 H×W×3 or H×W, is damaged and keeps its shape; ``mask``, H×W, gets
    255 where local damage lies, over what it held. The picture's short side counts as the photo's.
    Seeds come from albumentations; what was drawn is the parameter ``story``.
    """
    import albumentations

    targets = albumentations.core.type_definitions.Targets

    class DrawRecipe(albumentations.DualTransform):  # type: ignore[misc]
        """Damage of a recipe on `image`, its mask on `mask`."""

        _targets = (targets.IMAGE, targets.MASK)

        def get_params_dependent_on_data(
            self, params: dict[str, Any], data: dict[str, Any]
        ) -> dict[str, Any]:
            image = data["image"]
            if image.dtype != np.uint8:
                raise ParamsError(f"image of {image.dtype}", "is not uint8", "damage it before")
            seed = seeds.seed_of(self.random_generator)
            made = recipe.damage(
                _deep(image), lambda *purpose: seeds.rng(seed, *purpose), min(image.shape[:2])
            )
            return {"story": made.story, "tile": image}

        def apply(self, img: Array, story: dict[str, Any], **params: Any) -> Array:
            made: Array = recipe.replay(_deep(img), story).corrupted
            if made.shape[2] == 1 and img.ndim == 3:  # gray, in as many channels as came in
                return np.repeat(made, img.shape[2], axis=2)
            return made.reshape(img.shape)

        def apply_to_mask(
            self, mask: Array, story: dict[str, Any], tile: Array, **params: Any
        ) -> Array:
            drawn = recipe.replay(_deep(tile), story).mask
            return np.where(drawn.reshape(mask.shape) > 0, np.asarray(255, mask.dtype), mask)

        def get_transform_init_args_names(self) -> tuple[str, ...]:
            return ()

        def __reduce__(self) -> tuple[Any, ...]:
            """Made anew in other processes, where this class is not to be found by name."""
            return as_albumentations, (recipe, p), self.__dict__

    return DrawRecipe(p=p)


def _deep(image: Array) -> Array:
    """H×W as H×W×1."""
    return image if image.ndim == 3 else image[:, :, None]
