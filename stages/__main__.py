"""The `patina` command: one sub-command a file of this folder. Exit codes: 0 done; 1 told in lines
that begin with "error:", a wrong option included; 128 + its number for a signal."""

from importlib.metadata import version
from typing import Annotated

import typer

from stages import (
    benchmark,
    check,
    compare,
    evaluate,
    fetch,
    index,
    inspect,
    leaderboard,
    lift,
    mine,
    preset,
    preview,
    restore,
    results,
    show,
    synth,
    textures,
    train,
)
from stages.console import say
from stages.usage import Group

app = typer.Typer(
    name="patina", cls=Group, add_completion=False, no_args_is_help=True,
    pretty_exceptions_enable=False,
)  # fmt: skip
for run in (
    fetch.fetch,
    index.index,
    textures.textures,
    synth.synth,
    inspect.inspect,
    train.train,
    evaluate.evaluate,
    leaderboard.leaderboard,
    results.results,
    compare.compare,
    benchmark.benchmark,
    mine.mine,
    restore.restore,
    preview.preview,
    preset.preset,
    lift.lift,
    show.show,
    check.check,
):
    app.command()(run)


def _tell_version(wanted: bool) -> None:
    if wanted:
        say(f"patina {version('patina-restore')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version."),
    ] = False,
) -> None:
    """Makes damage to learn from, and learns to undo it."""


if __name__ == "__main__":
    app()
