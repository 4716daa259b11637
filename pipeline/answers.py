"""What a system makes of one sample, and what it does to the same tile when nothing is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

from pipeline import fidelity
from pipeline.images import to_gray
from pipeline.samples import Array, Sample
from pipeline.systems import System
from pipeline.validation import batch_of, fit_channels, to_pictures, wants_color


class Answer(NamedTuple):
    """What came of one sample.

    `prediction` and `composite` are gray or RGB as the original is. `mask`: float H×W probability
    of damage, or None. `stages`: the pictures in between, of chained systems. `seen` and `given`:
    the input and the composite in the system's own channels.
    """

    prediction: Array
    composite: Array
    mask: Array | None
    stages: dict[str, Array]
    seen: Array
    given: Array

    def marked(self, threshold: float) -> Array | None:
        """bool H×W: what counts as damaged from `threshold` on."""
        return None if self.mask is None else self.mask >= threshold

    @property
    def between(self) -> dict[str, Array]:
        """The stages that are shown between the mask and the result."""
        return {name: picture for name, picture in self.stages.items() if name != "mask"}


@torch.no_grad()
def restore_sample(system: System, sample: Sample, device: torch.device) -> Answer:
    """A system's answer to one sample, in float32."""
    batch = batch_of([sample], system).to(device)
    restored = system.restore(batch.corrupted, keep=batch.keep, color=wants_color(sample))
    mask = None if restored.mask is None else restored.mask[0, 0].float().cpu().numpy()
    channels = sample.clean.shape[2]
    prediction, given = (to_pictures(x)[0] for x in (restored.prediction, restored.composite))
    return Answer(
        fit_channels(prediction, channels),
        fit_channels(given, channels),
        mask,
        {name: to_pictures(one)[0] for name, one in restored.stages.items()},
        to_pictures(batch.corrupted)[0],
        given,
    )


@torch.no_grad()
def look_aside(
    system: System, sample: Sample, device: torch.device
) -> tuple[dict[str, Array], dict[str, float]]:
    """What the system tells of itself about a sample: pictures, gray or RGB as the original is, and
    numbers."""
    aside = system.aside(batch_of([sample], system).to(device).corrupted)
    channels = sample.clean.shape[2]
    pictures = {name: to_pictures(one)[0] for name, one in aside.pictures.items()}
    return (
        {name: fit_channels(one, channels) for name, one in pictures.items()},
        {name: float(one[0]) for name, one in aside.numbers.items()},
    )


def undamaged(sample: Sample) -> Sample:
    """The same tile as the recipe `clean`, which has no steps, would give it: its original as the
    input, with nothing to find."""
    story: dict[str, Any] = {"photo": sample.story.get("photo"), "steps": []}
    return replace(sample, corrupted=sample.clean, mask=np.zeros_like(sample.mask), story=story)


def altered(answer: Answer, threshold: float) -> tuple[float | None, float | None]:
    """Shares in [0, 1] of the pixels whose bytes differ from the input: of all, and of those where
    no damage was found.

    Both are None where the system colors a gray input; the second also where it finds no masks, or
    marked every pixel.
    """
    if answer.given.shape != answer.seen.shape:
        return None, None
    changed = (answer.given != answer.seen).any(axis=2)
    marked = answer.marked(threshold)
    outside = None if marked is None or marked.all() else float(changed[~marked].mean())
    return float(changed.mean()), outside


def harm(answer: Answer, threshold: float) -> dict[str, float | None]:
    """What a system did to an undamaged tile (the answer to one): PSNR in dB of output against
    input, of their lumas where it colors; the share that it marked; the shares that it altered."""
    pair = [answer.given, answer.seen]
    if answer.given.shape != answer.seen.shape:
        pair = [to_gray(picture) for picture in pair]
    values, _ = fidelity.clip_psnr([fidelity.psnr(*pair)])
    marked = answer.marked(threshold)
    everywhere, outside = altered(answer, threshold)
    return {
        "psnr": values[0],
        "marked": None if marked is None else float(marked.mean()),
        "altered": everywhere,
        "altered_outside": outside,
    }


def family_names(sample: Sample) -> str:
    """The families whose damage is to be undone in this tile, sorted, with spaces between;
    ``undamaged`` without any, ``given`` where the photo brought its own."""
    if sample.story.get("given"):
        return "given"
    return " ".join(sorted(set(_families(sample.story.get("steps", []))))) or "undamaged"


def _families(steps: Sequence[dict[str, object]]) -> list[str]:
    return [
        str(step["family"])
        for step in steps
        if step["on"] == "input" and float(str(step["severity"])) > 0
    ]
