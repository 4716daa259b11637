"""What is wrong with a part of params.yaml, in plain words: pydantic's findings, retold."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

MEND = "mend params.yaml (`patina check` looks again)"
MISSING = "is missing"
MEANT = re.compile(r"did you mean '(.*)'\?")
MAX_SHOWN = 60  # characters of a value
RULES = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a map of names",
    "model_type": "a map of keys",
    "model_attributes_type": "a map of keys",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}


class Complaint(NamedTuple):
    """One broken rule: the key with its rule and value, and what to do next."""

    what: str
    next_step: str


def broken(key: str, rule: str) -> PydanticCustomError:
    """For validators that look at several keys: the one at `key` breaks the rule ("must …")."""
    return PydanticCustomError("broken", "{rule}", {"key": key, "rule": rule})


def explain(
    where: str, kind: type[BaseModel], problems: Sequence[Mapping[str, Any]]
) -> list[Complaint]:
    """A complaint for each broken key of the section `kind` that stands at `where`, in order.

    `problems`: pydantic's ``ValidationError.errors()``. A list that is too short only because its
    items are wrong, or that lacks several of them, is complained of once; so is a missing key that
    an unknown one seems to be.
    """
    places = [tuple(problem["loc"]) for problem in problems]
    told: dict[str, Complaint] = {}
    misspelt: set[str] = set()
    for place, problem in zip(places, problems, strict=True):
        below = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        if problem["type"] == "too_short" and below:
            continue
        key, complaint = _explain(where, kind, place, problem)
        told.setdefault(key, complaint)
        if problem["type"] == "extra_forbidden" and (meant := MEANT.match(complaint.next_step)):
            misspelt.add(".".join([where, *map(str, place[:-1]), meant[1]]))
    return [told[key] for key in told if not (key in misspelt and told[key].what.endswith(MISSING))]


def did_you_mean(word: object, names: Iterable[object]) -> str:
    """``, did you mean 'x'?`` or nothing."""
    close = difflib.get_close_matches(str(word), [str(name) for name in names], n=1)
    return f", did you mean '{close[0]}'?" if close else ""


def rule_of(problem: Mapping[str, Any]) -> str:
    """The rule that one of pydantic's findings is about: "must be at least 0"."""
    name, context = problem["type"], problem.get("ctx", {})
    if name == "literal_error":
        choices = _choices(context["expected"])
        return f"must be {'one of ' if len(choices) > 1 else ''}{', '.join(choices)}"
    if name == "too_long":
        return "must be a list of two values, low and high"
    if name == "too_short":
        return "must hold at least one value"
    if name in RULES:
        ends = {end: f"{one:g}" if isinstance(one, float) else one for end, one in context.items()}
        return f"must be {RULES[name].format(**ends)}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if " is not one of " in message:  # of a command's options
        return f"must be one of {', '.join(_choices(message.partition(' is not one of ')[2]))}"
    return message


def spell(value: Any) -> str:
    """A value as YAML would write it, cut to one short line."""
    text = _spell(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 3]}..."


def _explain(
    where: str, kind: type[BaseModel], place: tuple[Any, ...], problem: Mapping[str, Any]
) -> tuple[str, Complaint]:
    """The key that one problem is about, and the complaint."""
    name, value = problem["type"], problem["input"]
    context = problem.get("ctx", {})
    if name == "missing" and isinstance(place[-1], int):  # of a pair: `value` is the whole list
        name, place = "too_long", place[:-1]
        problem = {**problem, "type": name}
    if name == "literal_error" and place[-1] == "[key]":  # of a map with known names
        key = ".".join([where, *map(str, place[:-1])])
        hint = did_you_mean(value, _choices(context["expected"])).removeprefix(", ")
        return key, Complaint(f"{key} is an unknown key", hint or "remove it")
    if name == "broken":
        place = (*place, context["key"])
        value = value.get(context["key"]) if isinstance(value, Mapping) else value
    key = ".".join([where, *map(str, place)])
    if name == "extra_forbidden":
        hint = did_you_mean(place[-1], _keys_at(kind, place[:-1])).removeprefix(", ")
        return key, Complaint(f"{key} is an unknown key", hint or "remove it")
    if name == "missing":
        return key, Complaint(f"{key} {MISSING}", "add it")
    said = f"{key} {rule_of(problem)}, not {spell(value)}"
    if name == "less_than_equal" and re.search(r"(size|length|width)_range\.\d$", key):
        return key, Complaint(said, "write a share of the photo's short side")
    return key, Complaint(said, _hint(name, value, context))


def _hint(name: str, value: Any, context: Mapping[str, Any]) -> str:
    """What to do, where the value tells what was meant."""
    if isinstance(value, str) and name in ("int_type", "float_type") and _is_number(value):
        return "remove the quotes"
    if isinstance(value, bool | int | float) and name == "string_type":
        return "put it in quotes"
    if name == "literal_error":
        return did_you_mean(value, _choices(context["expected"])).removeprefix(", ") or MEND
    return MEND


def _choices(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _keys_at(kind: Any, place: Sequence[Any]) -> list[str]:
    """The keys known at `place` inside a section, through tuples and dicts of sections."""
    for part in place:
        if _is_section(kind):
            kind = kind.model_fields[part].annotation if part in kind.model_fields else None
        else:
            kind = next(filter(_is_section, get_args(kind)), None)
    return list(kind.model_fields) if _is_section(kind) else []


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _spell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_spell, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {_spell(one)}' for key, one in value.items())}}}"
    return repr(value)
