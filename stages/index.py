"""`patina index`: one row a photo, named by its pixels and put into a split; what cannot be used is
told."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import command, make_app, progress, project_root, read_params, say

if TYPE_CHECKING:
    from pipeline.candidates import Candidate
    from pipeline.executors import Executor
    from pipeline.splits import IndexSection

MAX_TOLD = 20  # rejected files that are named one by one
FEW = 64  # files that one process reads sooner than others start


@command
def index(
    folder: Annotated[
        Path | None, typer.Argument(help="Fetched sources or any tree of images.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The index file; data/index.json by default, to be named with FOLDER."),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(help="Say why a photo (file, name or id) is where it is; write nothing."),
    ] = None,
    afresh: Annotated[
        bool, typer.Option(help="Forget how an index that is there grouped and split the photos.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Processes that read; one a core by default.")
    ] = None,
) -> None:
    """Index a folder of photos: ids, sizes, near-duplicates, splits, and the files rejected."""
    from pipeline.config import read_seed, section
    from pipeline.errors import ParamsError
    from pipeline.splits import IndexSection, PhotoIndexError
    from stages.explain import explain_photo

    root = project_root()
    params = read_params(root)
    home = folder or root / "data/raw"
    if folder is not None and out is None:
        raise PhotoIndexError(
            home, "is not the pipeline's folder", "name the index file: --out FILE"
        )
    if workers is not None and workers < 1:
        raise ParamsError("--workers", f"{workers} is not 1 or more", "give a number of processes")
    target = out or root / "data/index.json"
    block, seed = section(params, "index", IndexSection), read_seed(params)
    if explain is not None:
        for line in explain_photo(target, home, explain, block, seed):
            say(line)
        return
    if not home.is_dir():
        raise PhotoIndexError(home, "is no folder", "run `patina fetch` or name another")
    # one's own look at any folder is about what is wrong with it
    _tell(target, _build(home, target, block, seed, afresh, workers, strict=folder is None))


def _build(
    home: Path, target: Path, block: IndexSection, seed: int, afresh: bool, workers: int | None,
    *, strict: bool,
) -> dict[str, Any]:  # fmt: skip
    """Index `home`, write it to `target`; `strict`, only if few of its files are unreadable."""
    from pipeline.files import lock, write_json
    from pipeline.indexing import build_index, check_any, check_share, read_earlier

    found = list(find_candidates(home))
    with lock(target):
        earlier = {} if afresh else read_earlier(target, block, seed)
        with progress("index") as show:
            built = build_index(
                home, found, block, seed, show, choose_executor(workers, len(found)), earlier
            )
        check_any(home, built)
        if strict:
            check_share(home, built, block)
        write_json(target, built)
    return built


def find_candidates(home: Path) -> Iterator[Candidate]:
    """The files that sources listed; in a folder without listings, every image file. What is no
    plain file is left out, with its reason."""
    from pipeline.candidates import Candidate
    from pipeline.files import printable
    from pipeline.sources import LISTING, read_listing
    from pipeline.sources.folder import strays, walk

    listings = sorted(home.glob(f"*/{LISTING}"))
    for listing in listings:
        source, below = read_listing(listing.parent), listing.parent.name
        for file in source.files:
            yield Candidate(
                source=source.source, name=file.name, path=f"{below}/{file.file}",
                split=file.split, group=file.group, sha256=file.sha256,
                corrupted=file.corrupted and f"{below}/{file.corrupted}",
                corrupted_sha256=file.corrupted_sha256, mask=file.mask and f"{below}/{file.mask}",
                mask_sha256=file.mask_sha256, licence=file.licence, no_test=file.no_test,
            )  # fmt: skip
        for one in source.left_out:
            yield Candidate(source.source, one.name, one.name, None, None, left_out=one.reason)
    if not listings:
        for path in walk(home):
            below_home = path.relative_to(home)
            yield Candidate("folder", printable(below_home), str(below_home), None, None)
        for one in strays(home):
            yield Candidate("folder", one.name, one.name, None, None, left_out=one.reason)


def choose_executor(workers: int | None, num_files: int) -> Executor:
    """Processes, where they are asked for or pay for their start."""
    from pipeline.executors import Processes, run_here

    number = workers or (1 if num_files < FEW else os.cpu_count() or 1)
    return run_here if number == 1 else Processes(number, "index")


def _tell(target: Path, built: dict[str, Any]) -> None:
    from pipeline.indexing import large_groups
    from pipeline.shards import SPLITS

    photos, rejected = built["photos"], built["rejected"]
    counts = {split: sum(row["split"] == split for row in photos) for split in SPLITS}
    told = ", ".join(f"{count} {split}" for split, count in counts.items())
    say(f"{len(photos)} photos: {told} ({target})")
    for row in rejected[:MAX_TOLD]:
        say(f"rejected {row['name']}: {row['reason']}")
    if len(rejected) > MAX_TOLD:
        say(f"rejected {len(rejected) - MAX_TOLD} more: see {target}")
    for group, number in large_groups(built):
        share = number / len(photos)
        say(
            f"warning: {number} photos ({share:.1%}) are near-duplicates of one another, all "
            f"{next(row['split'] for row in photos if row['group'] == group)}: group {group[:12]}"
        )
    for split in (split for split, count in counts.items() if not count):
        say(f"warning: no {split} photo; every recipe needs some: add photos or another source")


app = make_app(index, "index")
if __name__ == "__main__":
    app()
