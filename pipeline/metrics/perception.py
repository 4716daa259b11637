"""LPIPS: how far apart two pictures look to a network that was taught what people see alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pipeline.fidelity import Picture
from pipeline.images import to_rgb
from pipeline.metrics.base import Clock, Ground, Values, add_gauge

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.metrics.alexnet import Distance

GOOD_LPIPS = 0.05  # `share_good` is the share of pictures that come at least so near
LEAST_SIDE = 32  # px

EXPLAINED = {
    "lpips": "LPIPS v0.1 with AlexNet, from 0 (equal) to about 1; Zhang, Isola, Efros, Shechtman, "
    'Wang 2018, "The unreasonable effectiveness of deep features as a perceptual metric". Gray '
    f"pictures are RGB of equal channels. None for a side under {LEAST_SIDE} px."
}


def reference_distance() -> Distance:
    """The network of PATINA_REFERENCE_WEIGHTS, on the CPU, loaded once. Raises CheckpointError."""
    from pipeline.metrics.alexnet import load_reference

    return load_reference()


@add_gauge(EXPLAINED.__getitem__)
class Perception:
    """The target is seen once; it and the predictions, of one call, in one batch."""

    names: ClassVar[tuple[str, ...]] = tuple(EXPLAINED)
    batched: ClassVar[bool] = True

    def __init__(self, ground: Ground, clock: Clock) -> None:
        self.ground = ground
        self.seen: list[Tensor] | None = None  # the target's features
        self.defined = min(ground.target.shape[:2]) >= LEAST_SIDE
        if self.defined:
            self.distance = ground.distance or reference_distance()
        clock.lap("lpips")

    def measure(self, predictions: Sequence[Picture], clock: Clock) -> list[Values]:
        """``lpips`` of each."""
        if not self.defined:
            return [{"lpips": None} for _ in predictions]
        colored = [_rgb(one) for one in predictions]
        if self.seen is None:
            found = self.distance.features([_rgb(self.ground.target), *colored])
            self.seen, found = [one[:1] for one in found], [one[1:] for one in found]
        else:
            found = self.distance.features(colored)
        values = self.distance.between(found, self.seen)
        clock.lap("lpips")
        return [{"lpips": value} for value in values]


def _rgb(plain: Picture) -> Picture:
    return plain if plain.ndim == 3 else to_rgb(plain[:, :, None])
