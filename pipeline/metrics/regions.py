"""How far values are from the true ones: MSE, MAE, PSNR, SSIM and MS-SSIM, of all and of regions.

A name's ending tells of what: ``_luma`` of the luma alone (BT.601; of a gray picture the same as
all), ``_masked`` over damaged pixels, ``_outside`` over all others, ``_rim`` over those up to
`RIM_REACH` px to either side of the mask's boundary, where seams show.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import cv2

from pipeline.fidelity import Mask, Picture, mse_psnr
from pipeline.fidelity.pictures import PEAK
from pipeline.fidelity.structure import similarity
from pipeline.metrics.base import REGIONS, RIM_REACH, Clock, Ground, Values, add_gauge, luma_of
from pipeline.metrics.scales import ms_ssim

ERRORS = {
    "mse": "mean squared error of values taken as [0, 1], from the exact integer sum",
    "mae": "mean absolute error of values taken as [0, 1], from the exact integer sum",
    "psnr": "peak signal-to-noise ratio in dB, from the exact integer sum of squares; inf if equal",
}
STRUCTURE = {"ssim": "structural similarity in [-1, 1], of `fidelity.ssim`; None under 11 px"}
SCALES = {"ms_ssim": "SSIM over five scales in [0, 1], of `scales.ms_ssim`; None up to 160 px"}
PLACES = {
    "": "over all pixels and channels",
    "_luma": "of the luma",
    "_masked": "over damaged pixels; None without any",
    "_outside": "over pixels that are not damaged; None without any, or without a mask",
    "_rim": f"up to {RIM_REACH} px to either side of the mask's boundary; None without any",
}


def _explain(name: str) -> str:
    bases = ERRORS | STRUCTURE | SCALES
    base = max((one for one in bases if name.startswith(one)), key=len)
    return f"{bases[base]}; {PLACES[name.removeprefix(base)]}.".capitalize()


@add_gauge(_explain)
class Regions:
    """One pass of differences and one SSIM map serve all regions; MS-SSIM begins with that map."""

    batched: ClassVar[bool] = False
    names: ClassVar[tuple[str, ...]] = (
        *(f"{base}{place}" for base in ERRORS | STRUCTURE for place in PLACES),
        *(f"{base}{place}" for base in SCALES for place in ("", "_luma")),
    )

    def __init__(self, ground: Ground, clock: Clock) -> None:
        self.color = ground.color
        self.wanted = [name for name in self.names if name in ground.wanted]
        self.luma = [name for name in self.wanted if name.endswith("_luma")]
        plain = {name.removesuffix("_luma") for name in self.wanted if name not in self.luma}
        if not ground.color:  # the luma is what there is
            plain |= {name.removesuffix("_luma") for name in self.luma}
        places = [name for name in REGIONS if any(one.endswith(f"_{name}") for one in plain)]
        known = ground.regions if places else {}
        regions = {"": None} | {f"_{one}": known[one] for one in places if one in known}
        self.all = _Plane(ground.target, regions, {_base(name) for name in plain}, "core")
        luma, bases = luma_of(ground.target), {_base(name) for name in self.luma}
        self.lit = _Plane(luma, {"_luma": None}, bases, "luma")
        clock.lap("core")

    def measure(self, predictions: Sequence[Picture], clock: Clock) -> list[Values]:
        """The wanted values by name."""
        return [self._measure(one, clock) for one in predictions]

    def _measure(self, prediction: Picture, clock: Clock) -> Values:
        values = self.all.measure(prediction, clock)
        if self.luma and self.color:
            values |= self.lit.measure(luma_of(prediction), clock)
        elif self.luma:
            values |= {name: values[name.removesuffix("_luma")] for name in self.luma}
        return {name: values.get(name) for name in self.wanted}


@dataclass
class _Plane:
    """The target or its luma, its regions by the ends of names (the first is everywhere), and which
    bases of names are wanted of it."""

    target: Picture
    regions: Mapping[str, Mask | None]
    bases: set[str]
    topic: str

    def measure(self, prediction: Picture, clock: Clock) -> Values:
        """All of the bases for all regions."""
        values: Values = {}
        if self.bases & ERRORS.keys():
            values |= error_values(prediction, self.target, self.regions)
        if not self.bases & (STRUCTURE | SCALES).keys():
            clock.lap(self.topic)
            return values
        found = similarity(prediction, self.target, list(self.regions.values()))
        means = [None] * len(self.regions) if found is None else found.regions
        values |= {f"ssim{end}": mean for end, mean in zip(self.regions, means, strict=True)}
        clock.lap(self.topic)
        if self.bases & SCALES.keys():
            values[f"ms_ssim{next(iter(self.regions))}"] = ms_ssim(prediction, self.target, found)
            clock.lap("ms_ssim")
        return values


def error_values(
    prediction: Picture, target: Picture, regions: Mapping[str, Mask | None]
) -> Values:
    """``mse, mae, psnr`` of plain pictures by their names; as a region, None is everywhere."""
    values: Values = {}
    difference = cv2.absdiff(prediction, target)
    channels = difference.size // difference[..., 0].size if difference.ndim == 3 else 1
    for place, region in regions.items():
        num_pixels = difference.size // channels if region is None else cv2.countNonZero(region)
        num_values = num_pixels * channels
        # Of uint8, cv2 sums integers: exact, and a dozen times faster than float64 numpy.
        squares, total = (
            cv2.norm(difference, kind, region) if num_values else 0.0
            for kind in (cv2.NORM_L2SQR, cv2.NORM_L1)
        )
        values |= mse_psnr(squares, num_values, place)
        values[f"mae{place}"] = total / (num_values * PEAK) if num_values else None
    return values


def _base(name: str) -> str:
    ends = sorted(PLACES, key=len, reverse=True)
    return name.removesuffix(next(end for end in ends if name.endswith(end)))
