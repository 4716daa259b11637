"""The results table: what all evaluated pairs reached and cost, as JSON data; `text` makes it
Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline import statistics
from pipeline.comparison.sides import Side, check_same
from pipeline.errors import ParamsError
from pipeline.results.aims import AIMS, Aim, Settings
from pipeline.results.figures import Figure, Measured, difference, mask_f1, mean
from pipeline.rows import counted, finds_masks, photo_of
from pipeline.statistics import Bootstrap, Paired

CHALLENGER = "restorer"  # the kind of system that is held against all others
RIVAL = "telea"  # the baseline that is told the true mask
DIGITS = 6
Told = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """An evaluated pair: its report, its training and that one's kind, the params of the system,
    and what is known of its making: `training` and `evaluation` costs, as `stages/costs.py` keeps
    them."""

    side: Side
    system: str
    kind: str
    settings: Settings
    num_parameters: int | None = None
    num_steps: int | None = None
    training: Told | None = None
    evaluation: Told | None = None

    @property
    def name(self) -> str:
        """As params call it."""
        return self.side.pair

    @property
    def recipe(self) -> str:
        """Whose shards it was measured on."""
        return str(self.side.subject["recipe"])


def build(pairs: Sequence[Pair], seed: int) -> Told:
    """``pairs``, ``duels`` of the challengers with all others on the same shards, ``unmatched``
    reasons why two were not compared, and the ``aims``. Figures are ``[value, low, high]``."""
    measured = {pair.name: Measured(pair.side.rows, seed) for pair in pairs}
    duels, unmatched = _duels(pairs, seed)
    return {
        "pairs": [_line(pair, measured[pair.name]) for pair in pairs],
        "duels": duels,
        "unmatched": unmatched,
        "aims": [line for pair in pairs for line in _aims(pair, measured[pair.name])],
    }


def _line(pair: Pair, measured: Measured) -> Told:
    """What a pair reached, beside its input and the baseline that knows the mask."""
    rows = pair.side.rows
    masked = [f"{name}.psnr_masked" for name in ("composite", RIVAL)]
    beside = measured.has(*masked)
    return {
        "pair": pair.name,
        "system": pair.system,
        "kind": pair.kind,
        "recipe": pair.recipe,
        "num_photos": len(measured.names),
        "num_samples": len(rows),
        "num_counted": len(measured.counted),
        "psnr_in": _of(mean("input.psnr")(measured)),
        "psnr": _of(mean("composite.psnr")(measured)),
        "gain": _of(difference("composite.psnr", "input.psnr")(measured)),
        "ssim_in": _of(mean("input.ssim")(measured)),
        "ssim": _of(mean("composite.ssim")(measured)),
        "in_damage": _of(mean(masked[0])(measured)) if beside else None,
        "in_damage_rival": _of(mean(masked[1])(measured)) if beside else None,
        "in_damage_difference": _of(difference(*masked)(measured)) if beside else None,
        "mask_f1": _of(mask_f1(measured)) if finds_masks(rows) else None,
        "num_parameters": pair.num_parameters,
        "num_steps": pair.num_steps,
        "training": pair.training,
        "evaluation": pair.evaluation,
    }


def _duels(pairs: Sequence[Pair], seed: int) -> tuple[list[Told], list[str]]:
    """Each challenger against each other system that was measured on the same samples."""
    duels, unmatched = [], []
    for one in pairs:
        for other in pairs:
            same = one.recipe == other.recipe
            if one.kind == CHALLENGER != other.kind and same:
                try:
                    check_same(other.side, one.side)
                except ParamsError as error:
                    unmatched.append(f"{error.where}: {error.what}")
                    continue
                duels.append(_duel(one, other, seed))
    return duels, unmatched


def _duel(one: Pair, other: Pair, seed: int) -> Told:
    whole, masked = (_paired(other, one, name, seed) for name in ("psnr", "psnr_masked"))
    return {
        "recipe": one.recipe,
        "challenger": one.system,
        "rival": other.system,
        "psnr": whole.b,
        "psnr_rival": whole.a,
        "difference": _difference(whole),
        "in_damage_difference": _difference(masked),
        "num_photos": whole.num_photos,
        "verdict": whole.verdict,
        "training": one.training,
        "training_rival": other.training,
    }


def _paired(a: Pair, b: Pair, metric: str, seed: int) -> Paired:
    """B against A, as `patina compare` holds them against each other: over the counted samples."""
    keys = {str(row["key"]) for row in counted(a.side.rows)}
    first, second = (sorted(x.side.rows, key=lambda row: str(row["key"])) for x in (a, b))
    before, after = (
        [row.get(f"composite.{metric}") for row in rows if str(row["key"]) in keys]
        for rows in (first, second)
    )
    photos = [photo_of(row) for row in first if str(row["key"]) in keys]
    return statistics.paired(Bootstrap(map(photo_of, first), seed), photos, before, after)


def _aims(pair: Pair, measured: Measured) -> Iterator[Told]:
    """The figures that are asked of this pair, and those that are told beside them."""
    for aim in AIMS:
        if aim.kind != pair.kind or aim.recipe not in (None, pair.recipe):
            continue
        found = aim.measure(measured) if aim.when(pair.settings) else None
        if found is not None:
            beside = {name: mean(column)(measured) for name, column in aim.beside}
            yield {
                "kind": pair.kind,
                "pair": pair.name,
                "name": aim.name,
                "least": aim.least,
                "most": aim.most,
                "digits": aim.digits,
                "figure": _of(found),
                "beside": {name: one.value for name, one in beside.items() if one is not None},
                "reached": aim.reached(found.value),
                "sure": _is_sure(aim, found),
            }


def _is_sure(aim: Aim, found: Figure) -> bool | None:
    """Does the whole interval say what the value says? None without an interval."""
    if found.low is None or found.high is None:
        return None
    return len({aim.reached(one) for one in (found.value, found.low, found.high)}) == 1


def _difference(found: Paired) -> list[float | None] | None:
    """B - A of PSNR, of which more is better."""
    if found.difference is None:
        return None
    return _of(Figure(found.difference, *(found.interval or (None, None))))


def _of(figure: Figure | None) -> list[float | None] | None:
    """As JSON."""
    if figure is None:
        return None
    return [None if one is None else round(one, DIGITS) for one in figure]
