"""`patina inspect RECIPE`: look at what was made before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.console import command, make_app, progress, project_root, read_params, say
from stages.recipes import family_files

if TYPE_CHECKING:
    from pipeline.corruptions import Recipe
    from pipeline.inspection.report import Report


SHEET_SIDE = 192  # px of a tile in samples.png

LEAVES = ("data.json", "index.html", "histograms.csv", "*.png")


@command
def inspect(
    recipe: Annotated[str, typer.Argument(help="A recipe of params.yaml whose shards are made.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
) -> None:
    """Report on a recipe's shards: counts, masks, damage, tones and samples, with warnings."""
    from pipeline.corruptions import Recipe
    from pipeline.files import sha256_file
    from pipeline.shards import MANIFEST, read_manifest
    from stages.workspace import finish, workspace

    root = project_root()
    params = read_params(root)
    loaded = Recipe.load(params, recipe, root / "data/textures")
    shards = root / "data/shards" / recipe
    read_manifest(shards)  # told before anything is begun
    index = root / "data/index.json"
    folder = out or root / "reports/data" / recipe
    code = ["stages/inspect.py", *family_files(loaded)]
    inputs = [params["recipes"][recipe], *map(sha256_file, (shards / MANIFEST, index))]
    with workspace(
        root, f"inspect-{recipe}", code, inputs, [folder], ["data.json"], LEAVES
    ) as work:
        report = _measure(shards, index, loaded)
        _write(report, work / "report")
        finish(root, work, {"report": (folder, "data.json")})
    for doubt in report.doubts:
        say(f"warning: {doubt}")
    samples = sum(data.num_samples for data in report.splits)
    word = "warning" if len(report.doubts) == 1 else "warnings"
    missing = sum(data.num_missing for data in report.splits)
    masks = f", {missing} of them without a mask" if missing else ""
    say(f"{recipe}: {samples} samples{masks}, {len(report.doubts)} {word} ({folder}/index.html)")


def _measure(shards: Path, index: Path, recipe: Recipe) -> Report:
    """Read every sample once, and the few to show once more."""
    from pipeline.inspection import pick, read_places, read_split
    from pipeline.inspection.doubts import find_doubts
    from pipeline.inspection.plan import plan_steps
    from pipeline.inspection.report import Report, photo_sizes
    from pipeline.shards import SPLITS, read_manifest
    from pipeline.splits import read_index

    manifest = read_manifest(shards)
    sizes = {photo.id: (photo.width, photo.height) for photo in read_index(index)}
    steps = plan_steps(recipe)
    total, done = sum(row.num_samples for row in manifest.shards), 0
    with progress(f"inspect {recipe.name}") as show:

        def note() -> None:
            nonlocal done
            done += 1
            show(done, total)

        splits = [
            read_split(shards, manifest, split, steps, recipe.replay, note) for split in SPLITS
        ]
    shown = {}
    for data in splits:
        places = pick(data)
        samples = read_places(shards, manifest, data.split, list(places.values()), recipe.replay)
        shown[data.split] = {label: samples[place] for label, place in places.items()}
    doubts = find_doubts(splits, steps)
    return Report(manifest, steps, splits, doubts, photo_sizes(sizes), shown)


def _write(report: Report, folder: Path) -> None:
    """The page, the numbers, and the plots for dvc."""
    from pipeline import images
    from pipeline.files import write_bytes, write_json, write_text
    from pipeline.inspection import histograms, to_csv
    from pipeline.inspection.page import build, shrink
    from pipeline.inspection.plots import plot_frequencies, plot_panels
    from pipeline.inspection.report import numbers, panels

    for name, drawn in panels(report).items():
        write_bytes(folder / f"{name}.png", plot_panels(drawn))
    write_bytes(folder / "frequencies.png", plot_frequencies(report.splits, report.steps))
    rows = [
        [shrink(one, SHEET_SIDE) for one in (sample.clean, sample.corrupted, sample.shown_mask)]
        for samples in report.shown.values()
        for sample in samples.values()
    ]
    write_bytes(folder / "samples.png", images.encode_png(images.sheet(rows)))
    write_text(folder / "histograms.csv", to_csv(histograms(report.splits)))
    write_text(folder / "index.html", build(report))
    write_json(folder / "data.json", numbers(report))


app = make_app(inspect, "inspect")
if __name__ == "__main__":
    app()
