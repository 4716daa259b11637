"""What a metric is, and what several metrics of one sample share."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol, TypeAlias

import cv2
import numpy as np

from pipeline.config import Registry
from pipeline.fidelity import Mask, Picture
from pipeline.images import to_gray

if TYPE_CHECKING:
    from pipeline.metrics.alexnet import Distance

Values: TypeAlias = dict[str, float | None]

REGIONS = ("masked", "outside", "rim")
RIM_REACH = 3  # px to each side of the mask's boundary that its rim reaches


class Metric(Protocol):
    """What the registry holds; a new metric is one decorated function of this shape.

    Pictures are uint8 H×W×3 (RGB) or H×W×1 (gray) of one size, the mask uint8 H×W, not 0 where
    damaged, or None where nobody knows. None: undefined, e.g. a masked metric under an empty mask.
    """

    def __call__(
        self, prediction: Picture, target: Picture, mask: Mask | None = None
    ) -> float | None: ...


METRICS: Registry[Metric] = Registry("metric")
GAUGES: dict[str, type[Gauge]] = {}  # by the metrics' names


@dataclass
class Ground:
    """What the predictions of one sample are held against.

    `target` and `mask` are checked, contiguous, the target of gray pictures H×W; `wanted` are the
    names of metrics, `distance` what LPIPS sees with.
    """

    target: Picture
    mask: Mask | None
    wanted: frozenset[str]
    distance: Distance | None = None

    def wants(self, *names: str) -> bool:
        """Is any of these metrics asked for?"""
        return not self.wanted.isdisjoint(names)

    @functools.cached_property
    def color(self) -> bool:
        """Has the target colors?"""
        return self.target.ndim == 3

    @functools.cached_property
    def luma(self) -> Picture:
        """H×W, of BT.601 (`luma_of`)."""
        return luma_of(self.target)

    @functools.cached_property
    def regions(self) -> dict[str, Mask]:
        """By the suffix of the metrics' names; none of them where the mask is not known."""
        if self.mask is None:
            return {}
        _, inside = cv2.threshold(self.mask, 0, 255, cv2.THRESH_BINARY)
        side = 2 * RIM_REACH + 1
        square = np.ones((side, side), np.uint8)
        rim = cv2.morphologyEx(inside, cv2.MORPH_GRADIENT, square)
        found = (inside, cv2.bitwise_not(inside), rim)
        return dict(zip(REGIONS, (np.asarray(one, np.uint8) for one in found), strict=True))


class Clock:
    """Seconds of each topic, by `now`: from the last lap, or from when the clock was made."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._now, self._last = now, now()

    def lap(self, topic: str) -> None:
        """Book the time since the last lap."""
        now = self._now()
        self.seconds[topic] = self.seconds.get(topic, 0.0) + now - self._last
        self._last = now


class Gauge(Protocol):
    """Several metrics that share work: what depends on the target alone is done when it is made.

    `batched`: several pictures are measured faster at once than one by one. Then `measure` is only
    called by one thread, otherwise by several, and changes nothing.
    """

    names: ClassVar[tuple[str, ...]]
    batched: ClassVar[bool]

    def __init__(self, ground: Ground, clock: Clock) -> None: ...

    def measure(self, predictions: Sequence[Picture], clock: Clock) -> list[Values]:
        """The wanted ones of its metrics, for pictures that are like `Ground.target`."""
        ...


def add_gauge(explain: Callable[[str], str]) -> Callable[[type[Gauge]], type[Gauge]]:
    """Decorator: register each of a gauge's metrics as a function; `explain` tells what it is."""

    def add(gauge: type[Gauge]) -> type[Gauge]:
        for name in gauge.names:
            METRICS.add(_alone(name, explain(name)))
            GAUGES[name] = gauge
        return gauge

    return add


def luma_of(plain: Picture) -> Picture:
    """H×W×3 or H×W → H×W (ITU-R BT.601)."""
    return plain if plain.ndim == 2 else to_gray(plain)[:, :, 0]


def _alone(name: str, doc: str) -> Metric:
    def metric(prediction: Picture, target: Picture, mask: Mask | None = None) -> float | None:
        from pipeline.metrics.ruler import Ruler

        return Ruler(target, mask, [name]).measure(prediction)[name]

    metric.__name__ = metric.__qualname__ = name
    metric.__doc__ = doc
    return metric
