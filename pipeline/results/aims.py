"""What each system is to reach on photos that it has not seen: figures, bounds, and of which of its
variants they are asked. They are the project's goals, no settings: so they stand here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pipeline.metrics import GOOD_LPIPS
from pipeline.results.figures import (
    Measure,
    colorfulness,
    difference,
    mask_f1,
    mask_iou,
    mean,
    share_below,
)

Settings = Mapping[str, Any]  # the params of a system


class Aim(NamedTuple):
    """`measure` of an evaluation of this `kind` on `recipe` (None: any), whose value is to be
    `least` or more and `most` or less; with neither it is told alone. `digits` after the point,
    `when`: the variants that it concerns, by their params; `beside`: columns whose means are told
    too, by what they are called."""

    kind: str
    recipe: str | None
    name: str
    measure: Measure
    digits: int
    least: float | None = None
    most: float | None = None
    beside: tuple[tuple[str, str], ...] = ()
    when: Callable[[Settings], bool] = lambda _: True

    def reached(self, value: float) -> bool | None:
        """None where nothing is asked."""
        if self.least is None and self.most is None:
            return None
        enough = self.least is None or value >= self.least
        return enough and (self.most is None or value <= self.most)


def _has_skips(settings: Settings) -> bool:
    return bool(settings.get("skips")) and all(settings["skips"])


def _lacks_skips(settings: Settings) -> bool:
    return not _has_skips(settings)


def _passes_code_by(settings: Settings) -> bool:
    return bool(settings.get("skips"))


def _colors(loss: str) -> Callable[[Settings], bool]:
    return lambda one: one.get("color") in ("rgb", "lab") and one.get("color_loss") == loss


_BEFORE = "the input"
_GAIN = difference("composite.psnr", "input.psnr")

AIMS = (
    Aim("dual_decoder", "shapes", "mask F1", mask_f1, 4, least=0.99),
    Aim("dual_decoder", "shapes", "mask IoU", mask_iou, 4, least=0.98),
    Aim("dual_decoder", "shapes", "share of pixels changed outside the predicted mask",
        mean("altered_outside"), 6, most=0.0),
    Aim("dual_decoder", "shapes", f"share of samples with LPIPS ≤ {GOOD_LPIPS:g}",
        share_below("composite.lpips", GOOD_LPIPS), 3, least=0.85),
    Aim("defect_unet", "defects", "gain with skips (dB)", _GAIN, 2, least=4.0, when=_has_skips),
    Aim("defect_unet", "defects", "gain without skips (dB)", _GAIN, 2, when=_lacks_skips),
    Aim("defect_unet", "defects", "PSNR on defects less PSNR of all (dB)",
        difference("composite.psnr_keep", "composite.psnr"), 2, least=-1.0,
        beside=(("on defects", "composite.psnr_keep"), (_BEFORE, "input.psnr_keep"))),
    Aim("defect_unet", "defects", "contrast of defects by the original's",
        mean("composite.contrast_keep"), 3, least=0.9,
        beside=((_BEFORE, "input.contrast_keep"),)),
    Aim("skip_vae", "distorted", "SSIM", mean("composite.ssim"), 4,
        beside=((_BEFORE, "input.ssim"),)),
    Aim("skip_vae", "distorted", "MSE", mean("composite.mse"), 5,
        beside=((_BEFORE, "input.mse"),)),
    Aim("skip_vae", "distorted", "histogram correlation",
        mean("composite.histogram_correlation"), 4,
        beside=((_BEFORE, "input.histogram_correlation"),)),
    Aim("skip_vae", "distorted", "KL of the code from the prior (nats)", mean("kl"), 2),
    Aim("skip_vae", "distorted", "PSNR lost when its skips are cut (dB)",
        difference("composite.psnr", "without_skips.psnr"), 2, when=_passes_code_by,
        beside=(("with them", "composite.psnr"), ("cut", "without_skips.psnr"))),
    Aim("three_stage", "polygons", "dacon score", mean("composite.dacon_score"), 4,
        beside=((_BEFORE, "input.dacon_score"), ("mean fill", "mean_fill.dacon_score"))),
    Aim("three_stage", "polygons", "dacon score less the input's",
        difference("composite.dacon_score", "input.dacon_score"), 4),
    Aim("aged_unet", "aged_published", "MSE", mean("composite.mse"), 5, most=0.002,
        beside=((_BEFORE, "input.mse"),)),
    Aim("aged_unet", "aged_published", "MSE of the input, which must be that hard",
        mean("input.mse"), 5, least=0.012),
    Aim("aged_unet", None, "PSNR less that of the best constant tint (dB)",
        difference("composite.psnr", "tint.psnr"), 2, least=0.3, when=_colors("regression"),
        beside=(("tint", "tint.psnr"),)),
    Aim("aged_unet", None, "colorfulness by the originals'", colorfulness, 3, least=0.6, most=1.4,
        when=_colors("rebalanced")),
    Aim("aged_unet", None, "hue correlation less that of the best constant tint",
        difference("composite.hue_correlation", "tint.hue_correlation"), 3, least=0.1,
        when=_colors("rebalanced"), beside=(("tint", "tint.hue_correlation"),)),
)  # fmt: skip
