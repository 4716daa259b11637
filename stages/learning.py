"""The shards that a training learns from: read, and checked against the system."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from pipeline.corruptions import Recipe
    from pipeline.runs import TrainSection
    from pipeline.samples import Sample
    from pipeline.shards import ShardManifest
    from pipeline.stream import Source
    from pipeline.systems import System


@dataclass(frozen=True)
class Shards:
    """One recipe's shards. `fingerprint`: the sha256 of their manifest, which holds all others'."""

    recipe: Recipe
    place: Path | str
    manifest: ShardManifest
    fingerprint: str
    kept: dict[int, list[Sample]] = field(default_factory=dict)

    def samples(self, count: int) -> list[Sample]:
        """`count` of the val split, spread over all of it: neighbours show one photo. They are read
        once."""
        from pipeline.shards import read_samples

        if count not in self.kept:
            step = -(-self.manifest.num_samples("val") // count)
            self.kept[count] = list(islice(read_samples(self.place, "val"), 0, None, step))
        return self.kept[count]

    def source(self, mode: Literal["stored", "fly"], weight: float) -> Source:
        """For a stream, with what draws their damage."""
        from pipeline.stream import Source

        whole = self.manifest.profile == "story"  # its tiles went through no step yet
        draw = (self.recipe if whole else self.recipe.for_clean_tiles()).damage
        return Source(
            self.place,
            draw if mode == "fly" else None,
            self.recipe.replay,
            weight,
            self.fingerprint,
        )


def find_kind(where: str, kind: str) -> type[System]:
    """The class of the kind that the block at `where` names."""
    from pipeline.errors import ParamsError
    from pipeline.systems import SYSTEMS

    try:
        return SYSTEMS[kind]
    except ParamsError as error:
        what = f"{kind!r} is no system"
        raise ParamsError(f"params: {where}.kind", what, error.next_step) from None


def training_problems(root: Path, params: dict[str, Any], name: str) -> list[Any]:
    """What a training's block asks for that its system does not have, or that is not there: phases,
    groups of weights, the side of crops, weights to start from."""
    from pipeline.config import lookup, read_seed, section
    from pipeline.errors import ParamsError
    from pipeline.runs import TrainSection
    from pipeline.systems import make_system

    block = section(params, f"train.{name}", TrainSection)
    find_kind(f"train.{name}", block.kind)
    system, _ = make_system(name, params, read_seed(params), block.kind)
    where, problems = f"params: train.{name}", []
    phases = _name_problem(f"{where}.phases", list(block.phases), list(system.phases))
    problems += phases
    sides = lookup(params, f"recipes.{block.recipe}.train.side")
    if isinstance(sides, int) and block.stream.crop > sides:
        what = f"{block.stream.crop} px is larger than the tiles of {block.recipe}, {sides} px"
        problems.append(ParamsError(f"{where}.stream.crop", what, "lower it"))
    for phase in () if phases else system.phases:
        found = list(block.phases[phase].optimizers)
        place = f"{where}.phases.{phase}.optimizers"
        problems += _name_problem(place, found, list(system.groups(phase)))
    if system.tile is not None and block.stream.crop != system.tile:
        what = f"{block.stream.crop} px, but {block.kind} takes tiles of {system.tile} px alone"
        problems.append(ParamsError(f"{where}.stream.crop", what, f"write {system.tile}"))
    try:
        start_warm(root, f"train.{name}", block, system)
    except PipelineError as error:
        problems.append(error)
    return problems


def _name_problem(where: str, found: list[str], wanted: list[str]) -> list[Any]:
    from pipeline.errors import ParamsError

    if sorted(found) == sorted(wanted):
        return []
    what = f"names {', '.join(found) or 'nothing'}; the system has {', '.join(wanted)}"
    return [ParamsError(where, what, "give each its block, under its name")]


def open_shards(root: Path, params: dict[str, Any], recipe: str, home: str | None) -> Shards:
    """The shards of a recipe: in data/shards, or under its name in another folder or address."""
    from pipeline.addresses import is_address, join
    from pipeline.corruptions import Recipe
    from pipeline.errors import ShardError
    from pipeline.shards import read_manifest

    place: Path | str = (
        root / "data/shards" / recipe
        if home is None
        else join(home if is_address(home) else Path(home), recipe)
    )
    if isinstance(place, Path) and not place.is_dir() and home is not None:
        raise ShardError(place, "is no folder", "mend --shards: it names the folder above")
    loaded = Recipe.load(params, recipe, root / "data/textures")
    manifest = read_manifest(place)
    if manifest.recipe != recipe:
        what = f"holds shards of {manifest.recipe}, not of {recipe}"
        raise ShardError(place, what, f"run `patina synth {recipe}`")
    return Shards(loaded, place, manifest, manifest.sha256)


def check_fit(system: System, where: str, block: TrainSection, shards: Shards) -> None:
    """Raises ParamsError where the system cannot learn from the shards as the block says."""
    from pipeline.augmentation import stream_problems
    from pipeline.errors import ParamsError
    from stages.devices import check_channels

    samples = shards.samples(block.val_samples)
    given = any(sample.story.get("given") for sample in samples)
    stream = block.stream
    for problem in stream_problems(f"{where}.stream", stream.mode, stream.augment, given):
        raise problem
    hidden = stream.mode == "fly" and shards.manifest.profile != "story"
    if hidden and any(sample.keep is not None for sample in samples):
        what = "fly, but what must be kept is drawn on both pictures, which these shards hold drawn"
        step = f"write mode: stored, or recipes.{shards.recipe.name}.profile: story"
        raise ParamsError(f"params: {where}.stream.mode", what, step)
    sides = {side for sample in samples for side in sample.clean.shape[:2]}
    if system.tile is not None and sides != {system.tile}:
        what = f"{block.kind} is validated on tiles of {system.tile} px, not {max(sides)}"
        recipe = f"params: recipes.{shards.recipe.name}.val.side"
        raise ParamsError(recipe, what, f"write {system.tile}, or name another recipe")
    if system.needs_mask and given:
        _check_masks(shards, where)
    found = {(sample.corrupted.shape[2], sample.clean.shape[2]) for sample in samples}
    name = shards.recipe.name
    mixed = [f"{where}.mix.{n}" for n, one in enumerate(block.mix) if one.recipe == name]
    check_channels(system, where if name == block.recipe else mixed[0], name, found)


def start_warm(root: Path, where: str, block: TrainSection, system: System) -> None:
    """Fill the system with the weights that `warm_start` names: those of that hash, of the same
    kind of system and the same shapes."""
    from pipeline import checkpoint
    from pipeline.errors import CheckpointError, ParamsError
    from pipeline.files import sha256_file

    if block.warm_start is None:
        return
    path = root / block.warm_start.path
    where = f"params: {where}.warm_start"
    if not path.is_file():
        raise ParamsError(where, f"{path} is no file", "name a file of weights")
    if (found := sha256_file(path)) != block.warm_start.sha256:
        raise ParamsError(where, f"{path} has the sha256 {found}", "write that, if it is meant")
    meta, tensors = checkpoint.load(path, "weights")
    if meta.get("system") != block.kind:
        what = f"{path} holds weights of {meta.get('system')}, not of {block.kind}"
        raise ParamsError(where, what, "name weights of the same kind")
    try:
        checkpoint.load_strictly(system, tensors, path)
    except CheckpointError as error:
        what = f"{path} was trained with other params of its system ({error.what})"
        raise ParamsError(where, what, "name weights of the same params") from None


def _check_masks(shards: Shards, where: str) -> None:
    """Refuse samples without a mask: for a system that learns from masks, they would say that
    nothing is damaged."""
    from pipeline.errors import ParamsError
    from pipeline.samples import tells_no_mask
    from pipeline.shards import read_stories

    told = [
        tells_no_mask(one)
        for split in ("train", "val")
        for one in read_stories(shards.place, split)
    ]
    if any(told):
        system, recipe = where.removeprefix("train."), shards.recipe.name
        raise ParamsError(
            f"params: {where}.recipe: {recipe}",
            f"{sum(told)} of {len(told)} samples lack a mask, which {system} learns from",
            "bring the masks, or train a system that needs none",
        )
