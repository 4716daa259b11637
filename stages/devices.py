"""What a command computes on: the device, and how many loader processes beside it."""

import os


def choose_device(name: str) -> str:
    """ "auto" is CUDA where there is a card. Raises ParamsError for what is not there."""
    import torch

    from pipeline.errors import ParamsError

    if name not in ("auto", "cpu", "cuda"):
        raise ParamsError(f"--device {name}", "is not known", "use auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParamsError("--device cuda", "no CUDA device is available", "use --device auto")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"


def choose_workers(num_streams: int) -> int:
    """The most loader processes that half the cores can feed and the streams can be dealt to."""
    limit = (os.cpu_count() or 1) // 2
    return max((n for n in range(1, limit + 1) if num_streams % n == 0), default=0)
