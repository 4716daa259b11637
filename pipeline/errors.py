"""What a user can get wrong, or a disk can do, told in one line: where, what, what to do next."""

from collections.abc import Sequence
from typing import Any


class PipelineError(Exception):
    """An expected failure. The commands print it as one line and exit 1, without a traceback."""

    def __init__(self, where: object, what: str, next_step: str) -> None:
        super().__init__(f"{where}: {what}; {next_step}".replace("\n", "\\n"))
        self.where, self.what, self.next_step = str(where), what, next_step

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.where, self.what, self.next_step)  # crosses process borders whole

    @property
    def lines(self) -> list[str]:
        """What the commands print: a line for each thing that is wrong."""
        return [str(self)]


class ParamsError(PipelineError):
    """params.yaml, or a command's argument, says something that cannot be."""


class SectionError(ParamsError):
    """A section of params.yaml breaks rules. `complaints`: what is wrong, and what to do next."""

    def __init__(self, where: object, complaints: Sequence[tuple[str, str]]) -> None:
        self.complaints = [(what, next_step) for what, next_step in complaints]
        super().__init__(where, " | ".join(what for what, _ in complaints), complaints[-1][1])

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        return type(self), (self.where, self.complaints)

    def __str__(self) -> str:
        return " | ".join(self.lines)

    @property
    def lines(self) -> list[str]:
        """One line a complaint."""
        return [str(ParamsError(self.where, *one)) for one in self.complaints]


class SourceError(PipelineError):
    """Photos cannot be had from a source."""


class ImageError(PipelineError):
    """A file is not a picture that we read."""


class ShardError(PipelineError):
    """Shards and their manifest disagree, or a shard is damaged."""


class ReplayError(PipelineError):
    """A story cannot be replayed by this version of the code."""


class CheckpointError(PipelineError):
    """A weights file is not what it says."""


class TrainingError(PipelineError):
    """Training cannot go on."""


class BusyError(PipelineError):
    """Another process works on the same output."""
