"""The `patina` command: one sub-command a file of this folder."""

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

app = typer.Typer(
    name="patina",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Makes damage to learn from, and learns to undo it.",
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

if __name__ == "__main__":
    app()
