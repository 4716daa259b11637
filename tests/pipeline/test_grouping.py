"""Twins share a split, nobody moves for a newcomer, official splits hold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.grouping import Conflict, Member, Place, assign

SPLITS = ("test", "val", "train")


def by_letter(group: str, no_test: bool = False) -> str:
    """A split that tests can foresee."""
    return SPLITS[1:][ord(group[0]) % 2] if no_test else SPLITS[ord(group[0]) % 3]


def place(members: dict[str, dict], twins: set[tuple[str, str]]) -> dict[str, Place | Conflict]:
    """`assign` by ids; keyword arguments of Member by id."""
    ids = sorted(members)
    pairs = [(ids.index(one), ids.index(other)) for one, other in twins if {one, other} <= {*ids}]
    found = assign([Member(one, **members[one]) for one in ids], pairs, by_letter)
    return dict(zip(ids, found, strict=True))


def again(found: dict[str, Place | Conflict], *new: str) -> dict[str, dict]:
    """The next index of the same photos, and new ones."""
    known = {one: {"earlier": tuple(at)} for one, at in found.items() if isinstance(at, Place)}
    return known | {one: {} for one in new}


def names(conflict: object, members: dict) -> tuple[str, str | None]:
    assert isinstance(conflict, Conflict)
    ids = sorted(members)
    return ids[conflict.twin], None if conflict.other is None else ids[conflict.other]


def test_a_photo_alone_is_its_own_group() -> None:
    assert place({"a": {}, "b": {}}, set()) == {"a": Place("a", "val"), "b": Place("b", "train")}


def test_a_chain_of_twins_is_one_group_named_by_its_smallest() -> None:
    found = place({key: {} for key in "cbad"}, {("a", "c"), ("c", "b")})
    assert {one: at.group for one, at in found.items()} == {"a": "a", "b": "a", "c": "a", "d": "d"}


def test_a_newcomer_with_a_smaller_name_moves_nobody() -> None:
    before = place({"c": {}, "d": {}}, set())
    after = place(again(before, "a", "b"), {("a", "c"), ("b", "d")})
    assert after["c"] == before["c"] == after["a"]
    assert after["d"] == before["d"] == after["b"]


def test_what_leaves_takes_nobody_along() -> None:
    before = place({key: {} for key in "abc"}, {("a", "b"), ("b", "c")})
    members = again(before, "d")
    del members["a"], members["b"]
    after = place(members, {("c", "d")})
    assert after["c"] == before["c"] == after["d"] == Place("a", "val")


def test_a_newcomer_between_two_splits_is_refused_with_both_names() -> None:
    before = place({"b": {}, "c": {}}, set())  # train and test
    members = again(before, "a")
    after = place(members, {("a", "b"), ("a", "c")})
    assert names(after["a"], members) == ("b", "c")
    assert {one: after[one] for one in "bc"} == before
    members["d"] = {}  # a twin of the refused one alone is free
    assert place(members, {("a", "b"), ("a", "c"), ("a", "d")})["d"] == Place("d", by_letter("d"))


def test_a_newcomer_between_groups_of_one_split_joins_them() -> None:
    before = place({"b": {}, "e": {}}, set())
    after = place(again(before, "a"), {("a", "b"), ("a", "e")})
    assert set(after.values()) == {Place("b", "train")}


def test_a_chain_of_newcomers_between_two_splits_breaks_once() -> None:
    before = place({"b": {}, "c": {}}, set())
    members = again(before, "x", "y")
    after = place(members, {("b", "x"), ("x", "y"), ("y", "c")})
    assert after["x"] == before["b"] and names(after["y"], members) == ("c", "x")


def test_official_splits_hold_and_draw_others_in() -> None:
    members = {"a": {"official": "test"}, "b": {}, "c": {}, "d": {"official": "train"}}
    found = place(members, {("a", "b"), ("b", "c")})
    assert {found[one].split for one in "abc"} == {"test"}
    assert found["d"].split == "train"


def test_of_twins_across_official_splits_the_train_one_goes() -> None:
    members = {"a": {"official": "train"}, "b": {"official": "val"}, "c": {"official": "test"}}
    found = place(members, {("a", "b"), ("b", "c")})
    assert found["c"] == Place("c", "test") and names(found["b"], members) == ("c", None)
    assert found["a"].split == "train", "its twin is gone"


def test_a_newcomer_between_official_splits_is_refused() -> None:
    members = {"a": {"official": "train"}, "b": {}, "c": {"official": "test"}}
    assert names(place(members, {("a", "b"), ("b", "c")})["b"], members) == ("a", "c")


def test_a_new_official_photo_takes_its_twins_and_leaves_the_rest_of_their_group() -> None:
    before = place({key: {} for key in "abc"}, {("a", "b"), ("b", "c")})
    members = again(before) | {"o": {"official": "train"}}
    del members["b"]
    after = place(members, {("a", "o")})
    assert after["c"] == before["c"] == Place("a", "val")
    assert after["a"].split == after["o"].split == "train"
    assert after["a"].group == after["o"].group != "a", "no two groups have one name"


def test_what_must_not_be_tested_on_is_divided_by_groups() -> None:
    wanted = {one: by_letter(one, True) for one in ("a", "b", "c", "d", "e", "f")}
    found = place({one: {"no_test": True} for one in wanted}, set())
    assert {one: at.split for one, at in found.items() if isinstance(at, Place)} == wanted
    assert "test" not in wanted.values() and len(set(wanted.values())) == 2
    members = {"t": {"official": "test"}, "a": {"no_test": True}, "b": {"no_test": True}}
    found = place(members, {("a", "b"), ("b", "t")})
    assert names(found["b"], members) == ("t", None), "a twin of a test photo goes"
    assert found["a"] == Place("a", by_letter("a", True))


def test_albums_stay_together_and_name_their_group() -> None:
    members = {"a": {"album": "x"}, "b": {"album": "x"}, "c": {}, "d": {"album": "x"}}
    assert set(place(members, {("b", "c")}).values()) == {Place("x", by_letter("x"))}
    before = place({"b": {}}, set())
    after = place(again(before) | {"a": {"album": "x"}, "c": {"album": "x"}}, {("a", "b")})
    assert set(after.values()) == set(before.values())


def test_other_shares_keep_the_names_and_ask_for_the_splits_anew() -> None:
    members = {"c": {"earlier": ("d", None)}, "d": {"earlier": ("d", None)}, "a": {}}
    found = place(members, {("a", "c")})
    assert set(found.values()) == {Place("d", by_letter("d"))}


IDS = [f"{one}{two}" for one in "abcd" for two in "xyz"]
TWINS = st.sets(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)).filter(lambda p: p[0] < p[1]))
WAVES = st.lists(st.sets(st.sampled_from(IDS)), min_size=1, max_size=4)
OFFICIALS = st.dictionaries(st.sampled_from(IDS), st.sampled_from(SPLITS))


@given(TWINS, WAVES)
@settings(deadline=None, max_examples=300)
def test_whoever_arrives_no_twins_part_and_nobody_moves(
    twins: set[tuple[str, str]], waves: list[set[str]]
) -> None:
    found: dict[str, Place | Conflict] = {}
    for wave in waves:
        members = again(found)
        before, members = found, members | {one: {} for one in wave - {*members}}
        found = place(members, twins)
        assert_sound(found, twins)
        for one, at in before.items():
            if isinstance(at, Place):
                assert found[one].split == at.split, "nobody moves"
    assert place(again(found), twins) == {
        one: at for one, at in found.items() if isinstance(at, Place)
    }, "the next run changes nothing"


@given(TWINS, OFFICIALS)
@settings(deadline=None, max_examples=200)
def test_official_photos_keep_their_split_or_are_refused(
    twins: set[tuple[str, str]], officials: dict[str, str]
) -> None:
    members = {one: {"official": officials.get(one)} for one in IDS}
    found = place(members, twins)
    assert_sound(found, twins)
    for one, split in officials.items():
        if isinstance(found[one], Place):
            assert found[one].split == split
        if split == "test":
            assert isinstance(found[one], Place)


def assert_sound(found: dict[str, Place | Conflict], twins: set[tuple[str, str]]) -> None:
    """No twins in two splits, no group in two splits; without bridges nobody is refused."""
    places = {one: at for one, at in found.items() if isinstance(at, Place)}
    for one, other in twins:
        if one in places and other in places:
            assert places[one] == places[other]
    splits: dict[str, set[str]] = {}
    for at in places.values():
        splits.setdefault(at.group, set()).add(at.split)
    assert all(len(one) == 1 for one in splits.values())
    for one, at in found.items():
        if isinstance(at, Conflict):
            assert any(one in pair for pair in twins)
