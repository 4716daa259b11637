"""One side of a comparison: the rows and means that an evaluation left, and whether two of them
were measured on the same samples."""

from __future__ import annotations

import csv
import io
import json
import math
import tarfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import IO, Any

from pipeline.errors import ImageError, ParamsError
from pipeline.images import Array, decode_jpeg
from pipeline.rows import Row

TEXTS = ("key", "photo", "source", "families")  # the columns that are no numbers
NEEDED = ("key", "photo", "source", "input.psnr")
AGAIN = "run `patina evaluate` there again"
MAX_PICTURE = 100_000_000  # bytes of one restored picture


@dataclass(frozen=True)
class Side:
    """`label`: what the user called it; `revision`: the commit that it was read from, None for the
    working folder; `metrics`: its metrics.json."""

    label: str
    pair: str
    revision: str | None
    metrics: dict[str, Any]
    rows: list[Row]


def read_side(
    label: str, pair: str, revision: str | None, read: Callable[[str], bytes], folder: str
) -> Side:
    """The side whose report stands in `folder`; `read` gives the bytes of a path, or raises a
    PipelineError."""
    where = f"{label}: {folder}"
    metrics = _parse_metrics(read(f"{folder}/metrics.json"), f"{where}/metrics.json")
    rows = parse_rows(read(f"{folder}/rows.csv"), f"{where}/rows.csv")
    return Side(label, pair, revision, metrics, rows)


def parse_rows(data: bytes, where: str) -> list[Row]:
    """The rows of a ``rows.csv``: numbers as float, empty cells as None."""
    try:
        lines = list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline=""), strict=True))
        rows: list[Row] = [{name: _read_cell(name, line[name]) for name in line} for line in lines]
    except (ValueError, TypeError, csv.Error):
        raise ParamsError(where, "is no table of rows", AGAIN) from None
    if not rows or any(row.get(name) is None for row in rows for name in NEEDED):
        raise ParamsError(where, f"has no rows with {', '.join(NEEDED)}", AGAIN)
    if len({row["key"] for row in rows}) < len(rows):
        raise ParamsError(where, "has two rows of one sample", AGAIN)
    return rows


def check_same(a: Side, b: Side) -> None:
    """Raise ParamsError with the reason where two sides were not measured on the same samples."""
    where = f"{a.label} and {b.label}"
    for what, name in (("recipe", "recipe"), ("test shards", "test_sha256")):
        first, second = (side.metrics[name] for side in (a, b))
        if first != second:
            told = (
                f"{first[:12]} and {second[:12]}"
                if name == "test_sha256"
                else f"{first} and {second}"
            )
            hint = "compare evaluations of the same shards, or evaluate one of them again"
            raise ParamsError(where, f"were measured on other {what}: {told}", hint)
    first_keys, second_keys = ({str(row["key"]) for row in side.rows} for side in (a, b))
    if first_keys != second_keys:
        counts = (
            f"{len(first_keys - second_keys)} only in A, {len(second_keys - first_keys)} only in B"
        )
        raise ParamsError(where, f"do not have the same samples: {counts}", "evaluate both again")


def read_pictures(file: IO[bytes], keys: Collection[str], where: str) -> dict[str, Array]:
    """The restored pictures of some samples out of a ``restored.tar``: uint8 H×W×3 or H×W×1."""
    found: dict[str, Array] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                key = member.name.removesuffix(".jpg")
                if key in keys and member.isfile() and member.size <= MAX_PICTURE:
                    held = tar.extractfile(member)
                    assert held is not None, "a file has content"
                    found[key] = decode_jpeg(held.read())
    except (tarfile.TarError, EOFError, ImageError):
        raise ParamsError(where, "is no tar of JPEG pictures", AGAIN) from None
    return found


def _parse_metrics(data: bytes, where: str) -> dict[str, Any]:
    try:
        metrics = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ParamsError(where, "is not JSON", AGAIN) from None
    if not isinstance(metrics, dict) or not isinstance(metrics.get("recipe"), str):
        raise ParamsError(where, "tells no recipe", AGAIN)
    if not isinstance(metrics.get("test_sha256"), str):
        raise ParamsError(where, "tells no fingerprint of its test shards", AGAIN)
    return metrics


def _read_cell(name: str | None, cell: str | None) -> str | float | None:
    """Raises ValueError for what is no number, and where a line has too many or too few cells."""
    if name is None or cell is None:
        raise ValueError("a line of another length than the head")
    if name in TEXTS:
        return cell
    if cell and not math.isfinite(float(cell)):
        raise ValueError(cell)
    return float(cell) if cell else None
