"""Where unfinished work lies between a kill and the next run: ``.work/<stage>/<fingerprint>/``."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase as fnmatch
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.files import (
    TEMPORARY,
    DiskError,
    lock,
    publish,
    sha256_bytes,
    sha256_file,
    to_json,
    write_json,
)
from stages.closure import import_closure

PUBLISHED = "published.json"
PACKAGES = ("albumentations", "isal", "numpy", "opencv-python-headless", "pillow", "torch")
MARKS = ("manifest.json", "files.json", "best.safetensors", "metrics.json", "data.json")
OURS = ("data", "models", "reports")  # folders of a project that its stages may overwrite


@contextlib.contextmanager
def workspace(
    root: Path,
    stage: str,
    code: Sequence[str],
    inputs: Any,
    outs: Sequence[Path],
    marks: Sequence[str] = MARKS,
    leaves: Sequence[str] = ("*",),
) -> Iterator[Path]:
    """A folder for one piece of work, held alone, as are its outs. A user's own folder is refused:
    an out of the stage has one of the `marks`, and no file but those that it `leaves` (patterns,
    where ``*`` crosses folders).

    The fingerprint covers the params and data hashes in `inputs` and the import closure of the
    `code` files, so that work is resumed only by the very code and data that began it. Earlier work
    is dropped when dvc.lock already holds its outs.
    """
    for out in outs:
        _refuse_foreign(root, out, marks, leaves)
    home = root / ".work" / stage.replace("/", "-")
    with contextlib.ExitStack() as stack:
        for held in sorted({*outs, home}):
            stack.enter_context(lock(held))
        _drop_finished(root, home)
        folder = home / fingerprint(code, inputs)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def finish(root: Path, folder: Path, outs: dict[str, tuple[Path, str | None]]) -> None:
    """Publish parts of the work: sub-folder name → (out, the file that arrives last)."""
    published = {}
    for name, (out, last) in outs.items():
        publish(folder / name, out, last)
        if out.is_relative_to(root):
            published[name] = out.relative_to(root).as_posix()
    write_json(folder / PUBLISHED, published)
    for older in folder.parent.glob(f"*/{PUBLISHED}"):  # finished, and now out of date
        if older.parent != folder:
            shutil.rmtree(older.parent)


def fingerprint(code: Sequence[str], inputs: Any, without: tuple[str, ...] = ()) -> str:
    """A short hash of `inputs` (JSON data), of the import closure of the `code` files but for those
    whose paths begin with one of `without`, and of the versions of the packages whose arithmetic
    ends up in outs."""
    source = Path(__file__).resolve().parent.parent
    closure = [file for file in import_closure(source, *code) if not file.startswith(without)]
    files = {file: sha256_file(source / file) for file in closure}
    versions = [version(name) for name in PACKAGES]
    return sha256_bytes(to_json([files, versions, inputs]).encode())[:16]


def dvc_hash(path: Path) -> str:
    """dvc.lock's hash of a file (md5), or of a folder: md5 over the JSON list of its files."""
    if path.is_file():
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, _md5).hexdigest()
    files = [file for file in path.rglob("*") if file.is_file()]
    rows = [{"md5": dvc_hash(f), "relpath": f.relative_to(path).as_posix()} for f in files]
    text = json.dumps(sorted(rows, key=lambda row: row["relpath"]), sort_keys=True)
    return _md5(text.encode()).hexdigest() + ".dir"


def _refuse_foreign(root: Path, out: Path, marks: Sequence[str], leaves: Sequence[str]) -> None:
    """Publishing removes what is not of the new out: never a user's own files."""
    if any(out.resolve().is_relative_to((root / ours).resolve()) for ours in OURS):
        return
    files = [file for file in out.rglob("*") if not file.is_dir()] if out.is_dir() else []
    ours = [file for file in files if TEMPORARY in file.name or fnmatch(file.name, ".*.lock")]
    names = [file.relative_to(out).as_posix() for file in files if file not in ours]
    strange = [name for name in names if not any(fnmatch(name, one) for one in leaves)]
    if strange or (names and not any(any(out.glob(mark)) for mark in marks)):
        what = f"holds other files, which would be removed ({(strange or names)[0]})"
        raise DiskError(out, what, "name an empty folder")


def _drop_finished(root: Path, home: Path) -> None:
    """Work that dvc has safely recorded is not needed again."""
    lock_file = root / "dvc.lock"
    stages = YAML(typ="safe", pure=True).load(lock_file)["stages"] if lock_file.is_file() else {}
    recorded = {out["path"]: out["md5"] for stage in stages.values() for out in stage["outs"]}
    for marker in list(home.glob(f"*/{PUBLISHED}")):
        published = json.loads(marker.read_text(encoding="utf-8"))
        if published and all(
            _is_recorded(marker.parent / name, out, recorded) for name, out in published.items()
        ):
            shutil.rmtree(marker.parent)


def _is_recorded(work: Path, out: str, recorded: dict[str, str]) -> bool:
    """Do dvc's outs at or below `out` have the very content of the work folder?"""
    below = {path: md5 for path, md5 in recorded.items() if (path + "/").startswith(out + "/")}
    return bool(below) and all(
        (work / path[len(out) + 1 :]).exists() and dvc_hash(work / path[len(out) + 1 :]) == md5
        for path, md5 in below.items()
    )


def _md5(data: bytes = b"") -> Any:
    return hashlib.md5(data, usedforsecurity=False)
