"""Where unfinished work lies between a kill and the next run: ``.work/<stage>/<fingerprint>/``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.files import lock, publish, sha256_bytes, sha256_file, to_json, write_json
from stages.closure import import_closure

PUBLISHED = "published.json"


@contextlib.contextmanager
def workspace(
    root: Path, stage: str, code: Sequence[str], inputs: Any, outs: Sequence[Path]
) -> Iterator[Path]:
    """A folder for one piece of work, held alone.

    The fingerprint covers the params and data hashes in `inputs` and the import closure of the
    `code` files, so that work is resumed only by the very code and data that began it. Earlier work
    of the stage is dropped when dvc.lock already holds its outs.
    """
    home = root / ".work" / stage.replace("/", "-")
    with contextlib.ExitStack() as stack:
        for out in sorted(set(outs)):
            stack.enter_context(lock(out))
        _drop_finished(root, home)
        folder = home / _fingerprint(root, code, inputs)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def finish(root: Path, folder: Path, outs: dict[str, tuple[Path, str | None]]) -> None:
    """Publish parts of the work: sub-folder name → (out, the file that arrives last)."""
    hashes = []
    for name, (out, last) in outs.items():
        publish(folder / name, out, last)
        hashes.append(dvc_hashes(out))
    write_json(folder / PUBLISHED, hashes)


def dvc_hashes(folder: Path) -> dict[str, Any]:
    """What dvc.lock holds of a folder: its own hash, or those of its files where they are outs
    singly.

    The folder's is md5 over the JSON list of its files' md5s and names.
    """
    rows = [
        {"md5": _md5(file), "relpath": file.relative_to(folder).as_posix()}
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    rows.sort(key=lambda row: row["relpath"])
    text = json.dumps(rows, sort_keys=True)
    whole = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() + ".dir"
    return {"folder": whole, "files": sorted(row["md5"] for row in rows)}


def sha256_tree(folder: Path) -> str:
    """One hash over the names and contents of a folder's files."""
    rows = [
        [file.relative_to(folder).as_posix(), sha256_file(file)]
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    return sha256_bytes(to_json(rows).encode())


def _fingerprint(root: Path, code: Sequence[str], inputs: Any) -> str:
    source = Path(__file__).resolve().parent.parent
    files = {file: sha256_file(source / file) for file in import_closure(source, *code)}
    return sha256_bytes(to_json([files, inputs]).encode())[:16]


def _drop_finished(root: Path, home: Path) -> None:
    """dvc deletes outs before a stage runs; work that it has safely recorded is not needed
    again."""
    lock_file = root / "dvc.lock"
    recorded = lock_file.read_text(encoding="utf-8") if lock_file.is_file() else ""
    files = set(re.findall(r"md5: ([0-9a-f]{32})$", recorded, re.MULTILINE))
    for marker in home.glob(f"*/{PUBLISHED}"):
        outs = json.loads(marker.read_text(encoding="utf-8"))
        if all(out["folder"] in recorded or set(out["files"]) <= files for out in outs):
            shutil.rmtree(home)
            return


def _md5(file: Path) -> str:
    with open(file, "rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
