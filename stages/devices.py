"""What a command computes on: device, loader processes, and whether data and system fit."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.systems import System


def choose_device(name: str) -> str:
    """ "auto" is CUDA where there is a card. Raises ParamsError for what is not there."""
    import torch

    from pipeline.errors import ParamsError

    if name not in ("auto", "cpu", "cuda"):
        raise ParamsError(f"--device {name}", "is not known", "use auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParamsError("--device cuda", "no CUDA device is available", "use --device auto")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def choose_workers(num_streams: int, size: int = 1, here: int = 1) -> int:
    """The most loader processes that half the cores can feed and the streams can be dealt to, for
    each of `size` training processes, of which `here` share the cores."""
    limit = (os.cpu_count() or 1) // 2 // here
    return max((n for n in range(1, limit + 1) if num_streams % (size * n) == 0), default=0)


def check_channels(
    system: System, where: str, recipe: str, found: Collection[tuple[int, int]]
) -> None:
    """Raises ParamsError when a recipe's pictures are not for the system. `found`: the channels
    (1 gray, 3 RGB) of its inputs and targets; gray ones are given to RGB systems as equal channels.
    """
    from pipeline.errors import ParamsError

    takes, makes = system.channels, system.target_channels
    if any(given > takes for given, _ in found):
        what = f"{recipe} is RGB, the system takes gray pictures"
    elif any(wanted > makes for _, wanted in found):
        what = f"the originals of {recipe} are RGB, the system makes gray pictures"
    elif makes > takes and all(wanted < makes for _, wanted in found):
        what = f"the originals of {recipe} are gray, the system learns to color them"
    else:
        return
    raise ParamsError(f"params: {where}.recipe", what, "name another recipe")
