"""Which device a command computes on."""


def choose_device(name: str) -> str:
    """ "auto" is CUDA where there is a card. Raises ParamsError for what is not there."""
    import torch

    from pipeline.errors import ParamsError

    if name not in ("auto", "cpu", "cuda"):
        raise ParamsError(f"--device {name}", "is not known", "use auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise ParamsError("--device cuda", "no CUDA device is available", "use --device auto")
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
