"""Samples whose errors have causes that are known, for they were planted."""

from collections.abc import Mapping, Sequence

from pipeline.mining.features import Mined
from pipeline.seeds import rng


def planted(
    seed: int,
    costs: Mapping[str, float],
    slopes: Mapping[str, float] | None = None,
    *,
    photos: int = 20,
    each: int = 12,
    chances: Mapping[str, float] | None = None,
    by_looks: float = 0.0,
) -> list[Mined]:
    """`costs`: dB of each family's presence at severity 0.5, `slopes`: dB for 1 of severity, unless
    told otherwise 0; `chances`: of their presence, else 0.4; `by_looks`: dB for all of the tile
    covered. Photos differ by 3 dB, samples of one by 2 dB, detail adds some more."""
    dice, found = rng(seed, "planted"), []
    for photo in range(photos):
        base = -30 + dice.normal(0, 3)
        for place in range(each):
            drawn = {name: float(dice.uniform(0.1, 0.9)) for name in costs}
            there = {n: s for n, s in drawn.items() if dice.random() < (chances or {}).get(n, 0.4)}
            detail, covered = float(dice.normal()), float(dice.uniform(0, 0.3))
            error = base + detail + dice.normal(0, 2) + by_looks * covered
            for name, severity in there.items():
                error += costs[name] + (slopes or {}).get(name, 0.0) * (severity - 0.5)
            found.append(
                Mined(
                    key=f"{photo}_{place}",
                    photo=f"sample/{photo:03d}",
                    mse=10 ** (error / 10),
                    input_mse=0.01,
                    context={"texture": detail, "contrast": 0.2, "brightness": 0.5},
                    families=there,
                    kept={},
                    whole={"covered": covered, "size": 0.1, "pieces": 1.0,
                           "steps": float(len(there)), "photo_side": 300.0},
                )
            )  # fmt: skip
    return found


def names(count: int) -> Sequence[str]:
    """Names of so many families."""
    return [f"family{number}" for number in range(count)]
