"""Is every section of params.yaml right, and does every name in it name something?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stages.learning import training_problems
from stages.plan import check_known
from stages.recipes import NAME_PAIRS, NO_DAMAGE, count_places, reads_of

SECTIONS = (
    "seed", "sources", "index", "textures", "synthesis", "recipes", "synth", "systems", "train",
    "evaluate",
)  # fmt: skip
Pair = tuple[str, str, str, str]  # where in the params, a system, its kind, a recipe


def validate_params(root: Path, params: dict[str, Any]) -> list[Any]:
    """Every section against its type, and every name against what it must name; all problems at
    once."""
    from pipeline.config import read_seed

    attempt = _Attempts(params)
    attempt.problems += _unknown_sections(params)
    attempt(read_seed, params)
    _check_data(attempt, root)
    _check_recipes(attempt, root)
    _check_systems(attempt)
    pairs = [*_check_train(attempt), *_check_evaluate(attempt)]
    for pair in [] if attempt.problems else pairs:
        attempt(_check_colors, params, *pair)
    for name in [] if attempt.problems else attempt.blocks("train"):
        attempt.problems += training_problems(root, params, name)
    return attempt.problems


class _Attempts:
    """Calls what reads the params, and keeps the ParamsErrors that it raises."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.problems: list[Any] = []
        self._blocks: dict[str, Mapping[str, Any]] = {}

    def __call__(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """What the action returns; None, if it failed."""
        from pipeline.errors import ParamsError

        try:
            return action(*arguments)
        except ParamsError as error:
            self.problems.append(error)
            return None

    def blocks(self, name: str) -> Mapping[str, Any]:
        """A section that is a map of names; empty, if it is none."""
        from pipeline.config import read_names

        if name not in self._blocks:
            self._blocks[name] = self(read_names, self.params, name) or {}
        return self._blocks[name]


def _check_data(attempt: _Attempts, root: Path) -> None:
    """What photos are indexed, textures drawn, and shards filled by; and the sources."""
    from pipeline.config import section
    from pipeline.sources import make_source
    from pipeline.splits import IndexSection
    from pipeline.textures import TexturesSection
    from pipeline.tiling import SynthesisSection
    from stages.fetch import refusals

    attempt(section, attempt.params, "index", IndexSection)
    attempt(section, attempt.params, "textures", TexturesSection)
    attempt(section, attempt.params, "synthesis", SynthesisSection)
    made = {
        name: attempt(make_source, name, block) for name, block in attempt.blocks("sources").items()
    }
    attempt.problems += refusals(root, {name: one for name, one in made.items() if one})


def _check_recipes(attempt: _Attempts, root: Path) -> None:
    """Recipes, and those of them that `synth` names, with what they read."""
    from pipeline.config import lookup
    from pipeline.corruptions import Recipe
    from pipeline.given import GIVEN

    params = attempt.params
    for name in attempt.blocks("recipes"):
        recipe = attempt(Recipe.load, params, name, None)
        if not recipe:
            continue
        for source in recipe.section.sources:
            if not _is_consequence(source, attempt.blocks("sources")):
                attempt(check_known, params, f"recipes.{name}.sources", source, "sources")
        unfit = _given_problems(recipe) if name == GIVEN else []
        attempt.problems += unfit
        if name in attempt.blocks("synth") and not unfit:
            attempt(_check_reads, root, params, recipe)
    for name in attempt.blocks("synth"):
        attempt(lookup, params, f"recipes.{name}")


def _is_consequence(source: str, sources: Mapping[str, Any]) -> bool:
    """Is a recipe's `source` missing only because its own name in `sources`, told of already, is
    misspelt?"""
    from pipeline.complaints import did_you_mean
    from pipeline.sources import SOURCES

    unknown = [name for name in sources if name not in SOURCES]
    return source not in sources and source in SOURCES and bool(did_you_mean(source, unknown))


def _given_problems(recipe: Any) -> list[Any]:
    """What keeps the recipe `given` from its photos' own damage."""
    from pipeline.errors import ParamsError
    from pipeline.given import check_given
    from pipeline.sources import SOURCES

    problems: list[Any] = []
    try:
        check_given(recipe.steps, recipe.section.profile, ())
    except ParamsError as error:
        problems.append(error)
    sources = recipe.section.sources
    if sources and not any(name not in SOURCES or SOURCES[name].brings_damage for name in sources):
        where, what = f"params: recipes.{recipe.name}.sources", f"{', '.join(sources)} {NO_DAMAGE}"
        problems.append(ParamsError(where, what, NAME_PAIRS))
    return problems


def _check_systems(attempt: _Attempts) -> None:
    """The systems that no training names are of the kind of their name; the others are checked
    there."""
    from pipeline.config import section
    from pipeline.systems import SYSTEMS

    for name in attempt.blocks("systems"):
        if name not in attempt.blocks("train"):
            kind = attempt(SYSTEMS.__getitem__, name)
            if kind:
                attempt(section, attempt.params, f"systems.{name}", kind.section_type)


def _check_train(attempt: _Attempts) -> Iterator[Pair]:
    """Trainings; where each stands, its system and its recipe."""
    from pipeline.augmentation import stream_problems
    from pipeline.config import lookup, section
    from pipeline.given import GIVEN
    from pipeline.runs import TrainSection
    from stages.learning import find_kind

    for name in attempt.blocks("train"):
        where = f"train.{name}"
        attempt(lookup, attempt.params, f"systems.{name}")
        block = attempt(section, attempt.params, where, TrainSection)
        if not block:
            continue
        kind = attempt(find_kind, where, block.kind)
        if kind and name in attempt.blocks("systems"):
            attempt(section, attempt.params, f"systems.{name}", kind.section_type)
        attempt(check_known, attempt.params, f"{where}.recipe", block.recipe, "synth")
        places = {where: block.recipe}
        for number, one in enumerate(block.mix):
            attempt(check_known, attempt.params, f"{where}.mix.{number}", one.recipe, "synth")
            if one.weight:
                places[f"{where}.mix.{number}"] = one.recipe
        stream, given = block.stream, GIVEN in places.values()
        attempt.problems += stream_problems(f"{where}.stream", stream.mode, stream.augment, given)
        for place, recipe in places.items():
            yield place, name, block.kind, recipe


def _check_evaluate(attempt: _Attempts) -> Iterator[Pair]:
    """Evaluations; where each stands, its system and its recipe."""
    from pipeline.config import section
    from pipeline.errors import ParamsError
    from pipeline.evaluation import EvaluateSection
    from pipeline.systems.baselines import BASELINES
    from stages.reference import load_lpips

    for name in attempt.blocks("evaluate"):
        where = f"evaluate.{name}"
        block = attempt(section, attempt.params, where, EvaluateSection)
        if not block:
            continue
        attempt(check_known, attempt.params, f"{where}.system", block.system, "train")
        attempt(check_known, attempt.params, f"{where}.recipe", block.recipe, "synth")
        trained = attempt.blocks("train").get(block.system)
        kind = trained.get("kind", block.kind) if isinstance(trained, Mapping) else block.kind
        if kind != block.kind:
            what = f"{block.kind!r}, but train.{block.system}.kind is {kind!r}"
            attempt.problems.append(
                ParamsError(f"params: {where}.kind", what, f"write {kind}: dvc must see its file")
            )
        for baseline in block.baselines:
            attempt(BASELINES.__getitem__, baseline)
        if block.lpips == "reference":  # told now, not after hours of training
            attempt(load_lpips, block.lpips)
        yield where, block.system, block.kind, block.recipe


def _check_reads(root: Path, params: dict[str, Any], recipe: Any) -> None:
    """``synth.<recipe>.reads`` must name exactly the code and data that the recipe draws with, and
    fill the places that dvc.yaml has for them."""
    from pipeline.complaints import MEND, spell
    from pipeline.config import lookup
    from pipeline.errors import ParamsError

    reads = lookup(params, f"synth.{recipe.name}.reads")
    if not isinstance(reads, list) or not all(isinstance(read, str) for read in reads):
        what = f"synth.{recipe.name}.reads must be a list of paths, not {spell(reads)}"
        raise ParamsError("params", what, MEND)
    places = count_places(root) or len(reads)
    wanted = reads_of(recipe, places)
    if set(reads) != set(wanted) or len(reads) != places:
        where = f"params: synth.{recipe.name}.reads"
        raise ParamsError(where, "does not fit the recipe", f"write [{', '.join(wanted)}]")


def _check_colors(params: dict[str, Any], where: str, system: str, kind: str, recipe: str) -> None:
    """A recipe's pictures, gray or RGB, must be those that the system takes and makes."""
    import numpy as np

    from pipeline import seeds
    from pipeline.config import read_seed
    from pipeline.corruptions import Recipe
    from pipeline.systems import make_system
    from stages.devices import check_channels

    loaded = Recipe.load(params, recipe, None)
    found = {(3, 3)}
    for step in loaded.flat_steps():
        if step.family != "grayscale":  # no other changes the number of channels
            continue
        tile = np.zeros((8, 8, 3), np.uint8)
        made, _ = step.corruption.apply(
            tile, step.corruption.draw(tile.shape[:2], seeds.rng(0, "check"))
        )
        gray = made.shape[2]
        after = {
            (min(gray, given), min(gray, wanted) if step.on == "both" else wanted)
            for given, wanted in found
        }
        found = after if step.probability == 1 else found | after
    network, _ = make_system(system, params, read_seed(params), kind)
    check_channels(network, where, recipe, found)


def _unknown_sections(params: dict[str, Any]) -> list[Any]:
    from pipeline.complaints import did_you_mean
    from pipeline.errors import ParamsError

    unknown = [name for name in params if name not in SECTIONS]
    hints = [did_you_mean(name, SECTIONS).removeprefix(", ") or "remove it" for name in unknown]
    return [
        ParamsError("params", f"{name} is an unknown section", hint)
        for name, hint in zip(unknown, hints, strict=True)
    ]
