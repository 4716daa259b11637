"""Twins share a split, nobody moves for a newcomer, official splits hold."""

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.claims import disputed
from pipeline.grouping import Conflict, Member, Place, assign

SPLITS = ("test", "val", "train")


def by_letter(group: str, no_test: bool = False) -> str:
    """A split that tests can foresee."""
    return SPLITS[1:][ord(group[0]) % 2] if no_test else SPLITS[ord(group[0]) % 3]


def place(members: dict[str, dict], twins: set[tuple[str, str]]) -> dict[str, Place | Conflict]:
    """`assign` by ids; keyword arguments of Member by id."""
    ids = sorted(members)
    found = assign([Member(one, **members[one]) for one in ids], numbers(ids, twins), by_letter)
    return dict(zip(ids, found, strict=True))


def numbers(ids: list[str], twins: Iterable[tuple[str, str]]) -> np.ndarray:
    """The pairs of those that are there."""
    pairs = [(ids.index(one), ids.index(other)) for one, other in twins if {one, other} <= {*ids}]
    return np.array(pairs, np.int32).reshape(-1, 2)


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
    members = {"a": {"albums": ("x",)}, "b": {"albums": ("x",)}, "c": {}, "d": {"albums": ("x",)}}
    assert set(place(members, {("b", "c")}).values()) == {Place("x", by_letter("x"))}
    before = place({"b": {}}, set())
    after = place(again(before) | {"a": {"albums": ("x",)}, "c": {"albums": ("x",)}}, {("a", "b")})
    assert set(after.values()) == set(before.values())


def test_other_shares_keep_the_names_and_ask_for_the_splits_anew() -> None:
    members = {"c": {"earlier": ("d", None)}, "d": {"earlier": ("d", None)}, "a": {}}
    found = place(members, {("a", "c")})
    assert set(found.values()) == {Place("d", by_letter("d"))}


def test_who_must_not_be_tested_on_moves_its_group_out_of_test() -> None:
    before = place({key: {} for key in "cfg"}, {("c", "f")})
    assert before["c"] == before["f"] == Place("c", "test")
    members = again(before)
    members["f"]["no_test"] = True  # another source has it too, and says so
    after = place(members, {("c", "f")})
    assert after["c"] == after["f"] == Place("c", by_letter("c", True))
    assert after["g"] == before["g"]
    kept = again(after)
    kept["f"]["no_test"] = True
    assert place(kept, {("c", "f")}) == after


def test_a_photo_of_two_albums_joins_both() -> None:
    members = {"a": {"albums": ("x",)}, "b": {"albums": ("x", "y")}, "c": {"albums": ("y",)}}
    assert set(place(members, set()).values()) == {Place("x", by_letter("x"))}


IDS = [f"{one}{two}" for one in "abcd" for two in "xyz"]
SOME = st.sampled_from(IDS)
TWINS = st.sets(st.tuples(SOME, SOME).filter(lambda p: p[0] < p[1]))
ORDERED = st.lists(st.tuples(SOME, SOME).filter(lambda p: p[0] < p[1]), unique=True)
WAVES = st.lists(st.sets(SOME), min_size=1, max_size=4)
OFFICIALS = st.dictionaries(SOME, st.sampled_from(SPLITS))
ALBUMS = st.dictionaries(SOME, st.sets(st.sampled_from(("p", "q", "r")), min_size=1).map(tuple))
BARRED = st.sets(SOME)
SAID = st.fixed_dictionaries({"official": OFFICIALS, "albums": ALBUMS, "no_test": BARRED})


def described(
    members: dict[str, dict], official: dict[str, str], albums: dict[str, tuple[str, ...]],
    no_test: set[str],
) -> dict[str, dict]:  # fmt: skip
    """The members as sources speak of them."""
    return {
        one: fields | {"official": official.get(one), "albums": albums.get(one, ()),
                       "no_test": one in no_test and official.get(one) != "test"}
        for one, fields in members.items()
    }  # fmt: skip


@given(TWINS, WAVES, ALBUMS, BARRED)
@settings(deadline=None, max_examples=300)
def test_whoever_arrives_no_twins_part_and_nobody_moves(
    twins: set[tuple[str, str]], waves: list[set[str]], albums: dict[str, tuple[str, ...]],
    barred: set[str],
) -> None:  # fmt: skip
    found: dict[str, Place | Conflict] = {}

    def all_of(members: dict[str, dict]) -> dict[str, dict]:
        return described(members, {}, albums, barred)

    for wave in waves:
        before, known = found, again(found)
        members = all_of(known | {one: {} for one in wave - {*known}})
        found = place(members, twins)
        assert_sound(found, twins, members)
        for one, at in before.items():
            if isinstance(at, Place):
                assert found[one].split == at.split, "nobody moves"
    assert place(all_of(again(found)), twins) == {
        one: at for one, at in found.items() if isinstance(at, Place)
    }, "the next run changes nothing"


@given(TWINS, st.sets(SOME), TWINS, SAID)
@settings(deadline=None, max_examples=300)
def test_what_sources_say_holds_over_any_earlier_index(
    earlier_twins: set[tuple[str, str]], known: set[str], twins: set[tuple[str, str]], said: dict
) -> None:
    before = place({one: {} for one in known}, earlier_twins)
    members = described(again(before) | {one: {} for one in {*IDS} - known}, **said)
    found = place(members, twins | earlier_twins)
    assert_sound(found, twins | earlier_twins, members)
    for one, split in said["official"].items():
        if isinstance(found[one], Place):
            assert found[one].split == split
        if split == "test":
            assert isinstance(found[one], Place)


@given(TWINS, st.dictionaries(SOME, st.sampled_from((*SPLITS, None))), ORDERED, SAID)
@settings(deadline=None, max_examples=500)
def test_links_tell_as_much_as_all_pairs_where_nothing_is_disputed(
    earlier_twins: set[tuple[str, str]], known: dict, twins: list[tuple[str, str]], said: dict
) -> None:
    before = again(place({one: {} for one in known}, earlier_twins))
    for fields in before.values():
        group = fields["earlier"][0]
        fields["earlier"] = (group, known.get(group))
    fields = described(before | {one: {} for one in IDS}, **said)
    members = [Member(one, **fields[one]) for one in IDS]
    pairs = numbers(IDS, twins)
    links, group = [], list(range(len(IDS)))
    for one, other in pairs.tolist():
        if group[one] != group[other]:
            links.append((one, other))
            group = [group[one] if label == group[other] else label for label in group]
    chosen = np.array(links, np.int32).reshape(-1, 2)
    open_yet = {*disputed(members, chosen).tolist()}
    decisive = [*({*links} | {(a, b) for a, b in pairs.tolist() if a in open_yet})]
    fewer = np.array(decisive, np.int32).reshape(-1, 2)
    assert assign(members, fewer, by_letter) == assign(members, pairs, by_letter)


def assert_sound(
    found: dict[str, Place | Conflict], twins: set[tuple[str, str]], members: dict[str, dict]
) -> None:
    """No twins or fellows in two splits, no group in two, nobody in test who must not; and who is
    refused has, of twins and fellows, some in two splits or in one that it must not join."""
    ids = sorted(members)
    albums = {one: {*members[one].get("albums", ())} for one in ids}
    near = {one: {other for other in ids if other != one and (
        (one, other) in twins or (other, one) in twins or albums[one] & albums[other])}
        for one in ids}  # fmt: skip
    places = {one: at for one, at in found.items() if isinstance(at, Place)}
    for one, at in places.items():
        assert all(places[other] == at for other in near[one] if other in places)
        assert not (members[one].get("no_test") and at.split == "test")
    splits: dict[str, set[str]] = {}
    for at in places.values():
        splits.setdefault(at.group, set()).add(at.split)
    assert all(len(one) == 1 for one in splits.values())
    for one, at in found.items():
        if isinstance(at, Conflict):
            around = {places[other].split for other in near[one] if other in places}
            official = members[one].get("official")
            barred = bool(members[one].get("no_test")) and "test" in around
            assert len(around) > 1 or barred or (official and around - {official})
            told = {ids[number] for number in (at.twin, at.other) if number is not None}
            assert told <= near[one] & {*places}
