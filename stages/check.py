"""`patina check`: is every section of params.yaml right, and what will a run cost here?"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from stages.console import command, make_app, project_root, read_params, say

SECTIONS = (
    "seed", "sources", "index", "textures", "synthesis", "recipes", "synth", "systems", "train",
    "evaluate",
)  # fmt: skip
SAMPLES_TIMED, STEPS_TIMED = 4, 3
Counts = dict[tuple[str, str], int]  # (source, split) → photos


@command
def check() -> None:
    """Validate all params and estimate samples, disk and minutes of each stage on this machine."""
    root = project_root()
    params = read_params(root)
    problems = validate_params(root, params)
    if problems:
        from pipeline.errors import ParamsError

        for problem in problems[:-1]:
            typer.echo(f"error: {problem}", err=True)
        raise ParamsError(problems[-1].where, problems[-1].what, problems[-1].next_step)
    say("params.yaml: every section is valid")
    counts, known = _count_photos(root, params)
    doubt = "" if known else " or so: the index is not of the inbox as it is now"
    say(f"photos: {sum(counts.values())}{doubt}")
    say(_estimate_textures(params))
    for name in params["synth"]:
        say(_estimate_synth(root, params, name, counts))
    for name in params["train"]:
        say(_estimate_train(params, name))
    for name in params["evaluate"]:
        say(_estimate_evaluate(root, params, name, counts))
    say("fetch and index read each photo once; leaderboard takes a second")


def validate_params(root: Path, params: dict[str, Any]) -> list[Any]:
    """Every section against its type, and every name against what it must name; all problems at
    once."""
    from pipeline.config import lookup, read_seed, section
    from pipeline.corruptions import Recipe
    from pipeline.errors import ParamsError
    from pipeline.evaluation import EvaluateSection
    from pipeline.sources import make_source
    from pipeline.splits import IndexSection
    from pipeline.synthesis import SynthesisSection
    from pipeline.systems import SYSTEMS
    from pipeline.systems.baselines import BASELINES
    from pipeline.textures import TexturesSection
    from pipeline.training import TrainSection

    problems: list[ParamsError] = []

    def attempt(action: Any, *arguments: Any) -> Any:
        try:
            return action(*arguments)
        except ParamsError as error:
            problems.append(error)
            return None

    def blocks(name: str) -> Mapping[str, Any]:
        return attempt(_mapping, params, name) or {}

    attempt(_check_names, params)
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
        attempt(_check_known, params, f"train.{name}.recipe", block.recipe, "synth") if block else 0
    for name in blocks("evaluate"):
        block = attempt(section, params, f"evaluate.{name}", EvaluateSection)
        if block:
            attempt(_check_known, params, f"evaluate.{name}.system", block.system, "train")
            attempt(_check_known, params, f"evaluate.{name}.recipe", block.recipe, "synth")
            for baseline in block.baselines:
                attempt(BASELINES.__getitem__, baseline)
    return problems


def check_reads(root: Path, params: dict[str, Any], recipe: Any) -> None:
    """``synth.<recipe>.reads`` must name exactly the code and data that the recipe draws with, and
    fill the places that dvc.yaml has for them."""
    from pipeline.config import lookup
    from pipeline.errors import ParamsError

    needed = list(dict.fromkeys(f"pipeline/corruptions/{s.family}.py" for s in recipe.steps))
    if any(step.family == "texture" for step in recipe.steps):
        needed.append("data/textures")
    reads = lookup(params, f"synth.{recipe.name}.reads")
    pipeline = root / "dvc.yaml"
    places = pipeline.read_text("utf-8").count("item.reads[") if pipeline.is_file() else len(reads)
    where = f"params: synth.{recipe.name}.reads"
    if len(needed) > places:
        raise ParamsError(
            where, f"{len(needed)} reads, dvc.yaml has {places} places", "add places to dvc.yaml"
        )
    if set(reads) != set(needed) or len(reads) != places:
        filled = needed + [needed[-1]] * (places - len(needed))
        raise ParamsError(where, "does not fit the recipe", f"write [{', '.join(filled)}]")


def _mapping(params: dict[str, Any], name: str) -> Mapping[str, Any]:
    from pipeline.config import lookup
    from pipeline.errors import ParamsError

    found = lookup(params, name)
    if not isinstance(found, Mapping):
        raise ParamsError(f"params: {name}", "is no map of names", "write `name: {…}` lines")
    return found


def _check_names(params: dict[str, Any]) -> None:
    from pipeline.config import did_you_mean
    from pipeline.errors import ParamsError

    for name in params:
        if name not in SECTIONS:
            hint = did_you_mean(name, list(SECTIONS))
            raise ParamsError(f"params: {name}", "is no known section", f"remove it{hint}")


def _check_known(params: dict[str, Any], where: str, name: str, home: str) -> None:
    """`name`, which stands at `where`, must be an entry of the section `home`."""
    from pipeline.config import did_you_mean
    from pipeline.errors import ParamsError

    names = list(params.get(home) or [])
    if name not in names:
        hint = f"use one of {', '.join(names)}{did_you_mean(name, names)}"
        raise ParamsError(f"params: {where}", f"{name!r} is not among {home}", hint)


def _count_photos(root: Path, params: dict[str, Any]) -> tuple[Counts, bool]:
    """Photos by source and split: of the index, or what the sources will bring."""
    from pipeline.config import section
    from pipeline.sources.folder import walk
    from pipeline.sources.sample import PHOTOS
    from pipeline.splits import IndexSection, read_index

    counts: Counts = {}
    tree = root / (params["sources"].get("folder") or {}).get("path", "data/inbox")
    total, shares = len(list(walk(tree))), section(params, "index", IndexSection)
    path = root / "data/index.json"
    if path.is_file():
        index = json.loads(path.read_text(encoding="utf-8"))
        known = sum(row["source"] == "folder" for row in [*index["photos"], *index["rejected"]])
        for photo in read_index(path):
            counts[photo.source, photo.split] = counts.get((photo.source, photo.split), 0) + 1
        if known == total:
            return counts, True
    elif "sample" in params["sources"]:
        counts = {("sample", split): len(names) for split, names in PHOTOS.items()}
    counts["folder", "val"] = round(total * shares.val_share)
    counts["folder", "test"] = round(total * shares.test_share)
    counts["folder", "train"] = total - counts["folder", "val"] - counts["folder", "test"]
    return counts, False


def _num_samples(recipe: Any, split: str, counts: Counts) -> int:
    cut = getattr(recipe.section, split)
    photos = sum(counts.get((source, split), 0) for source in recipe.section.sources)
    return int(photos * cut.per_photo * cut.variants)


def _estimate_textures(params: dict[str, Any]) -> str:
    from pipeline import seeds
    from pipeline.config import section
    from pipeline.textures import KINDS, TexturesSection, draw_overlay

    block = section(params, "textures", TexturesSection)
    start = time.perf_counter()
    for kind in KINDS:
        draw_overlay(kind, block.size, seeds.rng(0, "check", kind))
    seconds = (time.perf_counter() - start) / len(KINDS) * block.num_overlays
    return f"textures: {block.num_overlays} overlays, about {seconds / 60:.1f} min"


def _estimate_synth(root: Path, params: dict[str, Any], name: str, counts: Counts) -> str:
    """Draw a few samples here and scale up."""
    import os

    from pipeline.corruptions import Recipe
    from pipeline.errors import PipelineError
    from pipeline.shards import SPLITS, Sample, pack

    recipe = Recipe.load(params, name, root / "data/textures")
    total, seconds, size = 0, 0.0, 0.0
    for split in SPLITS:
        count = _num_samples(recipe, split, counts)
        start = time.perf_counter()
        try:
            made = [
                _damage(recipe, getattr(recipe.section, split).side, t)
                for t in range(SAMPLES_TIMED)
            ]
        except PipelineError as error:
            return f"synth {name}: cannot be timed yet ({error})"
        data, _, _ = pack(
            Sample(str(turn), one.clean, one.corrupted, one.mask, one.story)
            for turn, one in enumerate(made)
        )
        total += count
        seconds += (time.perf_counter() - start) / len(made) * count
        size += len(data) / len(made) * count
    minutes = seconds / 60 / (os.cpu_count() or 1)
    return f"synth {name}: {total} samples, up to {size / 1e9:.2f} GB, about {minutes:.1f} min"


def _estimate_train(params: dict[str, Any], name: str) -> str:
    """Time a few steps of the real network on random pictures."""
    import torch

    from pipeline.config import read_seed, section
    from pipeline.stream import Batch
    from pipeline.systems import count_parameters, make_system
    from pipeline.training import TrainSection, resolve_precision

    block = section(params, f"train.{name}", TrainSection)
    system, _ = make_system(name, params, read_seed(params))
    system = system.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    shape = (block.stream.batch_size, block.stream.crop, block.stream.crop)
    pictures = torch.randint(0, 256, (*shape, system.channels), dtype=torch.uint8)
    mask = torch.randint(0, 2, (*shape, 1), dtype=torch.uint8) * 255
    batch = Batch(pictures, pictures, mask).to(torch.device("cpu"))
    half = resolve_precision(block.precision, "cpu").startswith("bf16")
    for number in range(STEPS_TIMED + 1):
        if number == 1:  # the first one warms up
            start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            for _, terms in system.updates(system.phases[0], batch):
                torch.stack(list(terms.values())).sum().backward()
    a_step = (time.perf_counter() - start) / STEPS_TIMED * block.accumulate
    return (
        f"train {name}: {count_parameters(system):,} parameters, {block.steps} steps, "
        f"about {a_step * block.steps / 60:.1f} min on this CPU"
    )


def _estimate_evaluate(root: Path, params: dict[str, Any], name: str, counts: Counts) -> str:
    """Time tuning and restoring by each baseline on a tile; the system itself is quicker."""
    from pipeline.config import section
    from pipeline.corruptions import Recipe
    from pipeline.errors import PipelineError
    from pipeline.evaluation import EvaluateSection
    from pipeline.systems.baselines import BASELINES

    block = section(params, f"evaluate.{name}", EvaluateSection)
    recipe = Recipe.load(params, block.recipe, root / "data/textures")
    num_val, num_test = (_num_samples(recipe, split, counts) for split in ("val", "test"))
    seconds = 0.0
    for baseline in block.baselines:
        method = BASELINES[baseline]()
        try:
            val = _damage(recipe, recipe.section.val.side, 0)
            test = _damage(recipe, recipe.section.test.side, 0)
        except PipelineError as error:
            return f"evaluate {name}: cannot be timed yet ({error})"
        start = time.perf_counter()
        strength = method.tune([(val.clean, val.corrupted, val.mask)])
        tuned = time.perf_counter()
        method.restore(test.corrupted, test.mask, strength)
        seconds += (tuned - start) * num_val + (time.perf_counter() - tuned) * num_test
    return f"evaluate {name}: {num_test} samples, about {seconds / 60:.1f} min"


def _damage(recipe: Any, side: int, turn: int) -> Any:
    """A recipe's damage on a tile that is hard to pack: noise."""
    from pipeline import seeds

    noise = seeds.rng(0, "check", turn).integers(96, 160, (side, side, 3), "uint8")
    return recipe.damage(noise, lambda *step: seeds.rng(0, "check", turn, *step))


app = make_app(check, "check")
if __name__ == "__main__":
    app()
