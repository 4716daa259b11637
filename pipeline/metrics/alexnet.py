"""The network of LPIPS: AlexNet's features and the weights of their differences."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F

from pipeline.errors import CheckpointError
from pipeline.fidelity import Picture
from pipeline.losses.perceptual import WEIGHTS_FOLDER, known_bytes, unpickled

Tensor = torch.Tensor

REFERENCE_FILE = "alexnet_lpips_fp16.safetensors"
REFERENCE_SHA256 = "a6fa41496cb2bab41586988a41ea1f5c3d30a73556232f08b15484d325a92464"
# torchvision's AlexNet on ImageNet, and the heads of LPIPS v0.1 from its repository and wheel.
NETWORK_SHA256 = "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02"
HEADS_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"
OWNER = "LPIPS knows"

# Number in torchvision's list of layers, stride, padding, and is its input pooled?
LAYERS = ((0, 4, 2, False), (3, 1, 2, True), (6, 1, 1, True), (8, 1, 1, False), (10, 1, 1, False))
# LPIPS has its own normalisation, of RGB in [-1, 1].
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
UNIT_EPS = 1e-10  # beside a feature's length


class Distance:
    """LPIPS with one set of weights, frozen, float32. `device`: where it computes."""

    def __init__(self, weights: Mapping[str, Tensor], device: str | torch.device = "cpu") -> None:
        with torch.inference_mode(False):
            self.device = torch.device(device)
            self.layers = [
                (_placed(weights[f"features.{number}.weight"], device),
                 _placed(weights[f"features.{number}.bias"], device), stride, padding, pooled)
                for number, stride, padding, pooled in LAYERS
            ]  # fmt: skip
            self.heads = [_placed(weights[f"lin{n}.weight"], device) for n in range(len(LAYERS))]
            # x / 127.5 - 1, then LPIPS's own, as one step
            shift, scale = torch.tensor(SHIFT).view(3, 1, 1), torch.tensor(SCALE).view(3, 1, 1)
            self.factor = (1 / (127.5 * scale)).to(device)
            self.offset = ((-1 - shift) / scale).to(device)

    @torch.inference_mode()
    def features(self, pictures: Sequence[Picture]) -> list[Tensor]:
        """uint8 H×W×3 of one size → five N×C×h×w, of length 1 at each position."""
        levels = torch.from_numpy(np.stack(pictures)).to(self.device).permute(0, 3, 1, 2)
        x = levels.float() * self.factor + self.offset  # channels last, as convolutions like it
        found = []
        for weight, bias, stride, padding, pooled in self.layers:
            x = F.max_pool2d(x, 3, 2) if pooled else x
            x = F.relu_(F.conv2d(x, weight, bias, stride, padding))
            found.append(x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + UNIT_EPS))
        return found

    @torch.inference_mode()
    def between(self, some: Sequence[Tensor], others: Sequence[Tensor]) -> list[float]:
        """LPIPS of each of N pictures and the one of `others`, by their `features`."""
        total = torch.zeros(len(some[0]), device=self.device)
        for one, other, head in zip(some, others, self.heads, strict=True):
            total += ((one - other).square_() * head).sum(1).mean((1, 2))
        values: list[float] = total.tolist()
        return values


@functools.cache
def load_reference(device: str = "cpu") -> Distance:
    """With the half precision weights in the folder PATINA_REFERENCE_WEIGHTS, made once. Raises
    CheckpointError."""
    folder = os.environ.get(WEIGHTS_FOLDER)
    advice = f"set {WEIGHTS_FOLDER} to the folder that holds the right {REFERENCE_FILE}"
    if not folder:
        what = f"LPIPS needs weights, and {WEIGHTS_FOLDER} is not set"
        raise CheckpointError(REFERENCE_FILE, what, f"{advice}, or ask for the official ones")
    data = known_bytes(Path(folder) / REFERENCE_FILE, REFERENCE_SHA256, advice, OWNER)
    weights = safetensors.torch.load(data)
    return Distance({name: value.float() for name, value in weights.items()}, device)


def load_official(network: Path, heads: Path, device: str = "cpu") -> Distance:
    """With torchvision's ``alexnet-owt-7be5be79.pth`` and LPIPS's ``v0.1/alex.pth``, known by their
    sha256. Raises CheckpointError."""
    advice = "remove it and run it again: it will be fetched"
    weights = unpickled(network, NETWORK_SHA256, advice, OWNER)
    found = unpickled(heads, HEADS_SHA256, advice, OWNER)
    named = {f"{name.split('.')[0]}.weight": value for name, value in found.items()}
    return Distance({**weights, **named}, device)


def _placed(weight: Tensor, device: str | torch.device) -> Tensor:
    layout = torch.channels_last if weight.ndim == 4 else torch.preserve_format
    return weight.float().to(device).contiguous(memory_format=layout).requires_grad_(False)
