"""Which files of the project a module runs: its imports at any depth, read from the syntax tree."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOMS = ("pipeline", "stages")


def import_closure(root: Path, *files: str) -> list[str]:
    """The given files and all they import from this project, relative to `root`, sorted."""
    found: set[str] = set()
    todo = list(files)
    while todo:
        file = todo.pop()
        if file not in found:
            found.add(file)
            todo += direct_imports(root, file)
    return sorted(found)


@functools.cache
def direct_imports(root: Path, file: str) -> tuple[str, ...]:
    """The project's files that one file imports, wherever in it, with the packages on their way."""
    names: list[str] = []
    for node in ast.walk(ast.parse((root / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    files = {path for name in names for path in _files_of(root, name)}
    return tuple(sorted(files))


def _files_of(root: Path, name: str) -> list[str]:
    """``a.b.c`` → the __init__ files of its packages and its own file, where they exist."""
    parts = name.split(".")
    if parts[0] not in ROOMS:
        return []
    candidates = ["/".join(parts[:depth]) + "/__init__.py" for depth in range(1, len(parts) + 1)]
    candidates.append("/".join(parts) + ".py")
    return [path for path in candidates if (root / path).is_file()]
