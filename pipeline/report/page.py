"""The page of a system on a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from pipeline import pages
from pipeline.pages import Markup
from pipeline.pages.viewer import EXTRA
from pipeline.plots import plot_losses, plot_validation
from pipeline.report.breakdowns import breakdowns
from pipeline.report.masks import masks
from pipeline.report.numbers import cell, metric_name, metric_order, picture_name, psnr_of_all
from pipeline.report.samples import samples
from pipeline.report.system import Shown, SystemReport
from pipeline.report.verdict import HARMLESS, harms, verdict
from pipeline.rows import mean_table

__all__ = ["Shown", "SystemReport", "build"]

HOME = "../../index.html"
HEADLINES = ("psnr", "ssim", "mse", "psnr_masked", "lpips", "share_good")
METHOD = (
    "Pictures are RGB (or gray) and quantised to 8 bits; nothing is cropped before a metric.",
    "SSIM: Gaussian σ = 1.5, 11×11, K1 0.01, K2 0.03, data range 255, averaged over the valid "
    "interior; SSIM in damage is that map over the damaged pixels; PSNR in damage is over the "
    "damaged pixels only.",
    "PSNR is averaged over samples after clipping at 100 dB.",
    "Precision, recall, F1 and IoU of masks are micro-averages over all held-out pixels at the "
    "system's threshold; empty masks are counted apart.",
    "Intervals are 95 % bootstrap intervals of the mean, drawn over photos: tiles of one photo are "
    "not independent. Where there is one photo only, there is none.",
    "The composite is the input with the prediction where damage was found; a system without a "
    "mask has composite = prediction. Named after the system, it is what the system answers with.",
    "Do no harm: the same tiles, undamaged, are the input. One counts as left as good as it was "
    f"when the PSNR of output against input is {HARMLESS:g} dB or more.",
    "Classical baselines were tuned on the validation split; those that need a mask were given the "
    "true one, which no system was.",
)


def build(report: SystemReport) -> str:
    """The whole page."""
    sections: dict[str, tuple[str, Sequence[str]]] = {
        "verdict": ("In short", verdict(report)),
        "scores": ("Scores", list(_scores(report))),
        "harm": ("Do no harm", list(_harm(report))),
        "samples": ("Samples", list(samples(report)) if report.samples else []),
        "breakdown": ("Breakdown", list(breakdowns(report))),
        "masks": ("Masks", list(masks(report))),
        "training": ("Training", _training(report)),
        "made": ("What made it", list(_provenance(report))),
        "method": ("How it was measured", [_method(report)]),
    }
    told = {key: one for key, one in sections.items() if one[1]}
    gain = report.gain("composite")
    kinds = {"verdict": "alarm" if gain is not None and gain.mean < 0 else ""}
    return pages.page(
        f"{report.system} on recipe {report.recipe}",
        *(
            pages.section(key, title, *parts, kind=kinds.get(key, ""))
            for key, (title, parts) in told.items()
        ),
        lead=f"{report.metrics['num_samples']:,} held-out samples of {report.num_photos:,} photos.",
        contents=[(key, title) for key, (title, _) in told.items()],
        above=pages.link(HOME, "← all systems"),
        extra=EXTRA,
    )


def _pictures(report: SystemReport) -> list[str]:
    """The input, the baselines, the raw prediction where it is another picture, the system."""
    same = report.means["prediction"] == report.means["composite"]
    own = ["composite"] if same else ["prediction", "composite"]
    return ["input", *reversed(report.baselines), *own]


def _scores(report: SystemReport) -> Iterator[Markup]:
    whole = report.metrics.get("undamaged_count")
    if whole:
        yield pages.paragraph(
            f"Means over damaged samples: {whole:,} more are undamaged, which would hide the rest."
        )
    known = [name for name in HEADLINES if name in report.means["composite"]]
    head = ["", metric_name("psnr"), "gain (95 % interval)", *map(metric_name, known[1:])]
    rows = [_score_line(report, picture, known[1:]) for picture in _pictures(report)]
    yield pages.table("Means over the held-out samples; ↑ more is better, ↓ less", head, rows)
    yield _every_metric(report)


def _score_line(report: SystemReport, picture: str, more: Sequence[str]) -> list[str]:
    values, gain = report.means[picture], report.gain(picture)
    strength = report.metrics.get("tuned", {}).get(picture, {})
    tuned = ", ".join(f"{name} {value:g}" for name, value in strength.items())
    return [
        picture_name(picture, report.system) + (f" ({tuned})" if tuned else ""),
        cell(psnr_of_all(values), "psnr"),
        "–" if gain is None or picture == "input" else str(gain),
        *(cell(values.get(name), name) for name in more),
    ]


def _every_metric(report: SystemReport) -> Markup:
    """All that was measured, a line a metric; how many samples lack it or were clipped."""
    pictures = _pictures(report)
    lines = {(line["metric"], line["picture"]): line for line in mean_table(report.measured)}
    names = {metric for metric, picture in lines if picture == "composite"}
    rows = []
    for name in sorted(names, key=metric_order):
        own = lines[name, "composite"]
        means = [lines[name, one]["mean"] if (name, one) in lines else None for one in pictures]
        counts = [own["undefined_count"], own["clipped_count"]]
        rows.append([
            metric_name(name), *(cell(value, name) for value in means),
            *("–" if count is None else f"{count:,}" for count in counts),
        ])  # fmt: skip
    head = ["metric", *(picture_name(one, report.system) for one in pictures),
            "samples without", "clipped at 100 dB"]  # fmt: skip
    caption = f"Every metric; the last two columns count samples of {report.system}"
    return pages.table(caption, head, rows)


def _harm(report: SystemReport) -> Iterator[Markup]:
    """What came of undamaged tiles; nothing where that was not measured."""
    for sentence in harms(report):
        yield pages.paragraph(*sentence)
    told = {
        "harm.psnr": ("output against the undamaged input, PSNR (dB)", "{:.2f}", min),
        "harm.marked": ("pixels falsely marked", "{:.2%}", max),
        "harm.altered": ("pixels that changed", "{:.2%}", max),
        "harm.altered_outside": ("… outside the predicted mask", "{:.2%}", max),
        "altered_outside": ("on damaged tiles: changed outside the mask", "{:.2%}", max),
    }
    rows = []
    for name, (title, form, worst) in told.items():
        values = sorted(row[name] for row in report.rows if row.get(name) is not None)
        if values:
            middle = values[len(values) // 2]
            found = (sum(values) / len(values), middle, worst(values))
            rows.append([title, *map(form.format, found), f"{len(values):,}"])
    if rows:
        head = ["", "mean", "median", "worst", "samples"]
        yield pages.table("The same tiles without damage as the input", head, rows)


def _training(report: SystemReport) -> list[Markup]:
    if not report.history:
        return []
    best = max(
        (row["values"]["val/psnr"] for row in report.history if "val/psnr" in row["values"]),
        default=None,
    )
    told = "" if best is None else f"; the best validation PSNR is {best:.2f} dB"
    last = report.history[-1]["step"]
    losses = pages.figure(
        pages.themed(lambda theme: plot_losses(report.history, theme)),
        f"Losses of {report.system} over {last:,} steps.",
        pages.strong("Losses"), ". Pale: while training; strong: on held-out samples.",
    )  # fmt: skip
    psnr = pages.figure(
        pages.themed(lambda theme: plot_validation(report.history, theme)),
        f"Validation PSNR of {report.system} over {last:,} steps{told}.",
        pages.strong("Validation PSNR"), f" (dB) over {last:,} steps{told}.",
    )  # fmt: skip
    return [pages.grid([losses, psnr], broad=True)]


def _provenance(report: SystemReport) -> Iterator[Markup]:
    if report.fingerprints:
        rows = [[name, pages.code(digest)] for name, digest in report.fingerprints.items()]
        yield pages.table("Fingerprints of what was measured", ["of", "hash"], rows)
    if report.files:
        links = [pages.link(name, name) for name in report.files]
        yield pages.paragraph("Beside this page: ", *_between(links), ".")
    blocks = [pages.listing(_yaml(block), name) for name, block in report.params.items()]
    if blocks:
        yield pages.grid(blocks, broad=True)


def _between(links: Sequence[Markup]) -> list[str]:
    return [part for link in links for part in (", ", link)][1:]


def _yaml(block: Any) -> str:
    yaml, out = YAML(), StringIO()
    yaml.default_flow_style = None
    yaml.width = 100
    yaml.dump(block, out)
    return out.getvalue()


def _method(report: SystemReport) -> Markup:
    threshold = report.metrics.get("threshold")
    more = [f"The threshold of this system's mask is {threshold:g}."] if report.finds_masks else []
    return pages.bullets([*METHOD, *more])
