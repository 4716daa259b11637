"""Hairs and fibers that lay on the photo, or on its negative, when it was copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from pipeline.config import Share, Size
from pipeline.corruptions import CORRUPTIONS, Array, Drawn
from pipeline.corruptions.base import count_in, rooted, share_in
from pipeline.corruptions.canvas import (
    Ink,
    Marks,
    Sown,
    View,
    draw_strokes,
    heavier,
    heavy,
    lay,
    warm_white,
)
from pipeline.corruptions.layers import FULL, soften
from pipeline.corruptions.outlines import curl, smooth
from pipeline.seeds import seed_of

PIECES = 72  # of one hair
WORST = 60  # hairs at full opacity
SHADOW = 0.25  # of a dark hair's opacity
Turns = Annotated[float, Field(ge=0, le=10)]


@CORRUPTIONS.add
class Hair(Sown):
    """Curled hairs, thinner toward their ends.

    `num_range`: hairs on the whole photo; `length_range` and `width_range`: shares of the short
    side, many near the lower bound (fibers), few near the upper; `curl_range`: by how many full
    turns a hair's direction strays from end to end; `tangled_range`: share of hairs that lie across
    another one, as lint does; `bright_range`: share of bright ones (hair on the negative), the
    others are dark with a soft shadow (hair on the print); `opacity_range`: of the strongest.
    """

    length_range: tuple[Size, Size]
    width_range: tuple[Size, Size]
    curl_range: tuple[Turns, Turns]
    tangled_range: tuple[Share, Share]
    bright_range: tuple[Share, Share]
    opacity_range: tuple[Share, Share]

    @classmethod
    def at(cls, severity: float) -> Self:
        """More and stronger hairs together."""
        opacity = round(0.6 + 0.4 * severity, 3)
        num = round(WORST * severity * severity / opacity)
        return cls(
            num_range=(num, num),
            length_range=(0.03, 1.5),
            width_range=(0.0012, 0.0035),
            curl_range=(0.1, 0.7),
            tangled_range=(0.0, 0.6),
            bright_range=(0.0, 1.0),
            opacity_range=(opacity, opacity),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """How many, how strong, how curled; the hairs themselves come from the seed."""
        dark = int(rng.integers(0, 60))
        return {
            **View.draw(shape, rng),
            "num": count_in(self.num_range, rng),
            "lengths": list(self.length_range),
            "widths": list(self.width_range),
            "curls": list(self.curl_range),
            "tangled": share_in(self.tangled_range, rng),
            "bright": share_in(self.bright_range, rng),
            "opacity": share_in(self.opacity_range, rng),
            "paper": warm_white(rng),
            "dark": [dark, dark * 4 // 5, dark * 2 // 3],
            "seed": seed_of(rng),
        }

    def lay_all(
        self, out: Array, mask: Array, view: View, generator: np.random.Generator, drawn: Drawn
    ) -> None:
        """Shadows, dark hairs, bright hairs."""
        hairs = _strands(drawn, view, generator)
        fixed, sigma = view.fixed(hairs.points), view.side / 2000
        dark, bright = ~hairs.bright, hairs.bright
        shift = round(view.side / 40)
        for chosen, color, aside, wider, strength, blur in (
            (dark, [0, 0, 0], shift, 1.6, SHADOW, 3 * sigma),
            (dark, drawn["dark"], 0, 1, 1.0, sigma),
            (bright, drawn["paper"], 0, 1, 1.0, sigma),
        ):
            if chosen.any():
                canvas = view.canvas(out)
                widths, strengths = hairs.widths[chosen] * wider, hairs.strengths[chosen] * strength
                draw_strokes(canvas, fixed[chosen] + aside, widths, strengths)
                lay(out, mask, soften(canvas, blur), view, Ink(color, 0.0, 1, 0))

    def severity(self, drawn: Drawn) -> float:
        """Number × opacity on the whole photo against 60, square-rooted."""
        return rooted(drawn["num"] * drawn["opacity"], WORST)


def _strands(drawn: Drawn, view: View, generator: np.random.Generator) -> Marks:
    """All hairs of the photo."""
    count = drawn["num"]
    shortest, longest = (share * view.side for share in drawn["lengths"])
    lengths = shortest * heavier(count, generator, longest / shortest)
    turns = generator.uniform(drawn["curls"][0], drawn["curls"][1], count)
    points = curl(view.anywhere(count, generator), lengths, turns, PIECES, generator)
    bright = generator.random(count) < drawn["bright"]
    free = generator.random(count) >= drawn["tangled"]
    free[0] = True  # the first lies somewhere, so that the others can lie across it
    tangled, hosts = np.flatnonzero(~free), np.flatnonzero(free)
    host = hosts[np.floor(generator.random(tangled.size) ** 2 * hosts.size).astype(np.int64)]
    knot = points[host, generator.integers(0, PIECES, tangled.size)]
    knot = knot + generator.normal(size=knot.shape) * 0.006 * view.side
    points[tangled] += (knot - points[tangled, PIECES // 2])[:, None]
    bright[tangled] = bright[host]
    thin, thick = (share * view.side for share in drawn["widths"])
    place = np.arange(PIECES) / PIECES
    taper = np.minimum(1, 0.45 + 3 * place * (1 - place))
    width = np.minimum(thin * heavy(count, generator, thick / thin), np.maximum(thin, lengths / 60))
    strongest = FULL * drawn["opacity"] * generator.uniform(0.45, 1.1, (count, 1))
    swell = np.clip(0.9 + 0.15 * smooth(count, PIECES, 8, generator), 0, 1)
    return Marks(points, width[:, None] * taper, strongest * swell, bright)
