"""Does re-weighting by `patina mine` help? For each seed the tiny restorer learns `wear` twice, for
equal steps: as it is, and with the mined recipe mixed in. Both are measured on the same test
shards, which nothing but that sees.

`PATINA_PHOTOS=FOLDER python -m benchmarks mining [STEPS]`. Photos: `FOLDER/train`. A seed changes
photos' splits, damage, first weights and order of batches. Damage is drawn while they train: from
shards, the mix would show twice as many pictures. What is done is kept in `.work/benchmark-mining`
and not done again; delete it to start anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from benchmarks._timing import row
from pipeline.config import load_params
from pipeline.rows import Row, counted, photo_of, read_csv
from pipeline.statistics import Bootstrap, paired
from stages.editing import dump, parse

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (7, 8, 9)
RECIPE, SYSTEM, PAIR = "wear", "restorer", "restorer-wear"
PER_PHOTO = {"train": 4, "val": 4, "test": 3}
METRIC = "composite.psnr"
ROWS = Path("reports/systems", PAIR, "rows.csv")
Rows = list[Row]


def main(steps: str = "2000") -> list[dict]:
    """A row a seed, and one of all."""
    if "PATINA_PHOTOS" not in os.environ:
        print("PATINA_PHOTOS names no folder of photos to learn from")
        return []
    work = ROOT / ".work/benchmark-mining" / steps
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = list(pool.map(lambda seed: _both(work / str(seed), seed, int(steps)), SEEDS))
    for seed, arms in zip(SEEDS, made, strict=True):
        for one in (*arms[0], *arms[1]):
            one["seed"] = seed
    rows = [_row(f"seed-{seed}", arms) for seed, arms in zip(SEEDS, made, strict=True)]
    return [*rows, _row("all", [[*chain(*arm)] for arm in zip(*made, strict=True)])]


def _set_up(folder: Path, seed: int, steps: int) -> None:
    """params.yaml of the results preset, with this training and its measure alone."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "params.yaml", folder)
    _patina(
        folder, "preset", "results", "--photos", str(Path(os.environ["PATINA_PHOTOS"], "train"))
    )
    params = load_params(folder / "params.yaml")
    for section, name in (("synth", RECIPE), ("systems", SYSTEM), ("train", SYSTEM)):
        params[section] = {name: params[section][name]}
    own = {"recipe": RECIPE, "weight": 0.0}
    block, pair = params["train"][SYSTEM], params["evaluate"][f"{SYSTEM}-everything"]
    block |= {"recipe": RECIPE, "mix": [own, dict(own)]}
    block["stream"] |= {"mode": "fly", "cache_gigabytes": 0.0}
    block["phases"]["fit"]["steps"] = steps
    for split, count in PER_PHOTO.items():
        params["recipes"][RECIPE][split]["per_photo"] = count
    params |= {"seed": seed, "evaluate": {PAIR: pair | {"recipe": RECIPE, "baselines": []}}}
    (folder / "params.yaml").write_text(dump(params), encoding="utf-8")


def _both(folder: Path, seed: int, steps: int) -> list[Rows]:
    """Rows of the test split after the plain training, and after the mined one."""
    plain, mined = (folder / arm for arm in ("plain", "mined"))
    if not (plain / ROWS).is_file():
        if not (plain / "params.yaml").is_file():
            _set_up(plain, seed, steps)
        for stage in (["fetch"], ["index"], ["textures"], ["synth", RECIPE]):
            _patina(plain, *stage)
        _learn(plain)
    if not (mined / ROWS).is_file():
        if not (mined / "params.yaml").is_file():
            _copy(plain, mined)
        _patina(mined, "synth", f"{RECIPE}_mined")
        _learn(mined)
    return [read_csv((one / ROWS).read_text(encoding="utf-8")) for one in (plain, mined)]


def _copy(plain: Path, mined: Path) -> None:
    """The project as it was before it trained, but with the patch that mining suggests."""
    _patina(plain, "mine", SYSTEM, "--out", str(plain / "mined"))
    unfinished = mined.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(plain / "data", unfinished / "data", copy_function=os.link)
    params = load_params(plain / "params.yaml")
    if not (plain / "mined/patch.yaml").is_file():
        raise SystemExit(f"{plain}: mining suggests nothing here, so there is nothing to try")
    patch = parse((plain / "mined/patch.yaml").read_text(encoding="utf-8"))
    params["recipes"] |= patch["recipes"]
    params["synth"] |= patch["synth"]
    params["train"][SYSTEM]["mix"] = patch["train"][SYSTEM]["mix"]
    (unfinished / "params.yaml").write_text(dump(params), encoding="utf-8")
    unfinished.rename(mined)


def _learn(folder: Path) -> None:
    _patina(folder, "train", SYSTEM)
    _patina(folder, "evaluate", PAIR)


def _patina(folder: Path, *command: str) -> None:
    """A command in a project, on one thread: seeds run side by side."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("a", encoding="utf-8") as log:
        told = subprocess.run(
            [sys.executable, "-m", "stages", *command],
            cwd=folder, env=env, stdout=log, stderr=log, check=False,
        )  # fmt: skip
    if told.returncode:
        raise SystemExit(f"patina {' '.join(command)} failed: {folder / 'log.txt'} tells why")


def _row(name: str, arms: Sequence[Rows]) -> dict:
    """Mined against plain, sample by sample; photos are what is drawn for the interval."""
    before, after = ({f"{one['seed']} {one['key']}": one for one in arm} for arm in arms)
    keys = [f"{one['seed']} {one['key']}" for one in counted(arms[0])]
    photos = [photo_of(before[key]) for key in keys]
    columns = [[float(arm[key][METRIC]) for key in keys] for arm in (before, after)]
    found = paired(Bootstrap(photos, SEEDS[0]), photos, *columns)
    assert found.interval is not None and found.difference is not None
    low, high = found.interval.low, found.interval.high
    what = (
        f"test PSNR (dB) with the mined recipe, without; ratio: difference, 95 % {low:+.2f} to "
        f"{high:+.2f}; {found.num_samples} samples of {found.num_photos} photos"
    )
    return row(name, what, found.b, found.a, None, ratio=found.difference)
