"""Why a photo is where the index has it: its group, its twins, its split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.splits import IndexSection, Photo

MAX_FELLOWS = 50  # of a group, compared one by one
SHORT = 12  # characters of an id


def explain_photo(
    path: Path, home: Path, word: str, section: IndexSection, seed: int
) -> Iterator[str]:
    """Lines about the photos of the index at `path` that `word` names: a file, a name or path of a
    row, or the start of an id. Photos lie below `home`."""
    from pipeline.splits import PhotoIndexError, read_index

    photos = read_index(path)
    rejected = json.loads(path.read_text(encoding="utf-8")).get("rejected", [])
    chosen = [photo for photo in photos if _is_named(photo.name, photo.path, word)]
    chosen = chosen or [photo for photo in photos if len(word) > 5 and photo.id.startswith(word)]
    refused = [row for row in rejected if _is_named(row["name"], row["path"], word)]
    if not chosen and not refused:
        identity = _id_of_file(Path(word), section.max_megapixels)
        chosen = [photo for photo in photos if photo.id == identity]
    if not chosen and not refused:
        raise PhotoIndexError(path, f"holds no photo {word}", "index it, or name another")
    for photo in chosen:
        yield f"{photo.name}: id {photo.id}, source {photo.source}, {photo.width}x{photo.height}"
        fellows = [one for one in photos if one.group == photo.group and one.id != photo.id]
        yield from _group(home, photo, fellows, section.max_megapixels)
        yield f"  split {photo.split}: {_why(photo, fellows, section, seed)}"
    for row in refused:
        yield f"{row['name']}: rejected ({row['kind']}), source {row['source']}: {row['reason']}"


def _is_named(name: str, path: str, word: str) -> bool:
    """By its name, its path in the folder, or a path that ends in that."""
    return word in (name, path) or word.endswith(f"/{path}") or word == Path(name).name


def _id_of_file(path: Path, max_megapixels: float) -> str | None:
    from pipeline.photos import decode_rgb
    from pipeline.splits import pixel_id

    return pixel_id(decode_rgb(path.read_bytes(), max_megapixels)) if path.is_file() else None


def _group(home: Path, photo: Photo, fellows: list[Photo], limit: float) -> Iterator[str]:
    from pipeline.splits import load_photo
    from pipeline.twins import are_twins, compare, look_of

    if not fellows:
        yield f"  group {photo.group}: alone in it, no near-duplicate"
        return
    yield f"  group {photo.group}: {len(fellows)} more"
    look = look_of(load_photo(home, photo, limit))
    for one in fellows[:MAX_FELLOWS]:
        twin = compare(look, look_of(load_photo(home, one, limit)))
        link = "near-duplicate" if are_twins(twin) else "here through others or its source"
        yield (
            f"    {one.name} ({one.source}, {one.split}, id {one.id[:SHORT]}): {link}, "
            f"{twin.distance} of 63 bits differ, correlation {twin.correlation:.3f}, "
            f"{twin.symmetry}"
        )
    if len(fellows) > MAX_FELLOWS:
        yield f"    and {len(fellows) - MAX_FELLOWS} more"


def _why(photo: Photo, fellows: list[Photo], section: IndexSection, seed: int) -> str:
    from pipeline.splits import place_of, split_of

    if photo.official:
        return f"official in source {photo.source}"
    for one in fellows:
        if one.official:
            return f"that of its group, official for {one.name} in source {one.source}"
    no_test = any(one.no_test for one in (photo, *fellows))
    if split_of(photo.group, section, seed, no_test) != photo.split:
        return "kept from an earlier index, in which its group had it"
    test, val = section.test_share, section.test_share + section.val_share
    if no_test:
        test, val = 0.0, section.val_share
    return (
        f"the hash of its group under seed {seed} is {place_of(photo.group, seed):.4f}, where "
        f"0 to {test:g} is test, to {val:g} val, to 1 train"
    )
