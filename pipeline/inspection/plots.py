"""The numbers of shards as PNG plots, one row a split; the same bytes for the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from pipeline.inspection import BINS
from pipeline.inspection.columns import SplitData
from pipeline.inspection.doubts import plausible
from pipeline.inspection.plan import PlannedStep
from pipeline.samples import Array
from pipeline.themes import LIGHT, Theme, png, style

COLUMNS = 3


class Row(NamedTuple):
    """One split's histogram: shares drawn as bars, and perhaps others as a line."""

    split: str
    total: int
    bars: Array
    line: Array | None = None

    def median(self, high: float) -> float:
        """The middle of the bin that the median of the bars falls into."""
        place = int(np.searchsorted(np.cumsum(self.bars), self.bars.sum() / 2))
        return (min(place, BINS - 1) + 0.5) / BINS * high


class Panel(NamedTuple):
    """One quantity in all splits, in even bins from 0 to `high`; `marks`: values worth a line."""

    title: str
    label: str
    high: float
    rows: tuple[Row, ...]
    marks: tuple[float, ...] = ()
    percent: bool = False

    def tell(self, value: float) -> str:
        """A value of the quantity as text."""
        if self.percent:
            return f"{value:.0%}"
        return f"{value:.2f}" if self.high <= 1 else f"{value:.0f}"


def plot_panels(panels: Sequence[Panel], theme: Theme = LIGHT) -> bytes:
    """Panels side by side, at most three in a row: PNG bytes."""
    columns = min(COLUMNS, len(panels))
    blocks = -(-len(panels) // columns)
    height = max(len(panel.rows) for panel in panels)
    figure = Figure(figsize=(4.4 * columns, blocks * (0.85 * height + 0.75)), layout="constrained")
    parts = np.atleast_2d(figure.subfigures(blocks, columns, squeeze=False))
    for part, panel in zip(parts.flat, panels, strict=False):
        _draw_panel(part, panel, theme)
    return png(figure, theme)


def plot_frequencies(
    splits: Sequence[SplitData], steps: Sequence[PlannedStep], theme: Theme = LIGHT
) -> bytes:
    """How often each step occurs, in each split from top to bottom, over what its probability makes
    plausible: PNG bytes."""
    figure = Figure(figsize=(4.4, 0.42 * len(steps) + 0.75), layout="constrained")
    axes = figure.subplots()
    for number, step in enumerate(steps):
        heights = np.linspace(0.27, -0.27, len(splits)) - number
        for data, height in zip(splits, heights, strict=True):
            count, total = len(data.severities(number)), max(1, data.num_samples)
            low, high = plausible(total, step.probability)
            axes.plot(
                [low / total, high / total], [height] * 2, color=theme.fill, linewidth=5,
                solid_capstyle="round",
            )  # fmt: skip
            color = theme.line if low <= count <= high else theme.alarm
            axes.plot(count / total, height, "o", color=color, markersize=5, clip_on=False)
    axes.set_yticks(range(0, -len(steps), -1), [step.name for step in steps])
    axes.set_ylim(min(-0.5, 0.5 - len(steps)), 0.5)  # of some height without steps, too
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of the samples", color=theme.text, fontsize=9)
    style(axes, theme)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
    return png(figure, theme)


def _draw_panel(part: Any, panel: Panel, theme: Theme) -> None:
    grid = part.subplots(len(panel.rows), 1, sharex=True, squeeze=False)[:, 0]
    edges = np.linspace(0, panel.high, BINS + 1)
    for axes, row in zip(grid, panel.rows, strict=True):
        axes.stairs(row.bars, edges, fill=True, color=theme.fill)
        if row.line is not None:
            axes.stairs(row.line, edges, color=theme.line, linewidth=1.3)
        for mark in panel.marks:
            axes.axvline(mark, color=theme.text, linewidth=0.9, linestyle=(0, (3, 2)))
        label = f"{row.split}, {row.total:,}"
        axes.set_title(label, loc="right", fontsize=8.5, color=theme.text, y=0.8, pad=0)
        top = max(float(shares.max()) for shares in (row.bars, row.line) if shares is not None)
        axes.set_ylim(0, (top or 1.0) * 1.4)  # room for the label
        axes.yaxis.set_major_locator(MaxNLocator(2, min_n_ticks=2))
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        style(axes, theme)
    grid[-1].set_xlim(0, _used(panel, edges))
    if panel.percent:
        grid[-1].xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    grid[-1].set_xlabel(panel.label, color=theme.text, fontsize=9)
    part.suptitle(panel.title, color=theme.text, fontsize=10, x=0.02, ha="left", parse_math=False)


def _used(panel: Panel, edges: Array) -> float:
    """The end of the last bin that holds anything, or of the marks, with a bin to spare."""
    drawn = [shares for row in panel.rows for shares in (row.bars, row.line) if shares is not None]
    last = max((int(np.flatnonzero(shares).max(initial=0)) for shares in drawn), default=0)
    reach = max(float(edges[min(BINS, last + 2)]), 1.04 * max(panel.marks, default=0.0))
    return float(edges[-1]) if reach > 0.7 * edges[-1] else reach
