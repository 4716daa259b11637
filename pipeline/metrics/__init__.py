"""How near a restored photo comes to its clean twin: every registered metric.

Pictures are uint8 H×W×3 (RGB) or H×W×1 (gray), masks uint8 H×W with 0 = whole and anything else
(255) = damaged. A metric is ``fn(prediction, target, mask) -> float | None``; None means undefined,
e.g. a masked metric under an empty mask. Nothing is cropped before a metric. `Ruler` measures many
of them at once, and several pictures of one sample, and gives the same numbers.
"""

from pipeline.metrics import ciede2000, color, contrast, dacon, masks, perception, regions, scales
from pipeline.metrics.base import METRICS, Metric
from pipeline.metrics.definitions import DEFINITIONS, define_lpips
from pipeline.metrics.perception import GOOD_LPIPS
from pipeline.metrics.ruler import Ruler

__all__ = [
    "DEFINITIONS",
    "GOOD_LPIPS",
    "METRICS",
    "Metric",
    "Ruler",
    "ciede2000",
    "color",
    "contrast",
    "dacon",
    "define_lpips",
    "masks",
    "perception",
    "regions",
    "scales",
]
