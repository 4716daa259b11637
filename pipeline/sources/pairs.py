"""A user's own pairs: clean photos beside the same ones damaged, with or without masks."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import ClassVar

from pipeline.errors import SourceError
from pipeline.files import printable
from pipeline.sources import SOURCES, Brought, ListedFile, Progress, Source, no_folder
from pipeline.sources.folder import others, strays, walk
from pipeline.sources.matching import Pair, flaws, take_pair

SPLITS = ("train", "val", "test")
CLEAN, MASK = "clean", "mask"
CORRUPTED = ("corrupted", "degraded")
MAX_TOLD = 20  # mismatches that one error names
Files = dict[str, Path]  # the files of a folder by their path in it without suffix


@SOURCES.add
class Pairs(Source):
    """`path`: a tree of ``train/``, ``val/`` and perhaps ``test/``, each with ``clean/``,
    ``corrupted/`` (or ``degraded/``) and perhaps ``mask/``; or of those three alone.

    Files match by their name without suffix. Without ``test/`` about half of the pairs of ``val/``
    are `test`, each by the hash of its clean file: no other pair moves it, and the damaged versions
    of one photo stay together. A mask is 0 and 1, or 0 and 255; not 0 is damaged. `licence`: of
    all photos; null: unknown.
    """

    path: str
    licence: str | None
    brings_damage: ClassVar[bool] = True

    def check(self, root: Path) -> list[SourceError]:
        return no_folder("pairs", root / self.path)

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
        """Copy every pair. All that does not match is told at once, before anything is copied."""
        tree = root / self.path
        for problem in self.check(root):
            raise problem
        pairs: list[tuple[str | None, Pair]] = []
        problems: list[str] = []
        for split, home in _find(tree).items():
            matched, unmatched = match(home, tree)
            pairs += [(split, pair) for pair in matched]
            problems += unmatched
        for done, (_, pair) in enumerate(pairs, 1):
            problems += flaws(pair, lambda path: printable(path.relative_to(tree)))
            progress(done, len(pairs))
        if problems:
            more = f" | and {len(problems) - MAX_TOLD} more" if len(problems) > MAX_TOLD else ""
            told = " | ".join(problems[:MAX_TOLD])
            raise SourceError(f"source pairs: {tree}", f"{told}{more}", "mend or remove those")
        if not pairs:
            what = f"holds no pairs in {CLEAN}/ and {'/ or '.join(CORRUPTED)}/, nor has it train/"
            raise SourceError(f"source pairs: {tree}", what, "lay the files out as docs/sources.md")
        files = [
            take_pair(pair, folder, split=split, licence=self.licence) for split, pair in pairs
        ]
        return Brought(_with_test(files), [*strays(tree), *others(tree)])

    def own(self, root: Path) -> list[Path]:
        return [root / self.path]


def match(home: Path, tree: Path) -> tuple[list[Pair], list[str]]:
    """The pairs in the folders of `home`, and a line for each odd file, named from `tree` on."""
    told = printable(home.relative_to(tree))
    prefix = "" if told == "." else f"{told}/"
    damaged = [name for name in CORRUPTED if (home / name).is_dir()] or [CORRUPTED[0]]
    if len(damaged) > 1:
        return [], [f"{prefix}{damaged[0]}: stands beside {damaged[1]}"]
    problems: list[str] = []
    files = {name: _files(home / name, problems) for name in (CLEAN, damaged[0], MASK)}
    clean, corrupted, masks = files.values()
    for name, other in ((CLEAN, damaged[0]), (damaged[0], CLEAN), (MASK, CLEAN)):
        odd = files[name].keys() - files[other].keys()
        problems += [f"{name}/{key}: has no file in {other}/" for key in odd]
    pairs = [
        Pair(printable(path.relative_to(tree)), path, corrupted[key], masks.get(key))
        for key, path in sorted(clean.items())
        if key in corrupted
    ]
    return pairs, [f"{prefix}{problem}" for problem in sorted(problems)]


def _find(tree: Path) -> dict[str | None, Path]:
    if (tree / CLEAN).is_dir():
        return {None: tree}
    return {split: tree / split for split in SPLITS if (tree / split).is_dir()}


def _files(folder: Path, problems: list[str]) -> Files:
    files: Files = {}
    for path in walk(folder) if folder.is_dir() else ():
        name = printable(path.relative_to(folder).with_suffix(""))
        key = unicodedata.normalize("NFC", name)  # a Mac spells accents its own way
        if key in files:
            problems.append(f"{folder.name}/{key}: stands there twice")
        files[key] = path
    return files


def _with_test(files: list[ListedFile]) -> list[ListedFile]:
    """Without official test pairs, some of those for validation: of all clean files, the half whose
    hash begins with a bit 0."""
    if any(row.split == "test" for row in files):
        return files
    return [
        row.model_copy(update={"split": "test"})
        if row.split == "val" and int(row.sha256[0], 16) < 8
        else row
        for row in files
    ]
