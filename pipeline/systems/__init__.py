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
    """A training batch: float32 NCHW in [0, 1]; `mask` N1HW, 1 = damaged; `keep` N1HW, 1 = must be
    preserved, or None where no sample of the batch has any."""

    @property
    def clean(self) -> Tensor: ...
    @property
    def corrupted(self) -> Tensor: ...
    @property
    def mask(self) -> Tensor: ...
    @property
    def keep(self) -> Tensor | None: ...


class Restored(NamedTuple):
    """float32 in [0, 1]. `mask`: N1HW probability of damage, or None where a system finds none.

    `composite` equals the input wherever no damage was found; without a mask it is the prediction.
    `stages`: the intermediate pictures of chained systems.
    """

    prediction: Tensor
    mask: Tensor | None
    composite: Tensor
    stages: dict[str, Tensor]


class Aside(NamedTuple):
    """What reports show of a system beside its result: pictures of the result's shape, such as an
    ablation's, and numbers (N a name), one for each picture of the batch."""

    pictures: dict[str, Tensor]
    numbers: dict[str, Tensor]


class System(nn.Module):
    """A network with its losses. Subclasses live one in a file, beside their params type."""

    section_type: ClassVar[type[Section]]
    needs_mask: ClassVar[bool] = False  # True: `updates` reads the mask, so each sample needs one
    phases: tuple[str, ...] = ("fit",)  # trained one after another, each from the last one's best
    channels: int  # of the input: 1 gray, 3 RGB
    threshold: float = 0.5  # mask probability from which a pixel counts as damaged
    tile: int | None = None  # px: the side of crops, where the network takes no other

    @property
    def target_channels(self) -> int:
        """Channels of the restored picture: 1 gray, 3 RGB."""
        return self.channels

    def groups(self, phase: str) -> dict[str, nn.Module]:
        """Child modules that train in this phase, by name; called only through forward.

        All others are frozen and in eval mode while it lasts.
        """
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
        degraded: Tensor | None = None,
    ) -> Restored:
        """Restore N×`channels`×H×W in [0, 1] of any height and width, as N×`target_channels`×H×W.

        `mask` N1HW: damage that is known already; `keep` N1HW: what must be preserved; `color`: is
        a colored picture wanted of a gray one? `degraded`, N or one for all: what `judge` said of
        the photos that these are tiles of. A system ignores what it does not know.
        """
        raise NotImplementedError

    def judge(
        self, x: Tensor, keep: Tensor | None = None, color: bool | None = None
    ) -> Tensor | None:
        """Probability that each whole photo is degraded, N in [0, 1]; None where a system does not
        judge. Its mean over the tiles of a photo goes into `restore` for each of them."""
        return None

    def aside(self, x: Tensor) -> Aside:
        """Of inputs as `restore` takes them, for reports alone."""
        return Aside({}, {})


SYSTEMS: Registry[type[System]] = Registry("system", "pipeline.systems")


def make_system(
    name: str, params: dict[str, Any], seed: int, kind: str | None = None
) -> tuple[System, dict[str, Any]]:
    """The untrained system `name`, of the `kind` of that name if no other is named: its start drawn
    from `seed`, and its params block for checkpoints."""
    made = SYSTEMS[kind or name]
    block = section(params, f"systems.{name}", made.section_type)
    torch.manual_seed(derive(seed, "init", name) % 2**63)
    return made(block), block.model_dump(mode="json")


def rebuild_system(kind: str, block: dict[str, Any]) -> System:
    """A system from the kind and the block that its checkpoint holds."""
    made = SYSTEMS[kind]
    return made(validate(block, f"checkpoint: {kind}", made.section_type))


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
