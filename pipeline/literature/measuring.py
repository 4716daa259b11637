"""The untouched input, non-local means at its very best, and a system, on the same pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from pipeline import fidelity
from pipeline.images import Array, to_gray, to_rgb
from pipeline.literature.pictures import Progress, Seen, read_pixels
from pipeline.literature.protocol import PEAK, Damage, Noise, Pair, input_psnr
from pipeline.restore import Window, plan_windows
from pipeline.systems import System
from pipeline.systems.baselines import NLM_STRENGTHS, NLM_TEMPLATES, NonLocalMeans

MAX_WHOLE = 1 << 20  # px of a picture that goes through a system in one piece
NUM_TUNED, CROP = 8, 128  # pictures, and px of their middle, that a first strength is sought on

Row = dict[str, float | None]
Place = tuple[int, int]  # of a template, and of a strength


@dataclass(frozen=True)
class Bench:
    """Pictures under one protocol; each is read and damaged anew when it is asked for."""

    pictures: Sequence[Seen]
    protocol: Noise | Damage
    max_megapixels: float

    def __len__(self) -> int:
        return len(self.pictures)

    def pair(self, place: int) -> Pair:
        """The picture at this place, clean and damaged."""
        one = self.pictures[place]
        return self.protocol.pair(one.name, read_pixels(one.path, self.max_megapixels)[0])


class Measured(NamedTuple):
    """A row (`psnr` in dB, clipped at 100, `ssim`) for each picture; `more` about the method."""

    rows: list[Row]
    more: dict[str, Any]

    @property
    def means(self) -> dict[str, float | None]:
        """Over pictures."""
        means = fidelity.aggregate(self.rows)
        return {name: _rounded(means[name]) for name in ("psnr", "ssim")}


def measure_input(bench: Bench, progress: Progress) -> Measured:
    """What goes in, untouched. `more`: how many pictures a recipe left as they were."""
    rows: list[Row] = []
    for place in range(len(bench)):
        pair = bench.pair(place)
        rows.append(_row(input_psnr(pair), pair.quantized, pair.clean))
        progress(place + 1, len(bench))
    untouched = sum(row["psnr"] == fidelity.PSNR_CLIP for row in rows)
    return Measured(rows, {"undamaged_count": untouched} if untouched else {})


def measure_oracle(bench: Bench, progress: Progress) -> Measured:
    """Non-local means with the strength that is best for these very pictures: more than any method
    may know. `more`: its `strength`.

    A start comes from parts of a few pictures; from there strength and template climb, by mean PSNR
    over all of all pictures, until none of the up to eight neighbours of the best is better.
    """
    method, tried = NonLocalMeans(), dict[Place, list[Row]]()
    start = method.tune(_parts(bench))
    best = NLM_TEMPLATES.index(int(start["template"])), NLM_STRENGTHS.index(start["h"])
    wanted, done = _around(best), 0
    while wanted:
        tried |= {place: [] for place in wanted}
        total = done + len(bench)
        for number in range(len(bench)):
            pair = bench.pair(number)
            for place in wanted:
                restored = method.restore(pair.quantized, None, _strength(place))
                psnr = fidelity.psnr(restored, pair.clean)
                tried[place].append(_row(psnr, restored, pair.clean))
            done += 1
            progress(done, total)
        # of equals the weaker, of templates the customary one
        best = max(tried, key=lambda place: (_total_psnr(tried[place]), -place[1], -place[0]))
        wanted = _around(best) - set(tried)
    return Measured(tried[best], {"strength": _strength(best)})


def measure_system(
    bench: Bench,
    system: System,
    device: torch.device,
    progress: Progress,
    keep: Callable[[Pair, Array], None] | None = None,
) -> Measured:
    """A system's composites; each is handed to `keep`. `more`: scores of its masks, where it finds
    masks and the true ones are known."""
    rows: list[Row] = []
    counts: list[fidelity.MaskCounts] = []
    for place in range(len(bench)):
        pair = bench.pair(place)
        restored, found = restore(pair, system, device)
        rows.append(_row(fidelity.psnr(restored, pair.clean), restored, pair.clean))
        if found is not None and pair.mask is not None:
            counts.append(fidelity.mask_counts(found, pair.mask, system.threshold))
        if keep is not None:
            keep(pair, restored)
        progress(place + 1, len(bench))
    scores = {name: _rounded(value) for name, value in fidelity.mask_scores(counts).items()}
    return Measured(rows, {"mask": scores} if counts else {})


@torch.no_grad()
def restore(
    pair: Pair, system: System, device: torch.device, max_whole: int = MAX_WHOLE
) -> tuple[Array, Array | None]:
    """The composite, uint8 and gray or RGB as ``pair.clean``, and the probability of damage,
    float32 H×W, or None. More than `max_whole` pixels go in as overlapping tiles."""
    height, width = pair.given.shape[:2]
    x = _tensor(_fit(pair.given, system.channels), device)
    keep = None if pair.keep is None else _tensor(pair.keep[:, :, None] > 0, device, 1)
    parts = [Window(slice(0, height), slice(0, width), np.ones((1, 1, 1), np.float32))]
    if height * width > max_whole:
        parts = list(plan_windows(height, width))
    degraded = _judge(system, x, keep, parts)
    picture = np.zeros((height, width, system.target_channels), np.float32)
    mask, total = (np.zeros((height, width, 1), np.float32) for _ in range(2))
    masked = False
    for rows, columns, weights in parts:
        part = None if keep is None else keep[..., rows, columns]
        made = system.restore(x[..., rows, columns], keep=part, degraded=degraded)
        picture[rows, columns] += _array(made.composite) * weights
        total[rows, columns] += weights
        if made.mask is not None:
            masked = True
            mask[rows, columns] += _array(made.mask) * weights
    levels = np.rint(np.clip(picture / total, 0, 1) * PEAK).astype(np.uint8)
    return _fit(levels, pair.clean.shape[2]), (mask / total)[:, :, 0] if masked else None


def _judge(
    system: System, x: torch.Tensor, keep: torch.Tensor | None, parts: Sequence[Window]
) -> torch.Tensor | None:
    """One judgement of the whole picture: the mean over its parts, by their size."""
    if len(parts) == 1:
        return None  # `restore` judges what it sees
    judged = []
    for rows, columns, _ in parts:
        part = x[..., rows, columns]
        kept = None if keep is None else keep[..., rows, columns]
        one = system.judge(part, kept)
        if one is None:
            return None
        judged.append(one.float().mean() * part[0, 0].numel())
    size = sum(x[0, 0, rows, columns].numel() for rows, columns, _ in parts)
    return torch.stack(judged).sum() / size


def _parts(bench: Bench) -> list[tuple[Array, Array, Array]]:
    """The middles of a few pictures, evenly chosen, as baselines are tuned by."""
    places = sorted({round(p) for p in np.linspace(0, len(bench) - 1, NUM_TUNED)})
    parts = []
    for pair in map(bench.pair, places):
        height, width = pair.clean.shape[:2]
        top, left = max(0, height - CROP) // 2, max(0, width - CROP) // 2
        middle = slice(top, top + CROP), slice(left, left + CROP)
        clean, given = pair.clean[middle], pair.quantized[middle]
        parts.append((clean, given, np.zeros(clean.shape[:2], np.uint8)))
    return parts


def _around(place: Place) -> set[Place]:
    """A place and its neighbours."""
    templates, strengths = (range(max(0, at - 1), at + 2) for at in place)
    return {
        (template, strength)
        for template in templates
        for strength in strengths
        if template < len(NLM_TEMPLATES) and strength < len(NLM_STRENGTHS)
    }


def _strength(place: Place) -> dict[str, float]:
    return {"h": NLM_STRENGTHS[place[1]], "template": float(NLM_TEMPLATES[place[0]])}


def _row(psnr: float | None, picture: Array, clean: Array) -> Row:
    clipped, _ = fidelity.clip_psnr([psnr])
    return {"psnr": _rounded(clipped[0]), "ssim": _rounded(fidelity.ssim(picture, clean))}


def _total_psnr(rows: Sequence[Row]) -> float:
    return math.fsum(row["psnr"] or 0.0 for row in rows)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _fit(picture: Array, channels: int) -> Array:
    """Gray repeated, or the luma of uint8 RGB, where the number of channels asks for it."""
    if picture.shape[2] == channels:
        return picture
    return to_rgb(picture) if channels == 3 else to_gray(picture)


def _tensor(picture: Array, device: torch.device, full: int = PEAK) -> torch.Tensor:
    """H×W×C levels → 1×C×H×W float32, in [0, 1] but for what noise carries beyond."""
    values = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32) / full
    return torch.from_numpy(values).to(device)


def _array(x: torch.Tensor) -> Array:
    return x[0].float().permute(1, 2, 0).cpu().numpy()
