"""Scratches: long thin marks, bright or dark, most of them in nearly parallel bundles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

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
from pipeline.corruptions.geometry import TURN, compass, right_of
from pipeline.corruptions.layers import FULL, soften
from pipeline.corruptions.outlines import smooth
from pipeline.seeds import seed_of

PIECES = 28  # of one scratch, each with a strength of its own
WORST = 320  # scratches at full opacity


class Groups(NamedTuple):
    """Bundles, and lone scratches as groups of one: arrays, one row a group (px)."""

    sizes: Array
    middles: Array
    turned: Array
    lengths: Array
    spreads: Array
    bends: Array
    bright: Array


@CORRUPTIONS.add
class Scratches(Sown):
    """What sand, dry cloths and projectors leave on prints and negatives.

    `num_range`: scratches on the whole photo; `length_range` and `width_range`: shares of the
    short side, many near the lower bound, few near the upper; `opacity_range`: strength of the
    strongest; `bundled_range`: share of them that lie in nearly parallel bundles, the way that
    the photo was handled; `bright_range`: share of bright ones (emulsion gone, or a scratched
    negative's back), the others are dark; `gaps_range`: share of their length that is missing.
    """

    length_range: tuple[Size, Size]
    width_range: tuple[Size, Size]
    opacity_range: tuple[Share, Share]
    bundled_range: tuple[Share, Share]
    bright_range: tuple[Share, Share]
    gaps_range: tuple[Share, Share]

    @classmethod
    def at(cls, severity: float) -> Self:
        """More and stronger scratches together."""
        opacity = round(0.4 + 0.6 * severity, 3)
        num = round(WORST * severity * severity / opacity)
        return cls(
            num_range=(num, num),
            length_range=(0.03, 1.6),
            width_range=(0.0008, 0.006),
            opacity_range=(opacity, opacity),
            bundled_range=(0.4, 0.8),
            bright_range=(0.5, 1.0),
            gaps_range=(0.1, 0.5),
        )

    def draw(self, shape: Sequence[int], rng: np.random.Generator) -> Drawn:
        """How many, how strong, in which way; the scratches themselves come from the seed."""
        soot = int(rng.integers(0, 60))
        return {
            **View.draw(shape, rng),
            "num": count_in(self.num_range, rng),
            "lengths": list(self.length_range),
            "widths": list(self.width_range),
            "opacity": share_in(self.opacity_range, rng),
            "bundled": share_in(self.bundled_range, rng),
            "bright": share_in(self.bright_range, rng),
            "gaps": share_in(self.gaps_range, rng),
            "paper": warm_white(rng),
            "soot": [soot, max(0, soot - 6), max(0, soot - int(rng.integers(0, 16)))],
            "seed": seed_of(rng),
        }

    def lay_all(
        self, out: Array, mask: Array, view: View, generator: np.random.Generator, drawn: Drawn
    ) -> None:
        """The dark scratches, then the bright ones."""
        marks = _marks(drawn, view, generator)
        cell = max(1, round(view.side / 500))
        for bright, color in ((False, drawn["soot"]), (True, drawn["paper"])):
            canvas, chosen = view.canvas(out), marks.bright == bright
            fixed = view.fixed(marks.points[chosen])
            draw_strokes(canvas, fixed, marks.widths[chosen], marks.strengths[chosen])
            canvas = soften(canvas, view.side / 2500)
            phase = int(generator.integers(0, 1 << 16))
            lay(out, mask, canvas, view, Ink(color, 0.15 + 0.5 * drawn["gaps"], cell, phase))

    def severity(self, drawn: Drawn) -> float:
        """Number × opacity on the whole photo against 320, square-rooted: marks overlap."""
        return rooted(drawn["num"] * drawn["opacity"], WORST)


def _groups(drawn: Drawn, view: View, generator: np.random.Generator) -> Groups:
    """Bundles follow the way that the photo was handled; most lone scratches do not."""
    sizes = _group_sizes(drawn, generator)
    count, lone = len(sizes), sizes == 1
    way = int(generator.integers(0, TURN)) + generator.normal(size=count) * TURN / 40
    stray = lone & (generator.random(count) < 0.6)
    least, most = (share * view.side for share in drawn["lengths"])
    lengths = least * heavier(count, generator, most / least)
    return Groups(
        sizes,
        view.anywhere(count, generator),
        np.where(stray, generator.integers(0, TURN, count), way).astype(np.int64) % TURN,
        np.where(lone, lengths, np.clip(3 * lengths, 0.1 * view.side, most)),
        0.012 * heavier(count, generator, 12) * view.side,
        generator.normal(size=count) * 0.025,
        generator.random(count) < drawn["bright"],
    )


def _marks(drawn: Drawn, view: View, generator: np.random.Generator) -> Marks:
    """All scratches of the photo; in a bundle they are unequally long, and slipped and fanned out a
    little."""
    groups = _groups(drawn, view, generator)
    group = np.repeat(np.arange(len(groups.sizes)), groups.sizes)
    count, own = len(group), (groups.sizes > 1)[group]
    lengths = groups.lengths[group] * np.where(own, generator.uniform(0.15, 1.2, count), 1)
    slip = own * generator.normal(size=count) * 0.4 * groups.lengths[group] - lengths / 2
    aside = own * generator.normal(size=count) * groups.spreads[group]
    along = compass(TURN)[groups.turned][group][:, None]
    across = right_of(along)
    place = np.arange(PIECES + 1) / PIECES
    bow = 4 * groups.bends[group][:, None] * place * (1 - place)
    bow += (own * generator.normal(size=count) * 0.012)[:, None] * place
    bow += smooth(count, PIECES + 1, 16, generator) * 0.001
    on, off = slip[:, None] + lengths[:, None] * place, aside[:, None] + lengths[:, None] * bow
    points = groups.middles[group][:, None] + along * on[:, :, None] + across * off[:, :, None]
    thin, thick = (share * view.side for share in drawn["widths"])
    widths = np.minimum(
        thin * heavy(count, generator, thick / thin), np.maximum(thin, lengths / 50)
    )
    taper = np.minimum(1, 0.3 + 6 * place[1:] * (1 - place[:-1]))
    strengths = _strengths(count, drawn, generator)
    marks = Marks(points, widths[:, None] * taper, strengths, groups.bright[group])
    return _with_edges(marks, across * widths[:, None, None], generator)


def _with_edges(marks: Marks, wide: Array, generator: np.random.Generator) -> Marks:
    """A third of the scratches get two sharp edges and a faint middle, a fifth a burr of the other
    sort along one side. `wide` is a vector across each, as long as it is wide."""
    paths, widths, strengths, bright = marks
    chance = generator.random(len(paths))
    railed, burred = chance < 0.35, chance > 0.8
    beside = generator.uniform(0.5, 0.9, np.count_nonzero(burred))[:, None, None]
    left, right = (paths[railed] + half * wide[railed] for half in (0.5, -0.5))
    thin, edge = 0.3 * widths[railed], strengths[railed]
    middle = strengths * np.where(railed, 0.4, 1.0)[:, None]
    burr = paths[burred] + beside * wide[burred]
    return Marks(
        np.concatenate([paths, left, right, burr]),
        np.concatenate([widths, thin, thin, widths[burred] * 0.7]),
        np.concatenate([middle, edge, edge * 0.8, strengths[burred] * 0.5]),
        np.concatenate([bright, bright[railed], bright[railed], ~bright[burred]]),
    )


def _strengths(count: int, drawn: Drawn, generator: np.random.Generator) -> Array:
    """Along each scratch: swelling, gone here and there, thin at both ends."""
    strongest = FULL * drawn["opacity"] * generator.uniform(0.25, 1.2, (count, 1))
    gaps = np.minimum(0.9, drawn["gaps"] * 2 * generator.random((count, 1)))
    swell = np.clip(1.2 * smooth(count, PIECES, 2, generator) + 3 * (0.65 - gaps), 0, 1)
    place = np.arange(PIECES) / PIECES
    strengths: Array = strongest * swell * np.minimum(1, 0.15 + 5 * place * (1 - place))
    return strengths


def _group_sizes(drawn: Drawn, generator: np.random.Generator) -> Array:
    """Bundles of 4 and more until the bundled share is spent, then lone scratches."""
    left = round(drawn["num"] * drawn["bundled"])
    sizes: list[int] = []
    while left >= 4:
        sizes.append(min(left, int(4 * heavier(1, generator, 10)[0])))
        left -= sizes[-1]
    return np.array(sizes + [1] * (drawn["num"] - sum(sizes)), np.int64)
