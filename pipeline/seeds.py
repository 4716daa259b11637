"""The only birthplace of randomness: every generator comes from a root seed and the purpose it
serves."""

import hashlib
import json
import struct

import numpy as np
import numpy.typing as npt

_spell = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def derive(root: int, *purpose: str | int) -> int:
    """A 64-bit seed that depends on every word of `purpose`, and on nothing else."""
    text = _spell([root, *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def words(root: int, *purpose: str | int) -> tuple[int, ...]:
    """Eight random 64-bit numbers for one purpose: for whoever needs no more, a fifth of the time
    that a generator takes. They have nothing in common with those of `rng` or `derive`."""
    text = _spell([root, *purpose])
    return struct.unpack(">8Q", hashlib.sha512(text.encode()).digest())


def below(word: int, limit: int) -> int:
    """One of ``0 … limit - 1``, by a random 64-bit word."""
    return word * limit >> 64


def rng(root: int, *purpose: str | int) -> np.random.Generator:
    """A generator of its own for one purpose, e.g. ``rng(seed, "corrupt", recipe, key, step)``."""
    return field(derive(root, *purpose))


def brief(root: int, *purpose: str | int) -> np.random.Generator:
    """As `rng`, of the same quality in a third of the time, but with other numbers: for what is
    drawn and not kept, as damage on the fly is. Three words of SHA-256 are the state that SFC64
    starts from, where `rng` spreads one over as much by numpy's SeedSequence."""
    words = _Words(_spell([root, *purpose]))
    return np.random.Generator(np.random.SFC64(words))  # type: ignore[arg-type]  # numpy's stub


class _Words(np.random.bit_generator.ISeedSequence):
    """The 256 bits that SHA-256 makes of a text."""

    def __init__(self, text: str) -> None:
        self.digest = hashlib.sha256(text.encode()).digest()

    def generate_state(
        self, n_words: int, dtype: npt.DTypeLike = np.uint32
    ) -> npt.NDArray[np.uint32 | np.uint64]:
        """The first of them; SFC64 asks for three of 64 bits."""
        return np.frombuffer(self.digest, np.dtype(dtype).newbyteorder("<"), n_words)


def field(seed: int) -> np.random.Generator:
    """The generator behind a random field whose 64-bit `seed` stands in a story."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))


def seed_of(generator: np.random.Generator) -> int:
    """Draw a 63-bit seed for a random field (63 bits, so that every JSON reader keeps it whole)."""
    return int(generator.integers(0, 2**63 - 1))
