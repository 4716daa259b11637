"""The data report as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline import pages
from pipeline.images import encode_jpeg, encode_png
from pipeline.inspection import FLAT, spread, summarize
from pipeline.inspection.doubts import NOTABLE, SURPRISE, is_surprising
from pipeline.inspection.plots import Panel, plot_frequencies, plot_panels
from pipeline.inspection.report import Report, panels, sizes_of
from pipeline.pages import Markup
from pipeline.pages.shots import shrink
from pipeline.samples import Array, Sample

JPEG_QUALITY = 90
SPREAD = ("mean", "median", "lowest", "highest")
METHOD = (
    "Every shard was checked against its manifest (size, sha256, number of samples), and every "
    "sample was read: nothing is estimated.",
    "The severity of a sample is that of its worst step drawn on the input. A step drawn on both "
    "pictures (gray, say) is no damage to undo.",
    "Brightness is the mean of the luma (ITU-R BT.601), contrast its standard deviation, both in "
    "gray levels of 255.",
    "A step's frequency counts as implausible by Chernoff's bound on the binomial law, at "
    f"{SURPRISE:g} for a split; shares of samples are warned of above {NOTABLE:.0%}; a tile is "
    f"nearly constant below a contrast of {FLAT:g} levels.",
    "Bars and lines of a histogram are shares of the samples of a split in each of 40 bins.",
    "This page has no script and loads nothing; all its pictures are inside it.",
)


def build(report: Report) -> str:
    """The whole page."""
    count, drawn = len(report.doubts), panels(report)
    sections = {
        "warnings": (
            f"{count or 'No'} {'warning' if count == 1 else 'warnings'}",
            _warnings(report),
        ),
        "counts": ("Counts", [_counts(report)]),
        "damage": ("Damage", _damage(report, drawn["severity"])),
        "masks": ("Masks", list(_masks(report, drawn["covered"][0]))),
        "tones": ("Brightness and contrast", _tones(report, drawn)),
        "sizes": ("Sizes", [_sizes(report, drawn["sides"][0])]),
        "samples": ("Samples", list(_samples(report))),
        "method": ("How it was measured", [pages.bullets(METHOD)]),
    }
    kinds = {"warnings": "alarm" if count else "calm"}
    samples = sum(data.num_samples for data in report.splits)
    photos = len(np.unique(np.concatenate([data.distinct("photo") for data in report.splits])))
    size = sum(row.num_bytes for row in report.manifest.shards) / 1e6
    return pages.page(
        f"Recipe {report.manifest.recipe}: the data",
        *(
            pages.section(key, title, *parts, kind=kinds.get(key, ""))
            for key, (title, parts) in sections.items()
        ),
        lead=f"{samples:,} samples of {photos:,} {'photo' if photos == 1 else 'photos'} in "
        f"{len(report.manifest.shards):,} shards, {size:.1f} MB.",
        contents=[(key, title) for key, (title, _) in sections.items()],
    )


def tell(sample: Sample) -> str:
    """``shapes 0.42, grain 0.77; mask 14.2%``: the damage to undo, by severity; ``given; mask
    missing`` where photos brought it."""
    told = [one for one in sample.story["steps"] if one["on"] == "input"]
    steps = ", ".join(f"{one['family']} {one['severity']:.2f}" for one in told)
    how = "given" if sample.story.get("given") else steps or "undamaged"
    if sample.mask_missing:
        return f"{how}; mask missing"
    return f"{how}; mask {np.count_nonzero(sample.mask) / sample.mask.size:.1%}"


def _warnings(report: Report) -> list[Markup]:
    if report.doubts:
        return [pages.bullets(report.doubts)]
    return [pages.paragraph("Nothing that was looked for is wrong with these shards.")]


def _counts(report: Report) -> Markup:
    rows = []
    for data in report.splits:
        shards, found = report.manifest.of_split(data.split), summarize(data)
        counts = [found[name] for name in ("samples", "photos", "tiles")]
        more = [found["distinct_clean"], found["undamaged"], len(shards)]
        size = f"{sum(row.num_bytes for row in shards) / 1e6:.1f}"
        rows.append(
            [data.split, *(f"{one:,}" for one in counts), f"{found['variants']:g}",
             *(f"{one:,}" for one in more), size, _list(data.sources)]
        )  # fmt: skip
    head = ["split", "samples", "photos", "tiles", "variants of a tile", "distinct clean tiles",
            "undamaged samples", "shards", "MB", "sources (samples)"]  # fmt: skip
    return pages.table("Samples of each split, and what they were made from", head, rows)


def _damage(report: Report, severity: Sequence[Panel]) -> list[Markup]:
    names = [data.split for data in report.splits]
    head = ["step", "drawn on", "probability", *names, "severity", "at severity 0"]
    caption = "Share of the samples in which each step occurs; ! marks what chance does not explain"
    frequencies = pages.figure(
        pages.themed(lambda theme: plot_frequencies(report.splits, report.steps, theme)),
        "Dots: how often each step occurs, over plausible ranges; the table has the numbers.",
        pages.strong("How often"), f" each step occurs in {_and(names)}, from top to bottom: a dot "
        "for what the shards hold, a bar for what its probability makes plausible.",
    )  # fmt: skip
    return [
        pages.beside(pages.table(caption, head, list(_step_rows(report))), frequencies),
        pages.heading("Severity"),
        pages.paragraph(
            "From 0 (nothing to see, as where damage of the photo misses the tile) to 1 (the worst "
            "that the family knows). A step is shown by itself where its severity varies."
        ),
        pages.grid([_histogram(panel) for panel in severity]),
    ]


def _step_rows(report: Report) -> Iterator[list[str]]:
    for number, step in enumerate(report.steps):
        extent = "local" if step.is_local else "global"
        row = [step.name, f"{step.on}, {extent}", f"{step.probability:.1%}"]
        for data in report.splits:
            count = len(data.severities(number))
            mark = " !" if is_surprising(count, data.num_samples, step.probability) else ""
            row.append(f"{count / max(1, data.num_samples):.1%}{mark}")
        severities = np.concatenate([data.severities(number) for data in report.splits])
        found = spread(severities)
        ends = dict.fromkeys(f"{found[name]:.2f}" for name in ("low", "high") if found)
        unseen = f"{(severities == 0).mean():.1%}" if found else "–"
        yield [*row, " to ".join(ends) or "–", unseen]


def _masks(report: Report, panel: Panel) -> Iterator[Markup]:
    given = any(data["given"].any() for data in report.splits)
    if given or any(step.is_local and step.on == "input" for step in report.steps):
        marks = " Dashed: covered_range of the recipe." if panel.marks else ""
        yield pages.beside(_mask_table(report), _histogram(panel, marks))
    else:
        yield pages.paragraph(
            "No step of the recipe is local damage on the input: every mask is empty by design."
        )
    rows = [[data.split, *_shares(data["kept"])] for data in report.splits if data["kept"].any()]
    if rows:
        caption = "Share of the tile to keep: local damage that was drawn on both pictures"
        yield pages.table(caption, ["split", *SPREAD], rows)


def _mask_table(report: Report) -> Markup:
    rows = []
    missing = any(data.num_missing for data in report.splits)
    for data in report.splits:
        counts = summarize(data)
        marked = [f"{counts[name]:,}" for name in ("empty", "unmasked", "outside")]
        marked[-1] = marked[-1] if data.lossless else "–"
        marked += [f"{data.num_missing:,}"] if missing else []
        rows.append([data.split, *_shares(data.known("covered")), *marked])
    head = ["split", *SPREAD, "empty masks", "… despite local damage", "damage outside of the mask",
            *(["mask missing"] if missing else [])]  # fmt: skip
    return pages.table("Share of the tile that the mask covers, and samples of note", head, rows)


def _shares(values: Array) -> list[str]:
    found = spread(values)
    return [f"{found[name]:.1%}" if found else "–" for name in ("mean", "median", "low", "high")]


def _tones(report: Report, drawn: Mapping[str, Sequence[Panel]]) -> list[Markup]:
    names = [f"{tone}_{which}" for tone in ("brightness", "contrast")
             for which in ("clean", "corrupted")]  # fmt: skip
    rows = []
    for data in report.splits:
        found = [spread(data[name]) for name in names]
        means = [f"{one['mean']:.1f}" if one else "–" for one in found]
        rows.append([data.split, *means, f"{summarize(data)['flat']:,}"])
    head = ["split", *(name.replace("_", ", ") for name in names), "nearly constant clean tiles"]
    figures = [_histogram(drawn[name][0], " Filled: clean; line: corrupted.")
               for name in ("brightness", "contrast")]  # fmt: skip
    caption = "Means over samples, in gray levels of 255"
    return [pages.table(caption, head, rows), pages.grid(figures)]


def _sizes(report: Report, panel: Panel) -> Markup:
    rows = []
    for data in report.splits:
        tiles = {f"{w}×{h} {'gray' if c == 1 else 'RGB'}": n for (h, w, c), n in data.sizes.items()}
        photos = [f"{width}×{height}" for width, height in sizes_of(report, data)]
        nominal = [f"{side:.0f}" for side in np.sort(data["photo_side"])]
        rows.append([data.split, _list(tiles), _ends(photos), _ends(nominal)])
    head = ["split", "tiles (samples)", "photos", "nominal short side of photos"]
    note = " Filled: the nominal one, that damage was scaled to; line: that of the photos."
    return pages.beside(
        pages.table("Width × height in pixels", head, rows), _histogram(panel, note)
    )


def _samples(report: Report) -> Iterator[Markup]:
    yield pages.paragraph(
        "Clean, corrupted and mask (white: damaged; gray all over: missing), then what must be "
        "kept where a recipe tells it. ",
        pages.code("patina show KEY"), " tells a sample's whole story.",
    )  # fmt: skip
    for split, samples in report.shown.items():
        rows = []
        for label, sample in samples.items():
            photo = str(sample.story.get("photo", {}).get("name", "unnamed photo"))
            rows.append(
                pages.picture_row(
                    _pictures(sample, photo), pages.strong(_rank(label, sample)),
                    f" – {photo}: {tell(sample)}", pages.code(sample.key),
                )
            )  # fmt: skip
        yield pages.heading(split)
        yield pages.grid(rows, broad=True)


def _rank(label: str, sample: Sample) -> str:
    """By what the samples to look at were chosen: what photos brought has no severity."""
    if sample.mask_missing:
        return "mask missing"
    return f"{label} {'coverage' if sample.story.get('given') else 'severity'}"


def _pictures(sample: Sample, photo: str) -> list[tuple[bytes, str]]:
    """Bytes small enough to show, and their alt texts."""
    told = {f"Clean tile of {photo}": sample.clean, f"Damaged: {tell(sample)}": sample.corrupted,
            "Mask of the damage": sample.shown_mask,
            "Mask of what to keep": sample.keep}  # fmt: skip
    return [
        (encode_jpeg(shrink(pixels), JPEG_QUALITY), alt)
        if pixels.ndim == 3
        else (encode_png(shrink(pixels)), alt)
        for alt, pixels in told.items()
        if pixels is not None
    ]


def _histogram(panel: Panel, note: str = "") -> Markup:
    middles = [
        f"{row.split} {panel.tell(row.median(panel.high))}" for row in panel.rows if row.total
    ]
    told = f"median {', '.join(middles)}." if middles else "no samples."
    return pages.figure(
        pages.themed(lambda theme: plot_panels([panel], theme)),
        f"Histograms of {panel.title}, one a split: {told}",
        pages.strong(panel.title), f": {told}{note}",
    )  # fmt: skip


def _ends(ordered: Sequence[str]) -> str:
    """``300 to 512, median 407``."""
    if not ordered:
        return "–"
    return f"{ordered[0]} to {ordered[-1]}, median {ordered[len(ordered) // 2]}"


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _list(counts: Mapping[str, int]) -> str:
    """``sample (720), folder (12)``, the most frequent first, at most four."""
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    told = [f"{name} ({count:,})" for name, count in ranked[:4]]
    return ", ".join([*told, *([f"{len(ranked) - 4} more"] if len(ranked) > 4 else [])]) or "–"
