"""The ranking as a forest plot: a dot and an interval a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from pipeline import themes
from pipeline.mining.estimate import Estimate, is_clear
from pipeline.mining.ranking import Ranking
from pipeline.themes import LIGHT, Theme

WIDTH, ROW = 10.0, 0.3  # inches
KEY = "bars: 95 % intervals; hollow: within chance; °: always drawn, against its mildest"
Line = tuple[str, Estimate | None, bool]  # its label, what is plotted, and is it beyond chance


def plot_ranking(found: Ranking, title: str, theme: Theme = LIGHT) -> bytes:
    """Shares of the error and dB by family, and below them what damage looks like: PNG bytes."""
    causes, looks = found.causes, found.looks
    parts = [len(causes)] * bool(causes) + [len(looks)] * bool(looks)
    height = sum(parts) * ROW + 1.0 * len(parts) + 0.55
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    ratios = [count + 1.5 for count in parts]
    grid = figure.add_gridspec(len(parts), 2, height_ratios=ratios)
    figure.suptitle(title, fontsize=11, x=0.01, ha="left", color=theme.text, parse_math=False)
    figure.supxlabel(KEY, fontsize=8.5, x=0.99, ha="right", color=theme.text)
    if causes:
        names = [one.name + ("°" if one.drawn.always else "") for one in causes]
        shares = [
            (name, one.share.scaled(100), one.clear)
            for name, one in zip(names, causes, strict=True)
        ]
        _draw(figure.add_subplot(grid[0, 0]), shares, "share of the remaining error (%)", theme)
        costs = [
            ("", x.cost, x.cost is not None and is_clear(x.cost, found.num_photos, len(causes)))
            for x in causes
        ]
        label = "dB that its presence costs"
        if all(one.cost is None for one in causes):
            costs = [("", one.slope, one.steep) for one in causes]
            label = "dB per 0.1 of severity"
        _draw(figure.add_subplot(grid[0, 1]), costs, label, theme)
    if looks:
        told = [(f"{x.name.replace('_', ' ')}, {x.unit}", x.slope, x.clear) for x in looks]
        _draw(figure.add_subplot(grid[len(parts) - 1, :]), told, "dB", theme)
    return themes.png(figure, theme, 110)


def _draw(axes: Any, lines: Sequence[Line], label: str, theme: Theme) -> None:
    """From the top; what chance could have done is pale and hollow."""
    axes.axvline(0, color=theme.text, linewidth=1.0)
    for place, (_, found, clear) in enumerate(lines):
        if found is None:
            continue
        color = theme.line if clear else theme.fill
        if found.low is not None and found.high is not None:
            axes.plot([found.low, found.high], [-place] * 2, color=color, linewidth=1.8)
        inside = color if clear else theme.background or "none"
        axes.plot(found.value, -place, "o", color=color, markerfacecolor=inside, markersize=6)
    axes.set_yticks(range(0, -len(lines), -1), [name for name, _, _ in lines], parse_math=False)
    axes.set_ylim(0.6 - len(lines), 0.6)
    axes.set_xlabel(label, color=theme.text, fontsize=9)
    themes.style(axes, theme)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)
