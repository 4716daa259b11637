"""`patina benchmark FOLDER`: a system on any clean pictures, in the literature's protocol, beside
what papers print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from stages.console import command, make_app, progress, project_root, read_params, say, tell
from stages.devices import choose_device
from stages.figures import Shown, check_outputs, keep_sheets, report, tell_run

if TYPE_CHECKING:
    import torch

    from pipeline.corruptions import Recipe
    from pipeline.literature.pictures import Seen
    from pipeline.literature.protocol import Damage, Noise
    from pipeline.systems import System

SIGMA, MAX_SIGMA = 25.0, 255.0


class Loaded(NamedTuple):
    """A trained system, what it is called, and the sha256 of its weights file."""

    name: str
    system: System
    sha256: str
    device: torch.device


@command
def benchmark(
    folder: Annotated[Path, typer.Argument(help="Clean pictures; folders in it count.")],
    noise: Annotated[
        list[float] | None,
        typer.Option(help="σ of white noise on the 0-255 scale; may be repeated. 25 if none is."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe's damage on whole pictures instead of noise.")
    ] = None,
    gray: Annotated[
        bool | None,
        typer.Option("--gray/--color", help="Luma or RGB; without it as the system wants."),
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="A trained system; none: classical methods alone.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file instead of the system's own.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of params.yaml's.")] = None,
    clip: Annotated[bool, typer.Option("--clip", help="Clip the noisy pictures to 0-255.")] = False,
    quantize: Annotated[
        bool, typer.Option("--quantize", help="Round the noisy pictures to whole levels.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="All figures as JSON.")] = None,
    pictures: Annotated[
        Path | None, typer.Option(help="New folder for sheets: clean, input, NLM, restored.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Measure a folder of clean pictures as papers do, and print their figures beside."""
    from pipeline.config import read_max_megapixels, read_seed

    root = project_root()
    params = read_params(root)
    _check_options(noise, recipe, clip, quantize)
    check_outputs(folder, out, pictures)
    damage = None if recipe is None else _load_recipe(root, params, recipe)
    loaded = _load_system(root, system, weights, device) if system or weights else None
    limit = read_max_megapixels(params)
    seen = _see_all(folder, limit)
    color = _choose_color(gray, loaded, seen, damage is not None)
    start = read_seed(params) if seed is None else seed
    protocols = _protocols(damage, noise or [SIGMA], start, color, clip, quantize)
    notes = _compare_with_training(root, seen, limit) if loaded else {}
    runs = [_run(seen, one, limit, loaded, pictures) for one in protocols]
    if out is not None:
        from pipeline.files import write_json

        origin = {"name": loaded.name, "weights_sha256": loaded.sha256} if loaded else None
        write_json(out, report(seen, origin, notes, runs))
        say(f"all figures: {out}")


def _check_options(
    noise: Sequence[float] | None, recipe: str | None, clip: bool, quantize: bool
) -> None:
    from pipeline.errors import ParamsError

    for sigma in noise or []:
        if not (math.isfinite(sigma) and 0 < sigma <= MAX_SIGMA):
            rule = f"is no σ above 0 and at most {MAX_SIGMA:g}"
            raise ParamsError(f"--noise {sigma:g}", rule, "papers use 15, 25 and 50")
    if recipe is not None and noise:
        raise ParamsError("--recipe", "cannot go with --noise", "choose one")
    if recipe is not None and (clip or quantize):
        raise ParamsError("--recipe", "is always clipped and rounded", "leave the option out")


def _load_recipe(root: Path, params: dict[str, Any], name: str) -> Recipe:
    from pipeline.complaints import did_you_mean
    from pipeline.config import read_names
    from pipeline.corruptions import Recipe
    from pipeline.errors import ParamsError

    known = list(read_names(params, "recipes"))
    if name not in known:
        use = f"use one of {', '.join(known)}{did_you_mean(name, known)}"
        raise ParamsError(f"--recipe {name}", "is no recipe", use)
    return Recipe.load(params, name, root / "data/textures")


def _load_system(root: Path, name: str | None, weights: Path | None, device: str) -> Loaded:
    import torch

    from pipeline.checkpoint import load_system
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
    kind, system = load_system(path)
    system = system.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Loaded(name or kind, system, sha256_file(path), target)


def _see_all(folder: Path, limit: float) -> list[Seen]:
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


def _choose_color(
    gray: bool | None, loaded: Loaded | None, seen: Sequence[Seen], damaged: bool
) -> bool:
    """RGB, or else gray? Raises ParamsError where the system takes no RGB."""
    from pipeline.errors import ParamsError

    colored = not all(one.gray for one in seen)
    if loaded is None:
        return colored if gray is None else not gray
    system = loaded.system
    able = system.channels == 3 or (damaged and system.target_channels == 3)
    if gray is None:
        return able and (colored or damaged)
    if not gray and not able:
        raise ParamsError("--color", f"{loaded.name} takes gray pictures", "use --gray")
    return not gray


def _protocols(
    damage: Recipe | None,
    sigmas: Sequence[float],
    seed: int,
    color: bool,
    clip: bool,
    quantize: bool,
) -> list[Noise | Damage]:
    from pipeline.literature.protocol import Damage, Noise

    if damage is not None:
        return [Damage(damage, seed, color)]
    return [Noise(sigma, seed, color, clip, quantize) for sigma in dict.fromkeys(sigmas)]


def _compare_with_training(root: Path, seen: Sequence[Seen], limit: float) -> dict[str, Any]:
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


def _run(
    seen: Sequence[Seen],
    protocol: Noise | Damage,
    limit: float,
    loaded: Loaded | None,
    pictures: Path | None,
) -> dict[str, Any]:
    """All methods under one protocol, told as soon as they are measured."""
    from pipeline.literature.measuring import Bench, measure_input, measure_oracle, measure_system

    bench = Bench(seen, protocol, limit)
    title = protocol.title
    with progress(f"{title}: input") as show:
        measured = {"input": measure_input(bench, show)}
    with progress(f"{title}: non-local means") as show:
        measured["nlm_oracle"] = measure_oracle(bench, show)
    keep = None
    if pictures is not None:
        keep = keep_sheets(pictures, protocol, measured["nlm_oracle"].more["strength"])
    if loaded is not None:
        with progress(f"{title}: {loaded.name}") as show:
            system, device = loaded.system, loaded.device
            measured[loaded.name] = measure_system(bench, system, device, show, keep)
    elif keep is not None:
        for place in range(len(bench)):
            keep(bench.pair(place))
    return tell_run(Shown(seen, protocol, measured))


app = make_app(benchmark, "benchmark")
if __name__ == "__main__":
    app()
