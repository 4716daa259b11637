"""A small evaluation with everything in it, for the tests of the pages that report it."""

from dataclasses import replace

import numpy as np

from pipeline.breakdown import breakdown
from pipeline.report.page import Shown, SystemReport
from pipeline.rows import summarize
from pipeline.seeds import rng

FAMILIES = ("folds", "stains", "folds stains")
NASTY = """<img src=x onerror="alert('&')">.png"""


def row(number, psnr=None, harm=45.0, photos=8):
    """A sample of a made-up evaluation; `psnr` of input, prediction, composite and `telea`."""
    random = rng(0, "row", number)
    psnr = psnr or (20 + random.random(), 24 + random.random(), 26 + 3 * random.random(), 25.0)
    made = {
        "key": f"{number:064x}_0000_00", "photo": f"photo {number % photos}.png",
        "source": "sample", "families": FAMILIES[number % 3], "covered": 0.02 + number / 100,
        "severity": number % 5 / 5,
        "width": 400 + 400 * (number % 2), "height": 300 + 400 * (number % 2),
        "mask.tp": 80, "mask.fp": 20, "mask.fn": 10,
        "harm.psnr": harm, "harm.marked": 0.01, "harm.altered": 0.02, "harm.altered_outside": 0.0,
        "altered_outside": 0.0,
    }  # fmt: skip
    for name, value in zip(("input", "prediction", "composite", "telea"), psnr, strict=True):
        made |= {f"{name}.psnr": float(value), f"{name}.ssim": 0.9, f"{name}.mse": 0.003,
                 f"{name}.psnr_masked": 12.0, f"{name}.mae_rim": 0.1}  # fmt: skip
    return made


def thresholds():
    """Scores over the threshold; the best F1 is at 0.4."""
    steps = [number / 20 for number in range(1, 20)]
    return [
        {"threshold": at, "precision": at, "recall": 1 - at, "f1": 0.9 - abs(at - 0.4), "iou": 0.5}
        for at in steps
    ]


def calibration():
    """Ten bins, one of them empty."""
    full = [
        {"low": low / 10, "high": (low + 1) / 10, "predicted": low / 10 + 0.05,
         "damaged": low / 12, "num_pixels": 10 ** (9 - low)}
        for low in range(9)
    ]  # fmt: skip
    empty = {"low": 0.9, "high": 1.0, "predicted": None, "damaged": None, "num_pixels": 0}
    return [*full, empty]


def pictures(number, names=("damaged", "restored", "original", "error ×4", "damage found")):
    """Pictures of 48×48; the error is gray."""
    random = rng(0, "pictures", number)
    shapes = [(48, 48, 1 if name.startswith("error") else 3) for name in names]
    smooth = [np.full(shape, 40 + 40 * place, np.uint8) for place, shape in enumerate(shapes)]
    return {
        name: one + random.integers(0, 30, one.shape, np.uint8)
        for name, one in zip(names, smooth, strict=True)
    }


def report(rows=None, masks=True, **changes):
    """A system on a recipe, beside one baseline; without `masks`, it finds none."""
    rows = [row(number) for number in range(24)] if rows is None else rows
    if not masks:
        drop = ("mask.", "harm.marked", "harm.altered_outside", "altered_outside")
        rows = [{k: v for k, v in one.items() if not k.startswith(drop)} for one in rows]
    metrics = summarize(rows)
    if masks:
        metrics["mask"] |= {"best_threshold": 0.4, "calibration_error": 0.0123}
    whys = ("worst", "worst", "best", "random")
    shown = [Shown(one["key"], one["photo"], why, one, pictures(number))
             for number, (one, why) in enumerate(zip(rows, whys, strict=False))]  # fmt: skip
    harmed = pictures(9, ("undamaged", "returned", "difference ×4"))
    shown.append(Shown(rows[-1]["key"], NASTY, "undamaged", rows[-1], harmed))
    made = SystemReport(
        pair="one-worn", system="one", kind="restorer", recipe="worn", metrics=metrics,
        tuned={"telea": {"radius": 5}}, threshold=0.1, rows=rows,
        breakdown=breakdown(rows, 7), samples=shown, seed=7,
        thresholds=thresholds() if masks else None, calibration=calibration() if masks else None,
        history=[{"phase": phase, "step": step, "values": {
            "train/l1": 1 / step, "val/l1": 2 / step, "val/psnr": 20.0 + step}}
            for step, phase in ((1, "a"), (2, "a"), (3, "b"), (4, "b"))],
        params={"systems.one": {"widths": [4, 8], "loss": {"l1": 1.0}}, "train.one": {"steps": 4}},
        fingerprints={"weights": "ab" * 32}, files=("rows.csv", "breakdown.csv"),
    )  # fmt: skip
    return replace(made, **changes)
