"""`patina lift SCAN -o FILE.png`: take the dust and scratches off a scan of blank film or paper, as
an overlay for textures/scans/ or for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.console import command, make_app, project_root, read_params, say
from stages.usage import check_suffix

VISIBLE = 4  # gray levels, as the texture family counts damage


@command
def lift(
    scan: Annotated[Path, typer.Argument(help="A scan of a blank frame or page.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The overlay, a PNG.")] = Path(
        "overlay.png"
    ),
    alpha: Annotated[
        bool, typer.Option("--alpha", help="White or black marks with alpha, for other programs.")
    ] = False,
) -> None:
    """Lift the marks off a blank scan: its ground becomes 0, its marks amplitude up to 255."""
    from pipeline import images, photos
    from pipeline.config import read_max_megapixels
    from pipeline.errors import ImageError
    from pipeline.files import write_bytes
    from pipeline.textures import misfit, overlay_from_scan, overlay_with_alpha

    check_suffix(output, ".png")
    limit = read_max_megapixels(read_params(project_root()))
    try:
        pixels = photos.decode_rgb(scan.read_bytes(), limit)
    except OSError as error:
        raise ImageError(scan, error.strerror or "cannot be read", "name a scan") from None
    except ImageError as error:
        raise ImageError(scan, error.what, error.next_step) from None
    if misfit(pixels) > 1:
        raise ImageError(scan, "is a picture, not a blank page", "scan a blank frame or page")
    overlay = overlay_with_alpha(pixels) if alpha else overlay_from_scan(pixels)
    planes = overlay if alpha else overlay[:, :, None]
    marked = overlay[:, :, 3] if alpha else overlay
    if not (marked > VISIBLE).any():
        raise ImageError(scan, "shows no marks to lift", "scan a worn blank frame or page")
    write_bytes(output, images.encode_png(planes))
    say(f"{(marked > VISIBLE).mean():.1%} of {scan.name} is marked: {output}")


app = make_app(lift, "lift")
if __name__ == "__main__":
    app()
