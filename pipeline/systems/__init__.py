"""What a restoration system is: named groups of weights, their losses, and how it restores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config import Registry, Section, section, validate
from pipeline.seeds import derive

Tensor = torch.Tensor
Terms = dict[str, Tensor]


class Pairs(Protocol):
    """A training batch: float32 NCHW in [0, 1]; `mask` N1HW, 1 = damaged."""

    @property
    def clean(self) -> Tensor: ...
    @property
    def corrupted(self) -> Tensor: ...
    @property
    def mask(self) -> Tensor: ...


class Restored(NamedTuple):
    """float32 in [0, 1]. `mask`: N1HW probability of damage, or None where a system finds none.

    `composite` equals the input wherever no damage was found; without a mask it is the prediction.
    `stages`: the intermediate pictures of chained systems.
    """

    prediction: Tensor
    mask: Tensor | None
    composite: Tensor
    stages: dict[str, Tensor]


class System(nn.Module):
    """A network with its losses. Subclasses live one in a file, beside their params type."""

    section_type: ClassVar[type[Section]]
    phases: ClassVar[tuple[str, ...]] = ("fit",)
    needs_mask: ClassVar[bool] = False  # True: `updates` reads the mask, so each sample needs one
    channels: int  # of the input: 1 gray, 3 RGB
    threshold: float = 0.5  # mask probability from which a pixel counts as damaged

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """Child modules that train in this phase, by name; called only through forward."""
        raise NotImplementedError

    def updates(self, phase: str, batch: Pairs) -> Iterator[tuple[str, Terms]]:
        """Yield (group, weighted loss terms); the group has stepped when the generator goes on."""
        raise NotImplementedError

    def restore(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        keep: Tensor | None = None,
        color: bool | None = None,
    ) -> Restored:
        """Restore N×`channels`×H×W in [0, 1] of any height and width."""
        raise NotImplementedError


SYSTEMS: Registry[type[System]] = Registry("system", "pipeline.systems")


def make_system(name: str, params: dict[str, Any], seed: int) -> tuple[System, dict[str, Any]]:
    """The untrained system `name`, its start drawn from `seed`, and its params block for
    checkpoints."""
    kind = SYSTEMS[name]
    block = section(params, f"systems.{name}", kind.section_type)
    torch.manual_seed(derive(seed, "init", name) % 2**63)
    return kind(block), block.model_dump(mode="json")


def rebuild_system(name: str, block: dict[str, Any]) -> System:
    """A system from the block that its checkpoint holds."""
    kind = SYSTEMS[name]
    return kind(validate(block, f"checkpoint: {name}", kind.section_type))


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad right and below by reflection; by the edge where a side is too short to reflect."""
    height, width = x.shape[-2:]
    below, right = -height % multiple, -width % multiple
    vertical = "reflect" if below < height else "replicate"
    horizontal = "reflect" if right < width else "replicate"
    x = F.pad(x, (0, 0, 0, below), mode=vertical) if below else x
    return F.pad(x, (0, right, 0, 0), mode=horizontal) if right else x


def count_parameters(module: nn.Module) -> int:
    """Trainable numbers."""
    return sum(parameter.numel() for parameter in module.parameters())
