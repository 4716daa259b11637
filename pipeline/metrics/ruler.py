"""One sample's ruler: its target is prepared once, then held against several pictures."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2

from pipeline.fidelity import Mask, Picture
from pipeline.fidelity.pictures import plain_mask, plain_pair
from pipeline.metrics.base import GAUGES, METRICS, Clock, Gauge, Ground, Values

if TYPE_CHECKING:
    from pipeline.metrics.alexnet import Distance


class Ruler:
    """Measures pictures against one target, uint8 H×W×3 or H×W×1, and its mask, uint8 H×W or None.

    `names`: the metrics, all that are registered if None, then `lpips` only with a `distance`; what
    a gauge has shares work, any other is called as the function it is. `distance`: the network of
    LPIPS (`perception.reference_distance`, if None and asked for). `seconds`: wall time by topic,
    `core` for MSE, MAE, PSNR and SSIM of all regions together. Raises PipelineError where shapes or
    types do not fit, ParamsError for an unknown name.
    """

    def __init__(
        self,
        target: Picture,
        mask: Mask | None,
        names: Iterable[str] | None = None,
        distance: Distance | None = None,
    ) -> None:
        if names is None:
            names = [name for name in METRICS if name != "lpips" or distance is not None]
        self.target, self.mask, self.names = target, mask, sorted(names)
        plain, _ = plain_pair(target, target)
        ground = Ground(plain, plain_mask(mask, target), frozenset(self.names), distance)
        clock = Clock()
        gauges = dict.fromkeys(GAUGES[name] for name in self.names if name in GAUGES)
        self.gauges: list[Gauge] = [gauge(ground, clock) for gauge in gauges]
        self.others = {name: METRICS[name] for name in self.names if name not in GAUGES}
        self.seconds: Counter[str] = Counter()
        self.seconds.update(clock.seconds)

    def measure(self, prediction: Picture) -> Values:
        """Every metric of one picture, by name."""
        return self.measure_all({"": prediction})[""]

    def measure_all(self, predictions: Mapping[str, Picture]) -> dict[str, Values]:
        """`measure` of several pictures by their names: side by side on as many threads as OpenCV
        may use, and networks see them in one batch. A picture that is there twice is measured
        once."""
        slots: dict[bytes, int] = {}
        plain: list[Picture] = []
        places = {}
        for name, picture in predictions.items():
            one, _ = plain_pair(picture, self.target)
            places[name] = slots.setdefault(one.tobytes(), len(slots))
            if places[name] == len(plain):
                plain.append(one)
        found = self._side_by_side(plain)
        clock = Clock()
        for gauge in self.gauges:
            if gauge.batched:
                _merge(found, gauge.measure(plain, clock))
        for name, metric in self.others.items():
            shaped = (one.reshape(self.target.shape) for one in plain)
            _merge(found, [{name: metric(one, self.target, self.mask)} for one in shaped])
            clock.lap(name)
        self.seconds.update(clock.seconds)
        return {
            name: {metric: found[place][metric] for metric in self.names}
            for name, place in places.items()
        }

    def _side_by_side(self, plain: Sequence[Picture]) -> list[Values]:
        """What gauges measure one by one. The wall time of all is booked by shares of CPU time."""
        started = time.perf_counter()
        if len(plain) > 1 and cv2.getNumThreads() > 1:
            with ThreadPoolExecutor(min(len(plain), cv2.getNumThreads())) as pool:
                measured = list(pool.map(self._one, plain))
        else:
            measured = [self._one(one) for one in plain]
        spent: Counter[str] = Counter()
        for _, seconds in measured:
            spent.update(seconds)
        passed, total = time.perf_counter() - started, math.fsum(spent.values())
        if total:
            self.seconds.update({topic: passed * one / total for topic, one in spent.items()})
        return [values for values, _ in measured]

    def _one(self, plain: Picture) -> tuple[Values, dict[str, float]]:
        values: Values = {}
        clock = Clock(time.thread_time)
        for gauge in self.gauges:
            if not gauge.batched:
                values |= gauge.measure([plain], clock)[0]
        return values, clock.seconds


def _merge(found: Sequence[Values], more: Sequence[Values]) -> None:
    for values, own in zip(found, more, strict=True):
        values |= own
