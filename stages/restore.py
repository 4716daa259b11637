"""`patina restore IN… -o DIR`: restore real photos, each at its own size, format and name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.console import command, make_app, progress, project_root, say
from stages.devices import choose_device

if TYPE_CHECKING:
    import torch

    from pipeline.systems import System


@command
def restore(
    inputs: Annotated[
        list[Path], typer.Argument(help="Photos, or folders of photos.", metavar="IN...")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the restored photos.")],
    system: Annotated[str, typer.Option(help="A trained system.")] = "aged_unet",
    weights: Annotated[
        Path | None, typer.Option(help="Weights file instead of the system's own.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    max_megapixels: Annotated[
        float, typer.Option(min=0.001, max=10_000, help="Photos above it are refused.")
    ] = 200.0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Restore photos: one file of the same name, size and format for each that comes in."""
    import torch

    from pipeline.checkpoint import load_system
    from pipeline.errors import CheckpointError, ImageError, PipelineError
    from pipeline.systems import SYSTEMS

    path = weights or project_root() / "models" / system / "best.safetensors"
    if weights is None and not path.is_file():
        SYSTEMS[system]  # an unknown name is told with the known ones
        raise CheckpointError(
            path, "is not there", f"train it: `./run demo` or `patina train {system}`"
        )
    _, loaded = load_system(path)
    target = torch.device(choose_device(device))
    loaded = loaded.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    todo = _pair_names(inputs, output)
    failed: list[PipelineError] = []
    with progress("restore") as show:
        for done, (source, goal) in enumerate(todo, 1):
            try:
                _restore_file(source, goal, loaded, target, force, max_megapixels)
            except PipelineError as error:
                failed.append(error)
            show(done, len(todo), source.name)
    for error in failed:
        typer.echo(f"error: {error}", err=True)
    say(f"{len(todo) - len(failed)} of {len(todo)} photos restored into {output}")
    if failed:
        raise ImageError(
            "restore", f"{len(failed)} of {len(todo)} files failed", "see the lines above"
        )


def _pair_names(inputs: list[Path], output: Path) -> list[tuple[Path, Path]]:
    """(photo, its restored file); photos in a folder keep their place below it.

    Raises ImageError for what is not there, and for two photos that would become one file.
    """
    from pipeline.errors import ImageError
    from pipeline.sources.folder import walk

    pairs: dict[Path, Path] = {}
    for given in inputs:
        if not given.exists():
            raise ImageError(given, "does not exist", "name a photo or a folder of photos")
        found = list(walk(given)) if given.is_dir() else [given]
        if not found:
            raise ImageError(given, "holds no photos", "name another folder")
        for path in found:
            goal = output / (path.relative_to(given) if given.is_dir() else path.name)
            twin = pairs.setdefault(goal, path)
            if twin != path:
                raise ImageError(
                    goal, f"would be made from {twin} and {path}", "restore them apart"
                )
            if goal.exists() and goal.samefile(path):
                raise ImageError(
                    path, "would be overwritten by its restoration", "choose another -o"
                )
    return [(path, goal) for goal, path in pairs.items()]


def _restore_file(
    source: Path, goal: Path, system: System, device: torch.device, force: bool, limit: float
) -> None:
    from pipeline import photo_encoding, photos
    from pipeline.errors import ImageError
    from pipeline.files import write_bytes
    from pipeline.restore import restore_picture

    if goal.exists() and not force:
        raise ImageError(goal, "is already there", "use --force or another folder")
    try:
        data = source.read_bytes()
        picture = photos.decode(data, limit, "--max-megapixels")
    except OSError as error:
        raise ImageError(source, error.strerror or "cannot be read", "check the file") from None
    except ImageError as error:
        raise ImageError(source, error.what, error.next_step) from None
    write_bytes(goal, photo_encoding.encode(picture, restore_picture(picture, system, device)))


app = make_app(restore, "restore")
if __name__ == "__main__":
    app()
