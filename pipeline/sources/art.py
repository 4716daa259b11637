"""Kaggle's "Art images: clear and distorted": paintings, and the same ones distorted.

https://www.kaggle.com/datasets/sankarmechengg/art-images-clear-and-distorted states the licence.
The clear pictures serve any recipe, such as `distorted`; with their twins they serve `given`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from pipeline.archives import is_archive
from pipeline.errors import SourceError
from pipeline.files import copy_file, link_file, printable, sha256_file
from pipeline.sources import SOURCES, Brought, LeftOut, ListedFile, Progress, Source, take
from pipeline.sources.folder import strays
from pipeline.sources.matching import Pair, flaws, take_pair
from pipeline.sources.remote import is_junk, pictures, unpacked

HANDLE = "sankarmechengg/art-images-clear-and-distorted"
LICENCE = f"see https://www.kaggle.com/datasets/{HANDLE}"
DISTORTED = re.compile(r"distort|damag|degrad|corrupt|blur|noisy", re.IGNORECASE)
CLEAR = re.compile(r"clear|clean|original", re.IGNORECASE)
WHERE = f"source art: kaggle {HANDLE}"
INSTALL = "run .venv/bin/python -m pip install -c constraints.txt -e '.[art]'"
BY_HAND = "download it in a browser and set sources.art.path to the zip or folder"
How = Callable[[Path, Path], None]
Named = dict[str, list[Path]]
TOKENS = ("KAGGLE_API_TOKEN", "KAGGLE_KEY")
TOKEN_FILES = ("kaggle.json", "access_token")


@SOURCES.add
class Art(Source):
    """`path`: the zip or folder, where it was downloaded by hand; null: Kaggle's own client brings
    it, with the credentials that it finds in the environment or ``~/.kaggle``."""

    path: str | None
    brings_damage: ClassVar[bool] = True

    def check(self, root: Path) -> list[SourceError]:
        if self.path is None:
            return _check_kaggle()
        home = root / self.path
        if home.is_dir() or (home.is_file() and is_archive(home.name)):
            return []
        return [SourceError(f"source art: {home}", "is no zip and no folder", BY_HAND)]

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
        """Take every clear picture, a row for each distorted twin of its name and size, if any."""
        for problem in self.check(root):
            raise problem
        home, how = self._home(root, folder)
        clear, distorted, others = _sort(home)
        if not clear:
            what = "holds no folder of clear pictures (its name says clear, clean or original)"
            raise SourceError(f"source art: {home}", what, BY_HAND)
        files: list[ListedFile] = []
        odd: list[tuple[Path, str]] = []
        for done, (key, paths) in enumerate(clear.items(), 1):
            for path in paths:
                name = printable(path.relative_to(home))
                twins = distorted.get(key, []) if len(paths) == 1 else []
                rows, unfit = _take(Pair(name, path, path, None), twins, folder, how)
                files += rows
                odd += unfit
            progress(done, len(clear))
        for key, twins in distorted.items():
            if len(clear.get(key, [])) != 1:
                odd += [(twin, "not one clear picture alone has its name") for twin in twins]
        odd += [(other, "lies in no folder of clear or distorted pictures") for other in others]
        named = [LeftOut(name=printable(path.relative_to(home)), reason=why) for path, why in odd]
        return Brought(files, [*named, *(one for one in strays(home) if not is_junk(one.name))])

    def own(self, root: Path) -> list[Path]:
        return [] if self.path is None else [root / self.path]

    def _home(self, root: Path, folder: Path) -> tuple[Path, How]:
        """The tree of pictures, and how to take files out of it: a user's own are never linked."""
        if self.path is None:
            return _from_kaggle(), copy_file
        home = root / self.path
        if home.is_file() and is_archive(home.name):
            return unpacked(home, sha256_file(home), folder), link_file
        return home, copy_file


def key_of(stem: str) -> str:
    """What both names share: ``title (12)`` of ``Title (12)-blurred``, else the whole."""
    told = re.match(r".*?\(\d+\)", stem)
    return " ".join((told[0] if told else stem).casefold().split())


def _take(
    pair: Pair, twins: list[Path], folder: Path, how: How
) -> tuple[list[ListedFile], list[tuple[Path, str]]]:
    """A clear picture with each twin that fits, or alone; and the others, with the reasons."""
    rows: list[ListedFile] = []
    unfit: list[tuple[Path, str]] = []
    for twin in twins:
        problems = flaws(pair._replace(corrupted=twin), lambda path: path.name)
        if problems:
            unfit.append((twin, "; ".join(problems)))
        else:
            rows.append(take_pair(pair._replace(corrupted=twin), folder, how, licence=LICENCE))
    return rows or [take(pair.clean, pair.name, folder, how, licence=LICENCE)], unfit


def _sort(home: Path) -> tuple[Named, Named, list[Path]]:
    """Clear pictures by name, distorted ones, and the rest: the innermost folder that says which
    decides.

    The name is what is left of the path without the words for it.
    """
    others: list[Path] = []
    clear: Named = {}
    distorted: Named = {}
    for path in pictures(home):
        said = [
            (bool(CLEAR.search(part)), bool(DISTORTED.search(part)), part.casefold())
            for part in path.relative_to(home).parts[:-1]
        ]
        key = "/".join([*(part for *kinds, part in said if not any(kinds)), key_of(path.stem)])
        decided = [bright for bright, dull, _ in said if bright != dull]
        if decided:
            (clear if decided[-1] else distorted).setdefault(key, []).append(path)
        else:
            others.append(path)
    return clear, distorted, others


def _check_kaggle() -> list[SourceError]:
    if find_spec("kagglehub") is None:
        step = f"{INSTALL}, or {BY_HAND}"
        return [SourceError(WHERE, "kagglehub is not installed", step)]
    home = Path(os.environ.get("KAGGLE_CONFIG_DIR", "~/.kaggle")).expanduser()
    if any(map(os.environ.get, TOKENS)) or any((home / name).is_file() for name in TOKEN_FILES):
        return []
    step = f"make a token on kaggle.com/settings and put it there, or {BY_HAND}"
    return [SourceError(WHERE, f"no credentials in the environment or {home}", step)]


def _from_kaggle() -> Path:
    """The folder that kagglehub downloaded to, or already had."""
    try:
        import kagglehub

        return Path(kagglehub.dataset_download(HANDLE))
    except Exception as error:  # its own, requests' and the disk's
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise SourceError(WHERE, what, f"mend that, or {BY_HAND}") from None
