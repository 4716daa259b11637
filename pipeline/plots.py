"""Plots and picture grids as PNG bytes, the same bytes for the same rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.images import Array
from pipeline.rows import OWN, Row, picture_names

INK, PALE = "#1f3a5f", "#9db4cf"


def plot_psnr(rows: Sequence[Row], title: str) -> bytes:
    """Each sample's PSNR before and after, with the means: PNG bytes."""
    names = picture_names(rows)
    figure = Figure(figsize=(8, 0.62 * len(names) + 1.3), layout="constrained")
    axes = figure.subplots()
    for place, name in enumerate(reversed(names)):
        known = [row[f"{name}.psnr"] for row in rows if row[f"{name}.psnr"] is not None]
        if not known:  # a baseline that needs masks, on samples that have none
            continue
        values = np.minimum(known, 60)
        color = INK if name in OWN[1:] else PALE
        shift = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        axes.scatter(values, place + shift, s=14, color=color, alpha=0.7, linewidths=0)
        axes.plot([values.mean()] * 2, [place - 0.3, place + 0.3], color="black", linewidth=2)
        axes.annotate(
            f"{values.mean():.1f}", (values.mean(), place + 0.32), ha="center", fontsize=9
        )
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in reversed(names)])
    axes.set_ylim(-0.6, len(names) - 0.3)
    _finish(axes, title, "PSNR against the clean tile (dB), a dot a sample, a bar the mean", "")
    return _png(figure)


def plot_gain(rows: Sequence[Row], title: str) -> bytes:
    """What is gained over the input, against how bad the damage is, where that is known: PNG
    bytes."""
    key = "covered" if len({row["severity"] for row in rows}) <= 1 else "severity"
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    known = [row for row in rows if row[key] is not None]
    gains = [row["composite.psnr"] - row["input.psnr"] for row in known]
    axes.axhline(0, color="black", linewidth=0.8)
    axes.scatter([row[key] for row in known], gains, s=22, color=INK, alpha=0.8, linewidths=0)
    label = (
        "severity of the worst step (0 to 1)" if key == "severity" else "share of the tile covered"
    )
    if len(known) < len(rows):
        label += f"; {len(rows) - len(known)} of {len(rows)} samples have no mask"
    _finish(axes, title, label, "composite − input (dB)")
    return _png(figure)


def plot_curves(history: Sequence[dict[str, Any]], title: str) -> bytes:
    """Losses and validation PSNR over the steps: PNG bytes."""
    steps = [row["step"] for row in history]
    names = list(dict.fromkeys(name for row in history for name in row["values"]))
    losses = [n for n in names if n.startswith("train/")]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = ("-", "--", ":", "-.")
    for number, name in enumerate(losses):
        style, twin = styles[number % 4], name.replace("train/", "val/")
        left.plot(
            steps, [row["values"].get(name) for row in history], style, color=PALE, label=name
        )
        if twin in names:
            left.plot(
                steps, [row["values"].get(twin) for row in history], style, color=INK, label=twin
            )
    left.set_yscale("log")
    left.legend(frameon=False, fontsize=9)
    right.plot(
        steps, [row["values"]["val/psnr"] for row in history], color=INK, marker="o", markersize=3
    )
    _finish(left, f"{title}: losses", "step", "")
    _finish(right, "validation PSNR (dB)", "step", "")
    return _png(figure)


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
    return _png(figure)


def _finish(axes: Any, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=11, loc="left", parse_math=False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def _png(figure: Any) -> bytes:
    """PNG without the metadata that would name the plotting library's version."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()
