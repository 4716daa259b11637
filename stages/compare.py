"""`patina compare A B`: which of two systems, revisions or experiments is better on the same test
samples, and how sure that is."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import anew, make_app, project_root, read_params, say
from stages.sides import REPORTS, Named, name_pairs, pair_of, read, resolve

if TYPE_CHECKING:
    from pipeline.comparison import Comparison
    from pipeline.comparison.page import Looks
    from pipeline.comparison.sides import Side
    from pipeline.comparison.words import Table

PICTURES = "restored.tar"
METRIC, PICTURE = "psnr", "composite"  # unless asked otherwise
WIDE = 1000  # columns of a terminal that any table fits
SIDE = "A pair, a system, a git revision, a DVC experiment, or REVISION:PAIR."


@anew
def compare(
    a: Annotated[str, typer.Argument(help=SIDE)],
    b: Annotated[str, typer.Argument(help="The other, likewise.")],
    metric: Annotated[str, typer.Option(help="What the answer is about.")] = METRIC,
    picture: Annotated[str, typer.Option(help="composite, prediction or a baseline.")] = PICTURE,
    pair: Annotated[str | None, typer.Option(help="The pair of bare revisions.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
) -> None:
    """Tell what changed from A to B, sample by sample, on the same test shards."""
    from pipeline import comparison as comparisons
    from pipeline.config import read_seed

    root = project_root()
    params = read_params(root)
    own = None if pair is None else pair_of(params, pair)
    named = name_pairs([resolve(root, params, one) for one in (a, b)], own)
    first, second = (read(one) for one in named)
    found = comparisons.compare(first, second, picture, metric, read_seed(params))
    looks = _gather(root, named, found)
    folder = out or root / "reports/compare" / _folder_name(a, b, own, found)
    _write(found, looks, folder)
    _tell(found, looks)
    say(f"{folder}/index.html")


def _gather(root: Path, named: list[Named], found: Comparison) -> Looks:
    """The pictures of the samples that changed most, as far as they are here."""
    from pipeline.comparison.page import Looks, shown_keys

    keys, notes = shown_keys(found), []
    if found.picture != PICTURE:
        notes.append(f"the pictures of A and B are their composites, not their {found.picture}")
    restored = []
    for letter, one in zip("AB", named, strict=True):
        pictures, note = _restored(one, keys)
        restored.append(pictures)
        notes += [f"no pictures of {letter}: {note}"] if note else []
    damaged, original, note = _samples(root, found, keys)
    notes += [f"no damaged and original pictures: {note}"] if note else []
    return Looks(*restored, damaged=damaged, original=original, notes=notes)


def _restored(named: Named, keys: Collection[str]) -> tuple[dict[str, Any], str]:
    from pipeline.comparison.sides import read_pictures
    from pipeline.errors import PipelineError

    path = f"{REPORTS}/{named.pair}/{PICTURES}"
    if not named.files.has(path):
        return {}, f"{named.label} has no {PICTURES}"
    try:
        with named.files.open(path) as file:
            return read_pictures(file, keys, path), ""
    except PipelineError as error:
        return {}, str(error)


def _samples(
    root: Path, found: Comparison, keys: Collection[str]
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Damaged and original out of the shards, where they are those that were measured."""
    from pipeline.errors import PipelineError
    from pipeline.samples import unpack
    from pipeline.shards import fingerprint_of_test, read_manifest, read_shard

    folder = root / "data/shards" / found.a.subject["recipe"]
    try:
        manifest = read_manifest(folder)
        if fingerprint_of_test(manifest) != found.a.subject["test_sha256"]:
            return {}, {}, f"{folder} holds other test shards than were measured"
        members = (one for row in manifest.of_split("test") for one in read_shard(folder, row))
        samples = [unpack(one) for one in members if one["__key__"] in keys]
    except PipelineError as error:
        return {}, {}, str(error)
    return {s.key: s.corrupted for s in samples}, {s.key: s.clean for s in samples}, ""


def _write(found: Comparison, looks: Looks, folder: Path) -> None:
    from pipeline import comparison
    from pipeline.comparison.page import build
    from pipeline.comparison.words import sentence
    from pipeline.files import write_json, write_text
    from pipeline.report import to_csv

    page = build(found, looks)
    write_json(folder / "comparison.json", comparison.report(found) | {"sentence": sentence(found)})
    write_text(folder / "differences.csv", to_csv(comparison.differences(found)))
    write_text(folder / "index.html", page)


def _tell(found: Comparison, looks: Looks) -> None:
    """The answer first, then the tables."""
    from pipeline.comparison.words import KEY, family_table, metric_table, samples_told, sentence

    for letter, side in (("A", found.a), ("B", found.b)):
        say(f"{letter}: {_tell_side(side)}")
    say(f"{sentence(found)} ({samples_told(found)})")
    print_table(metric_table(found))
    if found.families:
        print_table(family_table(found))
    say(KEY)
    for note in looks.notes:
        say(f"note: {note}")


def _tell_side(side: Side) -> str:
    if side.revision is None:
        return side.pair
    return f"{side.pair} at {side.label.split(':')[0]} ({side.revision[:9]})"


def print_table(table: Table) -> None:
    """With lines on a terminal that is wide enough; elsewhere as plain text, whole at any width."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Lines

    head, rows = table
    lines, console = Lines(*head, box=box.SIMPLE_HEAD), Console()
    for column in lines.columns:
        column.no_wrap, column.justify = True, "left" if column is lines.columns[0] else "right"
    for row in rows:
        lines.add_row(*row)
    whole = console.measure(lines, options=console.options.update(max_width=WIDE)).maximum
    if console.is_terminal and whole <= console.width:
        console.print(lines)
        return
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    say("")
    for row in (head, *rows):
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())


def _folder_name(a: str, b: str, pair: str | None, found: Comparison) -> str:
    """One for each question: of the sides, then of all that was asked otherwise than it is."""
    metric = None if found.metric == METRIC else found.metric
    picture = None if found.picture == PICTURE else found.picture
    return "-".join(_file_name(one) for one in (a, b, pair, metric, picture) if one is not None)


def _file_name(text: str) -> str:
    """What a side is called, as a part of a folder's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("._-")[:80] or "side"


app = make_app(compare, "compare")
if __name__ == "__main__":
    app()
