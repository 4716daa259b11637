"""params.yaml, edited as a user would: comments, quotes, order and line breaks stay."""

from __future__ import annotations

import io
import re
from typing import Any

SECTION = re.compile(r"[a-z]\w*:")
SHORT = 60  # characters of values that are written on one line


def round_trip() -> Any:
    """A parser that keeps comments, quotes, order and line breaks."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 4096, True
    yaml.representer.add_representer(
        type(None), lambda shown, _: shown.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return yaml


def dump(params: Any) -> str:
    """params.yaml's text: ruamel loses the free lines after the last keys of sections."""
    text = io.StringIO()
    round_trip().dump(params, text)
    lines: list[str] = []
    for line in text.getvalue().splitlines():
        if SECTION.match(line):
            comments = next((n for n, one in enumerate(reversed(lines)) if one[:1] != "#"), 0)
            place = len(lines) - comments
            if place and lines[place - 1]:
                lines.insert(place, "")
        lines.append(line)
    return "\n".join(lines) + "\n"


def parse(text: str) -> dict[str, Any]:
    """Such a text as every command reads it."""
    from ruamel.yaml import YAML

    plain: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return plain


def styled(value: Any) -> Any:
    """Plain data as this params.yaml writes it: lists and maps of numbers and words on one line."""
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    if not isinstance(value, dict | list | tuple):
        return value
    inner = list(value.values() if isinstance(value, dict) else value)
    nested = any(isinstance(one, dict | list | tuple) for one in inner)
    made: Any = CommentedSeq(map(styled, inner))
    if isinstance(value, dict):
        made = CommentedMap((key, styled(one)) for key, one in value.items())
    if not nested and sum(len(str(one)) for one in inner) < SHORT:
        made.fa.set_flow_style()
    return made


def put_first(section: Any, name: str, value: Any) -> None:
    """Put a new entry before all others of a map, where no comment belongs to what follows; one
    that is there is replaced where it stands."""
    if name in section:
        section[name] = styled(value)
    else:
        section.insert(0, name, styled(value))
