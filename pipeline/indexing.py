"""Building the index: files are read under limits, near-duplicates grouped, groups split, and what
cannot be used is a row with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.candidates import Candidate, Seen, read_all
from pipeline.claims import disputed
from pipeline.config import Section, validate
from pipeline.errors import ParamsError
from pipeline.executors import Executor, run_here
from pipeline.files import printable
from pipeline.grouping import SPLIT_ORDER, Conflict, Member, assign
from pipeline.images import Array
from pipeline.splits import IndexSection, Photo, PhotoIndexError, split_of
from pipeline.twins import find_twins, link_twins

# kinds of rejected rows
UNREADABLE, COPY, BETWEEN, LEFT_OUT = "unreadable", "copy", "between splits", "left out"
FEW = 5  # photos that no group is too large for
LARGE_SHARE = 0.01

Progress = Callable[[int, int], None]
Index = dict[str, Any]
Earlier = dict[str, tuple[str, str | None]]


class SplitRule(Section):
    """The params that an index was split by."""

    seed: int
    val_share: float
    test_share: float


def build_index(
    folder: Path,
    candidates: Iterable[Candidate],
    section: IndexSection,
    seed: int,
    progress: Progress,
    execute: Executor = run_here,
    earlier: Earlier | None = None,
) -> Index:
    """``{"photos": rows, "rejected": rows with name, path, reason, kind, "splits": the rule}``.

    The same for any order of candidates and any executor. With `earlier`, photos that it knows keep
    their groups and splits, and newcomers join them.
    """
    found, seen = list(candidates), []
    for one in read_all(folder, section.max_megapixels, found, execute):
        seen.append(one)
        progress(len(seen), len(found))
    rejected = [_refuse(one) for one in seen if one.reason]
    copies: dict[str, list[Seen]] = {}
    # held-out photos first, so that a copy in another source or split never takes their place
    for one in sorted((one for one in seen if not one.reason), key=_claim):
        copies.setdefault(one.fields["id"], []).append(one)
    for kept, *others in copies.values():
        reason = f"the same pixels as {kept.candidate.name} ({kept.candidate.source})"
        rejected += [_reject(one.candidate, COPY, reason) for one in others]
    rows, refused = _place([copies[key] for key in sorted(copies)], section, seed, earlier or {})
    rejected = sorted([*rejected, *refused], key=_rejected_order)
    rule = SplitRule(seed=seed, val_share=section.val_share, test_share=section.test_share)
    return {
        "photos": [row.model_dump(mode="json") for row in rows],
        "rejected": rejected,
        "splits": rule.model_dump(mode="json"),
    }


def read_earlier(path: Path, section: IndexSection, seed: int) -> Earlier:
    """Photo id → group and split of the index at `path`; the split None if seed or shares changed
    since; empty where there is no such index."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        rule = validate(data["splits"], "splits", SplitRule)
        rows = [validate(row, "photos", Photo) for row in data["photos"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ParamsError):
        return {}
    now = SplitRule(seed=seed, val_share=section.val_share, test_share=section.test_share)
    return {row.id: (row.group, row.split if rule == now else None) for row in rows}


def check_any(home: Path, index: Index) -> None:
    """Raises PhotoIndexError if there is no photo."""
    total = len(index["photos"]) + len(index["rejected"])
    if not total:
        raise PhotoIndexError(home, "no photo in it", "add photos")
    if not index["photos"]:
        reasons = count_reasons(index["rejected"])
        what = f"no photo in it: all of {total} files are rejected ({reasons})"
        raise PhotoIndexError(home, what, "add photos that can be read")


def check_share(home: Path, index: Index, section: IndexSection) -> None:
    """Raises PhotoIndexError if too many of the files are unreadable."""
    bad = [row for row in index["rejected"] if row["kind"] == UNREADABLE]
    total = len(index["photos"]) + len(index["rejected"])
    if len(bad) > section.max_rejected_share * total:
        what = f"{len(bad)} of {total} files cannot be read ({count_reasons(bad)})"
        step = "mend or remove them, or raise index.max_rejected_share = "
        raise PhotoIndexError(home, what, f"{step}{section.max_rejected_share:g}")


def count_reasons(rejected: list[dict[str, str]], most: int = 3) -> str:
    """The commonest reasons, each with a count and a file."""
    counts = Counter(row["reason"] for row in rejected)
    example = {row["reason"]: row["name"] for row in reversed(rejected)}
    told = [f"{n} × {reason}, as {example[reason]}" for reason, n in counts.most_common(most)]
    rest = len(rejected) - sum(n for _, n in counts.most_common(most))
    return "; ".join([*told, f"{rest} more"] if rest else told)


def large_groups(index: Index) -> list[tuple[str, int]]:
    """Groups of more than 1 % of the photos (and more than a few), largest first."""
    counts = Counter(row["group"] for row in index["photos"])
    limit = max(FEW, LARGE_SHARE * len(index["photos"]))
    return [(group, number) for group, number in counts.most_common() if number > limit]


def _claim(one: Seen) -> tuple[int, str, str, str]:
    split = one.candidate.split
    rank = SPLIT_ORDER.index(split) if split in SPLIT_ORDER else len(SPLIT_ORDER)
    return rank + (split is None), one.candidate.source, one.candidate.path, one.candidate.name


def _rejected_order(row: dict[str, str]) -> list[str]:
    return [row[key] for key in ("source", "path", "name", "reason")]


def _place(
    copies: list[list[Seen]], section: IndexSection, seed: int, earlier: Earlier
) -> tuple[list[Photo], list[dict[str, str]]]:
    """Rows with group and split, sorted by id, and those that would join two splits; of `copies`
    the first of each is the row's."""
    seen = [kept for kept, *_ in copies]
    members = [_member(one, earlier) for one in copies]
    pairs = _deciding_pairs(members, np.array([one.look for one in seen], np.uint8))
    places = assign(members, pairs, lambda *group: split_of(group[0], section, seed, group[1]))
    rows, refused = [], []
    for one, member, place in zip(seen, members, places, strict=True):
        if isinstance(place, Conflict):
            refused.append(_reject(one.candidate, BETWEEN, _explain(one, place, seen, places)))
        else:
            fields = one.fields | {"no_test": member.no_test}
            rows.append(Photo(**fields, group=place.group, split=place.split))
    return rows, refused


def _member(copies: list[Seen], earlier: Earlier) -> Member:
    """What the sources of all copies say; an official test photo is one, whoever else has it."""
    kept, files = copies[0], [one.candidate for one in copies]
    return Member(
        id=kept.fields["id"],
        official=kept.candidate.split,
        albums=tuple(sorted({one.group for one in files if one.group is not None})),
        earlier=earlier.get(kept.fields["id"]),
        no_test=kept.candidate.split != "test" and any(one.no_test for one in files),
    )


def _deciding_pairs(members: list[Member], looks: Array) -> Array:
    """int M×2: every pair of twins where groups are disputed, elsewhere as many as link them."""
    links = link_twins(looks)
    numbers = disputed(members, links)
    settled = links[~np.isin(links[:, 0], numbers)]
    return np.concatenate([settled, numbers[find_twins(looks[numbers])]])


def _explain(one: Seen, conflict: Conflict, seen: list[Seen], places: list[Any]) -> str:
    def told(number: int) -> str:
        other = seen[number].candidate
        return f"{other.name} ({other.source}, {places[number].split})"

    if conflict.other is None:
        official = one.candidate.split or "train or val"
        return f"near-duplicate of {told(conflict.twin)}, but officially {official}"
    return f"near-duplicate of {told(conflict.twin)} and of {told(conflict.other)}"


def _refuse(one: Seen) -> dict[str, str]:
    kind = LEFT_OUT if one.candidate.left_out else UNREADABLE
    return _reject(one.candidate, kind, one.reason)


def _reject(one: Candidate, kind: str, reason: str) -> dict[str, str]:
    path = printable(one.path)
    return {"name": one.name, "path": path, "source": one.source, "kind": kind, "reason": reason}
