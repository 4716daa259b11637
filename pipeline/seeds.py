"""The only birthplace of randomness: every generator comes from a root seed and the purpose it
serves."""

import hashlib
import json

import numpy as np


def derive(root: int, *purpose: str | int) -> int:
    """A 64-bit seed that depends on every word of `purpose`, and on nothing else."""
    text = json.dumps([root, *purpose], ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def rng(root: int, *purpose: str | int) -> np.random.Generator:
    """A generator of its own for one purpose, e.g. ``rng(seed, "corrupt", recipe, key, step)``."""
    return field(derive(root, *purpose))


def field(seed: int) -> np.random.Generator:
    """The generator behind a random field whose 64-bit `seed` stands in a story."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence(seed)))


def seed_of(generator: np.random.Generator) -> int:
    """Draw a 63-bit seed for a random field (63 bits, so that every JSON reader keeps it whole)."""
    return int(generator.integers(0, 2**63 - 1))
