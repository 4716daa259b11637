"""`patina index`: one row a photo, named by its pixels and put into a split; what is unreadable is
told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.console import command, make_app, progress, project_root, read_params, say

if TYPE_CHECKING:
    from pipeline.splits import Candidate


@command
def index(
    folder: Annotated[
        Path | None, typer.Argument(help="Fetched sources or any tree of images.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The index file; data/index.json by default, to be named with FOLDER."),
    ] = None,
) -> None:
    """Index a folder of photos: ids, sizes, splits, and the files that had to be rejected."""
    from pipeline.config import read_seed, section
    from pipeline.files import write_json
    from pipeline.splits import IndexSection, PhotoIndexError, build_index

    root = project_root()
    params = read_params(root)
    home = folder or root / "data/raw"
    if folder is not None and out is None:
        raise PhotoIndexError(
            home, "is not the pipeline's folder", "name the index file to write: --out FILE"
        )
    target = out or root / "data/index.json"
    if not home.is_dir():
        raise PhotoIndexError(home, "is no folder", "run `patina fetch` or name another")
    with progress("index") as show:
        built = build_index(
            home,
            find_candidates(home),
            section(params, "index", IndexSection),
            read_seed(params),
            show,
        )
    photos, rejected = built["photos"], built["rejected"]
    if not photos:
        reasons = "; ".join(f"{row['name']}: {row['reason']}" for row in rejected[:3])
        told = f" ({len(rejected)} rejected: {reasons})" if rejected else ""
        raise PhotoIndexError(home, f"no photo in it{told}", "add photos")
    write_json(target, built)
    counts = [sum(row["split"] == split for row in photos) for split in ("train", "val", "test")]
    say("{} photos: {} train, {} val, {} test ({})".format(len(photos), *counts, target))
    for row in rejected:
        say(f"rejected {row['name']}: {row['reason']}")


def find_candidates(home: Path) -> Iterator[Candidate]:
    """The files that sources listed; in a folder without listings, every image file."""
    from pipeline.sources import LISTING, read_listing
    from pipeline.sources.folder import printable, walk
    from pipeline.splits import Candidate

    listings = sorted(home.glob(f"*/{LISTING}"))
    for listing in listings:
        source = read_listing(listing.parent)
        for file in source.files:
            yield Candidate(
                source=source.source,
                name=file.name,
                path=f"{listing.parent.name}/{file.file}",
                split=file.split,
                group=file.group,
                sha256=file.sha256,
            )
    for path in () if listings else walk(home):
        below = path.relative_to(home)
        yield Candidate(
            source="folder", name=printable(below), path=str(below), split=None, group=None
        )


app = make_app(index, "index")
if __name__ == "__main__":
    app()
