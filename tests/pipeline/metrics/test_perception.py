"""LPIPS against its formula, written out slowly; and its weights, of known hashes only."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from pipeline.errors import CheckpointError
from pipeline.files import sha256_file
from pipeline.metrics import METRICS, Ruler, alexnet
from pipeline.metrics.alexnet import REFERENCE_FILE
from tests.pipeline.metrics.pictures import blurred, noisy, pairs, photo

WEIGHTS = "PATINA_REFERENCE_WEIGHTS"
needs_weights = pytest.mark.skipif(not os.environ.get(WEIGHTS), reason=f"{WEIGHTS} is not set")


@pytest.fixture(scope="module")
def weights():
    stored = load_file(Path(os.environ[WEIGHTS]) / REFERENCE_FILE)
    return {name: value.double() for name, value in stored.items()}


def slow_lpips(prediction, target, weights):
    """As the package `lpips` computes it, in float64."""

    def stages(picture):
        x = torch.from_numpy(picture.copy()).double().permute(2, 0, 1)[None] / 255 * 2 - 1
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        x = (x - shift.view(1, 3, 1, 1)) / scale.view(1, 3, 1, 1)
        kept = []
        for number, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
            if number in (3, 6):
                x = F.max_pool2d(x, kernel_size=3, stride=2)
            names = (f"features.{number}.{part}" for part in ("weight", "bias"))
            convolved = F.conv2d(x, *(weights[name] for name in names), stride, padding)
            x = F.relu(convolved)
            kept.append(x)
        return kept

    total = 0.0
    for number, (a, b) in enumerate(zip(stages(prediction), stages(target), strict=True)):
        a, b = (x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10) for x in (a, b))
        total += F.conv2d((a - b).square(), weights[f"lin{number}.weight"]).mean().item()
    return total


@needs_weights
def test_the_distance_is_its_formula(weights):
    for prediction, target in pairs():
        found = METRICS["lpips"](prediction, target)
        assert found == pytest.approx(slow_lpips(prediction, target, weights), abs=1e-5)


@needs_weights
@pytest.mark.parametrize("size", [(32, 32), (33, 90), (63, 63), (97, 140)])
def test_any_size_from_32_px_on(weights, size):
    clean = photo("astronaut", *size)
    made = noisy(clean, 20)
    expected = slow_lpips(made, clean, weights)
    assert METRICS["lpips"](made, clean) == pytest.approx(expected, abs=1e-5)


@needs_weights
def test_pictures_of_one_batch_do_not_mix(weights):
    clean = photo("coffee")
    made = {"noise": noisy(clean, 20), "blur": blurred(clean), "same": clean.copy()}
    ruler = Ruler(clean, None, ["lpips"])
    for _ in range(2):  # with the target's features at hand, too
        found = ruler.measure_all(made)
        for name, picture in made.items():
            expected = slow_lpips(picture, clean, weights)
            assert found[name]["lpips"] == pytest.approx(expected, abs=1e-5)
    assert found["same"]["lpips"] == 0 and ruler.measure(clean)["lpips"] == 0


@needs_weights
def test_gray_is_rgb_of_equal_channels_and_small_has_none():
    gray = photo("camera", channels=1)
    found = METRICS["lpips"](blurred(gray), gray)
    three = [np.repeat(one, 3, axis=2) for one in (blurred(gray), gray)]
    assert found == METRICS["lpips"](*three) > 0.05
    small = photo("camera", 31, 200)
    assert METRICS["lpips"](small, small) is None


@needs_weights
def test_more_damage_is_further_away():
    clean = photo("rocket")
    values = [METRICS["lpips"](noisy(clean, sigma), clean) for sigma in (1, 5, 20, 60)]
    assert values == sorted(values) and values[0] < 0.05 < values[-1]


def test_without_weights_it_says_what_to_set(monkeypatch, tmp_path):
    alexnet.load_reference.cache_clear()
    monkeypatch.delenv(WEIGHTS, raising=False)
    clean = photo("rocket", 40, 40)
    with pytest.raises(CheckpointError, match=f"LPIPS needs weights.*; set {WEIGHTS}"):
        METRICS["lpips"](clean, clean)
    monkeypatch.setenv(WEIGHTS, str(tmp_path))
    with pytest.raises(CheckpointError, match=f"cannot be read .*; set {WEIGHTS}"):
        METRICS["lpips"](clean, clean)
    (tmp_path / REFERENCE_FILE).write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="not the weights that LPIPS knows"):
        METRICS["lpips"](clean, clean)


def published(folder, weights, monkeypatch):
    """Files of the official structure with the reference's values, whose hashes are made known."""
    network = {name: one.float() for name, one in weights.items() if name.startswith("features")}
    network["classifier.1.weight"] = torch.zeros(4, 4)  # which LPIPS leaves alone
    heads = {f"lin{n}.model.1.weight": weights[f"lin{n}.weight"].float() for n in range(5)}
    for name, state, pin in (("network.pth", network, "NETWORK_SHA256"),
                             ("alex.pth", heads, "HEADS_SHA256")):  # fmt: skip
        torch.save(state, folder / name)
        monkeypatch.setattr(alexnet, pin, sha256_file(folder / name))
    return folder / "network.pth", folder / "alex.pth"


@needs_weights
def test_official_files_measure_the_same(monkeypatch, tmp_path, weights):
    distance = alexnet.load_official(*published(tmp_path, weights, monkeypatch))
    clean = photo("coffee")
    made = noisy(clean, 20)
    found = Ruler(clean, None, ["lpips"], distance).measure(made)["lpips"]
    assert found == METRICS["lpips"](made, clean)
    assert Ruler(clean, None, None, distance).measure(made)["lpips"] == found


@needs_weights
def test_official_files_of_other_hashes_are_not_unpickled(monkeypatch, tmp_path, weights):
    network, heads = published(tmp_path, weights, monkeypatch)
    network.write_bytes(network.read_bytes() + b"\0")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("unpickled"))
    with pytest.raises(CheckpointError, match="not the weights that LPIPS knows; remove it"):
        alexnet.load_official(network, heads)


def test_the_official_files_are_the_published_ones():
    assert alexnet.NETWORK_SHA256.startswith("7be5be79")  # which its own name says
    assert len(alexnet.NETWORK_SHA256) == len(alexnet.HEADS_SHA256) == 64
