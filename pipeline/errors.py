"""What a user can get wrong, or a disk can do, told in one line: where, what, what to do next."""


class PipelineError(Exception):
    """An expected failure. The commands print it as one line and exit 1, without a traceback."""

    def __init__(self, where: object, what: str, next_step: str) -> None:
        super().__init__(f"{where}: {what}; {next_step}".replace("\n", "\\n"))
        self.where, self.what, self.next_step = str(where), what, next_step

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        return type(self), (self.where, self.what, self.next_step)  # crosses process borders whole


class ParamsError(PipelineError):
    """params.yaml, or a command's argument, says something that cannot be."""


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
