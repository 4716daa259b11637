"""The benchmark of mining: what it would train, and how both arms are compared."""

import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from benchmarks import mining
from pipeline.config import load_params
from stages.validity import validate_params


def test_a_seed_trains_and_measures_one_restorer_on_wear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos/train").mkdir(parents=True)
    shutil.copy(str(files("skimage") / "data/astronaut.png"), tmp_path / "photos/train")
    monkeypatch.setenv("PATINA_PHOTOS", str(tmp_path / "photos"))
    mining._set_up(tmp_path / "8", 8, 30)
    params = load_params(tmp_path / "8/params.yaml")
    assert validate_params(tmp_path / "8", params) == []
    assert params["seed"] == 8 and params["train"]["restorer"]["phases"]["fit"]["steps"] == 30
    assert params["train"]["restorer"]["recipe"] == "wear"
    assert params["train"]["restorer"]["stream"]["mode"] == "fly"
    assert [*params["synth"], *params["train"], *params["evaluate"]] == [
        "wear", "restorer", "restorer-wear",
    ]  # fmt: skip
    assert params["recipes"]["wear"]["sources"] == ["folder"]
    assert params["sources"]["folder"]["path"] == str(tmp_path / "photos/train")


def rows_of(gain: float, seed: int) -> list[dict]:
    """Two samples of each of eight photos, one of them not damaged."""
    return [
        {
            "key": f"{photo}_{tile}",
            "source": "folder",
            "photo": f"p{photo}",
            "seed": seed,
            "input.psnr": 20.0 + 80 * tile,
            "composite.psnr": 20.0 + photo + gain * (1 + photo % 2),
        }
        for photo in range(8)
        for tile in range(2)
    ]


def test_samples_are_paired_by_seed_and_key() -> None:
    plain, mined = ([*rows_of(gain, 7), *rows_of(-gain, 8)] for gain in (0.0, 0.5))
    alone = mining._row("seed-7", [rows_of(0.0, 7), rows_of(0.5, 7)[::-1]])
    assert list(alone) == ["id", "what", "ours", "peer", "ratio", "floor", "ceiling"]
    assert alone["ratio"] == pytest.approx(0.75) and "8 samples of 8 photos" in alone["what"]
    both = mining._row("all", [plain, mined])
    assert both["ratio"] == pytest.approx(0.0, abs=1e-9)
    assert "16 samples of 8 photos" in both["what"]


def test_without_photos_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PATINA_PHOTOS", raising=False)
    assert mining.main() == [] and "PATINA_PHOTOS" in capsys.readouterr().out
