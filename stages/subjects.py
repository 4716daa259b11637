"""What a benchmark is of: the pictures of a folder, a trained system, a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.console import progress, say, tell
from stages.devices import choose_device

if TYPE_CHECKING:
    import torch

    from pipeline.corruptions import Recipe
    from pipeline.literature.pictures import Seen
    from pipeline.systems import System


class Loaded(NamedTuple):
    """A trained system, what it is called, and the sha256 of its weights file."""

    name: str
    system: System
    sha256: str
    device: torch.device


def load_recipe(root: Path, params: dict[str, Any], name: str) -> Recipe:
    """A recipe of params.yaml. Raises ParamsError for what is none."""
    from pipeline.complaints import did_you_mean
    from pipeline.config import read_names
    from pipeline.corruptions import Recipe
    from pipeline.errors import ParamsError

    known = list(read_names(params, "recipes"))
    if name not in known:
        use = f"use one of {', '.join(known)}{did_you_mean(name, known)}"
        raise ParamsError(f"--recipe {name}", "is no recipe", use)
    return Recipe.load(params, name, root / "data/textures")


def load_system(
    root: Path, params: dict[str, Any], name: str | None, weights: Path | None, device: str
) -> Loaded:
    """A system by name or by its weights alone. Raises CheckpointError where there are none, or
    none of the kind that a system of this name is."""
    import torch

    from pipeline import checkpoint
    from pipeline.complaints import did_you_mean
    from pipeline.errors import CheckpointError
    from pipeline.files import sha256_file

    path = weights or root / "models" / str(name) / "best.safetensors"
    if weights is None and not path.is_file():
        trained = sorted(file.parent.name for file in root.glob("models/*/best.safetensors"))
        there = f"trained are {', '.join(trained)}" if trained else "nothing is trained yet"
        step = f"{there}{did_you_mean(name, trained)}; see `patina train`"
        raise CheckpointError(f"--system {name}", f"{path} is not there", step)
    target = torch.device(choose_device(device))
    kind, system = checkpoint.load_system(path)
    if name is not None and kind != (wanted := _kind_of(params, name)):
        step = f"name other weights, or use --system {kind}"
        raise CheckpointError(path, f"holds {kind}, but {name} is of the kind {wanted}", step)
    system = system.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Loaded(name or kind, system, sha256_file(path), target)


def _kind_of(params: dict[str, Any], name: str) -> str:
    """As it is trained; a system that is not has the name of its kind."""
    blocks = params.get("train")
    block = blocks.get(name) if isinstance(blocks, dict) else None
    return str(block.get("kind", name)) if isinstance(block, dict) else name


def see_all(folder: Path, limit: float) -> list[Seen]:
    """Every picture of the folder, by name. Raises ImageError unless all can be read."""
    from pipeline.errors import ImageError, PipelineError
    from pipeline.files import printable
    from pipeline.literature.pictures import see
    from pipeline.sources.folder import walk

    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise ImageError(folder, what, "name a folder of clean pictures")
    paths = sorted((printable(path.relative_to(folder)), path) for path in walk(folder))
    if not paths:
        raise ImageError(folder, "holds no pictures", "name another folder")
    seen: list[Seen] = []
    failed: list[PipelineError] = []
    with progress("read") as show:
        for done, (name, path) in enumerate(paths, 1):
            try:
                seen.append(see(path, name, limit))
            except ImageError as error:
                failed.append(error)
            show(done, len(paths), name)
    for problem in failed[1:]:
        tell(problem)
    if failed:
        raise failed[0]
    return seen


def compare_with_training(root: Path, seen: Sequence[Seen], limit: float) -> dict[str, Any]:
    """Which pictures were there to train on, where there is an index to ask."""
    from pipeline.literature.pictures import trained_on

    index = root / "data/index.json"
    if not index.is_file():
        return {}
    with progress("compare with training photos") as show:
        found = trained_on(seen, index, root / "data/raw", limit, show)
    if found.names:
        some = ", ".join(found.names[:3]) + (", …" if len(found.names) > 3 else "")
        say(f"warning: {len(found.names)} of {len(seen)} pictures were there to train on ({some})")
    if found.note:
        say(f"note: {found.note}")
    return {"trained_on": found.names} | ({"trained_on_note": found.note} if found.note else {})
