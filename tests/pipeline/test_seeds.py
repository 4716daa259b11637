"""Randomness comes from a root and a purpose, alike on every machine and in every process."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import seeds
from tests.conftest import ROOT

DERIVED = 8889434352077494898
INTEGERS = [4185434458008884041, 992030226322612524, 8614297449576813082]
BRIEF = 0.11086308444980708
WORD = 15788584243581920082
RANDOM = 0.11611008509017395
FIELD = [22659, 35529, 54618, 52165]
WORDS = st.lists(st.text(max_size=8) | st.integers(), max_size=4)


def draws(root: int, *purpose: str | int) -> np.ndarray:
    return seeds.rng(root, *purpose).integers(0, 2**32, 64)


def test_the_same_purpose_gives_the_same_stream() -> None:
    np.testing.assert_array_equal(draws(7, "corrupt", "aged", 3), draws(7, "corrupt", "aged", 3))


@given(st.integers(), WORDS, WORDS)
def test_different_purposes_have_different_seeds(
    root: int, one: list[str | int], other: list[str | int]
) -> None:
    assert (seeds.derive(root, *one) == seeds.derive(root, *other)) == (one == other)
    assert seeds.derive(root, *one) != seeds.derive(root + 1, *one)


@pytest.mark.parametrize(
    ("one", "other"),
    [(("ab", "c"), ("a", "bc")), (("1",), (1,)), (("a", ""), ("a",)), (('a","b',), ("a", "b"))],
)
def test_words_never_run_into_each_other(
    one: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    assert seeds.derive(7, *one) != seeds.derive(7, *other)


def test_streams_of_different_purposes_are_independent() -> None:
    streams = np.stack([seeds.rng(7, "photo", n).standard_normal(2000) for n in range(50)])
    correlation = np.corrcoef(streams)[np.triu_indices(50, 1)]
    assert np.abs(correlation).max() < 0.1  # 4.5 standard errors
    firsts = np.array([seeds.rng(7, "photo", n).random() for n in range(2000)])
    assert abs(firsts.mean() - 0.5) < 0.03
    assert abs(np.corrcoef(firsts[:-1], firsts[1:])[0, 1]) < 0.1


def test_golden_values_hold_on_every_machine() -> None:
    assert seeds.derive(7, "corrupt", "aged", "k", 0) == DERIVED
    generator = seeds.rng(7, "corrupt", "aged", "k", 0)
    assert generator.integers(0, 2**63 - 1, 3).tolist() == INTEGERS
    assert generator.random() == RANDOM
    assert seeds.field(123).integers(0, 1 << 16, 4, np.uint16).tolist() == FIELD


def test_a_field_depends_on_all_64_bits_of_its_seed() -> None:
    base = seeds.field(5).random(4)
    for bit in range(64):
        assert not np.array_equal(seeds.field(5 ^ (1 << bit)).random(4), base)


def test_drawn_seeds_fit_63_bits_and_repeat() -> None:
    drawn = [seeds.seed_of(seeds.rng(7, "seed", n)) for n in range(500)]
    assert drawn == [seeds.seed_of(seeds.rng(7, "seed", n)) for n in range(500)]
    assert len(set(drawn)) == 500
    assert min(drawn) >= 0 and 2**62 < max(drawn) < 2**63


def test_words_are_even_apart_from_one_another_and_from_generators() -> None:
    drawn = np.array([seeds.words(7, "words", n) for n in range(4000)], np.uint64)
    assert drawn.shape == (4000, 8) and len(np.unique(drawn)) == drawn.size
    for bit in range(0, 64, 7):
        share = ((drawn >> np.uint64(bit)) & np.uint64(1)).mean(0)
        assert (np.abs(share - 0.5) < 0.04).all()
    correlation = np.corrcoef((drawn >> np.uint64(11)).astype(float), rowvar=False)
    assert np.abs(correlation[np.triu_indices(8, 1)]).max() < 0.08
    assert seeds.derive(7, "words", 0) not in seeds.words(7, "words", 0)
    assert seeds.words(7, "corrupt", "aged", 0)[0] == WORD


def test_brief_generators_are_independent_of_one_another_and_of_the_others() -> None:
    streams = np.stack([seeds.brief(7, "photo", n).standard_normal(2000) for n in range(50)])
    streams = np.concatenate([streams, [seeds.rng(7, "photo", 0).standard_normal(2000)]])
    correlation = np.corrcoef(streams)[np.triu_indices(51, 1)]
    assert np.abs(correlation).max() < 0.1  # 4.5 standard errors
    firsts = np.array([seeds.brief(7, "photo", n).random() for n in range(2000)])
    assert abs(firsts.mean() - 0.5) < 0.03 and abs(firsts.var() - 1 / 12) < 0.01
    assert abs(np.corrcoef(firsts[:-1], firsts[1:])[0, 1]) < 0.1
    assert seeds.brief(7, "corrupt", "aged", "k", 0).random() == BRIEF


def test_below_reaches_every_number_alike() -> None:
    found = [seeds.below(word, 7) for n in range(3000) for word in seeds.words(7, "below", n)]
    counts = np.bincount(found, minlength=7)
    assert len(counts) == 7 and (np.abs(counts / len(found) - 1 / 7) < 0.01).all()
    assert seeds.below(2**64 - 1, 5) == 4 and seeds.below(0, 5) == 0


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_neither_hash_seed_nor_place_nor_locale_matter(hash_seed: str) -> None:
    code = (
        "from pipeline import seeds; print(seeds.derive(7, 'größe', 1), seeds.rng(7, 'a').random())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": hash_seed, "LC_ALL": "C"},
    )  # fmt: skip
    assert done.stdout.split() == [
        str(seeds.derive(7, "größe", 1)),
        str(seeds.rng(7, "a").random()),
    ]
