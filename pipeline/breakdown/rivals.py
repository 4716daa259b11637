"""Where the input or a classical baseline does better than a system, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pipeline import statistics
from pipeline.breakdown.parts import UNDAMAGED, Group, counted_places, families
from pipeline.rows import Row, counted, is_damaged, photo_of
from pipeline.statistics import FEW, Bootstrap, Paired

SPOKEN = {
    "worse": ("loses to", ""),
    "open": ("not told apart from", ""),
    "few": ("behind", ": too few to be sure"),
}  # verdict: how a loss is told


class Loss(NamedTuple):
    """A family on which a rival's picture has the higher mean PSNR: `paired` is of the picture
    against the rival, its verdict ``worse`` where that is certain."""

    family: str
    rival: str
    paired: Paired

    @property
    def shown(self) -> bool:
        """Is it more than 0.0 dB, as it is told?"""
        return round(self.paired.difference or 0.0, 1) < 0


def lead(rows: Sequence[Row], seed: int, rival: str) -> Paired:
    """PSNR of the composite against that of a rival's picture, over the samples that are counted:
    `improvement` and its interval are the lead, in dB."""
    bootstrap = Bootstrap(map(photo_of, rows), seed)
    return _against(bootstrap, counted(rows), rival, "composite")


def losses(
    rows: Sequence[Row], seed: int, baselines: Sequence[str], picture: str = "composite"
) -> list[Loss]:
    """Families on which the input or a baseline has the higher PSNR, worst first; ``all`` stands
    for those that every sample has, and where rows know no families. Undamaged samples are apart:
    there nothing is to be gained."""
    bootstrap = Bootstrap(map(photo_of, rows), seed)
    found = []
    for group in _damages(rows):
        own = [rows[place] for place in group.places]
        for rival in ("input", *baselines):
            result = _against(bootstrap, own, rival, picture)
            if result.difference is not None and result.difference < 0:
                found.append(Loss(group.name, rival, result))
    return sorted(found, key=lambda one: (one.paired.difference or 0, one.family, one.rival))


def worst_family(rows: Sequence[Row], picture: str = "composite") -> tuple[str, float] | None:
    """The damage that the least is gained on, ``all`` if every sample has it, and that gain: mean
    dB over the input. None where all is undamaged."""
    means = {
        group.name: statistics.mean(
            rows[place][f"{picture}.psnr"] - rows[place]["input.psnr"] for place in group.places
        )
        for group in _damages(rows)
    }
    known = [(gain, name) for name, gain in means.items() if gain is not None]
    return (min(known)[1], min(known)[0]) if known else None


def in_words(
    rows: Sequence[Row], seed: int, baselines: Sequence[str], picture: str = "composite"
) -> str:
    """``Worst on folds: +0.3 dB over the input; loses to telea on shapes (−1.2 dB). Hardest photo:
    a.png, +0.1 dB over the input.``

    A rival that is ahead by no more than chance explains is told as ``not told apart from``; one
    that is ahead on fewer photos than anything is claimed of, with their number. No family that all
    samples have is called the worst, no photo that stands alone the hardest.
    """
    if not _damages(rows):
        return "Nothing here is damaged."
    found = losses(rows, seed, baselines, picture)
    told = [
        f"{verb} {_rival(name)}{_and([_told(one) for one in own])}{end}"
        for verdict, (verb, end) in SPOKEN.items()
        for name, own in _by_rival(found, verdict).items()
    ]
    rest = [] if told else [_ahead(rows, found, baselines)]
    where = "; ".join([*_worst(rows, picture), *told, *rest])
    return ". ".join([where[0].upper() + where[1:], *_hardest(rows, picture)]) + "."


def _against(bootstrap: Bootstrap, rows: Sequence[Row], rival: str, picture: str) -> Paired:
    """A picture against a rival's, by PSNR."""
    before, after = ([row.get(f"{name}.psnr") for row in rows] for name in (rival, picture))
    return statistics.paired(bootstrap, [photo_of(row) for row in rows], before, after)


def _worst(rows: Sequence[Row], picture: str) -> list[str]:
    """The worst family, where it is not of all samples: that tells nothing of families."""
    worst = worst_family(rows, picture)
    if worst is None or worst[0] == "all":
        return []
    return [f"worst on {_words(worst[0])}: {_decibels(worst[1])} over the input"]


def _hardest(rows: Sequence[Row], picture: str) -> list[str]:
    """The photo that the least is gained on, where there are others."""
    gains: dict[str, list[float]] = {}
    names = {photo_of(row): str(row["photo"]) for row in counted(rows)}
    for row in counted(rows):
        gain = row[f"{picture}.psnr"] - row["input.psnr"]
        gains.setdefault(photo_of(row), []).append(gain)
    if len(gains) < 2:
        return []
    gain, photo = min((statistics.mean(own) or 0.0, photo) for photo, own in gains.items())
    name = photo if list(names.values()).count(names[photo]) > 1 else names[photo]
    return [f"Hardest photo: {name}, {_decibels(gain)} over the input"]


def _by_rival(found: Sequence[Loss], verdict: str) -> dict[str, list[Loss]]:
    """Those that are worth telling."""
    own = [one for one in found if one.shown and one.paired.verdict == verdict]
    names = dict.fromkeys(one.rival for one in own)
    return {name: [one for one in own if one.rival == name] for name in names}


def _ahead(rows: Sequence[Row], found: Sequence[Loss], baselines: Sequence[str]) -> str:
    """Where no loss is told."""
    over = "its input and every baseline" if baselines else "its input"
    photos = {photo_of(row) for row in counted(rows)}
    few = f" ({_photos(len(photos))}: too few to be sure)" if len(photos) < FEW else ""
    return f"{'level with or ' if found else ''}ahead of {over} on all damage{few}"


def _told(loss: Loss) -> str:
    where = " " if loss.family == "all" else f" on {_words(loss.family)} "
    few = f", {_photos(loss.paired.num_photos)}" if loss.paired.verdict == "few" else ""
    return f"{where}({_decibels(loss.paired.difference or 0)}{few})"


def _damages(rows: Sequence[Row]) -> list[Group]:
    """What is to be undone: the families that some samples have and others not, and all damage
    where a family is of every sample, or no row tells its own."""
    if not any(map(is_damaged, rows)):
        return []
    places = counted_places(rows)
    known = [group for group in families(rows) if group.name != UNDAMAGED]
    parts = [group for group in known if len(group.places) < len(places)]
    whole = [Group("all", "all", places)] if len(parts) < len(known) or not known else []
    return [*whole, *parts]


def _rival(name: str) -> str:
    return "its input" if name == "input" else _words(name)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _decibels(value: float) -> str:
    """``−1.2 dB``; what rounds to nothing has no sign."""
    return f"{value:+.1f} dB".replace("-", "−") if round(value, 1) else "0.0 dB"


def _photos(number: int) -> str:
    return f"{number} photo{'s' * (number != 1)}"


def _and(parts: Sequence[str]) -> str:
    return " and".join(filter(None, [",".join(parts[:-1]), *parts[-1:]]))
