"""Near-duplicates are found whatever was done to them, and strangers are not."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import seeds
from pipeline import twins as twins_room
from pipeline.images import decode_jpeg, encode_jpeg, resize, to_gray, to_rgb
from pipeline.photos import decode_rgb
from pipeline.twins import (
    ALIKE,
    MAX_DISTANCE,
    NEAR,
    SYMMETRIES,
    are_twins,
    compare,
    find_twins,
    hashes_of,
    link_twins,
    look_of,
    near_pairs,
)

Array = np.ndarray
SIDE = 160


def crops(number: int) -> list[Array]:
    """Windows of scikit-image's photographs with something to see in them, uint8 160×160×3."""
    from skimage import data

    photos = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.retina(),
              data.camera(), data.moon(), data.coins(), data.immunohistochemistry(),
              data.stereo_motorcycle()[0], data.hubble_deep_field()]  # fmt: skip
    rng, found = seeds.rng(7, "crops"), []
    while len(found) < number:
        photo = photos[int(rng.integers(len(photos)))]
        photo = photo if photo.ndim == 3 else photo[:, :, None]
        top, left = (int(rng.integers(length - SIDE)) for length in photo.shape[:2])
        window = to_rgb(np.ascontiguousarray(photo[top : top + SIDE, left : left + SIDE]))
        if look_of(window).std() > 15:
            found.append(window)
    return found


def brightened(photo: Array) -> Array:
    return np.clip(photo * 1.15 + 10.0, 0, 255).astype(np.uint8)


def grainy(photo: Array) -> Array:
    noise = seeds.field(int(photo[0, 0, 0])).normal(0, 12, photo.shape)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)


def cropped(photo: Array) -> Array:
    """3 % off each side."""
    down, across = (round(0.03 * length) for length in photo.shape[:2])
    return photo[down:-down, across:-across]


EDITS: dict[str, Callable[[Array], Array]] = {
    "saved as JPEG": lambda photo: decode_jpeg(encode_jpeg(photo, 50)),
    "half the size": lambda photo: resize(photo, photo.shape[0] // 2, photo.shape[1] // 2),
    "gray": lambda photo: to_rgb(to_gray(photo)),
    "brighter": brightened,
    "grain": grainy,
    "mirrored": lambda photo: photo[:, ::-1],
    "upside down": lambda photo: photo[::-1, ::-1],
    "turned": lambda photo: np.rot90(photo),
    "turned the other way": lambda photo: np.rot90(photo, 3),
    "3 % crop": cropped,
}


def found_share(photos: list[Array], edit: Callable[[Array], Array]) -> float:
    """The share of photos whose edited twin is known as theirs."""
    twins = (compare(look_of(p), look_of(np.ascontiguousarray(edit(p)))) for p in photos)
    return sum(map(are_twins, twins)) / len(photos)


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_twin_is_found(name: str) -> None:
    assert found_share(crops(150), EDITS[name]) >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITS)
def test_an_edited_twin_of_500_outside_photos_is_found(name: str, photos: Path) -> None:
    files = sorted((photos / "train").rglob("*.jpg"))
    chosen = [files[i] for i in sorted(seeds.rng(7, "files").permutation(len(files))[:500])]
    assert found_share([decode_rgb(file.read_bytes(), 80.0) for file in chosen], EDITS[name]) > 0.99


@pytest.mark.parametrize("name", SYMMETRIES)
def test_every_symmetry_is_told_apart_and_exact(name: str, astronaut: Array) -> None:
    transposed, down, across = SYMMETRIES[name]
    first = look_of(astronaut)
    second = first[::down, ::across].T if transposed else first[::down, ::across]
    twin = compare(first, np.ascontiguousarray(second))
    assert (twin.distance, twin.symmetry) == (0, name)
    assert twin.correlation == pytest.approx(1.0)


def test_hashes_do_not_depend_on_the_processor() -> None:
    look = seeds.field(1).integers(0, 256, (32, 32), np.uint8)
    assert [f"{one:016x}" for one in hashes_of(look[None])[0, :3]] == PINNED


PINNED = ["15a2e8aceb85c762", "40f698b9bed08237", "6a22b76c9425b8ea"]


def test_photographs_of_other_things_are_no_twins() -> None:
    from skimage import data

    photos = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.retina(),
              data.stereo_motorcycle()[0], data.hubble_deep_field()]  # fmt: skip
    assert len(find_twins(np.stack([look_of(photo) for photo in photos]))) == 0


def test_near_hashes_alone_make_no_twins() -> None:
    waves = np.cos(np.outer(np.arange(12), np.arange(1, 64, 2)) * np.pi / 64)
    low = waves[:8].T @ seeds.rng(7, "low").normal(0, 4, (8, 8)) @ waves[:8]
    looks = [128 + low + 50 * np.outer(waves[k], waves[k]) for k in (9, 10)]  # above the hash's
    twin = compare(*(look.clip(0, 255).astype(np.uint8) for look in looks))
    assert twin.distance <= NEAR and twin.correlation < ALIKE
    assert not are_twins(twin)
    assert len(find_twins(np.stack(looks).clip(0, 255))) == 0


def test_the_stereo_pair_is_one() -> None:
    from skimage import data

    left, right, _ = data.stereo_motorcycle()
    looks = np.stack([look_of(left), look_of(data.coffee()), look_of(right)])
    assert find_twins(looks).tolist() == link_twins(looks).tolist() == [[0, 2]]
    assert compare(looks[0], looks[2]).symmetry == "as it is"


@pytest.mark.parametrize("number", [0, 1, 2, 17, 300])
def test_the_fast_search_finds_what_the_plain_one_does(number: int) -> None:
    rng = seeds.rng(7, "hashes", number)
    hashes = rng.integers(0, 2**63, (number, 8), np.uint64)
    hashes[:, 3] = hashes[::-1, 0] ^ rng.integers(0, 2**14, number, np.uint64)  # near ones
    found = {
        (int(one), int(other), place)
        for firsts, seconds, place in near_pairs(hashes)
        for one, other in zip(firsts, seconds, strict=True)
    }
    plain = {
        (one, other, place)
        for one in range(number)
        for other in range(one + 1, number)
        for place in range(8)
        if int(hashes[one, 0] ^ hashes[other, place]).bit_count() <= MAX_DISTANCE
    }
    assert found == plain
    assert number < 17 or plain


def test_the_search_crosses_the_borders_of_its_blocks() -> None:
    number = 9000  # columns are compared 4096 at a time
    hashes = seeds.rng(7, "blocks").integers(0, 2**63, (number, 8), np.uint64)
    for one, other in ((0, 8999), (4095, 4096), (8191, 8192), (15, 16)):
        hashes[other, 5] = hashes[one, 0]
    found = [
        (int(one), int(other))
        for firsts, seconds, place in near_pairs(hashes)
        for one, other in zip(firsts, seconds, strict=True)
        if place == 5
    ]
    assert {(0, 8999), (4095, 4096), (8191, 8192), (15, 16)} <= set(found)
    assert len(found) < 500


def test_flat_pictures_have_no_twins() -> None:
    looks = np.stack([np.full((32, 32), value, np.uint8) for value in (0, 0, 255)])
    assert len(find_twins(looks)) == len(link_twins(looks)) == 0
    assert compare(looks[0], looks[2]).correlation == 0


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 400, 3), (32, 32, 3), (999, 3, 3)])
def test_any_size_has_a_look(shape: tuple[int, ...]) -> None:
    look = look_of(seeds.field(3).integers(0, 256, shape, np.uint8))
    assert look.shape == (32, 32) and look.dtype == np.uint8


def test_every_pair_comes_once_whatever_symmetries_fit_it() -> None:
    half = cv2.resize(np.array([[10, 90], [200, 40]], np.uint8), (16, 32))
    mirrored = np.hstack([half, half[:, ::-1]])  # two symmetries fit it
    twins = find_twins(np.stack([mirrored, mirrored, mirrored]))
    assert twins.tolist() == [[0, 1], [0, 2], [1, 2]]


def components(pairs: Array, number: int) -> list[int]:
    """The smallest fellow of each."""
    smallest = list(range(number))
    for _ in range(number):
        for one, other in pairs.tolist():
            smallest[one] = smallest[other] = min(smallest[one], smallest[other])
    return smallest


def test_links_join_whom_all_pairs_join() -> None:
    photos = crops(30)
    looks = np.stack([look_of(np.ascontiguousarray(edit(photo)))
                      for photo in photos for edit in list(EDITS.values())[:6]])  # fmt: skip
    looks = looks[seeds.rng(7, "order").permutation(len(looks))]
    pairs, links = find_twins(looks), link_twins(looks)
    assert len(links) < len(looks) < len(pairs)
    assert {*map(tuple, links.tolist())} <= {*map(tuple, pairs.tolist())}
    assert components(links, len(looks)) == components(pairs, len(looks))


def test_a_thousand_look_alikes_are_linked_without_a_million_comparisons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number, compared = 3000, []
    noise = seeds.rng(7, "frames").integers(-3, 4, (number, 32, 32))
    looks = (look_of(crops(1)[0])[None] + noise).clip(0, 255).astype(np.uint8)
    correlate = twins_room._correlations

    def counted(firsts: Array, seconds: Array) -> Array:
        compared.append(len(firsts))
        return correlate(firsts, seconds)

    monkeypatch.setattr(twins_room, "_correlations", counted)
    assert len(link_twins(looks)) == number - 1
    assert sum(compared) < 20 * number
