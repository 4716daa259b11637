"""Groups that two splits could claim are known; `test_grouping` holds that all others need no more
than links."""

import numpy as np
import pytest

from pipeline.claims import disputed
from pipeline.grouping import Conflict, Member, Place, assign


def numbers_of(members: list[dict], *links: tuple[int, int]) -> list[int]:
    """Who is disputed, of members named by their places."""
    named = [Member(f"{number:02d}", **fields) for number, fields in enumerate(members)]
    return disputed(named, np.array(links, np.int32).reshape(-1, 2)).tolist()


TEST, TRAIN = {"official": "test"}, {"official": "train"}
HELD, ASKS = {"earlier": ("g", "val")}, {"earlier": ("g", None)}


@pytest.mark.parametrize(
    ("members", "claimed_twice"),
    [
        ([TEST, TEST, {}], False),
        ([TEST, {}, TRAIN], True),
        ([HELD, {}, HELD], False),
        ([HELD, {}, {"earlier": ("h", "val")}], False),
        ([HELD, {}, {"earlier": ("h", "train")}], True),
        ([HELD, {}, {"official": "val"}], True),  # who follows whom counts
        ([ASKS, {}, ASKS], False),
        ([ASKS, {}, {"earlier": ("h", None)}], True),
        ([{}, {"no_test": True}, {}], False),
        ([HELD, {"no_test": True}, {}], False),
        ([TEST, {"no_test": True}, {}], True),
        ([ASKS, {"no_test": True}, {}], True),
        ([{"earlier": ("g", "test")}, {"no_test": True}, {}], True),
    ],
)
def test_two_claims_to_a_group_dispute_all_of_it(members: list[dict], claimed_twice: bool) -> None:
    assert numbers_of([*members, {}], (0, 1), (1, 2)) == ([0, 1, 2] if claimed_twice else [])


def test_albums_and_earlier_groups_join_the_claims() -> None:
    assert numbers_of([TEST, {"albums": ("x",)}, {"albums": ("x", "y")}, TRAIN], (0, 1)) == []
    album = [TEST, {"albums": ("x",)}, {"albums": ("x", "y")}, {**TRAIN, "albums": ("y",)}]
    assert numbers_of(album, (0, 1)) == [0, 1, 2, 3]
    assert numbers_of([HELD, HELD, {}, {}, TRAIN], (0, 2), (1, 4)) == [0, 1, 2, 4]


def test_without_all_pairs_a_refused_photo_would_part_its_twins() -> None:
    members = [Member("a", official="test"), Member("b", no_test=True), Member("c")]
    pairs, links = np.array([(0, 1), (0, 2), (1, 2)]), np.array([(0, 1), (1, 2)])
    found = assign(members, pairs, lambda group, no_test: "train")
    assert found == [Place("a", "test"), Conflict(0, None), Place("a", "test")]
    assert assign(members, links, lambda group, no_test: "train") != found
    assert disputed(members, links).tolist() == [0, 1, 2]
