"""The bank is the same for a seed, grows only at its end, and measures like real scans."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline import seeds
from pipeline.config import validate
from pipeline.errors import ParamsError
from pipeline.textures import KINDS, TexturesSection, draw_bank, draw_overlay, overlay_from_scan
from pipeline.textures.fields import noise, rank

SIZE = 256
PHOTOS = os.environ.get("PATINA_PHOTOS")
ROOT = Path(__file__).resolve().parents[2]

# per kind, over seeds: bounds of the median overlay's mean, share > 4 and share > 64
BOUNDS = {
    "dust": ((1.0, 8.0), (0.03, 0.25), (0.004, 0.05)),
    "hair": ((1.0, 8.0), (0.02, 0.20), (0.005, 0.05)),
    "scratches": ((1.5, 12.0), (0.04, 0.30), (0.006, 0.08)),
    "folds": ((1.0, 12.0), (0.03, 0.30), (0.004, 0.07)),
    "stains": ((1.0, 14.0), (0.04, 0.45), (0.001, 0.06)),
    "blotches": ((1.5, 14.0), (0.05, 0.45), (0.004, 0.09)),
    "mixed": ((3.0, 25.0), (0.10, 0.60), (0.010, 0.15)),
}


def bank(num_overlays: int, seed: int, size: int) -> dict[str, NDArray[np.uint8]]:
    section = TexturesSection(num_overlays=num_overlays, size=size)
    return dict(draw_bank(section, seed))


def digest(overlays: dict[str, NDArray[np.uint8]]) -> str:
    whole = hashlib.sha256()
    for name, overlay in overlays.items():
        whole.update(name.encode() + overlay.tobytes())
    return whole.hexdigest()


def measures(overlay: NDArray[np.uint8]) -> tuple[float, float, float]:
    return float(overlay.mean()), float((overlay > 4).mean()), float((overlay > 64).mean())


def test_same_seed_same_bytes_in_another_process() -> None:
    code = (
        "from tests.pipeline.test_textures import bank, digest\n"
        f"print(digest(bank({len(KINDS)}, 5, 128)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"}
    other = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == digest(bank(len(KINDS), 5, 128))


def test_bytes_do_not_depend_on_threads() -> None:
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        alone = digest(bank(len(KINDS), 3, SIZE))
        cv2.setNumThreads(4)
        assert digest(bank(len(KINDS), 3, SIZE)) == alone
    finally:
        cv2.setNumThreads(before)


def test_a_short_bank_begins_a_long_one() -> None:
    short, long = bank(12, 1, 64), bank(64, 1, 64)
    assert list(long)[:12] == list(short) and len(long) == 64
    assert all(np.array_equal(long[name], short[name]) for name in short)
    names = list(short)
    assert names[0] == f"{KINDS[0]}-000" and names[len(KINDS)] == f"{KINDS[0]}-001"


def test_seeds_differ() -> None:
    first, second = bank(len(KINDS), 1, 64), bank(len(KINDS), 2, 64)
    assert all(not np.array_equal(first[name], second[name]) for name in first)


def test_no_two_overlays_alike() -> None:
    overlays = list(bank(64, 11, SIZE).values())
    vectors = []
    for overlay in overlays:
        flat = cv2.blur(overlay, (5, 5)).astype(np.float64).ravel()
        flat -= flat.mean()
        vectors.append(flat / np.linalg.norm(flat))
    alike = np.array(vectors) @ np.array(vectors).T - np.eye(64)
    assert alike.max() < 0.7


def test_no_overlay_repeats_itself() -> None:
    for name, overlay in bank(2 * len(KINDS), 4, SIZE).items():
        part = overlay.astype(np.float64) - overlay.mean()
        spectrum = np.abs(np.fft.fft2(part)) ** 2
        correlation = np.fft.ifft2(spectrum).real
        correlation /= correlation[0, 0]
        far = correlation[SIZE // 8 : -SIZE // 8, SIZE // 8 : -SIZE // 8]
        assert far.max() < 0.5, name


@pytest.mark.parametrize("kind", KINDS)
def test_figures_of_a_kind(kind: str) -> None:
    overlays = [draw_overlay(kind, SIZE, seeds.rng(seed, "test", kind)) for seed in range(15)]
    rows = np.array([measures(overlay) for overlay in overlays])
    for values, (low, high) in zip(rows.T, BOUNDS[kind], strict=True):
        assert low <= np.median(values) <= high
    assert rows[:, 0].max() < 45 and rows[:, 2].max() < 0.25  # never a covered photo
    assert rows[:, 1].min() > 0.004 and all(overlay.max() > 60 for overlay in overlays)
    assert all(np.median(overlay) <= 12 for overlay in overlays)  # most of the map leaves alone


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(KINDS), st.integers(64, 200), st.integers(0, 2**63))
def test_any_size_and_seed(kind: str, size: int, seed: int) -> None:
    overlay = draw_overlay(kind, size, seeds.rng(seed, "any"))
    assert overlay.shape == (size, size) and overlay.dtype == np.uint8 and overlay.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_larger_map_is_the_same_wear(kind: str) -> None:
    small = np.median([draw_overlay(kind, 384, seeds.rng(n, "s")).mean() for n in range(7)])
    large = np.median([draw_overlay(kind, 768, seeds.rng(n, "s")).mean() for n in range(7)])
    assert 0.4 < large / small < 2.5


def test_unknown_kind_names_the_known() -> None:
    with pytest.raises(ValueError, match="dust"):
        draw_overlay("rust", 64, seeds.rng(0))


@pytest.mark.parametrize(
    "data",
    [
        {"num_overlays": 0, "size": 512},
        {"num_overlays": 64, "size": 63},
        {"num_overlays": 64, "size": 4097},
        {"num_overlays": 64, "size": 512.0},
        {"num_overlays": 64},
        {"num_overlays": 64, "size": 512, "sizes": 1},
    ],
)
def test_section_is_strict(data: dict[str, object]) -> None:
    with pytest.raises(ParamsError, match="textures"):
        validate(data, "textures", TexturesSection)


def test_noise_is_smooth_and_wide() -> None:
    field = noise(SIZE, (8, 8), seeds.rng(1, "noise"))
    assert field.min() >= 0 and field.max() <= 65535 and np.ptp(field) > 20000
    assert np.abs(np.diff(field, axis=0)).max() < 65535 / (SIZE / 8) * 2
    assert 0.15 < (field > rank(field, 0.2)).mean() < 0.25


def planted(ground: int, mark: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A scan with lamp fall-off and grain, and the truth about the scratches in it."""
    generator = seeds.rng(seed, "planted")
    marks = np.zeros((400, 500), np.uint8)
    for _ in range(25):
        ends = generator.integers(0, [500, 400], (2, 2)).tolist()
        cv2.line(marks, ends[0], ends[1], 255, int(generator.integers(1, 4)))
    fall_off = np.linspace(-8, 8, 500)[None, :] + np.linspace(-4, 4, 400)[:, None]
    grain = generator.normal(size=marks.shape) * 3
    scan = ground + fall_off + grain + (marks / 255.0) * mark
    return np.clip(np.rint(scan), 0, 255).astype(np.uint8), marks > 0


@pytest.mark.parametrize(
    ("ground", "mark"), [(20, 150), (20, 60), (235, -150), (235, -60), (128, 70), (128, -70)]
)
def test_planted_scratches_are_found(ground: int, mark: int) -> None:
    scan, truth = planted(ground, mark, 3)
    overlay = overlay_from_scan(scan)
    found = overlay > 96
    overlap = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert overlap > 0.95
    assert overlay[~truth].mean() < 3 and np.median(overlay) == 0


def test_color_and_negative_of_a_scan_agree() -> None:
    scan, _ = planted(20, 150, 5)
    overlay = overlay_from_scan(scan)
    assert np.array_equal(overlay_from_scan(np.repeat(scan[:, :, None], 3, axis=2)), overlay)
    negative = overlay_from_scan(255 - scan)
    assert np.abs(negative.astype(int) - overlay).max() <= 12


def test_wide_patches_stay_and_grain_does_not_become_wear() -> None:
    generator = seeds.rng(9, "grain")
    scan = np.clip(generator.normal(size=(300, 300)) * 6 + 30, 0, 255).astype(np.uint8)
    assert overlay_from_scan(scan).mean() < 3
    scan[60:220, 60:220] = 200  # wider than the window that the ground is taken from
    assert overlay_from_scan(scan)[80:200, 80:200].min() > 200


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_blank_scans_of_any_size_are_empty(height: int, width: int, level: int) -> None:
    overlay = overlay_from_scan(np.full((height, width), level, np.uint8))
    assert overlay.shape == (height, width) and not overlay.any()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 8), np.float32),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((0, 8), np.uint8),
    ],
)
def test_other_arrays_are_refused(image: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="scan"):
        overlay_from_scan(image)  # type: ignore[arg-type]


def real_overlays(prefix: str) -> list[NDArray[np.uint8]]:
    files = sorted(Path(PHOTOS or "").joinpath("textures").glob(f"{prefix}__*"))
    scans = [cv2.imdecode(np.frombuffer(f.read_bytes(), np.uint8), 1) for f in files]
    return [overlay_from_scan(scan[:, :, ::-1]) for scan in scans if scan is not None]


@pytest.mark.skipif(PHOTOS is None, reason="PATINA_PHOTOS names the folder of real photos")
def test_figures_lie_inside_the_spread_of_real_scans() -> None:
    real = np.array([measures(overlay) for overlay in real_overlays("dark_overlay")])
    assert len(real) >= 10
    for kind in KINDS:
        ours = [draw_overlay(kind, 512, seeds.rng(n, "real", kind)) for n in range(30)]
        middle = np.median(np.array([measures(overlay) for overlay in ours]), axis=0)
        # scans show dust, hair and scratches, alone or together; folds and stains come rarer
        least = real.min(axis=0) * (1.0 if kind in ("dust", "hair", "scratches", "mixed") else 0.4)
        assert np.all(middle > least) and np.all(middle < real.max(axis=0)), kind


@pytest.mark.skipif(PHOTOS is None, reason="PATINA_PHOTOS names the folder of real photos")
def test_real_scans_are_lifted() -> None:
    for prefix in ("dark_overlay", "light_overlay", "crease", "grunge"):
        for overlay in real_overlays(prefix):
            mean, any_mark, strong = measures(overlay)
            assert 1 < mean < 80 and 0.03 < any_mark < 0.9 and 0.004 < strong < 0.5, prefix
