"""`patina preview PHOTO`: see a recipe or a family on one's own photo before anything is
trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stages.console import command, make_app, project_root, read_params, say
from stages.usage import check_suffix

if TYPE_CHECKING:
    from pipeline.images import Array

COLUMNS = 4
MAX_CELL_PIXELS = 50_000_000
GALLERY_QUALITY = 72


@command
def preview(
    photo: Annotated[
        Path | None, typer.Argument(help="A photo; the gallery has photos of its own.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="A recipe, or one damage family; for the gallery a family.")
    ] = None,
    number: Annotated[int, typer.Option("-n", min=1, max=64, help="How many.")] = 8,
    output: Annotated[Path, typer.Option("-o", "--output", help="The contact sheet.")] = Path(
        "sheet.png"
    ),
    side: Annotated[
        int, typer.Option(min=64, max=4096, help="Short side of a cell in pixels.")
    ] = 256,
    masks: Annotated[bool, typer.Option(help="Show each mask below its picture.")] = True,
    gallery: Annotated[
        bool, typer.Option("--gallery", help="Every damage family at five severities.")
    ] = False,
) -> None:
    """Draw a contact sheet: a photo under a recipe's damage, each time drawn anew; or a gallery."""
    from pipeline.errors import ParamsError

    check_suffix(output, ".png", *((".jpg", ".jpeg") if gallery else ()))
    if photo is not None and output.exists() and output.samefile(photo):
        raise ParamsError(f"--output {output}", "is the photo itself", "name another file")
    if gallery:
        _draw_gallery(photo, recipe, output)
    elif photo is None or recipe is None:
        raise ParamsError("preview", "needs a photo and --recipe", "name both, or use --gallery")
    else:
        _draw_sheet(photo, recipe, number, output, side, masks)


def _draw_gallery(photo: Path | None, family: str | None, output: Path) -> None:
    from pipeline import images
    from pipeline.config import read_max_megapixels
    from pipeline.corruptions import CORRUPTIONS
    from pipeline.files import write_bytes
    from pipeline.png import decode
    from stages.gallery import draw_gallery, sample_photos

    root = project_root()
    names = CORRUPTIONS.names() if family is None else [family]
    photos = sample_photos()
    if photo is not None:
        photos = [_read_photo(photo, read_max_megapixels(read_params(root)))]
    picture = draw_gallery(names, photos, root / "data/textures")
    if output.suffix.lower() in (".jpg", ".jpeg"):
        picture = images.encode_jpeg(decode(picture), GALLERY_QUALITY)
    write_bytes(output, picture)
    say(f"{len(names)} families at five severities: {output}")


def _draw_sheet(
    photo: Path, recipe: str, number: int, output: Path, side: int, masks: bool
) -> None:
    from pipeline import images, seeds
    from pipeline.complaints import did_you_mean
    from pipeline.config import read_max_megapixels, read_names, read_seed
    from pipeline.corruptions import CORRUPTIONS, Recipe
    from pipeline.errors import ImageError, ParamsError
    from pipeline.files import write_bytes

    root = project_root()
    params = read_params(root)
    recipes = read_names(params, "recipes")
    if recipe not in recipes and recipe not in CORRUPTIONS:
        names = [*recipes, *CORRUPTIONS]
        raise ParamsError(
            f"--recipe {recipe}", "is neither a recipe nor a damage family",
            f"use one of {', '.join(names)}{did_you_mean(recipe, names)}",
        )  # fmt: skip
    make = Recipe.load if recipe in recipes else Recipe.single
    loaded = make(params, recipe, root / "data/textures")
    pixels = _read_photo(photo, read_max_megapixels(params))
    scale = side / min(pixels.shape[:2])
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    if height * width > MAX_CELL_PIXELS:
        raise ImageError(photo, "is too long and thin for a sheet", "crop it or lower --side")
    pixels = images.resize(pixels, height, width)
    rows: list[list[images.Array]] = []
    for start in range(0, number, COLUMNS):
        made = [
            loaded.damage(
                pixels,
                lambda *step, turn=turn: seeds.rng(read_seed(params), "preview", turn, *step),
                min(pixels.shape[:2]),
            )
            for turn in range(start, min(number, start + COLUMNS))
        ]
        rows.append([one.corrupted for one in made])
        if masks:
            rows.append([one.mask for one in made])
    write_bytes(output, images.encode_png(images.sheet(rows)))
    say(f"{number} drawings of {recipe} on {photo.name}: {output}")


def _read_photo(photo: Path, max_megapixels: float) -> Array:
    from pipeline.errors import ImageError
    from pipeline.photos import decode_rgb

    try:
        return decode_rgb(photo.read_bytes(), max_megapixels)
    except OSError as error:
        raise ImageError(photo, error.strerror or "cannot be read", "name a photo") from None
    except ImageError as error:
        raise ImageError(photo, error.what, error.next_step) from None


app = make_app(preview, "preview")
if __name__ == "__main__":
    app()
