"""What report pages plot: gains with intervals, thresholds, reliability, rankings; PNG bytes, the
same for the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline import themes
from pipeline.report.numbers import Gain
from pipeline.rows import Row
from pipeline.themes import LIGHT, Theme

MARKERS = ("s", "D", "^", "v", "P")
WIDTH = 4.6  # inches: labels stay readable where a phone makes plots small
LONGEST = 22  # letters of a label
SCORES = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}  # as spoken of
LINES = {"precision": "--", "recall": ":", "f1": "-", "iou": "-."}


class Group(NamedTuple):
    """Samples that have something in common: gains by picture, the system's own first."""

    name: str
    num_samples: int
    gains: Mapping[str, Gain]


def plot_gains(groups: Sequence[Group], theme: Theme = LIGHT) -> bytes:
    """What the system and the baselines gain over the input in each group, with intervals."""
    pictures = list(dict.fromkeys(name for group in groups for name in group.gains))
    height = 0.17 * len(pictures) + 0.16
    figure = Figure(
        figsize=(WIDTH, height * len(groups) + 0.8 + 0.1 * len(pictures)), layout="constrained"
    )
    axes = figure.subplots()
    steps = np.linspace(0.27, -0.27, len(pictures)) if len(pictures) > 1 else np.zeros(1)
    for place, group in enumerate(groups):
        for number, (name, step) in enumerate(zip(pictures, steps, strict=True)):
            if name in group.gains:
                _draw_interval(axes, group.gains[name], step - place, number, theme)
    labels = [f"{_short(group.name)}\nn = {group.num_samples:,}" for group in groups]
    _finish_gains(axes, theme, labels)
    handles = [
        Line2D([], [], label=_short(name), linestyle="", **_marker(number, theme))
        for number, name in enumerate(pictures)
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False, fontsize=8.5,
                  labelcolor=theme.text, handletextpad=0.2)  # fmt: skip
    return themes.png(figure, theme)


def plot_ranking(entries: Sequence[tuple[str, bool, Gain]], theme: Theme = LIGHT) -> bytes:
    """Gains over the input, best first: (name, is it a system of ours, gain)."""
    figure = Figure(figsize=(WIDTH, 0.34 * len(entries) + 0.75), layout="constrained")
    axes = figure.subplots()
    for place, (_, own, gain) in enumerate(entries):
        _draw_interval(axes, gain, -place, 0 if own else 1, theme)
    _finish_gains(axes, theme, [_short(name) for name, _, _ in entries])
    return themes.png(figure, theme)


def plot_thresholds(
    rows: Sequence[Row], used: float, best: float | None, theme: Theme = LIGHT
) -> bytes:
    """Precision, recall, F1 and IoU of the mask over its threshold, and the thresholds that are
    used and best, where one is."""
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    axes = figure.subplots()
    rows = sorted(rows, key=lambda row: float(row["threshold"]))
    for name, label in SCORES.items():
        known = [(row["threshold"], row[name]) for row in rows if row[name] is not None]
        width, color = (2.2, theme.line) if name == "f1" else (1.4, theme.text)
        axes.plot(*np.array(known or [(0, 0)]).T, LINES[name], color=color, lw=width, label=label)
    marks = {used: "used, best F1"} if used == best else {used: "used"}
    if best is not None:
        marks.setdefault(best, "best F1")
    for threshold, word in marks.items():
        axes.axvline(threshold, color=theme.alarm, linewidth=1.2, linestyle=(0, (4, 2)))
        right = threshold == max(marks) and threshold < 0.8
        axes.annotate(f" {word} {threshold:g} ", (threshold, 0.03), color=theme.alarm, fontsize=8.5,
                      ha="left" if right else "right")  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("threshold of the predicted probability", color=theme.text, fontsize=9)
    themes.style(axes, theme)
    axes.grid(alpha=0.25)
    figure.legend(loc="outside upper left", ncols=4, frameon=False, fontsize=8.5,
                  labelcolor=theme.text)  # fmt: skip
    return themes.png(figure, theme)


def plot_reliability(rows: Sequence[Row], theme: Theme = LIGHT) -> bytes:
    """How often pixels of a predicted probability of damage are damaged: on the diagonal it means
    what it says. Dots are as large as their pixels are many (by logarithm)."""
    figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
    axes = figure.subplots()
    known = [row for row in rows if row["num_pixels"]]
    axes.plot([0, 1], [0, 1], color=theme.text, linewidth=0.9, linestyle=(0, (4, 2)))
    x, y = ([float(row[name]) for row in known] for name in ("predicted", "damaged"))
    axes.plot(x, y, color=theme.line, linewidth=1.2)
    sizes = [6 + 7 * np.log10(row["num_pixels"]) for row in known]
    axes.scatter(x, y, s=sizes, color=theme.line, zorder=3, clip_on=False)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlabel("predicted probability of damage", color=theme.text, fontsize=9)
    axes.set_ylabel("share truly damaged", color=theme.text, fontsize=9)
    themes.style(axes, theme)
    axes.grid(alpha=0.25)
    return themes.png(figure, theme)


def _draw_interval(axes: Any, gain: Gain, height: float, number: int, theme: Theme) -> None:
    look = _marker(number, theme)
    if gain.low is not None and gain.high is not None:
        axes.plot([gain.low, gain.high], [height] * 2, color=look["color"], linewidth=1.6)
    axes.plot(gain.mean, height, linestyle="", **look)


def _marker(number: int, theme: Theme) -> dict[str, Any]:
    """The system's own is a large dot, each baseline has a form and a color."""
    if number == 0:
        return {"marker": "o", "color": theme.line, "markersize": 7}
    color = theme.others[(number - 1) % len(theme.others)]
    return {"marker": MARKERS[(number - 1) % len(MARKERS)], "color": color, "markersize": 4.5}


def _finish_gains(axes: Any, theme: Theme, labels: Sequence[str]) -> None:
    axes.axvline(0, color=theme.text, linewidth=1.0)
    axes.set_yticks(range(0, -len(labels), -1), labels, parse_math=False)
    axes.set_ylim(0.5 - len(labels), 0.5)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -0.03 * (high - low)), max(high, 0.03 * (high - low)))
    axes.set_xlabel("gain in PSNR over the input (dB)", color=theme.text, fontsize=9)
    themes.style(axes, theme)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.25)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
