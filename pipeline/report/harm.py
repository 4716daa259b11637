"""What a system does to photos that nothing is wrong with."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline import pages
from pipeline.pages import Markup
from pipeline.report.numbers import spell_count
from pipeline.report.scores import SPREAD, spread
from pipeline.report.system import SystemReport
from pipeline.rows import damaged_of, mean_of

HARMLESS = 40.0  # dB of PSNR against an undamaged input: nobody sees the difference
RARE = 0.05  # share of samples that may be harmed in "next to no harm"


def harm(report: SystemReport) -> Iterator[Markup]:
    """What stands in the page's section of undamaged tiles; nothing where none were measured."""
    for sentence in harms(report):
        yield pages.paragraph(*sentence)
    yield from _identical(report)
    of = " of luma" if report.colors else ""
    told = {
        "harm.psnr": (f"output against the undamaged input, PSNR{of} (dB)", "{:.2f}"),
        "harm.marked": ("pixels falsely marked", "{:.2%}"),
        "harm.altered": ("pixels that changed", "{:.2%}"),
        "harm.altered_outside": ("… outside the predicted mask", "{:.2%}"),
    }
    damaged = {"altered_outside": ("on damaged tiles: changed outside the mask", "{:.2%}")}
    rows = [*spread(report.rows, told), *spread(damaged_of(report.rows), damaged)]
    if rows:
        yield pages.table("The same tiles without damage as the input", SPREAD, rows)


def _identical(report: SystemReport) -> Iterator[Markup]:
    """How many tiles came back as they were, and what that does to the figures."""
    equal = report.metrics.get("harm", {}).get("identical_count")
    if equal is None:
        return
    count = report.metrics["num_samples"]
    told = f"{equal:,} of {spell_count(count, 'undamaged tile')} came back byte for byte"
    if equal:
        told += ": equal tiles count as 100 dB, which carries the mean"
        told += ", so that the median tells more" if 2 * equal < count else ""
    yield pages.paragraph(f"{told}.")


def harms(report: SystemReport) -> list[list[str]]:
    """Sentences on what the system did to undamaged tiles; none where that was not measured."""
    psnr = [row["harm.psnr"] for row in report.rows if row.get("harm.psnr") is not None]
    if not psnr:
        return []
    good = sum(one >= HARMLESS for one in psnr)
    head = "It harms undamaged photos: "
    if good >= len(psnr) / 2:
        head = "It harms some undamaged photos: "
    if good >= (1 - RARE) * len(psnr):
        head = "It does next to no harm to undamaged photos: "
    luma = ", of the luma alone, since it colors" if report.colors else ""
    told = [
        pages.strong(head), f"{good:,} of {spell_count(len(psnr), 'tile')} come back as good as "
        f"they were ({HARMLESS:g} dB of PSNR or more{luma}), the worst at {min(psnr):.1f} dB",
    ]  # fmt: skip
    marked = mean_of(report.rows, "harm.marked")
    if marked is not None:
        told.append(f"; {marked:.2%} of the pixels are falsely marked as damaged")
    told.append(".")
    shares = [row.get("harm.altered_outside") for row in report.rows]
    bytewise = list(_bytewise([share for share in shares if share is not None]))
    return [told, bytewise] if bytewise else [told]


def _bytewise(shares: list[float]) -> Iterator[str]:
    broken = sum(share > 0 for share in shares)
    if shares and not broken:
        yield "Outside the predicted mask every byte is that of the input, in all "
        yield f"{len(shares):,} undamaged samples."
    elif shares:
        yield f"Outside the predicted mask bytes differ from the input in {broken:,} of "
        yield f"{len(shares):,} undamaged samples."
