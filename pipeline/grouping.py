"""Who belongs together, and in which split: near-duplicates share a group, and a group a split.

Photos take their places in three levels: those with an official split (test first), those that an
earlier index holds, newcomers. Each joins the group of its twins that have a place already; whoever
has twins in two splits is refused. So official splits hold, and no newcomer moves anybody: a group
keeps the name, and with it the split, that it had. But what a source says moves those it knows: an
official split its twins, and the wish not to be tested on, of a photo that is in test, its group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, count
from typing import NamedTuple

import numpy as np

from pipeline.images import Array

SPLIT_ORDER = ("test", "val", "train")  # held-out photos first: of two copies the train one goes


class Member(NamedTuple):
    """What decides about a photo. `official`: the split that its source gives it; `albums`: the
    groups that sources name for it; `earlier`: group and split in the index before, the split None
    if it was computed from other params; `no_test`: it must not join test photos."""

    id: str
    official: str | None = None
    albums: tuple[str, ...] = ()
    earlier: tuple[str, str | None] | None = None
    no_test: bool = False


class Place(NamedTuple):
    """A photo's group and split."""

    group: str
    split: str


class Conflict(NamedTuple):
    """Why a photo has no place: the number of a twin in `split`, and that of one in another split,
    or None if that is the photo's own official one."""

    twin: int
    other: int | None


SplitOf = Callable[[str, bool], str]


def assign(members: list[Member], pairs: Array, split_of: SplitOf) -> list[Place | Conflict]:
    """The place of each of `members`, which are sorted by id; `pairs` (int M×2) are twins, by
    number, each once.

    `split_of` gives the split of a group without history by its name, and by whether it must not be
    a test group. A group is named by the earlier index, else by the source, else by its smallest
    id.
    """
    seating = _Seating(members, pairs, split_of)
    officials = [n for n, one in enumerate(members) if one.official is not None]
    for number in sorted(officials, key=lambda n: (_rank(members[n].official), n)):
        seating.seat(number)
    others = [n for n, one in enumerate(members) if one.official is None]
    seating.seat_level({n for n in others if members[n].earlier is not None})
    seating.seat_level({n for n in others if members[n].earlier is None})
    return seating.places()


def _rank(split: str | None) -> tuple[int, str]:
    place = SPLIT_ORDER.index(split) if split in SPLIT_ORDER else len(SPLIT_ORDER)
    return place, split or ""


class _Seating:
    """Groups while they form: a forest of members, each root with its split."""

    def __init__(self, members: list[Member], pairs: Array, split_of: SplitOf) -> None:
        self.members, self.split_of = members, split_of
        both = np.concatenate([pairs, pairs[:, ::-1]])
        both = both[np.lexsort((both[:, 1], both[:, 0]))]
        self.near = both[:, 1]  # the twins of all, of one after the other
        self.starts = np.searchsorted(both[:, 0], np.arange(len(members) + 1))
        self.fellows: dict[str, list[int]] = {}  # of an album
        for number, member in enumerate(members):
            for album in member.albums:
                self.fellows.setdefault(album, []).append(number)
        self.above: dict[int, int] = {}  # of those that have a place
        self.splits: dict[int, str] = {}
        self.conflicts: dict[int, Conflict] = {}
        self.albums: dict[str, int] = {}  # one member that has a place

    def seat_level(self, waiting: set[int]) -> None:
        """First whoever has a twin in a place, nearest first; then the rest, group by group."""
        frontier = [n for n in sorted(waiting) if next(self.neighbours(n), None) is not None]
        opened: set[str] = set()
        while frontier:
            reached: set[int] = set()
            for number in frontier:
                waiting.discard(number)
                if self.seat(number):
                    reached |= self.linked(number, opened) & waiting
            frontier = sorted(reached & waiting)
        for group in self.components(waiting):
            earlier = sorted(one for n in group if (one := self.members[n].earlier))
            split = earlier[0][1] if earlier else None
            no_test = any(self.members[n].no_test for n in group)
            if no_test and split == "test":  # its source has said so since
                split = None
            for number in group:
                self.join(number, split or self.split_of(self.names(group)[0], no_test), group[:1])

    def seat(self, number: int) -> bool:
        """Join the groups of one's twins, or be refused."""
        official, near = self.members[number].official, list(self.neighbours(number))
        splits = {self.splits[self.root(one)]: one for one in reversed(near)}
        strangers = [one for split, one in splits.items() if split != official]
        if official is not None and strangers:
            self.conflicts[number] = Conflict(strangers[0], None)
        elif self.members[number].no_test and "test" in splits:
            self.conflicts[number] = Conflict(splits["test"], None)
        elif official is None and len(splits) > 1:
            one, other = sorted(strangers)[:2]
            self.conflicts[number] = Conflict(one, other)
        else:
            self.join(number, official or next(iter(splits)), near)
        return number not in self.conflicts

    def join(self, number: int, split: str, near: Iterable[int]) -> None:
        """Take a place beside `near` (oneself counts as nobody)."""
        self.above[number] = number
        for album in self.members[number].albums:
            self.albums.setdefault(album, number)
        roots = {number, *(self.root(one) for one in near if one in self.above)}
        top = min(roots)
        for root in roots:
            self.above[root] = top
            self.splits.pop(root, None)
        self.splits[top] = split

    def neighbours(self, number: int) -> Iterator[int]:
        """Those in places that must share one's group."""
        yield from (one for one in self.twins(number) if one in self.above)
        albums = self.members[number].albums
        yield from (self.albums[album] for album in albums if album in self.albums)

    def twins(self, number: int) -> list[int]:
        """Sorted."""
        found: list[int] = self.near[self.starts[number] : self.starts[number + 1]].tolist()
        return found

    def linked(self, number: int, opened: set[str]) -> set[int]:
        """Twins and fellows, with a place or without; an album is `opened` once."""
        found = set(self.twins(number))
        for album in {*self.members[number].albums} - opened:
            opened.add(album)
            found.update(self.fellows[album])
        return found

    def components(self, waiting: set[int]) -> Iterator[list[int]]:
        """`waiting` in groups that are linked, or were one group in the earlier index."""
        before: dict[str, list[int]] = {}
        for number in waiting:
            if earlier := self.members[number].earlier:
                before.setdefault(earlier[0], []).append(number)
        rest, opened = set(waiting), set[str]()
        for first in sorted(waiting):
            if first not in rest:
                continue
            rest.discard(first)
            found, todo = [], [first]
            while todo:
                number = todo.pop()
                found.append(number)
                earlier = self.members[number].earlier
                step = self.linked(number, opened) & rest
                step.update(before.pop(earlier[0], ()) if earlier else ())
                todo += step & rest
                rest -= step
            yield sorted(found)

    def root(self, number: int) -> int:
        """The member that stands for a group."""
        while self.above[number] != number:
            self.above[number] = self.above[self.above[number]]
            number = self.above[number]
        return number

    def names(self, group: list[int]) -> list[str]:
        """What a group may be called, the best name first."""
        members = [self.members[number] for number in group]
        earlier = {member.earlier[0] for member in members if member.earlier is not None}
        albums = {album for member in members for album in member.albums}
        return [*sorted(earlier), *sorted(albums), *sorted(member.id for member in members)]

    def places(self) -> list[Place | Conflict]:
        """What became of everyone."""
        groups: dict[int, list[int]] = {}
        for number in sorted(self.above):
            groups.setdefault(self.root(number), []).append(number)
        officials = {self.root(n) for n in self.above if self.members[n].official is not None}
        names: dict[int, str] = {}
        taken: set[str] = set()
        for root in sorted(groups, key=lambda root: (root in officials, root)):
            # an earlier group that an official photo divided leaves its name to the rest of it
            spare = (self.members[root].id + "+" * number for number in count(1))
            names[root] = next(n for n in chain(self.names(groups[root]), spare) if n not in taken)
            taken.add(names[root])
        return [
            self.conflicts[number]
            if number in self.conflicts
            else Place(names[self.root(number)], self.splits[self.root(number)])
            for number in range(len(self.members))
        ]
