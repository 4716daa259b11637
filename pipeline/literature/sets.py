"""The literature's test sets, known by how their pictures look, and what papers print of them.

A picture is a set's if it has the size, and its perceptual hash (`twins.py`) is at most 6 bits off;
within a set any two differ in 16 or more, and another conversion to gray, or JPEG, moves at most 2.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.literature.pictures import Seen
from pipeline.twins import hashes_of

MAX_BITS = 6
Figures = dict[str, float]

# Mean PSNR in dB, by set and σ; sources in docs/benchmarks.md. BSD68 and Set12 are gray, the others
# RGB.
PUBLISHED: dict[str, dict[float, Figures]] = {
    "BSD68": {
        15: {"DnCNN": 31.73, "FFDNet": 31.63},
        25: {"DnCNN": 29.23, "FFDNet": 29.19, "DRUNet": 29.48, "SCUNet": 29.55},
        50: {"DnCNN": 26.23, "FFDNet": 26.29},
    },
    "Set12": {25: {"DnCNN": 30.44, "FFDNet": 30.43, "DRUNet": 30.94, "SCUNet": 31.09}},
    "CBSD68": {25: {"DnCNN": 31.24, "DRUNet": 31.69, "SCUNet": 31.79, "Restormer": 31.79}},
    "Kodak24": {25: {"DnCNN": 32.14, "DRUNet": 32.89, "SCUNet": 32.92, "Restormer": 33.04}},
}

KODAK = [f"kodim{number:02}" for number in range(1, 25)]
KODAK_SIZES = {
    "500×500 crops, as FFDNet's authors cut them": {(500, 500)},
    "whole, as Restormer's authors have them": {(512, 768), (768, 512)},
}


class KnownSet(NamedTuple):
    """`looks`: (height, width) → hashes. `pixels`: sha256 over the sorted ids of the gray files."""

    name: str
    color_name: str | None  # of the same pictures in color
    looks: dict[tuple[int, int], str]
    pixels: str


class Recognized(NamedTuple):
    """`name`: the set that all pictures are, and nothing else, in the mode asked for; or None.
    `note`: how it was known, or why not; empty for strangers."""

    name: str | None
    note: str


# fmt: off
SETS = (
    KnownSet("BSD68", "CBSD68", {
        (481, 321): (
            "20c1a1c5b7c5c73d 5af7210434c99bdc 0b0f5d28e8ee1791 3ca9c79e2944ca59 "
            "6bbc81907b342d5a 0377ed5146354c3a 5ed4f0f006872b8b 365cc589b2d647a8 "
            "35827104e53a5d7e 59669961258667d9 4c46c8993a8e5f71 2632d6deaba125b0 "
            "2ae9aeab3c077a10 1cc32cd5d23b3943 7ca7195e873e4043"
        ),
        (321, 481): (
            "2f161ec8e1b713c1 5283650e355cbbe2 3d5509a996ca29b5 375a566896636d84 "
            "5f59244bc9b322cc 23929b34325b6d2d 6e63b9268f9a1a05 15e6e11ac31c99e9 "
            "0a6f37c37e4b2414 3b74cef24111d6c4 649628eb652d19e5 1887239d4ee32f19 "
            "7bf8c7420db63091 7dec4e10070378fc 04c38ba62f2585df 66c7c26a16b6d921 "
            "169f6b6211fc6681 164f23ce661b49a5 1cc461d650de7ea4 5e14f961e33e1154 "
            "66daac3dde7a4100 5160675e560cbce9 2e064f520b0f7579 23e9d4aa65c0ba1d "
            "1a1be41ee9349dc1 1ce364b94f699344 1f2d6098f7032cd3 4ce6514976ab2b64 "
            "667999a653196dc0 429c9c79620697fc 519e8ba99093a9ab 3e70c1c19b3b6392 "
            "5b530e9ae498c3a5 758988bd564329f4 33c76d6e70b14588 70d34e3453acb662 "
            "5a9f218cda3368c5 496bf08de67da081 2e6bca4a92d4cda1 6f3860e69c918dc5 "
            "0b683b03675e1d35 258552fa2c05d5d7 78bd7ce4c4cd0d04 6a11d6f62b81b323 "
            "18f1ac3669c36e16 04f4cb993704fb89 332689e314dde998 197eb2c94dd63411 "
            "136d10da6dd92cac 667a59d94b14ad42 387b74a93e460b25 25924ea4b35ca5ab "
            "292cbd8f072595d4"
        ),
    }, "b45c59d0d25014cfd3c9fdfd3d06529f29841162dc464b2d775427f8fcee6866"),
    KnownSet("Set12", None, {
        (256, 256): (
            "0e983c34d8e1c3be 6923b3397cc0868f 4dc9c471841f7ae2 79cd1e12c71e30a5 "
            "6352ccacfcd91306 20fc6f1d0225d4fa 4df31184ed13c4ad"
        ),
        (512, 512): (
            "34a2e6575a3531cc 11e963965a3429ed 4cb322ccfb3282d9 3c4983ba31da1ea6 69569d0b6e61b298"
        ),
    }, "89d4e8fb118380eb0bf3de00f2bf83ff0c5d6a0248050996e1fb91b162cc129b"),
)
# fmt: on


def recognize(pictures: Sequence[Seen], color: bool) -> Recognized:
    """Which set these pictures are when measured in gray, or in `color`."""
    hashes = hashes_of(np.stack([one.look for one in pictures]))[:, 0].tolist()
    for known in SETS:
        members = [
            (height, width, int(word, 16))
            for (height, width), words in known.looks.items()
            for word in words.split()
        ]
        found = [_member(one, own, members) for one, own in zip(pictures, hashes, strict=True)]
        if any(place is not None for place in found):
            return _judge(known, pictures, found, len(members), color)
    return _by_names(pictures, color)


def published(name: str | None, sigma: float) -> Figures:
    """Method → mean PSNR in dB of a set at a noise level; empty where none is known."""
    return PUBLISHED.get(name or "", {}).get(sigma, {})


def _member(picture: Seen, own: int, members: list[tuple[int, int, int]]) -> int | None:
    """The place of the set's picture that this one is."""
    for place, (height, width, other) in enumerate(members):
        same_size = (picture.height, picture.width) == (height, width)
        if same_size and (own ^ other).bit_count() <= MAX_BITS:
            return place
    return None


def _judge(
    known: KnownSet, pictures: Sequence[Seen], found: list[int | None], size: int, color: bool
) -> Recognized:
    colored = not any(one.gray for one in pictures)
    name = known.color_name if colored and known.color_name else known.name
    places = {place for place in found if place is not None}
    if len(pictures) != size or None in found or len(places) != size:
        held = f"{len(places)} of {name}'s {size} pictures are among these {len(pictures)}"
        return Recognized(None, f"{held}, which are therefore not {name}")
    if color and not colored:
        return Recognized(None, f"{name} is a gray set: published figures are of --gray")
    if color and known.color_name is None:
        return Recognized(None, f"{name} is a gray set, in color here")
    digest = hashlib.sha256("\n".join(sorted(one.id for one in pictures)).encode())
    if digest.hexdigest() == known.pixels:
        return Recognized(known.name, "by its pixels")
    how = "by size and looks" + ("" if colored else "; pixels differ: saved anew or converted")
    if colored and not color:
        how += "; gray is the luma of color pictures"
    return Recognized(known.color_name if color else known.name, how)


def _by_names(pictures: Sequence[Seen], color: bool) -> Recognized:
    """Kodak24, of which no copy was at hand."""
    names = sorted(one.name.rsplit("/", 1)[-1].rsplit(".", 1)[0].lower() for one in pictures)
    sizes = {(one.height, one.width) for one in pictures}
    for told, allowed in KODAK_SIZES.items():
        if names == KODAK and sizes <= allowed and color and not any(p.gray for p in pictures):
            return Recognized("Kodak24", f"taken for Kodak24 by its names; {told}")
    return Recognized(None, "")
