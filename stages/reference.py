"""Weights of published networks that reports measure with: where they lie, and how they are
fetched."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from stages.console import progress

if TYPE_CHECKING:
    from pipeline.metrics.alexnet import Distance

# torchvision's AlexNet, of which LPIPS takes the convolutions, and the heads of LPIPS v0.1.
NETWORK = ("https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", 244_408_911)
HEADS = (
    "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/"
    "lpips/weights/v0.1/alex.pth",
    6_009,
)


def load_lpips(
    source: Literal["reference", "official"] | None, device: str = "cpu"
) -> Distance | None:
    """The network of LPIPS: with the weights in PATINA_REFERENCE_WEIGHTS, with the official files
    (fetched once, 244 MB), or none. Raises CheckpointError, and DownloadError."""
    if source is None:
        return None
    from pipeline.metrics import alexnet

    if source == "reference":
        return alexnet.load_reference(device)
    network = fetch(NETWORK[0], alexnet.NETWORK_SHA256, NETWORK[1])
    heads = fetch(HEADS[0], alexnet.HEADS_SHA256, HEADS[1])
    return alexnet.load_official(network, heads, device)


def fetch(url: str, sha256: str, num_bytes: int) -> Path:
    """A published file in the cache, known by its hash; brought there if it is not."""
    from pipeline.downloads import Remote, download

    target = cache_folder() / url.rsplit("/", 1)[1]
    if target.is_file():  # whoever opens it looks at its hash again
        return target
    with progress(f"fetch {target.name}") as show:
        download(Remote(url, sha256, num_bytes), target, show)
    return target


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/patina``, by default ``~/.cache/patina``: shared by all projects, and safe
    to remove."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "patina"
