"""Where every pair of near-duplicates counts: in groups whose members could come into two splits.

Elsewhere a group takes one split whatever its pairs are, and fewer pairs than photos, those that
link it, tell as much as the millions that a thousand look-alikes make.
"""

import numpy as np

from pipeline.grouping import Member
from pipeline.images import Array

HELD = {("earlier", "train"), ("earlier", "val"), ("official", "train"), ("official", "val")}


def disputed(members: list[Member], links: Array) -> Array:
    """Numbers, sorted, of the `members` whose group has two claims to a split.

    Linked (`links`: int M×2), of one album or of one earlier group, they may share a group. Claims
    are official splits, earlier ones, and the names of earlier groups that ask for a new split;
    and who must not join test photos disputes any claim that could be to test.
    """
    groups = _Groups(len(members))
    for one, other in links.tolist():
        groups.join(one, other)
    first: dict[tuple[str, str], int] = {}
    for number, member in enumerate(members):
        names = [("album", album) for album in member.albums]
        if member.earlier is not None:
            names.append(("earlier", member.earlier[0]))
        for name in names:
            groups.join(first.setdefault(name, number), number)
    claims: dict[int, set[tuple[str, str]]] = {}
    barred: set[int] = set()
    for number, member in enumerate(members):
        root = groups.root(number)
        claims.setdefault(root, set()).update(_claims(member))
        if member.no_test:
            barred.add(root)
    open_roots = {
        root
        for root, found in claims.items()
        if len(found) > 1 or (root in barred and not found <= HELD)
    }
    return np.array([n for n in range(len(members)) if groups.root(n) in open_roots], np.int32)


def _claims(member: Member) -> set[tuple[str, str]]:
    if member.official is not None:
        return {("official", member.official)}
    if member.earlier is None:
        return set()
    group, split = member.earlier
    return {("group", group) if split is None else ("earlier", split)}


class _Groups:
    """A forest of numbers."""

    def __init__(self, number: int) -> None:
        self.above = list(range(number))

    def root(self, number: int) -> int:
        while self.above[number] != number:
            self.above[number] = self.above[self.above[number]]
            number = self.above[number]
        return number

    def join(self, one: int, other: int) -> None:
        self.above[self.root(one)] = self.root(other)
