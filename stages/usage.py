"""A command's own words, checked: a wrong argument or option ends in one line and exit code 1, as
every other failure does."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from pipeline.errors import ParamsError

UsageError: type[Exception] = typer.BadParameter.__bases__[0]  # typer's own; click's is another
MAX_WORKERS = 1024


class Command(TyperCommand):
    """One command that tells a wrong use in one line and exits 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and exit."""
        return run(super().main, *args, **kwargs)


class Group(TyperGroup):
    """Commands that tell a wrong use, also of a command below, in one line and exit 1."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run, and exit."""
        return run(super().main, *args, **kwargs)


def run(main: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`main` of a command; unless the caller wants its exceptions, exit with its code, or with 1
    after a line on what was used wrongly. Without any words, the help stands for that line."""
    if not kwargs.pop("standalone_mode", True):
        return main(*args, standalone_mode=False, **kwargs)
    try:
        code = main(*args, standalone_mode=False, **kwargs)
    except UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # that one has printed the help
            typer.echo(f"error: {retell(error)}", err=True)
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def retell(error: Any) -> ParamsError:
    """A wrong use as where, what, what to do next."""
    from pipeline.complaints import did_you_mean

    context = error.ctx
    path = context.command_path if context is not None else "patina"
    see = f"see `{path} --help`"
    message = str(error.message).rstrip(".")
    if getattr(error, "param", None) is not None:
        rule = "is missing" if type(error).__name__ == "MissingParameter" else _rule(error, message)
        return ParamsError(path, f"{_name(error.param)} {rule}", see)
    if hasattr(error, "possibilities"):
        known = [name for param in context.command.params for name in param.opts]
        hint = did_you_mean(error.option_name, [*known, "--help"]).removeprefix(", ")
        return ParamsError(path, f"{error.option_name} is no option", hint or see)
    if hasattr(error, "option_name"):
        needs = "needs a value" if "requires" in message else "takes no value"
        return ParamsError(path, f"{error.option_name} {needs}", see)
    if found := re.match(r"No such command '(.*?)'", message):
        hint = did_you_mean(found[1], context.command.commands).removeprefix(", ")
        return ParamsError(path, f"'{found[1]}' is no command", hint or see)
    if found := re.match(r"Got unexpected extra argument\S* \((.*)\)", message):
        return ParamsError(path, f"takes no argument '{found[1]}'", see)
    return ParamsError(path, message, see)


def check_suffix(output: Path, *suffixes: str) -> None:
    """Raises ParamsError for a picture's name that does not end in what is going to be written."""
    if output.suffix.lower() not in suffixes:
        kinds = " or ".join(suffix.removeprefix(".").upper() for suffix in suffixes[:2])
        wanted = " or ".join(suffixes[:2])
        raise ParamsError(f"--output {output}", f"is no {kinds}", f"end its name in {wanted}")


def _name(param: Any) -> str:
    """``--workers``, or ``RECIPE``."""
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    return str(max(param.opts, key=len))


def _rule(error: Any, message: str) -> str:
    """What a value must be, and which one came."""
    from pydantic import ValidationError

    from pipeline.complaints import rule_of

    if isinstance(error.__cause__, ValidationError):
        problem = error.__cause__.errors()[0]
        return f"{rule_of(problem)}, not {problem['input']}"
    return f"cannot be taken: {message}"
