"""The benchmarks' own tools: the dispatcher refuses kindly, the classifiers learn what is there and
nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as dispatcher
from benchmarks import look
from benchmarks._boosting import auc, boosted_trees, quadratic_logistic
from benchmarks._patches import PATCH, features, prepared
from pipeline import seeds

METHODS = (boosted_trees, quadratic_logistic)


def test_a_wrong_name_lists_the_right_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatcher.run("lok") == 1
    said = capsys.readouterr().err
    assert "did you mean look" in said and said.count("\n") == 1
    assert "look" in dispatcher.names() and not any(n.startswith("_") for n in dispatcher.names())


def test_rows_are_written_with_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"id": "a", "what": "b", "ours": 0.5, "peer": None, "ratio": 2.0, "floor": 1.0,
           "ceiling": None}  # fmt: skip
    (tmp_path / "look.py").touch()
    monkeypatch.setattr(dispatcher, "FOLDER", tmp_path)
    monkeypatch.setattr(look, "main", lambda: [row])
    assert dispatcher.run("look") == 0
    found = json.loads((tmp_path / "results/look.json").read_text())
    assert found["rows"] == [row] and "CPUs" in found["machine"]
    assert "0.5" in capsys.readouterr().out


def test_look_skips_without_photos(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PATINA_PHOTOS", raising=False)
    assert look.main() == []
    assert capsys.readouterr().out.count("\n") == 1


def test_auc_counts_pairs_and_ties() -> None:
    assert auc(np.array([1.0, 2, 3, 4]), np.array([0, 0, 1, 1])) == 1
    assert auc(np.array([4.0, 3, 2, 1]), np.array([0, 0, 1, 1])) == 0
    assert auc(np.array([1.0, 1, 1, 1]), np.array([0, 1, 0, 1])) == 0.5


@pytest.mark.parametrize("method", METHODS)
def test_classifiers_find_a_bend_and_invent_nothing(method) -> None:
    rng = seeds.rng(1, "classes")
    rows, rest = rng.normal(size=(600, 12)), rng.normal(size=(600, 12))
    weights = np.ones(600)
    bent = [(np.abs(part[:, 3]) + 0.3 * part[:, 5] > 0.7).astype(np.int64) for part in (rows, rest)]
    assert auc(method(rows, bent[0], weights, rest, seeds.rng(2)), bent[1]) > 0.9
    blind = rng.integers(0, 2, 600)
    scores = method(rows, blind, weights, rest, seeds.rng(2))
    assert 0.4 < auc(scores, rng.integers(0, 2, 600)) < 0.6


def test_both_polarities_and_sizes_are_shown_alike() -> None:
    dark = np.full((800, 1000), 30, np.uint8)
    dark[100:700:40, :] = 90
    light = (230 - (dark.astype(int) - 30)).astype(np.uint8)
    one, other = prepared(dark), prepared(light)
    assert one.shape == other.shape and min(one.shape) == 512
    assert np.abs(one.astype(int) - other).max() <= 2 and np.median(one) == 0
    assert np.isfinite(features(one[:PATCH, :PATCH])).all()
    assert np.isfinite(features(np.zeros((PATCH, PATCH), np.uint8))).all()
