"""`patina fetch`: bring the photos of every source of params.yaml into data/raw/<source>/."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from stages.console import command, make_app, progress, project_root, read_params, say


@command
def fetch(out: Annotated[Path | None, typer.Option(help="Folder for the photos.")] = None) -> None:
    """Bring the photos of all sources together, with a listing of sizes and hashes."""
    from pipeline.config import read_names
    from pipeline.sources import LISTING, make_source, write_listing
    from stages.workspace import finish, workspace

    root = project_root()
    blocks = read_names(read_params(root), "sources")
    sources = {name: make_source(name, block) for name, block in blocks.items()}
    target = out or root / "data/raw"
    code = ["stages/fetch.py", *(f"pipeline/sources/{name}.py" for name in sources)]
    with workspace(root, "fetch", code, blocks, [target]) as work:
        for name, source in sources.items():
            folder = work / "raw" / name
            with progress(f"fetch {name}") as show:
                files = source.fetch(root, folder, show)
            kept = {file.file for file in files} | {LISTING}
            for stale in folder.iterdir() if folder.is_dir() else ():
                if stale.name not in kept:
                    stale.unlink()
            write_listing(folder, name, files)
            say(f"{name}: {len(files)} files, {sum(f.num_bytes for f in files) / 1e6:.1f} MB")
        for stale in target.iterdir() if target.is_dir() else ():
            if stale.is_dir() and stale.name not in sources:
                shutil.rmtree(stale)
        finish(root, work, {f"raw/{name}": (target / name, LISTING) for name in sources})


app = make_app(fetch, "fetch")
if __name__ == "__main__":
    app()
