"""`patina mine SYSTEM`: which damage a system still fails on, and a recipe that draws more of
it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from stages.compare import print_table
from stages.console import PARAMS, anew, make_app, progress, project_root, read_params, say
from stages.patching import apply_patch

if TYPE_CHECKING:
    from pipeline.corruptions import Recipe
    from pipeline.mining.features import Mined
    from pipeline.mining.ranking import Ranking
    from pipeline.mining.suggestion import Suggestion

SEEN = 16  # samples that tell whether a recipe's pictures are gray
LEARNED = "it learned from these photos, so that its errors there are smaller than elsewhere"


class Subject(NamedTuple):
    """What is mined: a training, and the samples that tell of it."""

    system: str
    recipe: str
    split: Literal["val", "train"]
    weights: Path
    shards: Path


@anew
def mine(
    system: Annotated[str, typer.Argument(help="A training of params.yaml, or a pair of its.")],
    recipe: Annotated[
        str | None, typer.Option(help="The recipe to mine; else what the system is validated on.")
    ] = None,
    split: Annotated[str, typer.Option(help="val or train; never test.")] = "val",
    weight: Annotated[
        float, typer.Option(help="Samples of the new recipe for one of the first.")
    ] = 1.0,
    apply: Annotated[bool, typer.Option("--apply", help="Put the patch into params.yaml.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
) -> None:
    """Tell which damage the remaining error goes with; suggest a re-weighted recipe."""
    from pipeline.config import lookup, read_seed
    from pipeline.corruptions import Recipe
    from pipeline.mining.ranking import rank
    from pipeline.mining.suggestion import suggest

    root = project_root()
    params = read_params(root)
    subject = _subject(root, params, system, recipe, split)
    _check_weight(weight)
    seed, drawn = read_seed(params), Recipe.load(params, subject.recipe, root / "data/textures")
    samples = _measure(subject, params, device, drawn)
    found = rank(samples, seed, f"{subject.shards} ({subject.split})")
    block = lookup(params, f"recipes.{subject.recipe}")
    wanted = suggest(found, drawn, block, seed)
    folder = out or root / "reports/mining" / _folder_name(subject, recipe)
    patched = _patch(params, subject, wanted, weight)
    _write(folder, subject, samples, found, wanted, patched)
    _tell(found, subject)
    _tell_patch(root, subject, found, wanted, patched, folder, apply)


def _subject(
    root: Path, params: dict[str, Any], name: str, recipe: str | None, split: str
) -> Subject:
    """The training and the recipe that the user named."""
    from pipeline.complaints import did_you_mean
    from pipeline.config import lookup, read_names
    from pipeline.errors import ParamsError
    from stages.plan import check_known

    if split not in ("val", "train"):
        told = "would be touched: what is tried by it could no longer be tested on it"
        what = told if split == "test" else "is no split to mine"
        raise ParamsError(f"--split {split}", what, "use val or train")
    trainings, pairs = read_names(params, "train"), read_names(params, "evaluate")
    trained, own = name, None
    if name not in trainings and name in pairs:
        trained, own = (lookup(params, f"evaluate.{name}.{key}") for key in ("system", "recipe"))
    if trained not in trainings:
        names = [*trainings, *pairs]
        step = f"use one of {', '.join(names)}{did_you_mean(name, names)}"
        raise ParamsError(f"mine {name!r}", "is no training or pair of params.yaml", step)
    chosen = recipe or own or lookup(params, f"train.{trained}.recipe")
    check_known(params, "--recipe" if recipe else f"train.{trained}.recipe", chosen, "synth")
    weights = root / "models" / trained / "best.safetensors"
    part: Literal["val", "train"] = "val" if split == "val" else "train"
    return Subject(trained, chosen, part, weights, root / "data/shards" / chosen)


def _check_weight(weight: float) -> None:
    from pipeline.errors import ParamsError

    if not 0.01 <= weight <= 100:
        raise ParamsError(f"--weight {weight:g}", "is not between 0.01 and 100", "try 1 or 3")


def _measure(subject: Subject, params: dict[str, Any], device: str, recipe: Recipe) -> list[Mined]:
    """What the system leaves of every damaged sample of the split."""
    import torch

    from pipeline.checkpoint import load_system
    from pipeline.config import lookup
    from pipeline.errors import ParamsError
    from pipeline.mining.features import measure
    from pipeline.shards import read_manifest, read_samples
    from stages.devices import check_channels, choose_device

    name, network = load_system(subject.weights)
    if name != (kind := lookup(params, f"train.{subject.system}.kind")):
        what = f"holds a {name}, but train.{subject.system} is of kind {kind}"
        raise ParamsError(subject.weights, what, f"train {subject.system}, or mend the kind")
    if not read_manifest(subject.shards).num_samples(subject.split):
        step = "give the recipe or the index photos for it"
        raise ParamsError(subject.shards, f"has no {subject.split} samples", step)
    seen = islice(read_samples(subject.shards, subject.split, recipe.replay), SEEN)
    found = {(sample.corrupted.shape[2], sample.clean.shape[2]) for sample in seen}
    check_channels(network, f"train.{subject.system}", subject.recipe, found)
    target = torch.device(choose_device(device))
    with progress(f"mine {subject.system}") as show:
        return measure(
            network.to(target), subject.shards, subject.split, target, show, recipe.replay
        )


def _folder_name(subject: Subject, recipe: str | None) -> str:
    """One for each question: of the system, then of all that was asked otherwise than it is."""
    split = None if subject.split == "val" else subject.split
    return "-".join(one for one in (subject.system, recipe, split) if one is not None)


def _patch(
    params: dict[str, Any], subject: Subject, wanted: Suggestion, weight: float
) -> dict[str, Any] | None:
    from pipeline.config import lookup
    from pipeline.mining.suggestion import patch

    if not wanted.changes:
        return None
    reads = lookup(params, f"synth.{subject.recipe}.reads")
    mix = lookup(params, f"train.{subject.system}.mix")
    return patch(wanted, subject.system, reads, mix, weight)


def _write(
    folder: Path,
    subject: Subject,
    samples: list[Mined],
    found: Ranking,
    wanted: Suggestion,
    patched: dict[str, Any] | None,
) -> None:
    from pipeline.files import sha256_file, write_bytes, write_json, write_text
    from pipeline.mining.plot import plot_ranking
    from pipeline.mining.tables import flat_rows, to_json
    from pipeline.mining.words import sentence
    from pipeline.report import to_csv
    from pipeline.shards import read_manifest
    from stages.editing import dump, styled

    names = subject.system, subject.recipe, subject.split
    told = {
        "subject": {
            **dict(zip(("system", "recipe", "split"), names, strict=True)),
            "weights_sha256": sha256_file(subject.weights),
            "shards_sha256": read_manifest(subject.shards).sha256,
        },
        "sentence": sentence(found, *names),
        **to_json(found),
        "changes": [one._asdict() for one in wanted.changes],
    }
    write_json(folder / "mining.json", told)
    write_text(folder / "ranking.csv", to_csv(flat_rows(found)))
    write_text(folder / "samples.csv", to_csv([one.row() for one in samples]))
    title = f"{subject.system} on {subject.split} of {subject.recipe}: what the error goes with"
    write_bytes(folder / "ranking.png", plot_ranking(found, title))
    if patched is not None:
        head = f"# From `patina mine {subject.system}`; `--apply` puts it into params.yaml.\n"
        write_text(folder / "patch.yaml", head + dump(styled(patched)))
    else:
        (folder / "patch.yaml").unlink(missing_ok=True)  # an earlier one, out of date


def _tell(found: Ranking, subject: Subject) -> None:
    """The answer first, then the tables."""
    from pipeline.mining.words import KEY, explained, family_cells, look_cells, sentence

    say(sentence(found, subject.system, subject.recipe, subject.split))
    say(explained(found))
    if found.causes:
        print_table(family_cells(found))
    if found.looks:
        print_table(look_cells(found))
    say(KEY)
    if found.constant:
        say(f"note: too rare or never other, so not ranked: {', '.join(found.constant)}")
    if subject.split == "train":
        say(f"note: {LEARNED}")


def _tell_patch(
    root: Path,
    subject: Subject,
    found: Ranking,
    wanted: Suggestion,
    patched: dict[str, Any] | None,
    folder: Path,
    apply: bool,
) -> None:
    """What is suggested, and how it is tried."""
    from pipeline.errors import ParamsError
    from pipeline.mining.words import change_cells, why_nothing

    if not wanted.changes:
        say(f"no re-weighting is suggested: {why_nothing(found)}")
        say(f"{folder}/ranking.png")
        return
    print_table(change_cells(wanted))
    if patched is None:
        where, what = f"params: train.{subject.system}.mix", f"has no place for {wanted.name}"
        raise ParamsError(where, what, "set one of the two weights to 0, and run it again")
    if apply:
        apply_patch(root, patched)
        say(f"{PARAMS}: {subject.system} learns from {wanted.name} beside its own recipe")
        say(f"next: `dvc exp run -n {subject.system}-mined`")
    else:
        say(f"{folder}/patch.yaml; `patina mine … --apply` puts it into {PARAMS}")


app = make_app(mine, "mine")
if __name__ == "__main__":
    app()
