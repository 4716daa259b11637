"""params.yaml, read strictly: sections become frozen types, names become classes, slips become
one-line errors."""

import difflib
import importlib
import math
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import ParamsError

Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Pixels = Annotated[int, Field(ge=1)]
Positive = Annotated[int, Field(ge=1)]

MAX_PARAMS_BYTES = 1_000_000
MAX_DEPTH = 12
MAX_NAMED = 12  # neighbours told of a missing key
MAX_VALUES = 100_000  # aliases make few bytes many values

Entry = TypeVar("Entry")
SectionType = TypeVar("SectionType", bound="Section")


class Section(BaseModel):
    """A part of params.yaml: strict types, no unknown keys, no inf or nan, no defaults in code."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )


def ordered(low_high: tuple[float, float]) -> tuple[float, float]:
    """Validator for `*_range` fields: low first."""
    low, high = low_high
    if low > high:
        raise ValueError(f"a range goes from low to high, not {low} to {high}")
    return low_high


def load_params(path: Path) -> dict[str, Any]:
    """Read a params file with DVC's own parser, whole and checked for size, duplicates and plain
    types."""
    try:
        size = path.stat().st_size
        if size > MAX_PARAMS_BYTES:
            raise ParamsError(path, f"{size} bytes is no params file", "keep it under 1 MB")
        data = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(
            path, error.strerror or str(error), "name a readable params file"
        ) from None
    except (YAMLError, UnicodeDecodeError, ValueError) as error:
        line = " ".join(str(error).split())
        raise ParamsError(path, f"is not valid YAML ({line[:300]})", "mend that line") from None
    except RecursionError:
        raise ParamsError(path, "is nested too deep", "flatten it") from None
    if not isinstance(data, dict):
        raise ParamsError(path, "holds no sections", "start from the params.yaml of the repository")
    _check_plain(data, path, (), iter(range(MAX_VALUES)))
    return data


def lookup(params: Mapping[str, Any], dotted: str) -> Any:
    """The value at ``a.b.c``; a missing key names its nearest neighbours."""
    node: Any = params
    walked: list[str] = []
    for word in dotted.split("."):
        if not isinstance(node, Mapping) or word not in node:
            names = list(node) if isinstance(node, Mapping) else []
            where = ".".join([*walked, word])
            beside = f"; beside it: {', '.join(map(str, names[:MAX_NAMED]))}" if names else ""
            raise ParamsError(
                f"params: {where}", "is missing", f"add it{did_you_mean(word, names)}{beside}"
            )
        node = node[word]
        walked.append(word)
    return node


def read_seed(params: Mapping[str, Any]) -> int:
    """The root seed: a whole number from 0 up."""
    seed = lookup(params, "seed")
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise ParamsError("params: seed", f"{seed!r} is no whole number from 0 up", "mend it")
    return seed


def section(params: Mapping[str, Any], dotted: str, kind: type[SectionType]) -> SectionType:
    """The frozen, validated section at ``a.b.c``.

    Raises ParamsError that lists every broken key with its rule and value.
    """
    return validate(lookup(params, dotted), dotted, kind)


def validate(data: Any, where: str, kind: type[SectionType]) -> SectionType:
    """`data` as `kind`; tuples may be written as YAML lists."""
    try:
        return kind.model_validate(_tuples(data))
    except ValidationError as error:
        lines = [_explain(where, kind, problem) for problem in error.errors()]
        raise ParamsError(
            "params", " | ".join(lines), "mend params.yaml (`patina check` looks again)"
        ) from None


def did_you_mean(word: str, names: Iterator[str] | list[str]) -> str:
    """``; did you mean 'x'?`` or nothing."""
    close = difflib.get_close_matches(str(word), [str(name) for name in names], n=1)
    return f", did you mean '{close[0]}'?" if close else ""


class Registry(Generic[Entry]):
    """Name → entry. With `package`, an entry's file is imported only when its name is asked for."""

    def __init__(self, kind: str, package: str | None = None) -> None:
        self.kind, self.package = kind, package
        self._entries: dict[str, Entry] = {}

    def add(self, entry: Entry) -> Entry:
        """Decorator: register a class (``DualDecoder`` as ``dual_decoder``) or a function."""
        name = snake_case(cast(Any, entry).__name__)
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> Entry:
        if name not in self._entries:
            self._import(name)
        if name not in self._entries:
            names = self.names()
            raise ParamsError(
                f"{self.kind} {name!r}",
                "is not known",
                f"use one of {', '.join(names)}" + did_you_mean(name, names),
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and name not in self._entries:
            self._import(name)
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def names(self) -> list[str]:
        """Every name there is, sorted; imports the whole package."""
        if self.package is not None:
            home = importlib.import_module(self.package)
            for module in pkgutil.iter_modules(home.__path__):
                importlib.import_module(f"{self.package}.{module.name}")
        return sorted(self._entries)

    def _import(self, name: str) -> None:
        if self.package is None or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            return
        try:
            importlib.import_module(f"{self.package}.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"{self.package}.{name}":
                raise


def snake_case(name: str) -> str:
    """``DualDecoder`` → ``dual_decoder``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _explain(where: str, kind: type[BaseModel], problem: Any) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join([where, *path])
    if problem["type"] == "extra_forbidden":
        return f"{key} is not a known key{did_you_mean(path[-1], _keys_at(kind, path[:-1]))}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{key} = {_short(problem['input'])}: {message}"


def _keys_at(kind: Any, path: list[str]) -> list[str]:
    """The keys known at `path` inside a section, through tuples and dicts of sections."""
    for part in path:
        if _is_model(kind):
            kind = kind.model_fields[part].annotation if part in kind.model_fields else None
        else:
            kind = next(filter(_is_model, get_args(kind)), None)
    return list(kind.model_fields) if _is_model(kind) else []


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _short(value: Any) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _tuples(data: Any) -> Any:
    """YAML has lists only; strict types want tuples where the length or immutability matters."""
    if isinstance(data, Mapping):
        return {key: _tuples(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return tuple(_tuples(value) for value in data)
    return data


def _check_plain(node: Any, path: Path, trail: tuple[str, ...], budget: Iterator[int]) -> None:
    where = f"{path}: {'.'.join(trail) or 'top'}"
    if len(trail) > MAX_DEPTH:
        raise ParamsError(where, "is nested too deep", "flatten it")
    if next(budget, None) is None:
        raise ParamsError(where, f"is past {MAX_VALUES} values", "keep the file small")
    if isinstance(node, dict):
        for key, value in node.items():
            if not isinstance(key, str):
                raise ParamsError(where, f"key {key!r} is no text", "quote it")
            _check_plain(value, path, (*trail, key), budget)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            _check_plain(value, path, (*trail, str(number)), budget)
    elif isinstance(node, float) and not math.isfinite(node):
        raise ParamsError(where, f"{node} is not a finite number", "write a finite one")
    elif node is not None and not isinstance(node, bool | int | float | str):
        raise ParamsError(where, f"a {type(node).__name__} cannot stand here", "write plain YAML")
