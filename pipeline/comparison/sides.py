"""One side of a comparison: what an evaluation left, and whether two of them were measured on the
same samples."""

from __future__ import annotations

import csv
import json
import math
import tarfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import IO, Any

from pipeline.errors import ImageError, ParamsError
from pipeline.images import Array, decode_jpeg
from pipeline.rows import WORDS, Row, read_csv

NEEDED = ("key", "photo", "source", "input.psnr")
SUBJECT, ROWS = "subject.json", "rows.csv"  # of a report
AGAIN = "run `patina evaluate` there again"
MAX_PICTURE = 100_000_000  # bytes of one restored picture


@dataclass(frozen=True)
class Side:
    """`label`: what the user called it; `revision`: the commit that it was read from, None for the
    working folder; `subject`: what was measured on what, as its `SUBJECT` tells."""

    label: str
    pair: str
    revision: str | None
    subject: dict[str, Any]
    rows: list[Row]


def read_side(
    label: str, pair: str, revision: str | None, read: Callable[[str], bytes], folder: str
) -> Side:
    """The side whose report stands in `folder`; `read` gives the bytes of a path, or raises a
    PipelineError."""
    where = f"{label}: {folder}"
    subject = _parse_subject(read(f"{folder}/{SUBJECT}"), f"{where}/{SUBJECT}")
    rows = parse_rows(read(f"{folder}/{ROWS}"), f"{where}/{ROWS}")
    return Side(label, pair, revision, subject, rows)


def parse_rows(data: bytes, where: str) -> list[Row]:
    """The rows of a ``rows.csv``. Raises ParamsError for what is none."""
    try:
        rows = read_csv(data.decode("utf-8"))
        whole = data.endswith(b"\n") and all(map(_is_whole, rows))
    except (ValueError, TypeError, AttributeError, csv.Error):
        whole = False
    if not whole:
        raise ParamsError(where, "is no table of rows", AGAIN)
    if not rows or any(row.get(name) is None for row in rows for name in NEEDED):
        raise ParamsError(where, f"has no rows with {', '.join(NEEDED)}", AGAIN)
    if len({row["key"] for row in rows}) < len(rows):
        raise ParamsError(where, "has two rows of one sample", AGAIN)
    return rows


def check_same(a: Side, b: Side) -> None:
    """Raise ParamsError with the reason where two sides were not measured on the same samples."""
    where = f"{a.label} and {b.label}"
    for what, name in (("recipe", "recipe"), ("test shards", "test_sha256")):
        first, second = (side.subject[name] for side in (a, b))
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


def _parse_subject(data: bytes, where: str) -> dict[str, Any]:
    try:
        subject = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ParamsError(where, "is not JSON", AGAIN) from None
    if not isinstance(subject, dict) or not isinstance(subject.get("recipe"), str):
        raise ParamsError(where, "tells no recipe", AGAIN)
    if not isinstance(subject.get("test_sha256"), str):
        raise ParamsError(where, "tells no fingerprint of its test shards", AGAIN)
    return subject


def _is_whole(row: Row) -> bool:
    """Are all numbers finite, and as many cells there as the head has?"""
    numbers = (value for name, value in row.items() if name not in WORDS)
    return None not in row and all(value is None or math.isfinite(value) for value in numbers)
