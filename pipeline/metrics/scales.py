"""MS-SSIM: structural similarity over five scales, from fine texture to large shapes."""

import math

import cv2

from pipeline.fidelity import Picture
from pipeline.fidelity.pictures import Floats
from pipeline.fidelity.structure import Similarity, similarity

# Of the scales, fine to coarse, as viewers weighed them; the sum is 1.
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LEAST_SIDE = 161  # px: after four halvings one window of 11 px fits


def ms_ssim(prediction: Picture, target: Picture, finest: Similarity | None) -> float | None:
    """Mean over channels of Π cⱼ^wⱼ · s₅^w₅: contrast and structure of each scale, SSIM itself of
    the coarsest, in [0, 1].

    Wang, Simoncelli, Bovik 2003, "Multi-scale structural similarity for image quality assessment",
    with the published code's halving: means of 2×2 px, an odd last row or column repeated. Negative
    factors, which have no such power, count as 0. Pictures as in `similarity`, `finest` is what it
    found of them; None for pictures with a side under `LEAST_SIDE`.
    """
    if finest is None or min(target.shape[:2]) < LEAST_SIDE:
        return None
    found, a, b = [finest], _float(prediction), _float(target)
    for _ in WEIGHTS[1:]:
        a, b = _halved(a), _halved(b)
        coarser = similarity(a, b)
        assert coarser is not None, a.shape
        found.append(coarser)
    factors = [*(one.contrast for one in found[:-1]), found[-1].channels]
    products = [
        math.prod(max(value, 0.0) ** weight for value, weight in zip(scales, WEIGHTS, strict=True))
        for scales in zip(*factors, strict=True)
    ]
    return math.fsum(products) / len(products)


def _float(picture: Picture) -> Floats:
    return picture.astype("float32")


def _halved(plane: Floats) -> Floats:
    """Exact in float32 for all five scales: sums of 256 values of 8 bits."""
    height, width = plane.shape[:2]
    even = cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
