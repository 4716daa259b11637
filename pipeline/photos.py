"""Photo files: bytes → arrays under limits, upright, one channel order, depth and metadata kept."""

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from pipeline.errors import ImageError
from pipeline.images import Array, to_rgb, to_uint8

MEGAPIXEL = 1_000_000
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif")
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
ORIENTATION = 0x0112
ICC_PROFILE = "icc_profile"
GRAY_ALPHA = 4  # PNG color type
KEPT_TAGS = {270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 33432, 34665, 34853}  # of a TIFF


@dataclass(frozen=True)
class Picture:
    """A decoded file. `pixels`: uint8 or uint16, H×W×3, RGB, upright, alpha composed over white.

    `gray`: the file stores no color. `alpha`: uint8 or uint16 H×W, or None. `file_format`: Pillow's
    name.
    """

    pixels: Array
    gray: bool
    alpha: Array | None
    file_format: str
    exif: bytes
    icc: bytes | None


def decode(data: bytes, max_megapixels: float, limit: str = "index.max_megapixels") -> Picture:
    """Decode a photo; the size is checked in the header, before any pixel is unpacked.

    Raises ImageError for what is no photo, is cut short, or is larger than `max_megapixels`, which
    is told by the name that the user knows it by: `limit`.
    """
    with _opened(data, max_megapixels, limit) as image:
        return _decode_opened(image, data)


def decode_rgb(data: bytes, max_megapixels: float) -> Array:
    """`decode`, as plain uint8 H×W×3."""
    return to_uint8(decode(data, max_megapixels).pixels)


def decode_known(data: bytes, max_megapixels: float) -> Array:
    """`decode_rgb` of a file that it has decoded before: the same pixels, those of a JPEG by
    OpenCV and so sooner. Of damage within the file only `decode_rgb` is sure to tell."""
    with _opened(data, max_megapixels, "index.max_megapixels") as image:
        plain = image.format == "JPEG" and image.mode == "RGB"
        orientation = image.getexif().get(ORIENTATION, 1) if plain else 1
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if plain else None
    if pixels is None:
        return decode_rgb(data, max_megapixels)
    return np.ascontiguousarray(turn_upright(pixels, orientation))


@contextlib.contextmanager
def _opened(data: bytes, max_megapixels: float, limit: str) -> Iterator[Image.Image]:
    """The photo with its header read and its size checked; whatever a decoder raises is an
    ImageError."""
    if not data:
        raise ImageError("photo", "the file is empty", "copy it again")
    # Pillow's own guard, at twice this, is for a whole process: it must not be below ours
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, int(max_megapixels * MEGAPIXEL))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                _check_size(image.size, max_megapixels, limit)
                yield image
    except ImageError:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombError, cv2.error) as error:
        _refuse_wide_tiff(data)
        raise ImageError("photo", _reason(error), "use a JPEG, PNG, WebP or TIFF file") from None
    except Exception as error:  # damaged bytes make decoders raise anything, TypeError included
        raise ImageError("photo", _reason(error), "copy or export it again") from None


def _check_size(size: tuple[int, int], max_megapixels: float, limit: str) -> None:
    width, height = size
    if width * height > max_megapixels * MEGAPIXEL:
        what = f"{width}x{height} is more than {max_megapixels:g} megapixels ({limit})"
        raise ImageError("photo", what, f"raise {limit} or make the photo smaller")


def _decode_opened(image: Image.Image, data: bytes) -> Picture:
    width, height = image.size
    planes = _decode_deep(image, data) if _is_deep(image, data) else _decode_pillow(image)
    if planes.shape[:2] != (height, width):
        raise ImageError("photo", "its size is not the one its header names", "export it again")
    exif = image.getexif()
    if image.format == "TIFF":  # Pillow and OpenCV have turned it already
        for tag in set(exif) - KEPT_TAGS:
            del exif[tag]
    else:
        planes = turn_upright(planes, exif.get(ORIENTATION, 1))
    if ORIENTATION in exif:
        exif[ORIENTATION] = 1
    color, alpha = _split_alpha(planes)
    icc = image.info.get(ICC_PROFILE)
    return Picture(
        pixels=to_rgb(color),
        gray=color.shape[2] == 1,
        alpha=alpha,
        file_format="JPEG" if image.format == "MPO" else image.format or "PNG",
        exif=_exif_bytes(exif),
        icc=icc if isinstance(icc, bytes) else None,
    )


def turn_upright(planes: Array, orientation: object) -> Array:
    """Undo an EXIF orientation (1 to 8; anything else counts as 1)."""
    turned = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
        8: lambda a: a.swapaxes(0, 1)[::-1],
    }
    if not isinstance(orientation, int) or orientation not in turned:
        return planes
    return np.ascontiguousarray(turned[orientation](planes))


def _is_deep(image: Image.Image, data: bytes) -> bool:
    """16 bits a channel? Pillow alone would clip or halve those."""
    if image.format == "PNG":
        return data[24] == 16
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        return 16 in (bits if isinstance(bits, tuple) else (bits,))
    return False


def _exif_bytes(exif: Image.Exif) -> bytes:
    try:
        return exif.tobytes() if len(exif) else b""
    except Exception:  # broken metadata, of whatever kind, is no reason to lose the photo
        return b""


def _decode_deep(image: Image.Image, data: bytes) -> Array:
    if image.format == "PNG":
        _check_chunks(data)
    tags = image.tag_v2 if image.format == "TIFF" else {}  # type: ignore[attr-defined]
    layout = tags.get(284, 1), tags.get(262, 1), 1 in tags.get(338, ())  # the last: premultiplied
    if layout not in ((1, 1, False), (1, 2, False)):  # OpenCV reads others wrongly
        raise ImageError(
            "photo", "its 16-bit layout is not supported", "export it as gray or RGB, interleaved"
        )
    planes = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if planes is None or planes.dtype != np.uint16:
        raise ImageError("photo", "its 16-bit pixels cannot be decoded", "export it again")
    if planes.ndim == 2:
        return planes[:, :, None]
    order = [2, 1, 0, 3][: planes.shape[2]]
    if image.format == "PNG" and data[25] == GRAY_ALPHA:  # OpenCV repeats the gray
        order = [0, 3]
    return np.ascontiguousarray(planes[:, :, order])


def _decode_pillow(image: Image.Image) -> Array:
    if image.mode == "LAB" or (image.format == "TIFF" and 2 in image.tag_v2.get(339, ())):  # type: ignore[attr-defined]
        raise ImageError(
            "photo", "Lab or signed pixels are not supported", "export it as gray or RGB"
        )
    if image.mode in ("I", "F", "I;16", "I;16B", "I;16L"):
        raise _too_wide({"I": "32-bit integer", "F": "32-bit float"}.get(image.mode, "16-bit"))
    if image.has_transparency_data:  # a palette's, or one color named transparent
        image = image.convert("LA" if image.mode in ("1", "L", "LA") else "RGBA")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    image.load()
    planes = np.array(image)
    return planes[:, :, None] if planes.ndim == 2 else planes


def _refuse_wide_tiff(data: bytes) -> None:
    """Pillow takes color TIFFs of 32 bits a channel, or of floats, for no photo at all."""
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            kind = np.dtype(file.pages[0].dtype)
    except Exception:  # it is no TIFF, or a damaged one
        return
    if kind.kind == "f" or kind.itemsize > 2:
        name = "float" if kind.kind == "f" else "integer"
        raise _too_wide(f"{8 * kind.itemsize}-bit {name}") from None


def _too_wide(name: str) -> ImageError:
    what = f"its pixels are {name}, which is not supported"
    return ImageError("photo", what, "export it as 8 or 16 bit")


def _split_alpha(planes: Array) -> tuple[Array, Array | None]:
    """Color planes composed over white, and the alpha plane if there was one."""
    channels = planes.shape[2]
    if channels in (1, 3):
        return planes, None
    color, alpha = planes[:, :, :-1], planes[:, :, -1]
    full = int(np.iinfo(planes.dtype).max)
    if int(alpha.min()) == full:
        return np.ascontiguousarray(color), alpha
    wide = color.astype(np.uint64) * alpha[:, :, None] + full * (
        full - alpha[:, :, None].astype(np.uint64)
    )
    return ((wide + full // 2) // full).astype(planes.dtype), alpha


def _check_chunks(png: bytes) -> None:
    """Raises ValueError at a cut or damaged chunk: OpenCV would set memory aside for its length."""
    place, kind = 8, b""
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", png, place)
        kind = png[place + 4 : place + 8]
        body = png[place + 8 : place + 8 + length]
        if png[place + 8 + length :][:4] != struct.pack(">I", zlib.crc32(kind + body)):
            raise ValueError(f"its {kind!r} part is damaged")
        place += 12 + length


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:160]
    if isinstance(error, Image.DecompressionBombError):
        return f"far more megapixels than allowed ({text.split(' exceeds')[0]})"
    if "cannot identify" in text:
        return "cannot be identified as a photo"
    return text or type(error).__name__
