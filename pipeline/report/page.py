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
from pipeline.report.harm import harm
from pipeline.report.masks import masks
from pipeline.report.method import method
from pipeline.report.numbers import spell_count
from pipeline.report.samples import samples
from pipeline.report.scores import scores
from pipeline.report.system import Shown, SystemReport
from pipeline.report.verdict import verdict

__all__ = ["Shown", "SystemReport", "build"]

HOME = "../../index.html"


def build(report: SystemReport) -> str:
    """The whole page."""
    sections: dict[str, tuple[str, Sequence[str]]] = {
        "verdict": ("In short", verdict(report)),
        "scores": ("Scores", list(scores(report))),
        "harm": ("Do no harm", list(harm(report))),
        "samples": ("Samples", list(samples(report)) if report.samples else []),
        "breakdown": ("Breakdown", list(breakdowns(report))),
        "masks": ("Masks", list(masks(report))),
        "training": ("Training", _training(report)),
        "made": ("What made it", list(_provenance(report))),
        "method": ("How it was measured", [method(report)]),
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
        lead=f"{spell_count(report.metrics['num_samples'], 'held-out sample')} of "
        f"{spell_count(report.metrics['num_photos'], 'photo')}.",
        contents=[(key, title) for key, (title, _) in told.items()],
        above=pages.link(HOME, "← all systems"),
        extra=EXTRA,
    )


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
