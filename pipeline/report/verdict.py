"""A system's evaluation in plain words: what it gains, where it fails, what it harms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipeline import pages
from pipeline.pages import Markup
from pipeline.report.numbers import Gain, gain_of, group_rows, mean, picture_name
from pipeline.report.system import SystemReport

# ways of grouping: how a group is spoken of
SPOKEN = {
    "family": "{}",
    "severity": "damage of severity {}",
    "covered": "damage that covers {} of the tile",
    "source": "photos of source {}",
    "size": "photos of {}",
}
FEWEST = 3  # samples of a group that is worth a sentence
HARMLESS = 40.0  # dB of PSNR against an undamaged input: nobody sees the difference
FEW = 0.05  # share of samples that may be harmed in "next to no harm"


class Weakness(NamedTuple):
    """A group of samples where the system gains little."""

    name: str
    num_samples: int
    gain: Gain


def verdict(report: SystemReport) -> list[Markup]:
    """Sentences, the most important first."""
    found = [_gains(report), _beside(report), _fails(report), [report.rivals], *harms(report)[:1]]
    return [pages.paragraph(*parts) for parts in found if any(parts)]


def worst_group(report: SystemReport) -> Weakness | None:
    """Of all groups of at least three samples (one group of a kind says nothing), the one with the
    least gain; None without any."""
    found = []
    for by, spoken in SPOKEN.items():
        groups = group_rows(report.breakdown, by)
        for group, rows in groups.items() if len(groups) > 1 else ():
            row = rows.get(("composite", "gain"))
            gain = gain_of(row)
            if row and gain and int(row["num_samples"]) >= FEWEST and group != "undamaged":
                found.append(Weakness(spoken.format(group), int(row["num_samples"]), gain))
    return min(found, key=lambda one: (one.gain.mean, one.name), default=None)


def harms(report: SystemReport) -> list[list[str]]:
    """Sentences on what the system did to undamaged tiles; none where that was not measured."""
    columns = {
        name: [row.get(f"harm.{name}") for row in report.rows]
        for name in ("psnr", "marked", "altered_outside")
    }
    psnr, marked = [one for one in columns["psnr"] if one is not None], mean(columns["marked"])
    if not psnr:
        return []
    good = sum(one >= HARMLESS for one in psnr)
    head = "It harms undamaged photos: "
    if good >= len(psnr) / 2:
        head = "It harms some undamaged photos: "
    if good >= (1 - FEW) * len(psnr):
        head = "It does next to no harm to undamaged photos: "
    told = [
        pages.strong(head), f"{good:,} of {_count(len(psnr), 'tile')} come back as good as they "
        f"were ({HARMLESS:g} dB of PSNR or more), the worst at {min(psnr):.1f} dB",
    ]  # fmt: skip
    if marked is not None:
        told.append(f"; {marked:.2%} of the pixels are falsely marked as damaged")
    told.append(".")
    bytewise = list(_bytewise(columns["altered_outside"]))
    return [told, bytewise] if bytewise else [told]


def _bytewise(shares: list[float | None]) -> Iterator[str]:
    known = [share for share in shares if share is not None]
    broken = sum(share > 0 for share in known)
    if known and not broken:
        yield "Outside the predicted mask every byte is that of the input, in all "
        yield f"{len(known):,} undamaged samples."
    elif known:
        yield f"Outside the predicted mask bytes differ from the input in {broken:,} of "
        yield f"{len(known):,} undamaged samples."


def _gains(report: SystemReport) -> list[str]:
    gain = report.gain("composite")
    if gain is None:
        return []
    word = "loses" if gain.mean < 0 else "gains"
    told = [
        f"{report.system} ", pages.strong(f"{word} {abs(gain.mean):.2f} dB"),
        f" PSNR over the damaged input{_ends(gain)} on "
        f"{_count(report.metrics['num_samples'], 'held-out sample')} of "
        f"{_count(report.num_photos, 'photo')}",
    ]  # fmt: skip
    if gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high:
        told.append(": the interval holds 0, so that it may gain nothing on other photos")
    elif gain.low is None:
        told.append("; no interval is known, so that little can be said of other photos")
    return [*told, "."]


def _beside(report: SystemReport) -> list[str]:
    gain = report.gain("composite")
    best = next(((name, report.gain(name)) for name in report.baselines), None)
    if gain is None or best is None or best[1] is None:
        return []
    name, other = picture_name(best[0], report.system), best[1]
    ahead = gain.mean - other.mean
    word = "ahead of" if ahead >= 0 else "behind"
    return [
        "The best classical baseline, ", f"{name}, gains {other.mean:.2f} dB{_ends(other)}: ",
        f"{report.system} is ", pages.strong(f"{abs(ahead):.2f} dB {word} it"), ".",
    ]  # fmt: skip


def _fails(report: SystemReport) -> list[str]:
    worst, gain = worst_group(report), report.gain("composite")
    if worst is None or gain is None:
        return []
    lead = "It makes things worse" if worst.gain.mean < 0 else "It gains least"
    return [
        f"{lead} on ", pages.strong(worst.name), f": {worst.gain.mean:+.2f} dB{_ends(worst.gain)}, "
        f"{_count(worst.num_samples, 'sample')}.",
    ]  # fmt: skip


def _ends(gain: Gain) -> str:
    return "" if gain.low is None else f" (95 % interval {gain.ends})"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
