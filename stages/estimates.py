"""What a run will cost here: samples, disk and minutes of each stage, by doing a little of it."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

SAMPLES_TIMED, STEPS_TIMED = 4, 3
SIZE_TIMED = 4  # samples a batch: time grows with their number
FIRST = "`patina fetch`, `patina index`"
Counts = dict[tuple[str, str], int]  # (source, split) → photos


class Photos(NamedTuple):
    """How many there are. `damaged`: those among `counts` with damage of their own; `unknown`:
    sources that must be fetched to tell; `doubt`: why the numbers may be others."""

    counts: Counts
    damaged: Counts
    unknown: tuple[str, ...]
    doubt: str

    def of(self, recipe: str) -> Counts:
        """The photos that a recipe can use, if they come from its sources."""
        from pipeline.given import GIVEN

        return self.damaged if recipe == GIVEN else self.counts


def count_photos(root: Path, params: dict[str, Any]) -> Photos:
    """Photos by source and split: of the index, or what the sources will bring."""
    from pipeline.sources.sample import PHOTOS
    from pipeline.splits import read_index

    path = root / "data/index.json"
    counts, damaged = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    doubt = f" or so: there is no index yet: run {FIRST}"
    if path.is_file():
        for photo in read_index(path):
            counts[photo.source, photo.split] += 1
            damaged[photo.source, photo.split] += photo.corrupted is not None
        doubt = f" or so: the index is not of the inbox as it is now: run {FIRST}"
    elif "sample" in params["sources"]:
        counts.update({("sample", split): len(names) for split, names in PHOTOS.items()})
    indexed = {source for source, _ in counts}
    unknown = tuple(name for name in params["sources"] if name not in {*indexed, "folder"})
    if _add_inbox(root, params, path, counts) and not unknown:
        doubt = ""
    elif unknown:
        doubt += f"; unknown as yet: those of {', '.join(unknown)}"
    return Photos(dict(counts), dict(damaged), unknown, doubt)


def _add_inbox(root: Path, params: dict[str, Any], path: Path, counts: Counter[Any]) -> bool:
    """Is the index at `path` of the inbox as it is now? If not, what will come of that is put into
    `counts`."""
    from pipeline.config import section
    from pipeline.sources.folder import walk
    from pipeline.splits import IndexSection

    block = params["sources"].get("folder")
    total = len(list(walk(root / block["path"]))) if block else 0
    if path.is_file():
        index = json.loads(path.read_text(encoding="utf-8"))
        rows = [*index["photos"], *index["rejected"]]
        files = (row for row in rows if row.get("kind") != "left out")  # links and the like
        if sum(row["source"] == "folder" for row in files) == total:
            return True
    shares = section(params, "index", IndexSection)
    counts["folder", "val"] = round(total * shares.val_share)
    counts["folder", "test"] = round(total * shares.test_share)
    counts["folder", "train"] = total - counts["folder", "val"] - counts["folder", "test"]
    return False


def _num_samples(recipe: Any, split: str, counts: Counts) -> int:
    cut = getattr(recipe.section, split)
    photos = sum(counts.get((source, split), 0) for source in recipe.section.sources)
    return int(photos * cut.per_photo * cut.variants)


def estimate_textures(params: dict[str, Any]) -> str:
    """Draw one overlay of each kind here and scale up."""
    from pipeline import seeds
    from pipeline.config import section
    from pipeline.textures import KINDS, TexturesSection, draw_overlay

    block = section(params, "textures", TexturesSection)
    start = time.perf_counter()
    for kind in KINDS:
        draw_overlay(kind, block.size, seeds.rng(0, "check", kind))
    seconds = (time.perf_counter() - start) / len(KINDS) * block.num_overlays
    return f"textures: {block.num_overlays} overlays, about {seconds / 60:.1f} min"


def estimate_synth(root: Path, params: dict[str, Any], name: str, counts: Counts) -> str:
    """Draw a few samples here and scale up."""
    import os

    from pipeline.corruptions import Recipe
    from pipeline.errors import PipelineError
    from pipeline.samples import Sample, pack
    from pipeline.shards import SPLITS

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


def estimate_train(params: dict[str, Any], name: str) -> str:
    """Time a few steps of each phase of the real network on random pictures."""
    import torch

    from pipeline.config import read_seed, section
    from pipeline.corruptions import Recipe
    from pipeline.runs import TrainSection
    from pipeline.systems import count_parameters, make_system

    block = section(params, f"train.{name}", TrainSection)
    system, _ = make_system(name, params, read_seed(params), block.kind)
    system = system.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    steps = Recipe.load(params, block.recipe, None).flat_steps()
    keeps = any(one.on == "both" and one.corruption.extent == "local" for one in steps)
    seconds = 0.0
    for phase in system.phases:
        if phase in block.phases:  # `train` tells of the others
            a_step = _time_phase(system, phase, name, block, keeps)
            seconds += a_step * block.accumulate * block.phases[phase].steps
    total = sum(phase.steps for phase in block.phases.values())
    return (
        f"train {name}: {count_parameters(system):,} parameters, {total} steps, "
        f"about {seconds / 60:.1f} min on this CPU"
    )


def _time_phase(system: Any, phase: str, name: str, block: Any, keeps: bool) -> float:
    """Seconds of one step on random pictures; the metric of early stopping must be one of those
    that validation gives."""
    import torch

    from pipeline.errors import ParamsError
    from pipeline.precision import autocast_dtype, resolve_precision
    from pipeline.stream import Batch
    from pipeline.validation import value_names

    count = min(block.stream.batch_size, SIZE_TIMED)
    shape = (count, block.stream.crop, block.stream.crop)
    clean, corrupted = (
        torch.randint(0, 256, (*shape, channels), dtype=torch.uint8)
        for channels in (system.target_channels, system.channels)
    )
    mask = torch.randint(0, 2, (*shape, 1), dtype=torch.uint8) * 255
    batch = Batch(clean, corrupted, mask, mask).to(torch.device("cpu"))
    half = autocast_dtype(resolve_precision(block.precision, "cpu"))
    seconds, told = [], {}
    for _ in range(STEPS_TIMED):  # the median is not that of the first, which warms up
        start = time.perf_counter()
        with torch.autocast("cpu", half or torch.bfloat16, enabled=half is not None):
            for _, terms in system.updates(phase, batch):
                torch.stack(list(terms.values())).sum().backward()
                told |= terms
        seconds.append(time.perf_counter() - start)
    known = value_names(told, keeps, masks=True)
    metric = block.phases[phase].early_stop.metric
    if metric not in known:
        where = f"params: train.{name}.phases.{phase}.early_stop.metric"
        raise ParamsError(where, f"{metric!r} is not measured", f"use one of {', '.join(known)}")
    return statistics.median(seconds) * block.stream.batch_size / count


def estimate_evaluate(root: Path, params: dict[str, Any], name: str, counts: Counts) -> str:
    """Time on a tile what is done to each sample: tuning and restoring by the baselines, restoring
    by the untrained system (also without damage), and all metrics of all pictures."""
    from pipeline.config import section
    from pipeline.corruptions import Recipe
    from pipeline.errors import PipelineError
    from pipeline.evaluation import EvaluateSection
    from pipeline.systems.baselines import BASELINES
    from pipeline.validation import fit_channels

    block = section(params, f"evaluate.{name}", EvaluateSection)
    recipe = Recipe.load(params, block.recipe, root / "data/textures")
    num_val, num_test = (_num_samples(recipe, split, counts) for split in ("val", "test"))
    try:
        val = _damage(recipe, recipe.section.val.side, 0)
        test = _damage(recipe, recipe.section.test.side, 0)
        seconds = num_test * _seconds_of_sample(params, block, test)
    except PipelineError as error:
        return f"evaluate {name}: cannot be timed yet ({error})"
    for baseline in block.baselines:
        method = BASELINES[baseline]()
        given = [fit_channels(one.corrupted, one.clean.shape[2]) for one in (val, test)]
        start = time.perf_counter()
        strength = method.tune([(val.clean, given[0], val.mask)])
        tuned = time.perf_counter()
        method.restore(given[1], test.mask, strength)
        seconds += (tuned - start) * num_val + (time.perf_counter() - tuned) * num_test
    return f"evaluate {name}: {num_test} samples, about {seconds / 60:.1f} min"


def _seconds_of_sample(params: dict[str, Any], block: Any, damaged: Any) -> float:
    """Of the system, on the damaged tile and on the whole one, and of the metrics without LPIPS."""
    import torch

    from pipeline.answers import restore_sample, undamaged
    from pipeline.metrics import Ruler
    from pipeline.samples import Sample
    from pipeline.systems import make_system

    told: dict[str, Any] = {"photo": None, "steps": []}
    sample = Sample("check", damaged.clean, damaged.corrupted, damaged.mask, told, damaged.keep)
    system = make_system(block.system, params, 0, block.kind)[0].eval()
    start = time.perf_counter()
    answer = restore_sample(system, sample, torch.device("cpu"))
    restore_sample(system, undamaged(sample), torch.device("cpu"))
    ruler = Ruler(sample.clean, sample.known_mask)
    for _ in range(2 + len(block.baselines)):
        ruler.measure(answer.composite)
    return time.perf_counter() - start


def _damage(recipe: Any, side: int, turn: int) -> Any:
    """A recipe's damage on a tile that is hard to pack: noise."""
    from pipeline import seeds

    noise = seeds.rng(0, "check", turn).integers(96, 160, (side, side, 3), "uint8")
    return recipe.damage(noise, lambda *step: seeds.rng(0, "check", turn, *step))
