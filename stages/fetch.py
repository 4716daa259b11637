"""`patina fetch`: bring the photos of every source of params.yaml into data/raw/<source>/."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.console import command, make_app, progress, project_root, read_params, say

if TYPE_CHECKING:
    from pipeline.errors import PipelineError
    from pipeline.sources import Source

MAX_TOLD = 10  # files left out that are named one by one
MEGABYTE = 1_000_000


@command
def fetch(out: Annotated[Path | None, typer.Option(help="Folder for the photos.")] = None) -> None:
    """Bring the photos of all sources together, with a listing of sizes and hashes."""
    from pipeline.config import read_names
    from pipeline.files import check_writable
    from pipeline.sources import LISTING, make_source, scratch, write_listing
    from stages.workspace import finish, workspace

    root = project_root()
    blocks = read_names(read_params(root), "sources")
    sources = {name: make_source(name, block) for name, block in blocks.items()}
    target = out or root / "data/raw"
    for problem in refusals(root, sources):
        raise problem
    check_target(root, target, sources)
    code = ["stages/fetch.py", *(f"pipeline/sources/{name}.py" for name in sources)]
    for place in (root / ".work", target, *(target / name for name in sources)):
        check_writable(place)
    with workspace(root, "fetch", code, blocks, [target], [f"*/{LISTING}"]) as work:
        for name, source in sources.items():
            folder = work / "raw" / name
            with progress(f"fetch {name}") as show:
                files, left_out = source.fetch(root, folder, Shown(show))
            listing = write_listing(folder, name, files, left_out)
            for stale in folder.iterdir():
                if stale.name not in listing.names():
                    stale.unlink()
            shutil.rmtree(scratch(folder), ignore_errors=True)
            say(f"{name}: {len(files)} files, {sum(f.num_bytes for f in files) / 1e6:.1f} MB")
            for one in left_out[:MAX_TOLD]:
                say(f"left out {one.name}: {one.reason}")
            if len(left_out) > MAX_TOLD:
                say(f"left out {len(left_out) - MAX_TOLD} more: see {target / name / LISTING}")
        drop_others(target, sources)
        finish(root, work, {f"raw/{name}": (target / name, LISTING) for name in sources})


def refusals(root: Path, sources: dict[str, Source]) -> list[PipelineError]:
    """What a fetch refuses before it begins: sources that read what it writes, or cannot be had."""
    from pipeline.errors import ParamsError

    raw = root / "data/raw"
    places = [raw, *(raw / name for name in sources)]  # any of them may be a link
    problems: list[PipelineError] = []
    for name, source in sources.items():
        met = [
            path
            for path in source.own(root)
            if any(_meet(path.resolve(), place.resolve()) for place in places)
        ]
        for path in met:
            what = f"{path} holds, is, or lies in data/raw, where fetched photos go"
            step = f"keep the files of sources.{name} apart, as in data/inbox"
            problems.append(ParamsError(f"params: sources.{name}.path", what, step))
        problems += [] if met else source.check(root)
    return problems


def check_target(root: Path, target: Path, sources: dict[str, Source]) -> None:
    """Raise DiskError if fetching into `target` might cost a file that no fetch has brought."""
    from pipeline.files import DiskError
    from pipeline.sources import LISTING
    from stages.workspace import OURS

    home, raw, place = root.resolve(), (root / "data/raw").resolve(), target.resolve()
    inside = any(place.is_relative_to((root / ours).resolve()) for ours in OURS)
    if place != raw and (inside or home.is_relative_to(place)):
        what = "belongs to the project, which keeps fetched photos in data/raw"
        raise DiskError(target, what, "name a folder outside")
    own = [(name, path) for name, one in sources.items() for path in one.own(root)]
    for folder in (target, *(target / name for name in sources)):
        for name, path in own:
            if _meet(folder.resolve(), path.resolve()):
                what = f"holds, or lies in, the files of sources.{name} ({path})"
                raise DiskError(folder, what, "name a folder apart from them")
    for folder in (target / name for name in sources):
        foreign = place != raw or folder.is_symlink()  # else a killed fetch may have left it
        filled = folder.is_dir() and any(folder.iterdir())
        if foreign and filled and not (folder / LISTING).is_file():
            what = "holds other files, which would be removed"
            raise DiskError(folder, what, "move them, or name an empty folder")


def drop_others(target: Path, sources: Iterable[str]) -> None:
    """Remove what earlier fetches brought of sources that are none any more; of a folder that is a
    link, the link alone. Whatever has no listing is nobody's to remove."""
    from pipeline.sources import LISTING

    for stale in target.iterdir() if target.is_dir() else ():
        if stale.name in sources or not (stale / LISTING).is_file():
            continue
        if stale.is_symlink():
            stale.unlink()
        else:
            shutil.rmtree(stale)


def _meet(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


class Shown:
    """A source's progress for ``show(done, total, note)``: files as they are, downloads in MB with
    their rate and the time that is left."""

    def __init__(self, show: Callable[..., None]) -> None:
        self.show, self.name, self.start, self.began = show, "", 0, 0.0

    def __call__(self, done: int, total: int, name: str = "") -> None:
        """Files, or bytes of the download `name`."""
        if not name:
            self.show(done, total)
            return
        now = time.monotonic()
        if name != self.name:  # what an earlier run brought says nothing of the rate
            self.name, self.start, self.began = name, done, now
        rate = (done - self.start) / max(now - self.began, 1e-3)
        left = f", {(total - done) / rate:.0f} s left" if rate and total > done else ""
        note = f"MB of {name}, {rate / MEGABYTE:.1f} MB/s{left}"
        self.show(done // MEGABYTE, max(1, total // MEGABYTE), note)


app = make_app(fetch, "fetch")
if __name__ == "__main__":
    app()
