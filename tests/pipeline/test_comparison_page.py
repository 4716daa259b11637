"""The page of a comparison tells all that was found, and shows what is there."""

import html

import pytest

from pipeline.comparison.page import Looks, build, shown_keys
from pipeline.comparison.words import family_table, sentence
from pipeline.metrics import DEFINITIONS, define_lpips
from tests.pipeline.compared import compared, restore, rows_of, samples, side


@pytest.fixture(scope="module")
def better():
    """B halves the noise of A, on dust; on folds it doubles it."""
    return compared(side(), side("b", dust=5, folds=30))


def test_the_page_tells_all_and_loads_nothing(better):
    keys = shown_keys(better)
    first, second = restore(20), restore(20, dust=5, folds=30)
    damaged, original = ({one.key: getattr(one, name) for one in samples()} for name in
                         ("corrupted", "clean"))  # fmt: skip
    page = build(better, Looks(first, second, damaged, original, ["a note"]))
    assert sentence(better) in page and "a note" in page
    assert all(key in page for key in keys) and page.count('data-name="difference ×4"') == len(keys)
    assert all(cell in page for row in family_table(better)[1] for cell in row)
    assert 'src="http' not in page and "url(" not in page


def test_the_page_does_without_pictures_that_are_not_there(better):
    bare = build(better, Looks(notes=["none here"]))
    assert "<img" not in bare and all(key in bare for key in shown_keys(better))
    half = build(better, Looks(a=restore(20)))
    assert "difference ×" not in half.split("How it was measured")[0] and "<img" in half


def test_the_page_says_how_its_metrics_are_measured(better):
    page = build(better, Looks())
    assert all(html.escape(told) in page for told in DEFINITIONS) and "LPIPS" not in page
    rows = [one | {"composite.lpips": 0.1} for one in rows_of(restore(20))]
    told = [side(str(n), rows, told={"lpips": one}) for n, one in enumerate(("official",) * 2)]
    found = compared(*told)
    assert define_lpips("official").split("'")[0] in build(found, Looks())
    assert "lpips" in found.metrics


def test_lpips_of_other_weights_is_not_compared():
    rows = [one | {"composite.lpips": 0.1} for one in rows_of(restore(20))]
    found = compared(*(side(one, rows, told={"lpips": one}) for one in ("official", "reference")))
    assert "lpips" not in found.metrics
    assert "LPIPS is not compared" in build(found, Looks())
