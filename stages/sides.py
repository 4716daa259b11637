"""The two sides of `patina compare`, as a user names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.evaluate import find_pair

if TYPE_CHECKING:
    from pipeline.comparison.sides import Side
    from pipeline.revisions import Files

REPORTS, METRICS = "reports/systems", "metrics.json"


class Named(NamedTuple):
    """A side as the user named it. `pair` is None where a bare revision leaves it open."""

    label: str
    pair: str | None
    files: Files


def resolve(root: Path, params: dict[str, Any], text: str) -> Named:
    """A pair of the working folder comes before a revision of the same name."""
    from pipeline.errors import ParamsError
    from pipeline.revisions import Revision, RevisionError, WorkingFolder

    name, colon, pair = text.partition(":")
    if not name.strip() or (colon and not pair.strip()):
        what = "is no pair, system or revision, nor REVISION:PAIR"
        raise ParamsError(repr(text), what, "name a pair of params.yaml, or see --help")
    if colon:
        return Named(text, pair_of(params, pair), Revision(root, name))
    try:
        return Named(text, find_pair(params, text), WorkingFolder(root))
    except ParamsError as unknown:
        if text in _systems(params):  # of several pairs
            raise
        try:
            return Named(text, None, Revision(root, text))
        except RevisionError as error:
            what = f"is no pair of params.yaml and no revision ({error.what})"
            raise ParamsError(repr(text), what, unknown.next_step) from None


def pair_of(params: dict[str, Any], name: str) -> str:
    """The pair of this name, or the only one of the system of this name; else the name as it is: a
    revision may have had other pairs."""
    from pipeline.errors import ParamsError

    if not name.strip():
        raise ParamsError(f"--pair {name!r}", "is no name", "name a pair of params.yaml")
    try:
        return find_pair(params, name)
    except ParamsError:
        if name in _systems(params):  # of several pairs
            raise
        return name


def _systems(params: dict[str, Any]) -> set[str]:
    pairs = params.get("evaluate")
    blocks = pairs.values() if isinstance(pairs, dict) else ()
    return {str(block.get("system")) for block in blocks if isinstance(block, dict)}


def name_pairs(sides: list[Named], pair: str | None) -> list[Named]:
    """Give bare revisions their pair: that asked for, else the other side's, else the only one that
    both have."""
    from pipeline.errors import ParamsError

    bare = [one for one in sides if one.pair is None]
    if pair is not None and not bare:
        raise ParamsError(f"--pair {pair}", "both sides have a pair already", "leave it out")
    if not bare:
        return sides
    if pair is None:
        pair = next((one.pair for one in sides if one.pair is not None), None)
    if pair is None:
        first, second = (_evaluated(one.files) or one.files.folders(REPORTS) for one in sides)
        shared = [name for name in first if name in second]
        if len(shared) != 1:
            where = f"{sides[0].label} and {sides[1].label}"
            what = f"have {len(shared) or 'no'} pairs in common"
            listed = f"name one with --pair: {', '.join(shared)}" if shared else "evaluate both"
            raise ParamsError(where, what, listed)
        (pair,) = shared
    return [one._replace(pair=one.pair or pair) for one in sides]


def read(named: Named) -> Side:
    """The report of a side. Raises a PipelineError where there is none that can be compared."""
    from pipeline.comparison.sides import AGAIN, SUBJECT, read_side
    from pipeline.errors import ParamsError

    assert named.pair is not None, "bare revisions have got theirs"
    folder, files = f"{REPORTS}/{named.pair}", named.files
    if not files.has(f"{folder}/{SUBJECT}"):
        where, listed = f"{named.label}: {folder}", ", ".join(_evaluated(files))
        other = f", or name another pair: {listed}" if listed else ""
        if files.has(f"{folder}/{METRICS}"):
            what = f"was evaluated by an older version, which left no {SUBJECT}"
            raise ParamsError(where, what, f"{AGAIN}{other}")
        raise ParamsError(where, "is no report", f"evaluate it{other}")
    return read_side(named.label, named.pair, named.files.revision, named.files.read, folder)


def _evaluated(files: Files) -> list[str]:
    """The pairs whose reports can be compared."""
    from pipeline.comparison.sides import SUBJECT

    return [name for name in files.folders(REPORTS) if files.has(f"{REPORTS}/{name}/{SUBJECT}")]
