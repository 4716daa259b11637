"""Decoded samples in a file mapped into memory: from the second epoch on nothing is decoded.

The file: a header of HEADER bytes (JSON), a mark of 4 bytes a sample, then slots of one size, each
a key and the arrays. A sample counts once its mark is there, which is written after its bytes and
is their CRC-32, checked when a process first reads them: neither a kill nor a power cut can make
half a sample be taken for a whole one.
"""

from __future__ import annotations

import json
import logging
import math
import mmap
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from isal import isal_zlib

from pipeline.files import TEMPORARY, to_json

FORMAT = 1
HEADER = 4096  # bytes
KEY = 128  # bytes of a slot that hold the key
MARK = 4  # bytes
Array = np.ndarray
Shapes = tuple[tuple[int, ...], ...]
Got = TypeVar("Got")


class RawCache:
    """uint8 arrays of samples ``0 … num_samples - 1`` in the file `path`, of `num_bytes` at most.

    `identity` tells what the samples are made from; a file of another one is begun anew. The first
    sample that comes fixes the shapes: those of others are not kept, nor are those for whom there
    is no room. Where the disk refuses, it goes on without the file, and says so once in the log.
    One process at a time may use a file.
    """

    def __init__(self, path: Path, identity: str, num_samples: int, num_bytes: int) -> None:
        self.path, self.identity = path, identity
        self.num_samples, self.num_bytes = num_samples, num_bytes
        self.shapes: Shapes | None = None
        self._marks = self._checked = np.zeros(0, np.uint32)
        self._file = -1
        self._guard(self._open)

    def holds(self, start: int, stop: int) -> bool:
        """Are all the samples from `start` up to `stop` here?"""
        return stop <= len(self._marks) and bool(self._marks[start:stop].all())

    def get(self, number: int) -> tuple[str, list[Array]] | None:
        """A sample's key and its arrays, read-only views of the file; None if it is not here."""
        if number >= len(self._marks) or not self._marks[number]:
            return None
        place = self._place(number)
        slot = self._bytes[place : place + self._slot]
        if not self._checked[number]:
            if _crc(slot) != self._marks[number]:
                self._marks[number] = 0
                return None
            self._checked[number] = 1
        assert self.shapes is not None
        arrays, place = [], KEY
        for shape in self.shapes:
            size = math.prod(shape)
            arrays.append(slot[place : place + size].reshape(shape))
            place += size
        return slot[:KEY].tobytes().rstrip(b"\0").decode(), arrays

    def put(self, number: int, key: str, arrays: Sequence[Array]) -> None:
        """Keep a sample, if there is room for it."""
        self._guard(lambda: self._put(number, key.encode(), arrays))

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self._marks = self._marks[:0]
            self.num_bytes = 0
            said = f"{self.path}: {error.strerror or error}; goes on without a cache"
            logging.getLogger(__name__).warning(said)

    def _put(self, number: int, key: bytes, arrays: Sequence[Array]) -> None:
        shapes = tuple(array.shape for array in arrays)
        if self.shapes is None and self.num_bytes:
            self._create(shapes)
        if number >= len(self._marks) or shapes != self.shapes or len(key) > KEY:
            return
        data = b"".join((key.ljust(KEY, b"\0"), *(array.tobytes() for array in arrays)))
        mark = np.uint32(_crc(data))
        _write(self._file, data, self._place(number))
        _write(self._file, mark.tobytes(), HEADER + MARK * number)
        self._marks[number], self._checked[number] = mark, 1

    def _place(self, number: int) -> int:
        return self._first + number * self._slot

    def _describe(self, shapes: Shapes) -> dict[str, Any]:
        """What the header holds, and with it the places of everything."""
        self._slot = KEY + sum(math.prod(shape) for shape in shapes)
        room = max(0, self.num_bytes - HEADER) // (self._slot + MARK)
        num = min(self.num_samples, room)
        self._first = HEADER + MARK * num
        return {"format": FORMAT, "identity": self.identity, "shapes": shapes, "num": num}

    def _open(self) -> None:
        """Go on with a file that stands, if it is of the same samples."""
        if not self.num_bytes or not self.path.is_file():
            return
        with self.path.open("rb") as file:
            try:
                told = json.loads(file.read(HEADER))
                shapes = tuple(tuple(map(int, shape)) for shape in told["shapes"])
            except (ValueError, KeyError, TypeError, RecursionError):
                return
            if to_json(self._describe(shapes)) != to_json(told):
                return
            marks = np.frombuffer(file.read(MARK * told["num"]), np.uint32)
        if self.path.stat().st_size == self._place(told["num"]):
            self._map(shapes, marks.copy())

    def _create(self, shapes: Shapes) -> None:
        """An empty file for samples of these shapes: bytes are taken from the disk as they come."""
        told = self._describe(shapes)
        if not told["num"]:
            self.num_bytes = 0
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f"{TEMPORARY}{os.getpid()}-{self.path.name}")
        try:
            with temporary.open("wb") as file:
                file.write(to_json(told).encode().ljust(HEADER))
                file.truncate(self._place(told["num"]))
            temporary.replace(self.path)
        finally:
            temporary.unlink(missing_ok=True)
        self._map(shapes, np.zeros(told["num"], np.uint32))

    def _map(self, shapes: Shapes, marks: Array) -> None:
        self._file = os.open(self.path, os.O_RDWR)
        self._bytes = np.frombuffer(mmap.mmap(self._file, 0, prot=mmap.PROT_READ), np.uint8)
        self._marks, self._checked = marks, np.zeros(len(marks), np.uint8)
        self.shapes = shapes

    def __del__(self) -> None:
        if self._file >= 0:
            os.close(self._file)


def _crc(data: bytes | Array) -> int:
    """CRC-32, never 0, which means that nothing is there."""
    return int(isal_zlib.crc32(data)) or 1


def _write(file: int, data: bytes, place: int) -> None:
    """All of it: through the file and not the map, which would kill the process on a full disk."""
    rest = memoryview(data)
    while rest:
        done = os.pwrite(file, rest, place)
        rest, place = rest[done:], place + done
