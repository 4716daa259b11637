"""`patina preview PHOTO`: see a recipe or a family on one's own photo before anything is
trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stages.console import command, make_app, project_root, read_params, say

COLUMNS = 4
MAX_CELL_PIXELS = 50_000_000


@command
def preview(
    photo: Annotated[Path, typer.Argument(help="A photo.")],
    recipe: Annotated[str, typer.Option(help="A recipe, or one damage family.")],
    number: Annotated[int, typer.Option("-n", min=1, max=64, help="How many.")] = 8,
    output: Annotated[Path, typer.Option("-o", "--output", help="The contact sheet.")] = Path(
        "sheet.png"
    ),
    side: Annotated[
        int, typer.Option(min=64, max=4096, help="Short side of a cell in pixels.")
    ] = 256,
    masks: Annotated[bool, typer.Option(help="Show each mask below its picture.")] = True,
) -> None:
    """Draw a contact sheet: the photo under a recipe's damage, each time drawn anew."""
    from pipeline import images, photos, seeds
    from pipeline.config import did_you_mean, lookup, read_seed
    from pipeline.corruptions import CORRUPTIONS, Recipe
    from pipeline.errors import ImageError, ParamsError
    from pipeline.files import write_bytes

    root = project_root()
    params = read_params(root)
    recipes = lookup(params, "recipes")
    if recipe not in recipes and recipe not in CORRUPTIONS:
        names = [*recipes, *CORRUPTIONS]
        raise ParamsError(
            f"--recipe {recipe}", "is neither a recipe nor a damage family",
            f"use one of {', '.join(names)}{did_you_mean(recipe, names)}",
        )  # fmt: skip
    make = Recipe.load if recipe in recipes else Recipe.single
    loaded = make(params, recipe, root / "data/textures")
    try:
        pixels = photos.decode_rgb(photo.read_bytes(), lookup(params, "index.max_megapixels"))
    except OSError as error:
        raise ImageError(photo, error.strerror or "cannot be read", "name a photo") from None
    except ImageError as error:
        raise ImageError(photo, error.what, error.next_step) from None
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


app = make_app(preview, "preview")
if __name__ == "__main__":
    app()
