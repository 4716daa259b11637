"""A comparison as a page: the sentence, the samples that changed most, and the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline import pages
from pipeline.comparison import Comparison, most_changed
from pipeline.comparison.sides import Side
from pipeline.comparison.words import (
    KEY,
    family_table,
    metric_table,
    samples_told,
    sentence,
    spell_change,
    spell_value,
)
from pipeline.images import ERROR_GAIN, Array, difference_map, encode_jpeg, to_rgb
from pipeline.metrics import DEFINITIONS, define_lpips
from pipeline.pages import Markup
from pipeline.pages.shots import shrink
from pipeline.pages.viewer import EXTRA, Shot, how, viewer, viewers
from pipeline.rows import Row
from pipeline.statistics import FEW

SHOWN = 6  # samples that got better, and as many that got worse
JPEG_QUALITY = 90
DIFFERENCE = f"difference ×{ERROR_GAIN}"
SIDES = ("B is better", "B is worse")
ABOUT = f"The difference is |A − B| × {ERROR_GAIN}, the mean over channels: black is none."
METHOD = (
    "The same test samples on both sides: the recipe, the fingerprint of the test shards and all "
    "keys are equal, or there would be no page.",
    "Differences are B − A, sample by sample. The interval is that of their mean at 95 %: photos, "
    "which several samples may share, are drawn with replacement 2,000 times (a percentile "
    "bootstrap). With few photos it is too narrow.",
    f"{KEY}, exact and two-sided.",
    f"With fewer than {FEW} photos no claim is made: even a unanimous sign test has p above 0.05.",
    "Each family has an interval of its own: of twenty that did not change, one may seem to.",
    "Means are over damaged samples; undamaged ones are a family of their own. Where nothing is "
    "damaged, they are over all.",
    "Restored pictures were kept as JPEG; figures were measured before that.",
)
HARM = (
    "Rows named harm are of the same tiles undamaged: PSNR against them (where color is made of "
    "gray, of the luma alone), and shares of their pixels that were falsely marked or changed."
)


@dataclass(frozen=True)
class Looks:
    """The pictures to show, by the key of their sample: uint8 H×W×3 or H×W×1; what is missing is
    left out, and `notes` tell why."""

    a: Mapping[str, Array] = field(default_factory=dict)
    b: Mapping[str, Array] = field(default_factory=dict)
    damaged: Mapping[str, Array] = field(default_factory=dict)
    original: Mapping[str, Array] = field(default_factory=dict)
    notes: Sequence[str] = ()


def shown_keys(comparison: Comparison) -> list[str]:
    """The samples that the page has pictures of."""
    return [str(row["key"]) for rows in most_changed(comparison, SHOWN) for row in rows]


def build(comparison: Comparison, looks: Looks) -> str:
    """The whole page."""
    parts = {
        "samples": ("The samples that changed most", _samples(comparison, looks)),
        "metrics": ("Every metric", [_table(samples_told(comparison), *metric_table(comparison))]),
        "families": ("Damage by damage", _families(comparison)),
        "sides": ("What was compared", [_sides(comparison)]),
        "method": ("How it was measured", [pages.bullets(_method(comparison))]),
    }
    return pages.page(
        f"A: {comparison.a.label} – B: {comparison.b.label}",
        *(pages.section(key, title, *content) for key, (title, content) in parts.items()),
        lead=f"{sentence(comparison)}. {samples_told(comparison)}.",
        contents=[(key, title) for key, (title, _) in parts.items()],
        extra=EXTRA,
    )


def _samples(comparison: Comparison, looks: Looks) -> list[Markup]:
    parts = [pages.paragraph(note) for note in looks.notes]
    if looks.a or looks.b:
        parts += [pages.paragraph(ABOUT), how()]
    for title, rows in zip(SIDES, most_changed(comparison, SHOWN), strict=True):
        parts.append(pages.heading(title))
        figures = [_sample(comparison, row, looks) for row in rows]
        parts.append(viewers(figures) if figures else pages.paragraph("On no sample."))
    return parts


def _sample(comparison: Comparison, row: Row, looks: Looks) -> Markup:
    key, photo = str(row["key"]), str(row["photo"])
    damage = str(row.get("families") or "").replace(" ", ", ").replace("_", " ")
    told = [pages.strong(_change(comparison, row)), f" – {photo}{f': {damage}' if damage else ''}",
            pages.code(key)]  # fmt: skip
    found = {
        "damaged": looks.damaged.get(key),
        "A": looks.a.get(key),
        "B": looks.b.get(key),
        "original": looks.original.get(key),
    }
    pictures = {name: to_rgb(one) for name, one in found.items() if one is not None}
    if {"A", "B"} <= set(pictures) and pictures["A"].shape == pictures["B"].shape:
        pictures[DIFFERENCE] = to_rgb(difference_map(pictures["A"], pictures["B"]))
    if not pictures:
        return pages.paragraph(*told)
    shots = [
        Shot(name, encode_jpeg(shrink(one), JPEG_QUALITY), f"{name}: {photo}")
        for name, one in pictures.items()
    ]
    left, right = ("A", "B") if {"A", "B"} <= set(pictures) else (shots[0].name, shots[-1].name)
    return viewer(f"{photo}, {key[-7:]}", shots, left, right, *told)


def _change(comparison: Comparison, row: Row) -> str:
    """``+6.72 dB (20.69 → 27.41)``"""
    metric = comparison.metric
    a, b = (spell_value(row[f"{side}.{metric}"], metric) for side in "ab")
    return f"{spell_change(row[f'difference.{metric}'], metric)} ({a} → {b})"


def _families(comparison: Comparison) -> list[Markup]:
    head, rows = family_table(comparison)
    if not rows:
        return [pages.paragraph("These evaluations do not tell the families of damage.")]
    caption = "A sample counts in each of its families"
    return [_table(caption, head, rows)]


def _method(comparison: Comparison) -> list[str]:
    weights = [side.subject.get("lpips") for side in (comparison.a, comparison.b)]
    if weights[0] != weights[1]:
        own = ["LPIPS is not compared: the sides were measured with other weights, or one without."]
    else:
        own = [] if weights[0] is None else [define_lpips(str(weights[0]))]
    return [*METHOD, *([HARM] if comparison.harm else []), *DEFINITIONS, *own]


def _sides(comparison: Comparison) -> Markup:
    def line(name: str, side: Side) -> list[str]:
        revision = side.revision or "the working folder"
        return [name, side.label, side.pair, str(side.subject.get("system", "–")), revision]

    sides = [line("A", comparison.a), line("B", comparison.b)]
    subject = comparison.a.subject
    caption = f"Recipe {subject['recipe']}, test shards {subject['test_sha256']}"
    return _table(caption, ["", "asked for", "pair", "system", "read from"], sides)


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    return pages.table(caption, head, rows)
