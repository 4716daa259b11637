"""Samples as members of a WebDataset tar: byte-stable to write, plain arrays to read."""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from pipeline import images, png
from pipeline.errors import ShardError
from pipeline.files import sha256_bytes, to_json

JPEG_QUALITY = 95
BLOCK = 512
END_OF_TAR = bytes(2 * BLOCK)
MISSING = "missing"  # what a story tells of a mask that nobody brought
UNKNOWN = 128  # gray level that stands for such a mask in pictures to look at
Array = np.ndarray


@dataclass(frozen=True)
class Sample:
    """One pair. Pictures uint8 H×W×3 or H×W×1; `mask` uint8 H×W, 255 = damaged, and all 0 where
    `mask_missing`; `keep` 255 = preserve; `tile`: what the story is drawn on, where it is known."""

    key: str
    clean: Array
    corrupted: Array
    mask: Array
    story: dict[str, Any]
    keep: Array | None = None
    tile: Array | None = None

    @functools.cached_property
    def told(self) -> bytes:
        """The story as its file has it."""
        return to_json(self.story).encode()

    @property
    def mask_missing(self) -> bool:
        """Is it unknown what is damaged? Then the 0 of `mask` mean nothing."""
        return tells_no_mask(self.story)

    @property
    def known_mask(self) -> Array | None:
        """The mask, for whoever measures by it; None where it is missing."""
        return None if self.mask_missing else self.mask

    @property
    def shown_mask(self) -> Array:
        """The mask to look at, uint8 H×W: gray all over where it is missing."""
        return np.full_like(self.mask, UNKNOWN) if self.mask_missing else self.mask


class Redrawn(Protocol):
    """What a story makes of its tile (a `corruptions.Damaged`)."""

    @property
    def clean(self) -> Array: ...
    @property
    def corrupted(self) -> Array: ...
    @property
    def mask(self) -> Array: ...
    @property
    def keep(self) -> Array | None: ...


Redraw = Callable[[Array, dict[str, Any]], Redrawn]  # a `corruptions.Recipe.replay`


class Packed(NamedTuple):
    """What was written of a shard: its samples, bytes, their hash, and that of its content."""

    num_samples: int
    num_bytes: int
    sha256: str
    content_sha256: str


def write_samples(
    samples: Iterable[Sample], profile: str, write: Callable[[bytes], object]
) -> Packed:
    """Hand the tar of the samples to `write`, piece by piece: each is hashed while it is still in
    the cache, and no more than one sample's are held here."""
    digest, num_bytes, content = hashlib.sha256(), 0, []
    for sample in samples:
        for name, data in _members(sample, profile).items():
            for piece in _entry(f"{sample.key}.{name}", data):
                write(piece)
                digest.update(piece)
                num_bytes += len(piece)
        content.append(content_sha256(sample))
    write(END_OF_TAR)
    digest.update(END_OF_TAR)
    told = sha256_bytes("\n".join(content).encode())
    return Packed(len(content), num_bytes + len(END_OF_TAR), digest.hexdigest(), told)


def pack(samples: Iterable[Sample], profile: str = "png") -> tuple[bytes, int, str]:
    """Tar bytes of the samples, their number, and their content hash."""
    tar = io.BytesIO()
    packed = write_samples(samples, profile, tar.write)
    return tar.getvalue(), packed.num_samples, packed.content_sha256


def unpack(member: dict[str, Any], redraw: Redraw | None = None) -> Sample:
    """A sample from webdataset's dict of bytes; profile "story" needs the recipe's `replay`.

    Raises ShardError for a story without it, and for a mask that is gone, untold by the story.
    """
    key, story = member["__key__"], json.loads(member["json"])
    if not {"corrupted.png", "corrupted.jpg"} & set(member):
        if redraw is None:
            raise ShardError(key, "holds a story, no pictures", "read it with its recipe")
        tile = png.decode(member["clean.png"])
        made = redraw(tile, story)
        return Sample(key, made.clean, made.corrupted, made.mask, story, made.keep, tile)
    keep, clean = member.get("keep.png"), clean_of(member)
    return Sample(
        key=key,
        clean=clean,
        corrupted=_picture(member, "corrupted"),
        mask=_mask(member, story, clean.shape[:2]),
        story=story,
        keep=png.decode_mask(keep) if keep is not None else None,
    )


def unpack_pictures(
    member: dict[str, Any], redraw: Redraw | None = None
) -> tuple[Array, Array, Array, Array | None]:
    """Clean, corrupted, mask and keep of `unpack`, without the story where nobody needs it."""
    if "mask.png" not in member or not {"corrupted.png", "corrupted.jpg"} & set(member):
        sample = unpack(member, redraw)
        return sample.clean, sample.corrupted, sample.mask, sample.keep
    keep = member.get("keep.png")
    return (
        clean_of(member),
        _picture(member, "corrupted"),
        png.decode_mask(member["mask.png"]),
        png.decode_mask(keep) if keep is not None else None,
    )


def clean_of(member: dict[str, Any]) -> Array:
    """The clean picture of a member (in profile "story" the tile), without decoding the rest."""
    return _picture(member, "clean")


def tells_no_mask(story: Mapping[str, Any]) -> bool:
    """Does the story say that nobody brought a mask? No mask file stands beside it then."""
    return story.get("mask") == MISSING


def content_sha256(sample: Sample) -> str:
    """Over a sample's key, its story, and its pictures' shapes and CRC-32, whatever the codec.

    It tells the pictures of one machine from those of another, which chance alone makes differ; the
    files themselves are held by their sha256.
    """
    arrays = [sample.clean, sample.corrupted, sample.known_mask, sample.keep]
    pictures = [[*array.shape, png.crc32(array)] for array in arrays if array is not None]
    return sha256_bytes(to_json([sample.key, pictures]).encode() + sample.told)


def _picture(member: dict[str, Any], name: str) -> Array:
    if f"{name}.jpg" in member:
        return images.decode_jpeg(member[f"{name}.jpg"])
    return png.decode(member[f"{name}.png"])


def _mask(member: dict[str, Any], story: dict[str, Any], shape: tuple[int, ...]) -> Array:
    if tells_no_mask(story):
        return np.zeros(shape, np.uint8)
    if "mask.png" not in member:
        raise ShardError(member["__key__"], "its mask is gone, untold by its story", "synth again")
    return png.decode_mask(member["mask.png"])


def _members(sample: Sample, profile: str) -> dict[str, bytes]:
    if profile == "story":
        assert sample.tile is not None, sample.key
        return {"clean.png": png.encode(sample.tile), "json": sample.told}
    members = {"json": sample.told}
    for name, picture in (("clean", sample.clean), ("corrupted", sample.corrupted)):
        if profile == "jpeg":
            members[f"{name}.jpg"] = images.encode_jpeg(picture, JPEG_QUALITY)
        else:
            members[f"{name}.png"] = png.encode(picture)
    for name, mask in (("mask.png", sample.known_mask), ("keep.png", sample.keep)):
        if mask is not None:
            members[name] = png.encode_mask(mask)
    return dict(sorted(members.items()))


def _entry(name: str, data: bytes) -> tuple[bytes, bytes, bytes]:
    """A ustar member with fixed owner, mode and time: header, data, padding to whole blocks."""
    header = bytearray(BLOCK)
    encoded = name.encode("ascii")
    assert len(encoded) < 100, name
    header[: len(encoded)] = encoded
    header[100:136] = b"0000644\x000000000\x000000000\x00" + b"%011o\x00" % len(data)
    header[136:148] = b"00000000000\x00"
    header[148:156] = b" " * 8
    header[156:157] = b"0"
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\x00 " % sum(header)
    return bytes(header), data, bytes(-len(data) % BLOCK)
