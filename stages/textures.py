"""`patina textures`: draw the overlay bank, and take in the scans that a user put into
textures/scans/."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.console import command, make_app, progress, project_root, read_params, say


@command
def textures(
    out: Annotated[Path | None, typer.Option(help="Folder for the bank.")] = None,
    scans: Annotated[Path | None, typer.Option(help="Folder of scans that join the bank.")] = None,
) -> None:
    """Draw dust, hair, scratches, folds, stains and blotches from the seed; lift scans into the
    bank."""
    from pipeline import images, photos, png
    from pipeline.config import read_max_megapixels, read_seed, section
    from pipeline.corruptions.texture import BANK_LIST
    from pipeline.errors import ImageError
    from pipeline.files import sha256_bytes, sha256_file, write_bytes, write_json
    from pipeline.sources import plain_name
    from pipeline.sources.folder import walk
    from pipeline.textures import TexturesSection, draw_bank, overlay_from_scan
    from stages.workspace import finish, workspace

    root = project_root()
    params = read_params(root)
    block, seed = section(params, "textures", TexturesSection), read_seed(params)
    home = scans or root / "textures/scans"
    found = {path: sha256_file(path) for path in (walk(home) if scans or home.is_dir() else ())}
    limit = read_max_megapixels(params)
    target = out or root / "data/textures"
    inputs = [
        block.model_dump(),
        seed,
        sorted([path.name, digest] for path, digest in found.items()),
    ]
    total = block.num_overlays + len(found)
    bank: dict[str, str] = {}
    with workspace(root, "textures", ["stages/textures.py"], inputs, [target], [BANK_LIST]) as work:
        with progress("textures") as show:

            def keep(name: str, overlay: images.Array) -> None:
                data = png.encode(overlay[:, :, None])
                write_bytes(work / "bank" / f"{name}.png", data)
                bank[name] = sha256_bytes(data)
                show(len(bank), total)

            for name, overlay in draw_bank(block, seed):
                keep(name, overlay)
            for path, digest in found.items():
                try:
                    scan = photos.decode_rgb(path.read_bytes(), limit)
                except ImageError as error:
                    raise ImageError(path, error.what, error.next_step) from None
                keep(plain_name(f"scan-{path.stem}", digest, ""), overlay_from_scan(scan))
        write_json(work / "bank" / BANK_LIST, {"overlays": bank})
        finish(root, work, {"bank": (target, BANK_LIST)})
    say(f"{len(bank)} overlays, {len(found)} of them from scans")


app = make_app(textures, "textures")
if __name__ == "__main__":
    app()
