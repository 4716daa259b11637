"""Samples of an evaluation as viewers: the worst, the best, some at random."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline import pages
from pipeline.images import ERROR_GAIN
from pipeline.pages import Markup
from pipeline.pages.shots import encode_all
from pipeline.pages.viewer import Shot, how, legend, viewer, viewers
from pipeline.report.numbers import signed
from pipeline.report.system import Shown, SystemReport
from pipeline.rows import Row

JPEG_QUALITY = 88
MOST_BYTES = 1_600_000  # of all samples' pictures, which text makes a third longer
TITLES = {
    "worst": "Where it gains least",
    "best": "Where it gains most",
    "random": "At random",
    "undamaged": "Undamaged photos as its input",
}
ABOUT = (
    f"The error is |restored − original| × {ERROR_GAIN}, the mean over channels: black is none, "
    f"white {round(256 / ERROR_GAIN)} levels of 255 or more."
)
FOUND = "damage found"


def samples(report: SystemReport) -> Iterator[Markup]:
    """What stands in the page's section of samples."""
    yield how()
    yield pages.paragraph(ABOUT)
    if any(FOUND in shown.pictures for shown in report.samples):
        unknown = any(row["covered"] is None for row in report.rows)
        yield pages.paragraph("Colors of ", pages.strong(FOUND), ":")
        yield legend(unknown)
    files = _files(report)
    for why in dict.fromkeys(shown.why for shown in report.samples):
        chosen = [shown for shown in report.samples if shown.why == why]
        yield pages.heading(TITLES.get(why, why))
        yield viewers([_figure(one, files) for one in chosen])


def _files(report: SystemReport) -> Iterator[bytes]:
    """Every picture as bytes, in the page's order."""
    order = dict.fromkeys(shown.why for shown in report.samples)
    return iter(
        encode_all(
            [
                picture
                for why in order
                for shown in report.samples
                if shown.why == why
                for picture in shown.pictures.values()
            ],
            JPEG_QUALITY,
            MOST_BYTES,
        )
    )


def _figure(shown: Shown, files: Iterator[bytes]) -> Markup:
    shots = [
        Shot(name, data, f"{name}: {shown.photo}")
        for name, data in zip(shown.pictures, files, strict=False)
    ]
    told = _conduct(shown.row) if shown.why == "undamaged" else _damage(shown.row)
    left, right = [*shown.pictures][:2]
    return viewer(
        f"{shown.photo}, {shown.why}", shots, left, right,
        pages.strong(shown.photo), f" – {told}", pages.code(shown.key),
    )  # fmt: skip


def _damage(row: Row) -> str:
    """``grain + texture 0.72, 24% covered, 20.69 → 27.41 dB (+6.72)``"""
    families = str(row.get("families") or "severity").replace("_", " ").replace(" ", " + ")
    told = [f"{families} {row['severity']:.2f}"]
    told += [] if row["covered"] is None else [f"{row['covered']:.0%} covered"]
    before, after = row["input.psnr"], row["composite.psnr"]
    return ", ".join([*told, f"{before:.2f} → {after:.2f} dB ({signed(after - before)})"])


def _conduct(row: Row) -> str:
    """What came of the tile without its damage."""
    told = [f"undamaged; came back at {row['harm.psnr']:.1f} dB"]
    marked = row.get("harm.marked")
    return ", ".join([*told, *([] if marked is None else [f"{marked:.2%} falsely marked"])])
