"""What a measure takes: pictures and masks of one size, checked before anything is computed."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import PipelineError

PEAK = 255  # the data range of 8-bit pictures

Picture: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[Any]  # float32 or float64


def plain_pair(prediction: Picture, target: Picture) -> tuple[Picture, Picture]:
    """Two uint8 pictures, H×W×3 or H×W×1, as OpenCV likes them: contiguous, and gray without its
    channel axis. Raises PipelineError where shapes or types do not fit."""
    for picture in (prediction, target):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] not in (1, 3):
            raise misfit(f"a {picture.dtype} picture of {picture.shape}", "give uint8 H×W×3 or ×1")
    if prediction.shape != target.shape or prediction.size == 0:
        raise misfit(f"pictures of {prediction.shape} and {target.shape}", "give one size above 0")
    shape = target.shape if target.shape[2] == 3 else target.shape[:2]
    return np.ascontiguousarray(prediction).reshape(shape), np.ascontiguousarray(target).reshape(
        shape
    )


def plain_mask(mask: Mask | None, target: Picture) -> Mask | None:
    """The mask of a picture, uint8 H×W, contiguous. Raises PipelineError where it does not fit."""
    if mask is None:
        return None
    if mask.dtype != np.uint8 or mask.shape != target.shape[:2]:
        raise misfit(f"a {mask.dtype} mask of {mask.shape} for {target.shape}", "give uint8 H×W")
    return np.ascontiguousarray(mask)


def misfit(what: str, next_step: str) -> PipelineError:
    """The error for what has no measure."""
    return PipelineError("metrics", f"cannot measure {what}", next_step)
