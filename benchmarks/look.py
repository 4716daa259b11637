"""Can drawn overlays be told from real ones? A classifier tries, on overlays that it never saw.

Real: `dark_overlay*` and `light_overlay*` in `$PATINA_PHOTOS/textures`. Drawn: the procedural bank
drawn at the sizes that the real files have and stored at their JPEG quality. Both are then brought
to one scale, one ground level and once more through JPEG; patches of one file or one drawn overlay
are never on both sides of a split. Of two classifiers, boosted
trees and a quadratic logistic regression, the better one's mean area under the ROC curve counts:
0.5 is chance, 1 is told apart always.
"""

import os
from pathlib import Path

import cv2
import numpy as np

from benchmarks._boosting import auc, boosted_trees, quadratic_logistic
from benchmarks._patches import features, patches, prepared, through_jpeg
from pipeline import photos, seeds
from pipeline.images import to_gray
from pipeline.textures import KINDS, draw_overlay

GOAL = 0.85
NUM_OVERLAYS = 140
SHIPPED = 512  # textures.size of params.yaml
STORED_QUALITY = 86  # of the real files
PER_SCAN, PER_OVERLAY = 40, 8
REPEATS, FOLDS = 4, 5
Array = np.ndarray
Rows = dict[str, Array]  # name of the file or overlay → its patches' features


def main() -> list[dict]:
    """Rows: all kinds together, then each kind alone."""
    folder = os.environ.get("PATINA_PHOTOS")
    if folder is None:
        print("look: skipped, PATINA_PHOTOS does not name a folder of real photos")
        return []
    cv2.setNumThreads(1)
    scans = real_overlays(Path(folder) / "textures")
    real = {name: rows_of(gray, PER_SCAN, name) for name, gray in scans.items()}
    drawn = drawn_rows([min(gray.shape) for gray in scans.values()])
    out = [row("look", f"all kinds against {len(real)} scans", real, drawn)]
    shipped = drawn_rows([SHIPPED])
    what = f"as the bank ships, {SHIPPED} pixels and never resampled"
    out.append(row("look-shipped", what, real, shipped) | {"floor": None})
    for kind in KINDS:
        alone = {name: rows for name, rows in drawn.items() if name.startswith(kind)}
        out.append(row(f"look-{kind}", f"{kind} alone", real, alone) | {"floor": None})
    return out


def row(name: str, what: str, real: Rows, drawn: Rows) -> dict:
    """`ratio` is how far from certain the classifier is, against how far it has to be."""
    ours = round(told_apart(real, drawn), 3)
    ratio = round((1 - ours) / (1 - GOAL), 3)
    what = f"held-out AUC of real against drawn overlays, {what}; peer: the goal; lower is better"
    return {"id": name, "what": what, "ours": ours, "peer": GOAL, "ratio": ratio,
            "floor": 1.0, "ceiling": round(0.5 / (1 - GOAL), 3)}  # fmt: skip


def real_overlays(folder: Path) -> dict[str, Array]:
    """Name → gray picture."""
    paths = sorted([*folder.glob("dark_overlay*"), *folder.glob("light_overlay*")])
    return {
        path.stem: to_gray(photos.decode_rgb(path.read_bytes(), 100.0))[:, :, 0] for path in paths
    }


def drawn_rows(sides: list[int], seed: int = 1) -> Rows:
    """Features of the patches of drawn overlays; `sides` take turns, kinds as in the bank."""
    found: Rows = {}
    for place in range(NUM_OVERLAYS):
        number, turn = divmod(place, len(KINDS))
        side = sides[int(seeds.rng(seed, "look", "side", place).integers(len(sides)))]
        overlay = draw_overlay(KINDS[turn], side, seeds.rng(seed, "look", KINDS[turn], number))
        name = f"{KINDS[turn]}-{number:03d}"
        found[name] = rows_of(through_jpeg(overlay, STORED_QUALITY), PER_OVERLAY, name)
    return {name: rows for name, rows in found.items() if len(rows)}


def rows_of(gray: Array, count: int, name: str) -> Array:
    """(patches, features) of one overlay; none where nothing is seen."""
    chosen = patches(prepared(gray), count, seeds.rng(0, "look", "patches", name))
    return np.array([features(patch) for patch in chosen])


def told_apart(real: Rows, drawn: Rows) -> float:
    """Mean held-out AUC of the better classifier over all splits."""
    scores = np.array([held_out(real, drawn, repeat) for repeat in range(REPEATS)])
    return float(scores.mean(axis=(0, 1)).max())


def held_out(real: Rows, drawn: Rows, repeat: int) -> list[tuple[float, float]]:
    """One AUC a fold and classifier; whole files and overlays change sides."""
    names = [*real, *drawn]
    rng = seeds.rng(0, "look", "folds", repeat)
    turn = np.concatenate([rng.permutation(len(side)) % FOLDS for side in (real, drawn)])
    sides = [*real.values(), *drawn.values()]
    table = np.concatenate(sides)
    owner = np.repeat(np.arange(len(names)), [len(rows) for rows in sides])
    labels = (owner >= len(real)).astype(np.int64)
    # every file counts alike, and so do both sides
    weights = 1.0 / np.bincount(owner)[owner]
    weights *= np.where(labels == 1, len(real) / len(drawn), 1.0)
    weights *= len(weights) / weights.sum()
    found = []
    for fold in range(FOLDS):
        test = turn[owner] == fold
        sets = table[~test], labels[~test], weights[~test], table[test]
        both = [
            method(*sets, seeds.rng(0, "look", "fit", repeat, fold))
            for method in (boosted_trees, quadratic_logistic)
        ]
        found.append(tuple(auc(scores, labels[test]) for scores in both))
    return found
