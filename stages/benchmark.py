"""`patina benchmark FOLDER`: a system on any clean pictures, in the literature's protocol, beside
what papers print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stages.console import anew, make_app, progress, project_root, read_params, say
from stages.figures import Shown, check_outputs, keep_sheets, report, tell_run
from stages.subjects import Loaded, compare_with_training, load_recipe, load_system, see_all

if TYPE_CHECKING:
    from pipeline.corruptions import Recipe
    from pipeline.literature.pictures import Seen
    from pipeline.literature.protocol import Damage, Noise

SIGMA, MAX_SIGMA = 25.0, 255.0


Sigmas = Annotated[
    list[float] | None,
    typer.Option(help="σ of white noise on the 0-255 scale; may be repeated. 25 if none is."),
]
RecipeName = Annotated[
    str | None, typer.Option(help="A recipe's damage on whole pictures instead of noise.")
]
Gray = Annotated[bool, typer.Option("--gray", help="Luma; else as the system wants.")]
Color = Annotated[bool, typer.Option("--color", help="RGB; else as the system wants.")]
SystemName = Annotated[
    str | None, typer.Option(help="A trained system; none: classical methods alone.")
]
Weights = Annotated[Path | None, typer.Option(help="Weights file instead of the system's own.")]
Clip = Annotated[bool, typer.Option("--clip", help="Clip the noisy pictures to 0-255.")]
Quantize = Annotated[
    bool, typer.Option("--quantize", help="Round the noisy pictures to whole levels.")
]
Sheets = Annotated[
    Path | None, typer.Option(help="New folder for sheets: clean, input, NLM, restored.")
]


@anew
def benchmark(
    folder: Annotated[Path, typer.Argument(help="Clean pictures; folders in it count.")],
    noise: Sigmas = None,
    recipe: RecipeName = None,
    gray: Gray = False,
    color: Color = False,
    system: SystemName = None,
    weights: Weights = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of params.yaml's.")] = None,
    clip: Clip = False,
    quantize: Quantize = False,
    out: Annotated[Path | None, typer.Option(help="All figures as JSON.")] = None,
    pictures: Sheets = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Measure a folder of clean pictures as papers do, and print their figures beside."""
    from pipeline.config import read_max_megapixels, read_seed
    from pipeline.errors import ParamsError

    root = project_root()
    params = read_params(root)
    _check_options(noise, recipe, clip, quantize)
    if gray and color:
        raise ParamsError("--gray", "cannot go with --color", "choose one")
    check_outputs(folder, out, pictures)
    damage = None if recipe is None else load_recipe(root, params, recipe)
    loaded = load_system(root, params, system, weights, device) if system or weights else None
    limit = read_max_megapixels(params)
    seen = see_all(folder, limit)
    colored = _choose_color(gray if gray or color else None, loaded, seen, damage is not None)
    start = read_seed(params) if seed is None else seed
    protocols = _protocols(damage, noise or [SIGMA], start, colored, clip, quantize)
    notes = compare_with_training(root, seen, limit) if loaded else {}
    runs = [_run(seen, one, limit, loaded, pictures) for one in protocols]
    if out is not None:
        _write_figures(out, loaded, report(seen, notes, runs))


def _write_figures(out: Path, loaded: Loaded | None, told: dict[str, Any]) -> None:
    from pipeline.files import write_json

    origin = {"name": loaded.name, "weights_sha256": loaded.sha256} if loaded else None
    write_json(out, told | {"system": origin})
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
