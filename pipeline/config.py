"""params.yaml, read strictly: sections become frozen types, names become classes, slips become
one-line errors."""

import importlib
import math
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.complaints import MEND, did_you_mean, explain, spell
from pipeline.errors import ParamsError, SectionError

# Upper bounds are far above all that makes sense: they catch pixels where shares are meant, and
# slips of the keyboard that would fill the memory.
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(gt=0, le=4)]  # a share of the photo's short side
Amount = Annotated[float, Field(ge=0, le=1e6)]
Degrees = Annotated[float, Field(ge=-360, le=360)]
Count = Annotated[int, Field(ge=0, le=10_000)]
Positive = Annotated[int, Field(ge=1, le=100_000)]
Pixels = Annotated[int, Field(ge=1, le=16_384)]
Channels = Annotated[int, Field(ge=1, le=8_192)]  # of a network's layer
Steps = Annotated[int, Field(ge=1, le=10**9)]  # of training

MAX_PARAMS_BYTES = 1_000_000
MAX_DEPTH = 12
MAX_NAMED = 12  # neighbours told of a missing key
MAX_MEGAPIXELS = 10_000.0  # 30 GB in memory
MAX_NUMBER = 2**63 - 1
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
        raise ValueError("must go from low to high")
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
    except (YAMLError, ValueError) as error:
        raise _no_yaml(path, error) from None
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
        raise ParamsError(
            "params", f"seed must be a whole number from 0 up, not {spell(seed)}", MEND
        )
    return seed


def read_max_megapixels(params: Mapping[str, Any]) -> float:
    """``index.max_megapixels``, for those who read photos and no index."""
    limit = lookup(params, "index.max_megapixels")
    is_number = isinstance(limit, int | float) and not isinstance(limit, bool)
    if not (is_number and 0 < limit <= MAX_MEGAPIXELS):
        rule = f"a number more than 0, at most {MAX_MEGAPIXELS:g}"
        what = f"index.max_megapixels must be {rule}, not {spell(limit)}"
        raise ParamsError("params", what, MEND)
    return float(limit)


def read_names(params: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section that is a map of names, such as `recipes`: name → its block."""
    found = lookup(params, name)
    if not isinstance(found, Mapping):
        what = f"{name} must be a map of names, not {spell(found)}"
        raise ParamsError("params", what, "write `name: {…}` lines")
    return found


def section(params: Mapping[str, Any], dotted: str, kind: type[SectionType]) -> SectionType:
    """The frozen, validated section at ``a.b.c``.

    Raises SectionError, which tells every broken key with its rule and value.
    """
    return validate(lookup(params, dotted), dotted, kind)


def validate(data: Any, where: str, kind: type[SectionType]) -> SectionType:
    """`data` as `kind`; tuples may be written as YAML lists."""
    try:
        return kind.model_validate(_tuples(data))
    except ValidationError as error:
        raise SectionError("params", explain(where, kind, error.errors())) from None


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


def _no_yaml(path: Path, error: Exception) -> ParamsError:
    """What the parser stumbled over, with its line where it knows one."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        where = f"{path}, line {error.problem_mark.line + 1}"
        context = f"{error.context}, " if str(error.problem).startswith("but ") else ""
        said = " ".join(f"{context}{error.problem}".split())
        if twice := re.match(r'found duplicate key "(.*?)" with', said):
            return ParamsError(where, f"key '{twice[1][:60]}' is there twice", "keep one of them")
        return ParamsError(where, f"is not valid YAML: {said[:120]}", "mend that line")
    if isinstance(error, UnicodeDecodeError):
        return ParamsError(path, "is not valid YAML: its text is not UTF-8", "save it as UTF-8")
    line = " ".join(str(error).split())
    return ParamsError(path, f"is not valid YAML: {line[:120]}", "mend that value")


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
                raise ParamsError(where, f"key {spell(key)} is no text", "put it in quotes")
            _check_plain(value, path, (*trail, key), budget)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            _check_plain(value, path, (*trail, str(number)), budget)
    elif isinstance(node, int) and abs(node) > MAX_NUMBER:
        raise ParamsError(where, "is too large a number", "write a smaller one")
    elif isinstance(node, float) and not math.isfinite(node):
        raise ParamsError(where, f"{node} is not a finite number", "write a finite one")
    elif node is not None and not isinstance(node, bool | int | float | str):
        raise ParamsError(where, f"a {type(node).__name__} cannot stand here", "write plain YAML")
