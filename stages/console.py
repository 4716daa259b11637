"""What every command shares: where the project is, how errors end, how progress looks."""

from __future__ import annotations

import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from pipeline.errors import ParamsError, PipelineError
from stages.usage import Command

PARAMS = "params.yaml"
LINE_SECONDS = 5.0  # between progress lines where there is no terminal
GOES_ON, STARTS_ANEW = "the next run goes on from here", "the next run starts anew"

os.environ.setdefault("DVC_NO_ANALYTICS", "1")
# Compute threads that wait should soon give the processor away: spinning beside any other work made
# training several times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"


def project_root() -> Path:
    """The folder of the nearest params.yaml, from the working folder upward, else this
    repository's."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if (folder / PARAMS).is_file():
            return folder
    raise ParamsError(here, f"has no {PARAMS} above it", "go into a clone of Patina")


def read_params(root: Path) -> dict[str, Any]:
    """params.yaml of the project."""
    from pipeline.config import load_params

    return load_params(root / PARAMS)


def say(text: str) -> None:
    """A line for the user."""
    typer.echo(text)


def tell(error: PipelineError) -> None:
    """A failure on the error stream: a line for each thing that is wrong."""
    for line in error.lines:
        typer.echo(f"error: {line}", err=True)


def command(function: Callable[..., None], after: str = GOES_ON) -> Callable[..., None]:
    """A command whose expected failures are one line and exit 1, and that ends cleanly on a
    signal; `after`: what comes of it when it was stopped."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            function(*args, **kwargs)
        except PipelineError as error:
            tell(error)
            raise typer.Exit(1) from None
        except BrokenPipeError:  # whoever read the output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(128 + signal.SIGPIPE) from None
        except OSError as error:
            where = error.filename or "the disk"
            typer.echo(
                f"error: {where}: {error.strerror or error}; mend that and run it again", err=True
            )
            raise typer.Exit(1) from None
        except KeyboardInterrupt as stop:
            _tell_stopped(stop, after)
            raise typer.Exit(128 + signal.SIGINT) from None

    return run


def anew(function: Callable[..., None]) -> Callable[..., None]:
    """A `command` that keeps nothing when it is stopped."""
    return command(function, STARTS_ANEW)


def make_app(function: Callable[..., None], name: str) -> typer.Typer:
    """A typer app of one command, for ``python -m stages.<name>``."""
    app = typer.Typer(name=name, add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Command)(function)
    return app


@contextmanager
def progress(title: str) -> Iterator[Callable[..., None]]:
    """Yield ``show(done, total, note="")``: a bar on a terminal, now and then a line elsewhere."""
    if sys.stderr.isatty():
        with _bar(title) as show:
            yield show
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Callable[..., None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, note="")

        def show(done: int, total: int, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield show


def _lines(title: str) -> Callable[..., None]:
    last = 0.0

    def show(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done == total or now - last >= LINE_SECONDS:
            last = now
            typer.echo(f"{title}: {done}/{total} {note}".rstrip(), err=True)

    return show


@contextmanager
def stop_politely() -> Iterator[Callable[[], bool]]:
    """Yield ``stopping()``: true once Ctrl-C or SIGTERM came. The second one stops at once."""
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _terminate)

    before = [signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield lambda: bool(came)
    except KeyboardInterrupt as stop:
        if came == [signal.SIGTERM]:
            _tell_stopped(stop)
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _tell_stopped(stop: KeyboardInterrupt, after: str = GOES_ON) -> None:
    where = f" {stop}" if str(stop) else ""
    typer.echo(f"stopped{where}; {after}", err=True)


def _terminate(number: int, frame: object) -> None:
    raise SystemExit(128 + number)
