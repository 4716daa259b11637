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
    row or one that ends in it, or the start of an id. Photos lie below `home`."""
    from pipeline.splits import PhotoIndexError, read_index

    photos = read_index(path)
    rejected = json.loads(path.read_text(encoding="utf-8")).get("rejected", [])
    named = [_matched(photo.name, photo.path, word) for photo in photos]
    names_refused = [_matched(row["name"], row["path"], word) for row in rejected]
    best = max([1, *named, *names_refused])
    chosen = [photo for photo, letters in zip(photos, named, strict=True) if letters == best]
    refused = [row for row, n in zip(rejected, names_refused, strict=True) if n == best]
    if not chosen and not refused:
        chosen = [photo for photo in photos if len(word) > 5 and photo.id.startswith(word)]
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


def _matched(name: str, path: str, word: str) -> int:
    """How many of its letters `word` has in common with a row that it names: by the name, by the
    path, by one that ends in either, or by the name's last part; else 0."""
    texts = [text for text in (name, path) if f"/{word}".endswith(f"/{text}")]
    return max(map(len, texts), default=len(word) * (word == Path(name).name))


def _id_of_file(path: Path, max_megapixels: float) -> str | None:
    """None if there is no such file. Raises ImageError if it is no photo."""
    from pipeline.errors import ImageError
    from pipeline.photos import decode_rgb
    from pipeline.reading import read_photo
    from pipeline.splits import pixel_id

    if not path.exists():
        return None
    try:
        return pixel_id(decode_rgb(read_photo(path, max_megapixels), max_megapixels))
    except ImageError as error:
        raise ImageError(path, error.what, error.next_step) from None


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
