"""`patina check`: is every section of params.yaml right, and what will a run cost here?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.console import command, make_app, project_root, read_params, say

if TYPE_CHECKING:
    from pipeline.splits import Photo

SAMPLES_TIMED, STEPS_TIMED = 6, 3
TYPICAL_PHOTO = (512, 512)  # px, stands in until there is an index


@command
def check() -> None:
    """Validate all params and estimate samples, disk and minutes of each stage on this machine."""
    root = project_root()
    params = read_params(root)
    problems = validate_params(root, params)
    if problems:
        from pipeline.errors import ParamsError

        for problem in problems[:-1]:
            say(f"error: {problem}")
        raise ParamsError(problems[-1].where, problems[-1].what, problems[-1].next_step)
    say("params.yaml: every section is valid")
    photos = _photos(root)
    say(
        f"photos: {len(photos)} in the index"
        if photos
        else "photos: no index yet, sizes are guessed"
    )
    for name in params["synth"]:
        say(_estimate_synth(root, params, name, photos))
    for name in params["train"]:
        say(_estimate_train(params, name))


def validate_params(root: Path, params: dict[str, Any]) -> list[Any]:
    """Every section against its type, and every name against what it must name; all problems at
    once."""
    from pipeline.config import lookup, section
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

    attempt(_check_top, params)
    for key, kind in (
        ("index", IndexSection),
        ("textures", TexturesSection),
        ("synthesis", SynthesisSection),
    ):
        attempt(section, params, key, kind)
    for name, block in (attempt(lookup, params, "sources") or {}).items():
        attempt(make_source, name, block)
    for name in attempt(lookup, params, "recipes") or {}:
        recipe = attempt(Recipe.load, params, name, None)
        for source in recipe.section.sources if recipe else ():
            attempt(lookup, params, f"sources.{source}")
    for name in attempt(lookup, params, "synth") or {}:
        attempt(lookup, params, f"recipes.{name}")
        attempt(check_reads, params, name)
    for name in attempt(lookup, params, "systems") or {}:
        kind = attempt(SYSTEMS.__getitem__, name)
        attempt(section, params, f"systems.{name}", kind.section_type) if kind else None
    for name in attempt(lookup, params, "train") or {}:
        attempt(lookup, params, f"systems.{name}")
        block = attempt(section, params, f"train.{name}", TrainSection)
        attempt(lookup, params, f"synth.{block.recipe}") if block else None
    for name in attempt(lookup, params, "evaluate") or {}:
        block = attempt(section, params, f"evaluate.{name}", EvaluateSection)
        if block:
            attempt(lookup, params, f"train.{block.system}")
            attempt(lookup, params, f"synth.{block.recipe}")
            for baseline in block.baselines:
                attempt(BASELINES.__getitem__, baseline)
    return problems


def check_reads(params: dict[str, Any], recipe: str) -> None:
    """``synth.<recipe>.reads`` must name exactly the code and data that the recipe draws with."""
    from pipeline.config import lookup
    from pipeline.errors import ParamsError

    steps = lookup(params, f"recipes.{recipe}.steps")
    needed = list(dict.fromkeys(f"pipeline/corruptions/{step['family']}.py" for step in steps))
    if any(step["family"] == "texture" for step in steps):
        needed.append("data/textures")
    reads = lookup(params, f"synth.{recipe}.reads")
    if set(reads) != set(needed):
        places = max(len(reads), len(needed))
        filled = needed + [needed[-1]] * (places - len(needed))
        raise ParamsError(
            f"params: synth.{recipe}.reads",
            "does not fit the recipe's steps",
            f"write [{', '.join(filled)}]",
        )


def _check_top(params: dict[str, Any]) -> None:
    from pipeline.config import did_you_mean
    from pipeline.errors import ParamsError

    known = (
        "seed",
        "sources",
        "index",
        "textures",
        "synthesis",
        "recipes",
        "synth",
        "systems",
        "train",
        "evaluate",
    )
    for name in params:
        if name not in known:
            raise ParamsError(
                f"params: {name}",
                "is no known section",
                f"remove it{did_you_mean(name, list(known))}",
            )
    seed = params.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ParamsError("params: seed", f"{seed!r} is no whole number from 0 up", "mend it")


def _photos(root: Path) -> list[Photo]:
    from pipeline.splits import read_index

    path = root / "data/index.json"
    return read_index(path) if path.is_file() else []


def _estimate_synth(root: Path, params: dict[str, Any], name: str, photos: list[Photo]) -> str:
    """Draw a few samples here and scale up."""
    import os

    from pipeline import seeds
    from pipeline.corruptions import Recipe
    from pipeline.shards import SPLITS, Sample, pack

    recipe = Recipe.load(params, name, root / "data/textures")
    total, seconds, size = 0, 0.0, 0.0
    for split in SPLITS:
        cut = getattr(recipe.section, split)
        chosen = [p for p in photos if p.split == split and p.source in recipe.section.sources]
        count = len(chosen) * cut.per_photo * cut.variants
        total += count
        noise = seeds.rng(0, "check").integers(96, 160, (cut.side, cut.side, 3), "uint8")
        start = time.perf_counter()
        try:
            made = [
                recipe.damage(noise, lambda *step, turn=turn: seeds.rng(0, "check", turn, *step))
                for turn in range(SAMPLES_TIMED)
            ]
        except Exception as error:
            return f"synth {name}: not estimated ({error})"
        data, _, _ = pack(
            Sample(str(turn), one.clean, one.corrupted, one.mask, one.story)
            for turn, one in enumerate(made)
        )
        seconds += (time.perf_counter() - start) / SAMPLES_TIMED * count
        size += len(data) / SAMPLES_TIMED * count
    minutes = seconds / 60 / (os.cpu_count() or 1)
    return f"synth {name}: {total} samples, up to {size / 1e9:.2f} GB, about {minutes:.1f} min"


def _estimate_train(params: dict[str, Any], name: str) -> str:
    """Time a few steps of the real network on random pictures."""
    import torch

    from pipeline.config import section
    from pipeline.stream import Batch
    from pipeline.systems import count_parameters, make_system
    from pipeline.training import TrainSection, resolve_precision

    block = section(params, f"train.{name}", TrainSection)
    system, _ = make_system(name, params, params["seed"])
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


app = make_app(check, "check")
if __name__ == "__main__":
    app()
