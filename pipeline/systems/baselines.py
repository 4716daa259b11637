"""What restoration could do before networks: the classical methods that a trained system must beat.

Pictures are uint8 H×W×3 (RGB) or H×W×1 (gray), masks uint8 H×W with 255 = damaged. Each method has
one or two strengths, and is given its best: `tune` chooses them by mean PSNR on validation samples,
"do nothing" included, so that a baseline is no strawman.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.config import Registry
from pipeline.errors import PipelineError
from pipeline.fidelity import Mask, Picture, clip_psnr, psnr

Sample: TypeAlias = tuple[Picture, Picture, Mask]  # clean, corrupted, mask
Strength: TypeAlias = Mapping[str, float]

INPAINT_RADIUS = 3  # px, OpenCV's customary one, where nothing was tuned
INPAINT_RADII = (1, 2, 3, 5, 8, 12, 20)  # px
MEDIAN_KERNELS = (1, 3, 5, 7, 9, 11, 13, 15)  # px; 1 changes nothing
GAUSSIAN_SIGMAS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0)  # px
NLM_TEMPLATES = (7, 5, 3)  # px, side of a patch; OpenCV's customary one first
NLM_SEARCH = 21  # px, side of the window in which like patches are sought
NLM_STRENGTHS = (0.0, *(round(1.1**step, 3) for step in range(50)))  # h in 8-bit levels, up to 107
NLM_START, NLM_STRIDE = 25, 8  # where the climb over NLM_STRENGTHS begins (h = 9.8), and its step


class Baseline(Protocol):
    """A classical method; it holds no state, its strengths travel as plain numbers."""

    needs_mask: ClassVar[bool]  # True: works only where the true mask says, and needs one

    def tune(self, samples: Iterable[Sample]) -> dict[str, float]:
        """Choose strengths by mean PSNR (clipped at 100 dB) over `samples`; ties go to the weaker.

        All samples are held in memory. Raises PipelineError where there are none.
        """
        ...

    def restore(self, corrupted: Picture, mask: Mask | None, strength: Strength) -> Picture:
        """A new picture of the same shape.

        Raises PipelineError without a strength or mask that it needs.
        """
        ...


BASELINES: Registry[type[Baseline]] = Registry("baseline")


class _Inpainting:
    needs_mask: ClassVar[bool] = True
    method: ClassVar[int]

    def tune(self, samples: Iterable[Sample]) -> dict[str, float]:
        """The radius in px, under the true masks."""
        return _best_of(self, _known(samples), "radius", INPAINT_RADII)

    def restore(self, corrupted: Picture, mask: Mask | None, strength: Strength) -> Picture:
        """Repaint the damaged pixels from their surroundings; all others stay as they are.

        A wholly damaged picture has no surroundings and comes back unchanged.
        """
        if mask is None:
            raise _unfit(self, "needs the true mask", "give one (255 = damaged)")
        radius = float(strength.get("radius", INPAINT_RADIUS))
        return _like(cv2.inpaint(_plain(corrupted), mask, radius, self.method), corrupted)


@BASELINES.add
class Telea(_Inpainting):
    """Telea 2004, "An image inpainting technique based on the fast marching method"."""

    method = cv2.INPAINT_TELEA


@BASELINES.add
class NavierStokes(_Inpainting):
    """Bertalmio, Bertozzi, Sapiro 2001, "Navier-Stokes, fluid dynamics, and image inpainting"."""

    method = cv2.INPAINT_NS


@BASELINES.add
class MeanFill:
    """The mean color of what is whole, in the holes: the least that any inpainting must beat."""

    needs_mask: ClassVar[bool] = True

    def tune(self, samples: Iterable[Sample]) -> dict[str, float]:
        """There is nothing to choose."""
        _known(samples)
        return {}

    def restore(self, corrupted: Picture, mask: Mask | None, strength: Strength) -> Picture:
        """A wholly damaged picture comes back unchanged."""
        if mask is None:
            raise _unfit(self, "needs the true mask", "give one (255 = damaged)")
        whole, filled = mask == 0, corrupted.copy()
        if whole.any():
            filled[~whole] = np.rint(corrupted[whole].mean(axis=0, dtype=np.float64))
        return filled


@BASELINES.add
class Tint:
    """One color over a gray picture: the least that any coloring must beat.

    In CIE Lab with constant a and b, so that the lightness stays; a colored input loses its colors.
    """

    needs_mask: ClassVar[bool] = False

    def tune(self, samples: Iterable[Sample]) -> dict[str, float]:
        """The mean `a` and `b` (8-bit Lab, 0 = gray) of the originals, which is the constant of
        least squared error there."""
        labs = [cv2.cvtColor(_rgb(clean), cv2.COLOR_RGB2LAB) for clean, _, _ in _known(samples)]
        means = np.mean([lab.reshape(-1, 3).mean(axis=0) for lab in labs], axis=0)
        return {"a": round(float(means[1]) - 128, 2), "b": round(float(means[2]) - 128, 2)}

    def restore(self, corrupted: Picture, mask: Mask | None, strength: Strength) -> Picture:
        """Tint RGB; a gray picture stays as it is, for it can hold no color. `mask` is not used."""
        if corrupted.shape[2] == 1:
            return corrupted.copy()
        lab = cv2.cvtColor(_rgb(corrupted), cv2.COLOR_RGB2LAB)
        for place, name in enumerate(("a", "b"), 1):
            lab[..., place] = round(128 + _required(self, strength, name))
        return _like(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), corrupted)


@BASELINES.add
class NonLocalMeans:
    """Buades, Coll, Morel 2005, "A non-local algorithm for image denoising", one h for all photos.

    RGB patches are compared over all three channels at once. OpenCV's other way,
    `fastNlMeansDenoisingColored` in Lab, was 0.1 to 3.3 dB worse at its own best h on every photo,
    noise level and kind of grain tried. A 3 px template is better on white noise, by 0.3 to 1.5 dB,
    the customary 7 px on blurred grain: so it is tuned too.
    """

    needs_mask: ClassVar[bool] = False

    def tune(self, samples: Iterable[Sample]) -> dict[str, float]:
        """`h` in steps of 10 %, and the side of the `template` in px, each with its own climb."""
        known = _known(samples)
        best, best_psnr = {"h": 0.0, "template": float(NLM_TEMPLATES[0])}, -math.inf
        start, stride = NLM_START, NLM_STRIDE
        for template in NLM_TEMPLATES:

            def score(index: int, template: float = template) -> float:
                return _mean_psnr(self, known, {"h": NLM_STRENGTHS[index], "template": template})

            start, reached = _climb(score, len(NLM_STRENGTHS), start, stride)
            stride = NLM_STRIDE // 2
            if reached > best_psnr:
                best, best_psnr = {"h": NLM_STRENGTHS[start], "template": float(template)}, reached
        return best

    def restore(self, corrupted: Picture, mask: Mask | None, strength: Strength) -> Picture:
        """Average every pixel with those whose neighbourhoods look alike; `mask` is not used."""
        h = _required(self, strength, "h")
        if h == 0:
            return corrupted.copy()
        template = int(strength.get("template", NLM_TEMPLATES[0]))
        restored = cv2.fastNlMeansDenoising(_plain(corrupted), None, h, template, NLM_SEARCH)
        return _like(restored, corrupted)


@BASELINES.add
class Median:
    """The median of a square window, in each channel: the old remedy for specks and scratches."""

    needs_mask: ClassVar[bool] = False

    def tune(self, samples: Iterable[Sample]) -> dict[str, float]:
        """The odd side of the window in px."""
        return _best_of(self, _known(samples), "kernel", MEDIAN_KERNELS)

    def restore(self, corrupted: Picture, mask: Mask | None, strength: Strength) -> Picture:
        """Filter the whole picture; `mask` is not used."""
        kernel = _required(self, strength, "kernel")
        if kernel < 1 or kernel % 2 != 1:
            raise _unfit(self, f"a kernel of {kernel} px has no middle", "use an odd number")
        return _like(cv2.medianBlur(_plain(corrupted), int(kernel)), corrupted)


@BASELINES.add
class Gaussian:
    """A Gaussian blur: the least that any denoiser must beat."""

    needs_mask: ClassVar[bool] = False

    def tune(self, samples: Iterable[Sample]) -> dict[str, float]:
        """The standard deviation in px."""
        return _best_of(self, _known(samples), "sigma", GAUSSIAN_SIGMAS)

    def restore(self, corrupted: Picture, mask: Mask | None, strength: Strength) -> Picture:
        """Filter the whole picture; `mask` is not used."""
        sigma = _required(self, strength, "sigma")
        if sigma == 0:
            return corrupted.copy()
        return _like(cv2.GaussianBlur(_plain(corrupted), (0, 0), sigma), corrupted)


def _known(samples: Iterable[Sample]) -> list[Sample]:
    known = list(samples)
    if not known:
        raise PipelineError(
            "baseline tuning", "got no validation samples", "give at least one to choose by"
        )
    return known


def _best_of(
    baseline: Baseline, samples: list[Sample], name: str, candidates: Sequence[float]
) -> dict[str, float]:
    """Try all of few; `max` keeps the first of equals, which is the weaker."""
    return {name: max(candidates, key=lambda one: _mean_psnr(baseline, samples, {name: one}))}


def _climb(
    score: Callable[[int], float], num_steps: int, start: int, stride: int
) -> tuple[int, float]:
    """The index of the highest score and that score: walk uphill, halving the stride at each top.

    Assumes one hill, which PSNR over a denoiser's strength is; tries a dozen of 50 steps.
    """
    seen: dict[int, float] = {}

    def rank(index: int) -> tuple[float, int]:
        if index not in seen:
            seen[index] = score(index)
        return seen[index], -index  # of equals the weaker

    best = start
    while stride:
        near = {max(best - stride, 0), best, min(best + stride, num_steps - 1)}
        top = max(near, key=rank)
        best, stride = (top, stride) if top != best else (best, stride // 2)
    return best, seen[best]


def _mean_psnr(baseline: Baseline, samples: list[Sample], strength: Strength) -> float:
    values, _ = clip_psnr(
        psnr(baseline.restore(corrupted, mask, strength), clean)
        for clean, corrupted, mask in samples
    )
    return math.fsum(values) / len(values)


def _rgb(picture: Picture) -> Picture:
    """Gray as three equal channels, contiguous."""
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3)))


def _plain(picture: Picture) -> Picture:
    """As OpenCV wants it: contiguous, and gray without its channel axis."""
    return np.ascontiguousarray(picture[..., 0] if picture.shape[2] == 1 else picture)


def _like(result: NDArray[Any], picture: Picture) -> Picture:
    return result.astype(np.uint8, copy=False).reshape(picture.shape)


def _required(baseline: Baseline, strength: Strength, name: str) -> float:
    if name not in strength:
        raise _unfit(baseline, f"has no {name!r}", "tune it on validation samples first")
    return float(strength[name])


def _unfit(baseline: Baseline, what: str, next_step: str) -> PipelineError:
    return PipelineError(f"baseline {type(baseline).__name__}", what, next_step)
