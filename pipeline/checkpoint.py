"""Weights with their config in one safetensors file; the same container holds a training run's
state.

Nothing is ever unpickled: a file is JSON and raw tensors, under one hash.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from pipeline.errors import CheckpointError, ParamsError
from pipeline.files import to_json, write_bytes
from pipeline.systems import System, rebuild_system

FORMAT = 1
KEY = "patina"  # the only metadata key: safetensors writes several in random order
MADE_OF = "training.json"  # beside weights: the params of their training, block by block
MAX_HEADER = 100_000_000
Tensors = dict[str, torch.Tensor]


def save_weights(path: Path, name: str, block: dict[str, Any], system: System) -> None:
    """Write a system's weights and the params block that rebuilds it."""
    save(path, {"kind": "weights", "system": name, "section": block}, system.state_dict())


def load_system(path: Path) -> tuple[str, System]:
    """The system that a weights file holds, in eval mode, and its name.

    Raises CheckpointError when the file is missing, altered, of another format, or does not fit.
    """
    meta, tensors = load(path, "weights")
    try:
        system = rebuild_system(meta["system"], meta["section"])
    except (ParamsError, KeyError, TypeError) as error:
        why = f"{error.where}: {error.what}" if isinstance(error, ParamsError) else "none is named"
        raise CheckpointError(
            path, f"no system can be made from its config ({why})", "train it again"
        ) from None
    load_strictly(system, tensors, path)
    return meta["system"], system.eval()


def save(path: Path, meta: dict[str, Any], tensors: Tensors) -> None:
    """Write JSON data and tensors as one file, atomically, with a hash over both."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    meta = {**meta, "format": FORMAT}
    meta["sha256"] = _digest(meta, whole)
    write_bytes(path, safetensors.torch.save(whole, {KEY: to_json(meta)}))


def load(path: Path, kind: str) -> tuple[dict[str, Any], Tensors]:
    """The JSON data and tensors of a file of this `kind`, after its hash has been checked."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(path, error.strerror or "cannot be read", "train it first") from None
    try:
        meta = json.loads(_header(data)["__metadata__"][KEY])
        tensors = safetensors.torch.load(data)
        to_json(meta).encode()  # nan and lone surrogates: JSON that has no hash
    except (ValueError, KeyError, TypeError, RecursionError, struct.error, SafetensorError):
        raise CheckpointError(
            path, "is no weights file of ours", "train it or fetch it again"
        ) from None
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        found = meta.get("format") if isinstance(meta, dict) else None
        raise CheckpointError(path, f"format {found}, this is {FORMAT}", "train it again")
    if meta.pop("sha256", None) != _digest(meta, tensors):
        raise CheckpointError(
            path, "its hash does not fit its content", "train it or fetch it again"
        )
    if meta.get("kind") != kind:
        raise CheckpointError(path, f"holds {meta.get('kind')}, not {kind}", "name another file")
    return meta, tensors


def load_strictly(module: torch.nn.Module, tensors: Tensors, path: Path) -> None:
    """Fill a module; every name, shape and dtype must fit."""
    wanted = module.state_dict()
    for name in sorted(wanted.keys() | tensors.keys()):
        found, asked = tensors.get(name), wanted.get(name)
        if found is None or asked is None:
            raise CheckpointError(
                path, f"{name} is {'missing' if found is None else 'not known'}", "train it again"
            )
        if found.shape != asked.shape or found.dtype != asked.dtype:
            raise CheckpointError(
                path,
                f"{name} is {found.dtype} {tuple(found.shape)}, "
                f"not {asked.dtype} {tuple(asked.shape)}",
                "train it again",
            )
    module.load_state_dict(tensors)


def _header(data: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(len(data), MAX_HEADER):
        raise ValueError("header longer than the file")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header


def _digest(meta: dict[str, Any], tensors: Tensors) -> str:
    digest = hashlib.sha256(to_json(meta).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(to_json([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
