"""A patch of params.yaml, put in: its new recipes and their shards, and what trainings mix in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.console import PARAMS
from stages.editing import dump, parse, put_first, round_trip


def apply_patch(root: Path, patched: dict[str, Any]) -> None:
    """Put a patch into params.yaml, whose comments stay; written only if all is valid then."""
    from pipeline.errors import ParamsError
    from pipeline.files import write_text
    from stages.validity import validate_params

    params = round_trip().load((root / PARAMS).read_text(encoding="utf-8"))
    for section in ("recipes", "synth"):
        for name, block in patched[section].items():
            put_first(params[section], name, block)
    for system, block in patched["train"].items():
        for own, one in zip(params["train"][system]["mix"], block["mix"], strict=True):
            own.update(one)
    text = dump(params)
    problems = validate_params(root, parse(text))
    if problems:
        lines = [line for problem in problems for line in problem.lines]
        raise ParamsError("mine --apply", "; ".join(lines), f"{PARAMS} was left as it was")
    write_text(root / PARAMS, text)
