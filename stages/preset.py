"""`patina preset NAME`: make ready-made settings active in params.yaml; all else stays, comments
too."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.errors import ParamsError
from stages.console import PARAMS, command, make_app, project_root, read_params, say
from stages.editing import dump, parse, round_trip

HOME = Path(__file__).resolve().parent / "presets"
OUTSIDE, WEIGHTS_FOLDER = "PATINA_PHOTOS", "PATINA_REFERENCE_WEIGHTS"
PLACES = 8  # of dvc.yaml, where a project has none
ACTIVE = ("train", "evaluate")  # a preset says what is in these, whole, and which recipes in synth


def preset_names() -> list[str]:
    """The presets that there are."""
    return sorted(path.stem for path in HOME.glob("*.yaml"))


@command
def preset(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(preset_names())}.")],
    photos: Annotated[
        Path | None,
        typer.Option(
            envvar=OUTSIDE,
            show_envvar=True,
            help="A folder of photos to use in place of the preset's own source.",
        ),
    ] = None,
) -> None:
    """Activate systems, recipes and sizes in params.yaml; it is written only when all is valid."""
    from pipeline.files import write_text

    root = project_root()
    params, text = make_active(root, name, photos)
    write_text(root / PARAMS, text)
    by = f" (by {OUTSIDE})" if photos and os.environ.get(OUTSIDE) == str(photos) else ""
    say(f"params.yaml: {', '.join(params['train'])}, on {', '.join(_sources(params))}{by}")
    say("next: `patina check` tells what it costs here, `./run demo` or `dvc repro` does it")


def make_active(root: Path, name: str, photos: Path | None) -> tuple[Any, str]:
    """The params with a preset active, and their text. Raises ParamsError unless all is valid."""
    from stages.validity import validate_params

    read_params(root)  # what is wrong with it is told before anything is merged into it
    chosen = _read(name)
    params = round_trip().load((root / PARAMS).read_text(encoding="utf-8"))
    _apply(params, chosen, _find_photos(chosen, photos))
    _fill_reads(params, root)
    text = dump(params)
    problems = validate_params(root, parse(text))
    if problems:
        lines = [line for problem in problems for line in problem.lines]
        raise ParamsError(f"preset {name}", "; ".join(lines), "params.yaml was left as it was")
    return params, text


def merge(base: Any, changes: Mapping[str, Any]) -> None:
    """Put `changes` into the map `base`, key by key; lists and plain values are replaced."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)  # else YAML would name it and refer to it


def prune(base: Any, wanted: Mapping[str, Any]) -> None:
    """Take out of the map `base`, and of the maps in it, every key that `wanted` does not have."""
    for key in [one for one in base if one not in wanted]:
        del base[key]
    for key, value in wanted.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            prune(base[key], value)


def _apply(params: Any, chosen: Mapping[str, Any], photos: Path | None) -> None:
    """Merge a preset: its recipes, the sizes for photos from outside, its params; the sections that
    say what is active are replaced."""
    wanted, recipes = chosen["params"], chosen["recipes"]
    prune(params["synth"], dict.fromkeys(recipes))
    merge(params["synth"], {name: None for name in recipes if name not in params["synth"]})
    for section in ACTIVE:
        prune(params[section], wanted[section])
    for name in [one for one in params["systems"] if one not in wanted["systems"]]:
        del params["systems"][name]  # a variant, whose kind its training told
    merge(params["recipes"], recipes)
    if photos is None:
        merge(
            params["sources"],
            {k: v for k, v in chosen["sources"].items() if k not in params["sources"]},
        )
    else:
        merge(params["sources"], {"folder": {"path": str(photos)}})
        for name in recipes:
            merge(params["recipes"][name], chosen["outside"]["recipe"])
    merge(params, wanted)
    if os.environ.get(WEIGHTS_FOLDER):  # then nothing need be fetched
        for pair in params["evaluate"].values():
            if pair["lpips"] == "official":
                pair["lpips"] = "reference"


def _find_photos(chosen: Mapping[str, Any], photos: Path | None) -> Path | None:
    """The folder of photos to use, if one is named: that part of the outside photos that the preset
    is for, or, named by --photos, the folder itself."""
    if photos is None:
        return None
    part = photos / chosen["outside"]["below"]
    found = part if os.environ.get(OUTSIDE) == str(photos) and part.is_dir() else photos
    from pipeline.photos import SUFFIXES

    if not found.is_dir():
        raise ParamsError(f"--photos {photos}", "is no folder", "name a folder of photos")
    if not any(file.suffix.lower() in SUFFIXES for file in found.rglob("*")):
        raise ParamsError(f"--photos {photos}", "holds no photos", "name a folder of photos")
    return found.resolve()


def _fill_reads(params: Any, root: Path) -> None:
    """``synth.<recipe>.reads`` of each active recipe, for dvc."""
    from pipeline.corruptions import Recipe
    from stages.recipes import count_places, reads_of

    plain = parse(dump(params))
    for recipe in params["synth"]:
        wanted = reads_of(Recipe.load(plain, recipe, None), count_places(root) or PLACES)
        if params["synth"][recipe] is None or list(params["synth"][recipe]["reads"]) != wanted:
            params["synth"][recipe] = {"reads": wanted}


def _read(name: str) -> Any:
    """A preset file: its ``recipes`` with their sources and sizes, what each of them gets for
    photos from ``outside``, ``sources`` to add where none has their name, ``params`` to merge."""
    from pipeline.complaints import did_you_mean

    names = preset_names()
    if name not in names:
        raise ParamsError(
            f"preset {name!r}",
            "is not known",
            f"use one of {', '.join(names)}{did_you_mean(name, names)}",
        )
    return round_trip().load((HOME / f"{name}.yaml").read_text(encoding="utf-8"))


def _sources(params: Any) -> Iterator[str]:
    """The sources of the active recipes."""
    found = {
        source: None
        for recipe in params["synth"]
        for source in params["recipes"][recipe]["sources"]
    }
    for source in found:
        path = f" ({params['sources']['folder']['path']})" if source == "folder" else ""
        yield f"{source}{path}"


app = make_app(preset, "preset")
if __name__ == "__main__":
    app()
