"""Damaged photo files, decoded by a process that may take 1 GB, and 2 s a file.

``python -m tests.pipeline.fuzzing KIND NUMBER`` tells the number of each mutant before it opens it,
so that whoever runs it knows which one it died of; then how many were refused.
"""

import io
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import tifffile
from PIL import Image

from pipeline import photos, seeds
from pipeline.errors import ImageError
from tests.conftest import ROOT

MEMORY, SECONDS, LIMIT = 1 << 30, 2.0, 80.0
LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def _saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, file_format, **options)
    return out.getvalue()


def wholes() -> dict[str, bytes]:
    """A file of each format and coding."""
    small = seeds.field(5).integers(0, 256, (5, 7, 3), np.uint8)
    pixels = cv2.resize(small, (50, 40), interpolation=cv2.INTER_LINEAR)
    image, exif, deep = Image.fromarray(pixels), Image.Exif(), io.BytesIO()
    exif[photos.ORIENTATION] = 6
    tifffile.imwrite(deep, pixels.astype(np.uint16) * 257, photometric="rgb", compression="zlib")
    return {
        "jpeg": _saved(image, "JPEG", exif=exif), "progressive": _saved(image, "JPEG",
        progressive=True), "cmyk": _saved(image.convert("CMYK"), "JPEG"),
        "png": _saved(image, "PNG", exif=exif), "palette": _saved(image.quantize(16), "PNG"),
        "deep-png": cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes(),
        "webp": _saved(image, "WEBP", exif=exif), "lossless": _saved(image, "WEBP", lossless=True),
        "tiff": _saved(image, "TIFF", exif=exif), "lzw": _saved(image, "TIFF",
        compression="tiff_lzw"), "deep-tiff": deep.getvalue(), "bmp": _saved(image, "BMP"),
        "gif": _saved(image.quantize(16), "GIF", save_all=True, append_images=[image.quantize(9)]),
    }  # fmt: skip


def mutants(kind: str, number: int) -> Iterator[bytes]:
    """Cut, flipped, overwritten (half of them near the header), grown, and spliced files."""
    whole = wholes()[kind]
    for turn in range(number):
        rng, data = seeds.rng(7, "mutant", kind, turn), bytearray(whole)
        reach = min(len(data), 200) if rng.random() < 0.5 else len(data)
        place = int(rng.integers(reach))
        match turn % 6:
            case 0:
                del data[place:]
            case 1:
                data[place] ^= 1 << int(rng.integers(8))
            case 2:
                for _ in range(int(rng.integers(1, 30))):
                    data[int(rng.integers(reach))] = int(rng.integers(256))
            case 3:
                order = "big" if rng.random() < 0.5 else "little"
                length = LENGTHS[int(rng.integers(len(LENGTHS)))]
                data[place : place + 4] = length.to_bytes(4, order)
            case 4:
                data[place:place] = data[: int(rng.integers(400))]
            case _:
                del data[place : place + int(rng.integers(1, 100))]
        yield bytes(data)


def run(kind: str, number: int) -> tuple[int, str]:
    """How many were refused, and what went wrong, if anything."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.fuzzing", kind, str(number)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    last = done.stdout.split()[-1:]
    if done.returncode:
        return 0, f"{kind} {last}: exit {done.returncode}\n{done.stderr[-2000:]}"
    return int(last[0]), ""


def main(kind: str, number: str) -> None:
    """Decode them all; anything but an ImageError of one line ends this process."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    refused = 0
    for turn, data in enumerate(mutants(kind, int(number))):
        print(turn, flush=True)
        signal.setitimer(signal.ITIMER_REAL, SECONDS)  # its signal kills, in C code too
        try:
            photos.decode(data, LIMIT)
        except ImageError as error:
            assert "\n" not in str(error), str(error)
            refused += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(refused)


if __name__ == "__main__":
    main(*sys.argv[1:])
