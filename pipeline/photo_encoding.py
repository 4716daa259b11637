"""Arrays → photo files, of the format, depth, channels and metadata that the photo came in."""

import io
import struct
import zlib

import cv2
import numpy as np
import tifffile
from PIL import Image

from pipeline.errors import ImageError
from pipeline.images import Array, to_uint8
from pipeline.photos import ICC_PROFILE, Picture


def encode(picture: Picture, pixels: Array) -> bytes:
    """`pixels` (H×W×3, uint8 or uint16) as a file of the format, channels and metadata of
    `picture`."""
    gray = picture.gray and bool((pixels == pixels[:, :, :1]).all())
    if picture.alpha is not None and picture.file_format not in ("JPEG", "BMP"):
        pixels = _uncompose(pixels, picture.alpha)
    if pixels.dtype == np.uint16:
        return _encode_deep(picture, pixels, gray)
    planes = pixels[:, :, 0] if gray else pixels
    image = Image.fromarray(np.ascontiguousarray(planes))
    if picture.alpha is not None and picture.file_format not in ("JPEG", "BMP"):
        image.putalpha(Image.fromarray(to_uint8(picture.alpha)))
    options: dict[str, object] = {"exif": picture.exif} if picture.exif else {}
    if _fitting_profile(picture, gray):
        options[ICC_PROFILE] = picture.icc
    if picture.file_format == "JPEG":
        options |= {"quality": 95, "subsampling": 0}
    elif picture.file_format == "WEBP":
        options |= {"lossless": True}
    elif picture.file_format == "TIFF":
        options |= {"compression": "tiff_deflate"}
    elif picture.file_format in ("BMP", "GIF"):
        options = {}
    out = io.BytesIO()
    image.save(out, picture.file_format, **options)
    return out.getvalue()


def _uncompose(pixels: Array, alpha: Array) -> Array:
    """The color that over white, under its alpha again, looks like `pixels`."""
    full = int(np.iinfo(pixels.dtype).max)
    white = full * (full - alpha[:, :, None].astype(np.int64))
    opaque = np.maximum(alpha[:, :, None].astype(np.int64), 1)
    color = (pixels.astype(np.int64) * full - white + opaque // 2) // opaque
    clipped: Array = np.clip(color, 0, full).astype(pixels.dtype)
    return clipped


def _encode_deep(picture: Picture, pixels: Array, gray: bool) -> bytes:
    planes = pixels[:, :, 0] if gray else pixels[:, :, ::-1]
    if picture.alpha is not None and not gray:
        planes = np.dstack([planes, picture.alpha])
    if picture.file_format == "TIFF":
        return _encode_deep_tiff(picture, planes, gray)
    done, data = cv2.imencode(".png", np.ascontiguousarray(planes))
    if not done:
        raise ImageError("photo", "cannot be encoded", "choose another format")
    return _with_metadata(bytes(data), picture, gray)


def _encode_deep_tiff(picture: Picture, planes: Array, gray: bool) -> bytes:
    """By tifffile, since OpenCV writes no metadata. Of EXIF, the tags that hold text."""
    exif = Image.Exif()
    exif.load(picture.exif)
    texts = [(tag, "s", 0, value, True) for tag, value in exif.items() if isinstance(value, str)]
    if not gray:
        planes = np.dstack([planes[:, :, 2::-1], *np.rollaxis(planes[:, :, 3:], 2)])
    out = io.BytesIO()
    tifffile.imwrite(
        out, planes, photometric="minisblack" if gray else "rgb", compression="zlib",
        extrasamples=["unassalpha"] if planes.ndim == 3 and planes.shape[2] == 4 else None,
        iccprofile=picture.icc if _fitting_profile(picture, gray) else None, extratags=texts,
        metadata=None, software=False,
    )  # fmt: skip
    return out.getvalue()


def _with_metadata(png: bytes, picture: Picture, gray: bool) -> bytes:
    """The PNG with the photo's profile and EXIF right after its header (8 + 25 bytes)."""
    chunks = b""
    if _fitting_profile(picture, gray):
        chunks += _chunk(b"iCCP", b"icc\0\0" + zlib.compress(picture.icc or b""))
    if picture.exif:
        chunks += _chunk(b"eXIf", picture.exif.removeprefix(b"Exif\0\0"))
    return png[:33] + chunks + png[33:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def _fitting_profile(picture: Picture, gray: bool) -> bool:
    """Is its ICC profile one of the color space that we write? A CMYK photo's is not."""
    return picture.icc is not None and picture.icc[16:20] == (b"GRAY" if gray else b"RGB ")
