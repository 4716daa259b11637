"""The bytes that each version of each family makes of fixed numbers, so that none changes unseen.

`python -m tests.pipeline.corruptions.pins` adds what is missing and keeps every pin whose version
stayed the same, but for families named after it: those are pinned anew, which is right only while
their version has never left this machine.
"""

import copy
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline import png, seeds
from pipeline.corruptions import CORRUPTIONS
from tests.pipeline.corruptions.conftest import photo_tile

FILE = Path(__file__).with_name("pins.json")
COMMAND = "python -m tests.pipeline.corruptions.pins"
SIZE = (48, 56)


def load() -> dict[str, Any]:
    """Family → version, drawn numbers, and a hash over the pixels and masks they give."""
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def fingerprint(name: str, drawn: list[dict[str, Any]], folder: Path) -> str:
    """A hash over what some drawn numbers do to a color and a gray tile."""
    overlay = png.encode(photo_tile(100, 100, 1))  # texture's bank; no two CPUs pack it alike
    (folder / "o.png").write_bytes(overlay)
    whole = hashlib.sha256()
    for numbers in copy.deepcopy(drawn):
        for one in numbers.get("overlays", []):
            one["sha256"] = hashlib.sha256(overlay).hexdigest()
        for channels in (3, 1):
            corruption = CORRUPTIONS[name].at(0.5).bind(folder)
            out, mask = corruption.apply(photo_tile(*SIZE, channels), numbers)
            whole.update(out.tobytes() + mask.tobytes())
    return whole.hexdigest()[:16]


def draw(name: str, folder: Path) -> list[dict[str, Any]]:
    """Numbers to pin: of photos twice as large as the tile, half bad and at the worst."""
    (folder / "bank.json").write_text(json.dumps({"overlays": {"o": ""}}))
    families = [CORRUPTIONS[name].at(severity).bind(folder) for severity in (0.5, 0.5, 1.0)]
    if name == "jpeg":  # WebP's coder may change with Pillow
        families = [one.model_copy(update={"kinds": ("jpeg",)}) for one in families]
    if name == "downscale":  # cubic sums differ between CPUs
        whole = ("area", "linear", "nearest")
        both = {"down_methods": whole, "up_methods": whole}
        families = [one.model_copy(update=both) for one in families]
    return [
        one.draw((*SIZE, 96), seeds.rng(7, name, number)) for number, one in enumerate(families)
    ]


def main(anew: list[str]) -> None:
    """Pin every family whose version has no pin, and those to pin anew."""
    known = load()
    for name in CORRUPTIONS.names():
        version = CORRUPTIONS[name].version
        if known.get(name, {}).get("version") == version and name not in anew:
            continue
        with tempfile.TemporaryDirectory() as folder:
            drawn = draw(name, Path(folder))
            pin = fingerprint(name, drawn, Path(folder))
        known[name] = {"version": version, "sha256": pin, "drawn": drawn}
        print(f"pinned {name}, version {version}")
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
