"""Does a network that learned on banked grain restore fresh grain as well as one that learned on
fresh grain? Both start from the same weights and see the same tiles."""

from importlib.resources import files
from statistics import fmean

import numpy as np
import torch

from pipeline import seeds
from pipeline.corruptions import CORRUPTIONS
from pipeline.images import resize, to_gray
from pipeline.photos import decode_rgb
from pipeline.sources.sample import PHOTOS

SIGMA, SIDE, WIDTH, STEPS, BATCH, SEEDS = 25.0, 40, 24, 1500, 8, (1, 2)
FLOOR = -0.05  # dB

Array = np.ndarray


def main() -> list[dict]:
    """Rows: PSNR (dB) on fresh grain, of the network from the bank and of that from fresh grain."""
    torch.set_num_threads(1)
    train, test = [_load(PHOTOS[split]) for split in ("train", "test")]
    banked = [_learn(train, test, _bank, seed) for seed in SEEDS]
    fresh = [_learn(train, test, _fresh, seed) for seed in SEEDS]
    ours, peer = fmean(banked), fmean(fresh)
    what = "PSNR (dB) on fresh grain, learned on banked grain against on fresh; ratio: difference"
    return [{"id": "noise-bank", "what": what, "ours": ours, "peer": peer, "ratio": ours - peer,
             "floor": FLOOR, "ceiling": None}]  # fmt: skip


def _load(names: tuple[str, ...]) -> list[Array]:
    photos = [decode_rgb((files("skimage") / "data" / name).read_bytes(), 80.0) for name in names]
    return [to_gray(resize(photo, 300, 300 * photo.shape[1] // photo.shape[0])) for photo in photos]


def _bank(tile: Array, *purpose: str | int) -> Array:
    family = CORRUPTIONS["grain"](
        kinds=("gaussian",),
        sigma_range=(SIGMA, SIGMA),
        size_range=(0.002, 0.002),
        gray_probability=1.0,
    )
    return family.apply(tile, family.draw(tile.shape[:2], seeds.rng(0, *purpose)))[0]


def _fresh(tile: Array, *purpose: str | int) -> Array:
    noise = seeds.rng(0, *purpose).normal(0, SIGMA, tile.shape)
    return np.clip(np.rint(tile + noise), 0, 255).astype(np.uint8)


def _learn(train: list[Array], test: list[Array], noisy, seed: int) -> float:
    torch.manual_seed(seed)
    inner = [torch.nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(4)]
    layers: list[torch.nn.Module] = [torch.nn.Conv2d(1, WIDTH, 3, padding=1), torch.nn.ReLU()]
    layers += [part for conv in inner for part in (conv, torch.nn.ReLU())]
    net = torch.nn.Sequential(*layers, torch.nn.Conv2d(WIDTH, 1, 3, padding=1))
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=STEPS)
    pick = seeds.rng(seed, "pick")
    for step in range(STEPS):
        tiles = [_tile(train, pick) for _ in range(BATCH)]
        noise = [noisy(tile, "train", seed, step, n) for n, tile in enumerate(tiles)]
        x, y = _batch(noise), _batch(tiles)
        loss = ((x - net(x) - y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
    with torch.no_grad():
        return fmean(_psnr(net, photo, number) for number, photo in enumerate(test))


def _tile(photos: list[Array], pick: np.random.Generator) -> Array:
    photo = photos[int(pick.integers(len(photos)))]
    top, left = (int(pick.integers(size - SIDE)) for size in photo.shape[:2])
    return np.ascontiguousarray(photo[top : top + SIDE, left : left + SIDE])


def _batch(tiles: list[Array]) -> torch.Tensor:
    return torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).float() / 255 - 0.5


def _psnr(net: torch.nn.Module, photo: Array, number: int) -> float:
    x = _batch([_fresh(photo, "test", number)])
    restored = ((x - net(x)).clamp(-0.5, 0.5) + 0.5).numpy()[0, 0] * 255
    error = ((np.rint(restored) - photo[:, :, 0]) ** 2).mean()
    return float(10 * np.log10(255**2 / error))
