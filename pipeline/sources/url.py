"""Archives and pictures from anywhere: http(s), s3, and whatever else fsspec can read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from fsspec import get_filesystem_class
from pydantic import AfterValidator, field_validator

from pipeline.archives import SUFFIXES as ARCHIVES
from pipeline.archives import is_archive
from pipeline.config import Section
from pipeline.downloads import Remote
from pipeline.errors import SourceError
from pipeline.files import link_file, printable, sha256_bytes
from pipeline.photos import SUFFIXES as PICTURES
from pipeline.sources import SOURCES, Brought, ListedFile, Progress, Source, plain_name, take
from pipeline.sources.remote import bring, earlier, pictures, unpacked


def _digits(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("must be 64 digits of 0-9 and a-f")
    return text


INSTALL = "run .venv/bin/python -m pip install -c constraints.txt -e '.[s3]'"
Sha256 = Annotated[str, AfterValidator(_digits)]


class UrlFile(Section):
    """One address. `split` and `licence` are of all its pictures; null: by the index; unknown."""

    url: str
    sha256: Sha256
    split: Literal["train", "val", "test"] | None
    licence: str | None

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if "://" not in url:
            raise ValueError("must be an address such as https://… or s3://…")
        if not url_name(url).lower().endswith((*ARCHIVES, *PICTURES)):
            raise ValueError(f"must end in one of {', '.join((*ARCHIVES, *PICTURES))}")
        return url


@SOURCES.add
class Url(Source):
    """`files`: addresses of archives (zip, tar) and pictures, each with its sha256."""

    files: tuple[UrlFile, ...]

    def check(self, root: Path) -> list[SourceError]:
        schemes = {one.url.partition("://")[0].lower() for one in self.files}
        return [one for scheme in sorted(schemes) for one in _check_scheme(scheme)]

    def fetch(self, root: Path, folder: Path, progress: Progress) -> Brought:
        """Download all, unpack the archives, and take every picture."""
        before = earlier(folder)
        if before is not None:
            return before
        for problem in self.check(root):
            raise problem
        listed: dict[str, ListedFile] = {}
        for done, one in enumerate(self.files, 1):
            name = url_name(one.url)
            path = bring(root, [one.url], name, Remote(one.url, one.sha256), progress)
            for told, picture in _pictures(name, path, folder):
                row = take(picture, told, folder, link_file, one.split, one.licence)
                if row.file in listed:  # which of its splits counts, the index decides and tells
                    row = _apart(row, folder, f"{done}/{told}")
                listed[row.file] = row
            progress(done, len(self.files))
        return Brought(list(listed.values()), [])


def _check_scheme(scheme: str) -> list[SourceError]:
    if scheme in ("http", "https"):
        return []
    try:
        get_filesystem_class(scheme)
    except ValueError:
        what, step = "is no kind of address that fsspec knows", "mend the url"
    except ImportError as error:
        what = " ".join(str(error).split())
        step = INSTALL if scheme.startswith("s3") else "install that"
    else:
        return []
    return [SourceError(f"source url: {scheme}://", what, step)]


def _apart(row: ListedFile, folder: Path, place: str) -> ListedFile:
    """The same content under a file name of its own, made from its `place`."""
    mark = sha256_bytes(f"{place}/{row.sha256}".encode())
    file = plain_name(Path(row.name).stem, mark, Path(row.file).suffix)
    link_file(folder / row.file, folder / file)
    return row.model_copy(update={"file": file})


def url_name(url: str) -> str:
    """The file's name at the end of an address, without its query."""
    return unquote(urlsplit(url).path).rstrip("/").rsplit("/", 1)[-1]


def _pictures(name: str, path: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    if not is_archive(name):
        yield name, path
        return
    tree = unpacked(path, path.name, folder)
    for picture in pictures(tree):
        yield f"{name}/{printable(picture.relative_to(tree))}", picture
