"""The `patina` command: one sub-command a file of this folder."""

from importlib.metadata import version
from typing import Annotated

import typer

from stages import (
    check,
    evaluate,
    fetch,
    index,
    leaderboard,
    preview,
    restore,
    show,
    synth,
    textures,
    train,
)
from stages.console import say

app = typer.Typer(
    name="patina", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
)
for run in (
    fetch.fetch,
    index.index,
    textures.textures,
    synth.synth,
    train.train,
    evaluate.evaluate,
    leaderboard.leaderboard,
    restore.restore,
    preview.preview,
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
