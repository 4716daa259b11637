"""A system's evaluation in plain words: what it gains, where it fails, what it harms."""

from __future__ import annotations

from pipeline import pages
from pipeline.breakdown import lead
from pipeline.pages import Markup
from pipeline.report.harm import harms
from pipeline.report.numbers import Gain, spell_count, spell_strength
from pipeline.report.system import SystemReport
from pipeline.statistics import FEW, Paired


def verdict(report: SystemReport) -> list[Markup]:
    """Sentences, the most important first."""
    found = [*_gains(report), *harms(report)[:1]] if report.is_damaged else _nothing(report)
    return [pages.paragraph(*parts) for parts in found if any(parts)]


def _nothing(report: SystemReport) -> list[list[str]]:
    """Of a recipe that damages nothing."""
    psnr = report.metrics["composite"]["psnr"]
    told = "" if psnr is None else f": {report.system} returns them at {psnr:.2f} dB PSNR"
    samples = spell_count(len(report.rows), "held-out sample")
    return [[pages.strong("Nothing is damaged"), f" in {samples}, so that nothing is to be gained"
             f"{told}."], *harms(report)[:1]]  # fmt: skip


def _gains(report: SystemReport) -> list[list[str]]:
    gain = report.gain("composite")
    if gain is None:
        return [[report.rivals]]
    word, photos = "loses" if gain.mean < 0 else "gains", report.num_measured_photos
    told = [
        f"{report.system} ", pages.strong(f"{word} {abs(gain.mean):.2f} dB"),
        f" PSNR over the damaged input{_ends(gain)} on "
        f"{spell_count(len(report.measured), 'held-out sample')} of {spell_count(photos, 'photo')}",
    ]  # fmt: skip
    if photos < FEW:
        told.append(", too few photos to be sure of others")
    elif gain.low is not None and gain.high is not None and gain.low <= 0 <= gain.high:
        told.append(": the interval holds 0, so that it may gain nothing on other photos")
    return [[*told, "."], _beside(report), [report.rivals]]


def _beside(report: SystemReport) -> list[str]:
    """Against the best baseline, on the same samples."""
    best = next(iter(report.baselines), None)
    other = None if best is None else report.gain(best)
    if best is None or other is None:
        return []
    found = lead(report.rows, report.seed, best)
    if found.difference is None:
        return []
    word, done = ("behind", "ahead of")[found.difference >= 0], ("loses", "gains")[other.mean >= 0]
    name = report.name(best) + spell_strength({}, best in report.given_masks)
    return [
        f"The best classical baseline, {name}, {done} {abs(other.mean):.2f} dB{_ends(other)}: "
        f"{report.system} is ", pages.strong(f"{abs(found.difference):.2f} dB {word} it"),
        f"{_sure(found)}.",
    ]  # fmt: skip


def _sure(found: Paired) -> str:
    """`` (95 % interval 0.90 to 2.40; 3 photos are too few to be sure of others)``, of what the
    system is ahead; of what it is behind, the ends of that."""
    told = []
    if found.interval is not None and found.difference is not None:
        low, high = found.interval
        ends = (low, high) if found.difference >= 0 else (-high, -low)
        told.append(f"95 % interval {Gain(0.0, *ends).ends}")
    if found.verdict == "few":
        are = "photo is" if found.num_photos == 1 else "photos are"
        told.append(f"{found.num_photos} {are} too few to be sure of others")
    elif found.verdict == "open":
        told.append("it holds 0, so that it may be otherwise on other photos")
    return f" ({'; '.join(told)})" if told else ""


def _ends(gain: Gain) -> str:
    return "" if gain.low is None else f" (95 % interval {gain.ends})"
