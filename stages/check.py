"""`patina check`: is every section of params.yaml right, and what will a run cost here?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.console import command, make_app, project_root, read_params, say, tell
from stages.recipes import reads_of

SECTIONS = (
    "seed", "sources", "index", "textures", "synthesis", "recipes", "synth", "systems", "train",
    "evaluate",
)  # fmt: skip


@command
def check() -> None:
    """Validate all params and estimate samples, disk and minutes of each stage on this machine."""
    from stages import estimates

    root = project_root()
    params = read_params(root)
    _raise_all(validate_params(root, params))
    say("params.yaml: every section is valid")
    counts, known = estimates.count_photos(root, params)
    _raise_all(_find_empty_splits(params, counts))
    doubt = "" if known else " or so: the index is not of the inbox as it is now"
    say(f"photos: {sum(counts.values())}{doubt}")
    say(estimates.estimate_textures(params))
    for name in params["synth"]:
        say(estimates.estimate_synth(root, params, name, counts))
    for name in params["train"]:
        say(estimates.estimate_train(params, name))
    for name in params["evaluate"]:
        say(estimates.estimate_evaluate(root, params, name, counts))
    say("fetch and index read each photo once; leaderboard takes a second")


def validate_params(root: Path, params: dict[str, Any]) -> list[Any]:
    """Every section against its type, and every name against what it must name; all problems at
    once."""
    from pipeline.config import lookup, read_names, read_seed, section
    from pipeline.corruptions import Recipe
    from pipeline.errors import ParamsError
    from pipeline.evaluation import EvaluateSection
    from pipeline.sources import make_source
    from pipeline.splits import IndexSection
    from pipeline.systems import SYSTEMS
    from pipeline.systems.baselines import BASELINES
    from pipeline.textures import TexturesSection
    from pipeline.tiling import SynthesisSection
    from pipeline.training import TrainSection

    problems: list[ParamsError] = []
    pairs: list[tuple[str, str, str]] = []

    def attempt(action: Any, *arguments: Any) -> Any:
        try:
            return action(*arguments)
        except ParamsError as error:
            problems.append(error)
            return None

    def blocks(name: str) -> Mapping[str, Any]:
        return attempt(read_names, params, name) or {}

    problems += _unknown_sections(params)
    attempt(read_seed, params)
    for key, kind in (
        ("index", IndexSection), ("textures", TexturesSection), ("synthesis", SynthesisSection)
    ):  # fmt: skip
        attempt(section, params, key, kind)
    for name, block in blocks("sources").items():
        attempt(make_source, name, block)
    for name in blocks("recipes"):
        recipe = attempt(Recipe.load, params, name, None)
        for source in recipe.section.sources if recipe else ():
            attempt(_check_known, params, f"recipes.{name}.sources", source, "sources")
        if recipe and name in blocks("synth"):
            attempt(check_reads, root, params, recipe)
    for name in blocks("synth"):
        attempt(lookup, params, f"recipes.{name}")
    for name in blocks("systems"):
        kind = attempt(SYSTEMS.__getitem__, name)
        attempt(section, params, f"systems.{name}", kind.section_type) if kind else None
    for name in blocks("train"):
        attempt(lookup, params, f"systems.{name}")
        block = attempt(section, params, f"train.{name}", TrainSection)
        if block:
            attempt(_check_known, params, f"train.{name}.recipe", block.recipe, "synth")
            pairs.append((f"train.{name}", name, block.recipe))
    for name in blocks("evaluate"):
        block = attempt(section, params, f"evaluate.{name}", EvaluateSection)
        if block:
            attempt(_check_known, params, f"evaluate.{name}.system", block.system, "train")
            attempt(_check_known, params, f"evaluate.{name}.recipe", block.recipe, "synth")
            pairs.append((f"evaluate.{name}", block.system, block.recipe))
            for baseline in block.baselines:
                attempt(BASELINES.__getitem__, baseline)
    for where, system, name in [] if problems else pairs:
        attempt(_check_colors, params, where, system, name)
    return problems


def check_reads(root: Path, params: dict[str, Any], recipe: Any) -> None:
    """``synth.<recipe>.reads`` must name exactly the code and data that the recipe draws with, and
    fill the places that dvc.yaml has for them."""
    from pipeline.complaints import MEND, spell
    from pipeline.config import lookup
    from pipeline.errors import ParamsError

    reads = lookup(params, f"synth.{recipe.name}.reads")
    if not isinstance(reads, list) or not all(isinstance(read, str) for read in reads):
        what = f"synth.{recipe.name}.reads must be a list of paths, not {spell(reads)}"
        raise ParamsError("params", what, MEND)
    pipeline = root / "dvc.yaml"
    found = pipeline.is_file()
    named = re.findall(r"item\.reads\[\d+\]", pipeline.read_text("utf-8")) if found else reads
    places = len(set(named)) if found else len(reads)
    wanted = reads_of(recipe, places)
    if set(reads) != set(wanted) or len(reads) != places:
        where = f"params: synth.{recipe.name}.reads"
        raise ParamsError(where, "does not fit the recipe", f"write [{', '.join(wanted)}]")


def _check_colors(params: dict[str, Any], where: str, system: str, recipe: str) -> None:
    """A recipe's pictures, gray or RGB, must be those that the system takes."""
    import numpy as np

    from pipeline import seeds
    from pipeline.config import read_seed
    from pipeline.corruptions import Recipe
    from pipeline.systems import make_system
    from stages.devices import check_channels

    steps = [
        step for step in Recipe.load(params, recipe, None).flat_steps() if step.on == "both"
    ]  # the others never change the number of channels, and may need files
    tile = np.zeros((8, 8, 3), np.uint8)
    for step in steps:
        drawn = step.corruption.draw(tile.shape[:2], seeds.rng(0, "check"))
        tile, _ = step.corruption.apply(tile, drawn)
    network, _ = make_system(system, params, read_seed(params))
    check_channels(network, where, recipe, [tile.shape[2]])


def _find_empty_splits(params: dict[str, Any], counts: dict[tuple[str, str], int]) -> list[Any]:
    """Recipes that would find no photo for a split."""
    from pipeline.errors import ParamsError
    from pipeline.shards import SPLITS

    nameless = [name for name in params["synth"] if not params["recipes"][name]["sources"]]
    if nameless:
        where = f"params: recipes.{nameless[0]}.sources"
        return [ParamsError(where, "names no source", "name one of `sources`")]
    return [
        ParamsError(
            f"params: recipes.{name}.sources",
            f"no {split} photos in {', '.join(params['recipes'][name]['sources'])}",
            "add photos or another source",
        )
        for name in params["synth"]
        for split in SPLITS
        if not any(counts.get((one, split)) for one in params["recipes"][name]["sources"])
    ]


def _raise_all(problems: list[Any]) -> None:
    """Tell every problem; the last one is raised."""
    for problem in problems[:-1]:
        tell(problem)
    if problems:
        raise problems[-1]


def _unknown_sections(params: dict[str, Any]) -> list[Any]:
    from pipeline.complaints import did_you_mean
    from pipeline.errors import ParamsError

    unknown = [name for name in params if name not in SECTIONS]
    hints = [did_you_mean(name, SECTIONS).removeprefix(", ") or "remove it" for name in unknown]
    return [
        ParamsError("params", f"{name} is an unknown section", hint)
        for name, hint in zip(unknown, hints, strict=True)
    ]


def _check_known(params: dict[str, Any], where: str, name: str, home: str) -> None:
    """`name`, which stands at `where`, must be an entry of the section `home`."""
    from pipeline.complaints import did_you_mean
    from pipeline.errors import ParamsError

    names = list(params.get(home) or [])
    if name not in names:
        hint = f"use one of {', '.join(names)}{did_you_mean(name, names)}"
        raise ParamsError(f"params: {where}", f"{name!r} is not among {home}", hint)


app = make_app(check, "check")
if __name__ == "__main__":
    app()
