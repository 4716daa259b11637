"""Dust: specks by the hundred, ragged and clustered, with some short lint between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import cv2
import numpy as np

from pipeline.config import Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Drawn
from pipeline.corruptions.base import rooted, share_in, size_in
from pipeline.corruptions.canvas import (
    Ink,
    Sown,
    View,
    draw_strokes,
    heavier,
    heavy,
    lay,
    warm_white,
)
from pipeline.corruptions.geometry import SHIFT, TURN, compass, right_of
from pipeline.corruptions.layers import FULL, soften
from pipeline.corruptions.outlines import curl
from pipeline.seeds import seed_of

CORNERS = 12  # of a speck's outline
OUTLINES = 64  # of a photo's specks, each turned and scaled anew
LINT_PIECES = 12
WORST = 3000 * 2e-6  # specks × opacity × mean square of their radii (shares of the short side)


@CORRUPTIONS.add
class Dust(Sown):
    """Dust on a negative prints bright, dust on a print or on the glass copies dark.

    `num_range`: specks on the whole photo (log-uniform); `size_range`: the smallest and the largest
    radius as shares of the short side, Pareto-distributed between them (exponent 2: many small, a
    few large); `opacity_range`: of the strongest; `clustered_range`: share that lies in clusters;
    `lint_range`: share that are short threads; `bright_range`: share of bright ones.
    """

    size_range: tuple[Size, Size]
    opacity_range: tuple[Share, Share]
    clustered_range: tuple[Share, Share]
    lint_range: tuple[Share, Share]
    bright_range: tuple[Share, Share]

    @classmethod
    def at(cls, severity: float) -> Self:
        """More and stronger specks together."""
        opacity, sizes = round(0.5 + 0.5 * severity, 3), (0.0006, 0.008)
        num = round(WORST * severity * severity / opacity / _mean_square(*sizes))
        return cls(
            num_range=(num, num),
            size_range=sizes,
            opacity_range=(opacity, opacity),
            clustered_range=(0.1, 0.8),
            lint_range=(0.0, 0.12),
            bright_range=(0.0, 1.0),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """How many, how strong, how clustered; the specks themselves come from the seed."""
        dark = int(rng.integers(0, 70))
        low, high = self.num_range
        return {
            **View.draw(shape, rng),
            "num": round(size_in((1 + low, 1 + high), rng) - 1),
            "sizes": list(self.size_range),
            "opacity": share_in(self.opacity_range, rng),
            "clustered": share_in(self.clustered_range, rng),
            "lint": share_in(self.lint_range, rng),
            "bright": share_in(self.bright_range, rng),
            "paper": warm_white(rng),
            "dark": [dark, dark * 9 // 10, dark * 4 // 5],
            "seed": seed_of(rng),
        }

    def lay_all(
        self, out: Array, mask: Array, view: View, generator: np.random.Generator, drawn: Drawn
    ) -> None:
        """The dark specks, then the bright ones."""
        count = drawn["num"]
        places = _places(drawn, view, generator)
        least, most = (share * view.side for share in drawn["sizes"])
        radii = least * heavy(count, generator, most / least)
        strengths = FULL * drawn["opacity"] * generator.uniform(0.25, 1.15, count)
        bright = generator.random(count) < drawn["bright"]
        thread = generator.random(count) < drawn["lint"]
        for sort, color in ((False, drawn["dark"]), (True, drawn["paper"])):
            canvas = view.canvas(out)
            one = (bright == sort) & ~thread
            _draw_specks(canvas, view, places[one], radii[one], strengths[one], generator)
            one = (bright == sort) & thread
            _draw_lint(canvas, view, places[one], radii[one], strengths[one], generator)
            cell, phase = max(1, round(view.side / 700)), int(generator.integers(0, 1 << 16))
            lay(out, mask, soften(canvas, view.side / 2000), view, Ink(color, 0.2, cell, phase))

    def severity(self, drawn: Drawn) -> float:
        """The area that number, sizes and opacity come to, against 3000 specks of 0.14 % radius;
        square-rooted."""
        area = drawn["num"] * drawn["opacity"] * _mean_square(*drawn["sizes"])
        return rooted(area, WORST)


def _mean_square(least: float, most: float) -> float:
    """Of the radii: Pareto with exponent 2 between the two."""
    ratio = max(most / least, 1.001)
    return least * least * 2 * math.log(ratio) / (1 - 1 / (ratio * ratio))


def _places(drawn: Drawn, view: View, generator: np.random.Generator) -> Array:
    """All over the photo, or around the centers of clusters, most of them small and dense."""
    count = drawn["num"]
    places = view.anywhere(count, generator)
    clusters = 3 + count // 60
    centers = view.anywhere(clusters, generator)
    reach = 0.012 * heavier(clusters, generator, 25) * view.side
    own = np.floor(generator.random(count) ** 2 * clusters).astype(np.int64)
    near = generator.normal(size=(count, 2)) * generator.random((count, 1))
    gathered = generator.random(count) < drawn["clustered"]
    return np.where(gathered[:, None], centers[own] + near * 1.5 * reach[own][:, None], places)


def _draw_specks(
    canvas: Array, view: View, places: Array, radii: Array, strengths: Array,
    generator: np.random.Generator,
) -> None:  # fmt: skip
    """Ragged drawn-out outlines; what is smaller than a pixel becomes a pixel, but fainter."""
    ragged = generator.uniform(0.5, 1.25, (OUTLINES, CORNERS, 1))
    stretch = np.stack([np.ones(OUTLINES), generator.uniform(0.35, 1, OUTLINES)], axis=1)
    outlines = compass(TURN)[:: TURN // CORNERS][:CORNERS] * ragged * stretch[:, None]
    kind = generator.integers(0, OUTLINES, len(places))
    lean = compass(TURN)[generator.integers(0, TURN, len(places))]
    levels = np.clip(strengths * np.minimum(1, 1.6 * radii * radii), 0, FULL).astype(np.int64)
    middle, reach = view.fixed(places) >> SHIFT, (1.5 * radii + 2).astype(np.int64)[:, None]
    seen = (middle + reach >= 0) & (middle - reach < np.array(canvas.shape[::-1]))
    chosen = np.flatnonzero(seen.all(axis=1) & (levels > 2))
    chosen = chosen[np.argsort(levels[chosen], kind="stable")]
    tiny = chosen[radii[chosen] < 0.7]
    columns, rows = np.clip(middle[tiny], 0, np.array(canvas.shape[::-1]) - 1).T
    canvas[rows, columns] = levels[tiny]
    chosen = chosen[radii[chosen] >= 0.7]
    right = lean[chosen][:, None] * (radii[chosen] - 0.4)[:, None, None]
    down = right_of(right)
    shapes = outlines[kind[chosen]]
    fixed = view.fixed(places[chosen][:, None] + right * shapes[:, :, :1] + down * shapes[:, :, 1:])
    for outline, level in zip(fixed, levels[chosen].tolist(), strict=True):
        cv2.fillPoly(canvas, [outline], level, cv2.LINE_AA, SHIFT)


def _draw_lint(
    canvas: Array, view: View, places: Array, radii: Array, strengths: Array,
    generator: np.random.Generator,
) -> None:  # fmt: skip
    """Short curled threads, thin against the specks that they stand for."""
    count = len(places)
    lengths = np.minimum(radii * generator.uniform(10, 40, count), 0.06 * view.side)
    turns = generator.uniform(0.1, 0.7, count)
    points = curl(places, lengths, turns, LINT_PIECES, generator)
    widths = np.clip(radii * 0.7, 0.6, np.maximum(0.6, lengths / 25))
    draw_strokes(
        canvas,
        view.fixed(points),
        np.repeat(widths[:, None], LINT_PIECES, axis=1),
        np.repeat(strengths[:, None], LINT_PIECES, axis=1),
    )
