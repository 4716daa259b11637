"""Plots and picture grids as PNG bytes, the same bytes for the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from pipeline import themes
from pipeline.images import Array
from pipeline.rows import OWN, Row, counted, finds_masks, picture_names
from pipeline.themes import LIGHT, Theme

DPI = 110
COLUMN = (4.6, 3.3)  # inches: a plot for half of a page, its labels readable on a phone
HIGHEST = 60  # dB that a dot of a sample's PSNR stands at, at most


def plot_psnr(rows: Sequence[Row], title: str, theme: Theme = LIGHT) -> bytes:
    """Each `counted` sample's PSNR before and after, with the means: PNG bytes."""
    names, rows = picture_names(rows), counted(rows)
    if not finds_masks(rows):  # the composite is the prediction
        names = [name for name in names if name != "prediction"]
    figure = Figure(figsize=(8, 0.62 * len(names) + 1.3), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(reversed(names)):
        known = [row[f"{name}.psnr"] for row in rows if row[f"{name}.psnr"] is not None]
        if not known:  # a baseline that needs masks, on samples that have none
            continue
        values, mean = np.minimum(known, HIGHEST), float(np.mean(known))
        color = theme.line if name in OWN[1:] else theme.fill
        shift = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        axes.scatter(values, place + shift, s=14, color=color, alpha=0.7, linewidths=0)
        at = min(mean, HIGHEST)
        axes.plot([at] * 2, [place - 0.3, place + 0.3], color=theme.text, linewidth=2)
        axes.annotate(f"{mean:.1f}", (at, place + 0.32), ha="center", fontsize=9, color=theme.text)
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in reversed(names)])
    axes.set_ylim(-0.6, len(names) - 0.3)
    label = "PSNR against the clean tile (dB), a dot a sample, a bar the mean"
    _finish(axes, theme, title, label, "")
    return themes.png(figure, theme, DPI)


def plot_gain(rows: Sequence[Row], title: str, theme: Theme = LIGHT) -> bytes:
    """What is gained over the input, against how bad the damage is, where that is known, on the
    `counted` samples: PNG bytes."""
    rows = counted(rows)
    key = "covered" if len({row["severity"] for row in rows}) <= 1 else "severity"
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    known = [row for row in rows if row[key] is not None]
    gains = [row["composite.psnr"] - row["input.psnr"] for row in known]
    axes.axhline(0, color=theme.text, linewidth=0.8)
    axes.scatter([row[key] for row in known], gains, s=22, color=theme.line, alpha=0.8, lw=0)
    label = (
        "severity of the worst step (0 to 1)" if key == "severity" else "share of the tile covered"
    )
    if len(known) < len(rows):
        label += f"; {len(rows) - len(known)} of {len(rows)} samples have no mask"
    _finish(axes, theme, title, label, "composite − input (dB)")
    return themes.png(figure, theme, DPI)


def plot_curves(history: Sequence[dict[str, Any]], title: str, theme: Theme = LIGHT) -> bytes:
    """Losses and validation PSNR over the steps, with a line where a phase ends: PNG bytes."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_losses(left, history, theme)
    _draw_validation(right, history, theme)
    _finish(left, theme, f"{title}: losses", "step", "")
    _finish(right, theme, "validation PSNR (dB)", "step", "")
    return themes.png(figure, theme, DPI)


def plot_losses(history: Sequence[dict[str, Any]], theme: Theme = LIGHT) -> bytes:
    """Losses over the steps, as narrow as a page's column: PNG bytes."""
    figure = Figure(figsize=COLUMN, layout="constrained")
    axes = figure.subplots()
    _draw_losses(axes, history, theme)
    _finish(axes, theme, "", "step", "")
    return themes.png(figure, theme)


def plot_validation(history: Sequence[dict[str, Any]], theme: Theme = LIGHT) -> bytes:
    """Validation PSNR over the steps, as narrow as a page's column: PNG bytes."""
    figure = Figure(figsize=COLUMN, layout="constrained")
    axes = figure.subplots()
    _draw_validation(axes, history, theme)
    _finish(axes, theme, "", "step", "")
    return themes.png(figure, theme)


def plot_pictures(rows: Sequence[tuple[str, Sequence[Array]]], columns: Sequence[str]) -> bytes:
    """Labelled rows of pictures (H×W×3, H×W×1 or masks H×W): PNG bytes."""
    side = 2.3
    size = (side * len(columns), side * len(rows) + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for cells, (label, pictures) in zip(grid, rows, strict=True):
        for axes, picture in zip(cells, pictures, strict=True):
            axes.imshow(picture.squeeze(), cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        cells[0].set_ylabel(label, fontsize=9, parse_math=False)
    for axes, name in zip(grid[0], columns, strict=True):
        axes.set_title(name, fontsize=10)
    return themes.png(figure, LIGHT, DPI)


def _draw_losses(axes: Any, history: Sequence[dict[str, Any]], theme: Theme) -> None:
    """Each loss while training, pale, and on held-out samples where that is known."""
    names = list(dict.fromkeys(name for row in history for name in row["values"]))
    styles = ("-", "--", ":", "-.")
    for number, name in enumerate(n for n in names if n.startswith("train/")):
        line, twin = styles[number % 4], name.replace("train/", "val/")
        axes.plot(*_series(history, name), line, color=theme.fill, label=name)
        if twin in names:
            axes.plot(*_series(history, twin), line, color=theme.line, label=twin)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(frameon=False, fontsize=9, labelcolor=theme.text)
    _draw_phases(axes, history, theme)


def _draw_validation(axes: Any, history: Sequence[dict[str, Any]], theme: Theme) -> None:
    axes.plot(*_series(history, "val/psnr"), color=theme.line, marker="o", markersize=3)
    _draw_phases(axes, history, theme)


def _draw_phases(axes: Any, history: Sequence[dict[str, Any]], theme: Theme) -> None:
    """A line where a phase ends."""
    for before, after in pairwise(history):
        if before.get("phase") != after.get("phase"):
            axes.axvline(before["step"], color=theme.text, linewidth=0.8, linestyle=(0, (3, 2)))


def _series(history: Sequence[dict[str, Any]], name: str) -> tuple[list[int], list[float | None]]:
    """Steps and values; a gap where a phase does not have it."""
    return [row["step"] for row in history], [row["values"].get(name) for row in history]


def _finish(axes: Any, theme: Theme, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11, loc="left", parse_math=False, color=theme.text)
    axes.set_xlabel(x, color=theme.text)
    axes.set_ylabel(y, color=theme.text)
    axes.set_facecolor("none")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(theme.text)
    axes.tick_params(colors=theme.text)
    axes.grid(alpha=0.25)
