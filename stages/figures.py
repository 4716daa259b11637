"""How a benchmark is told: a table on the terminal, JSON, and sheets to look at."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.console import say

if TYPE_CHECKING:
    from pipeline.images import Array
    from pipeline.literature.measuring import Measured
    from pipeline.literature.pictures import Seen
    from pipeline.literature.protocol import Damage, Noise, Pair

Cells = tuple[str, str, str]


class Shown(NamedTuple):
    """What one protocol gave: method → its figures."""

    pictures: Sequence[Seen]
    protocol: Noise | Damage
    measured: Mapping[str, Measured]


def check_outputs(folder: Path, out: Path | None, pictures: Path | None) -> None:
    """Raises ParamsError for places that cannot be written without loss, and DiskError for those
    that cannot be written at all, before any work."""
    from pipeline.errors import ParamsError
    from pipeline.files import check_writable

    if out is not None and (out.is_dir() or out.suffix.lower() != ".json"):
        raise ParamsError(f"--out {out}", "is no JSON file", "end its name in .json")
    if out is not None:
        check_writable(out.parent)
    if pictures is None:
        return
    if pictures.resolve().is_relative_to(folder.resolve()):
        what = "would make the sheets pictures of the set"
        raise ParamsError(f"--pictures {pictures}", what, "name a folder elsewhere")
    if pictures.exists() and (not pictures.is_dir() or any(pictures.iterdir())):
        raise ParamsError(f"--pictures {pictures}", "is not empty", "name a new folder")
    check_writable(pictures)


def tell_run(shown: Shown) -> dict[str, Any]:
    """Print a run; its figures as JSON data."""
    from pipeline.literature.protocol import Noise
    from pipeline.literature.sets import published, recognize

    known = recognize(shown.pictures, shown.protocol.color)
    noise = shown.protocol if isinstance(shown.protocol, Noise) else None
    figures = published(known.name, noise.sigma) if noise and noise.plain else {}
    say("")
    say(shown.protocol.statement)
    say(_set_line(shown, known.name, known.note))
    if noise and known.name and not noise.plain:
        say("published figures are of noise that is neither clipped nor rounded: none are shown")
    elif noise and known.name and not figures:
        say(f"no published figures of {known.name} at this σ are known here")
    ours = [_cells(name, one) for name, one in shown.measured.items()]
    papers = [(f"{name}, published", f"{psnr:.2f}", "") for name, psnr in figures.items()]
    _print_table([*ours, *papers], len(ours))
    for name, one in shown.measured.items():
        _tell_more(name, one, len(shown.pictures))
    return {
        "statement": shown.protocol.statement,
        **({"noise": noise.sigma} if noise else {"recipe": shown.protocol.title}),
        "set": {"name": known.name, "note": known.note, "num_pictures": len(shown.pictures)},
        "methods": {name: one.means | one.more for name, one in shown.measured.items()},
        "published": figures,
        "pictures": [
            {"name": seen.name, **{name: one.rows[n] for name, one in shown.measured.items()}}
            for n, seen in enumerate(shown.pictures)
        ],
    }


def report(
    pictures: Sequence[Seen], notes: dict[str, Any], runs: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """All figures as JSON data, the same for the same pictures, weights and options."""
    sizes = [
        {"name": one.name, "width": one.width, "height": one.height, "gray": one.gray, "id": one.id}
        for one in pictures
    ]
    return {"pictures": sizes, "runs": list(runs), **notes}


def keep_sheets(
    folder: Path, protocol: Noise | Damage, strength: Mapping[str, float]
) -> Callable[..., None]:
    """``keep(pair, restored=None)`` writes clean, input, non-local means and restored, side by
    side, as ``<folder>/<protocol>/<picture>.png``."""
    from pipeline.files import write_bytes
    from pipeline.images import encode_png, sheet
    from pipeline.literature.protocol import Noise
    from pipeline.systems.baselines import NonLocalMeans

    part = f"noise-{protocol.sigma:g}" if isinstance(protocol, Noise) else protocol.title

    def keep(pair: Pair, restored: Array | None = None) -> None:
        denoised = NonLocalMeans().restore(pair.quantized, None, strength)
        row = [pair.clean, pair.quantized, denoised, *([] if restored is None else [restored])]
        suffix = "" if pair.name.lower().endswith(".png") else ".png"
        write_bytes(folder / part / f"{pair.name}{suffix}", encode_png(sheet([row])))

    return keep


def _set_line(shown: Shown, name: str | None, note: str) -> str:
    count = len(shown.pictures)
    number = f"{count} picture{'' if count == 1 else 's'}"
    if name is None:
        return f"{number}: {note or 'a set of your own'}"
    return f"{number}: {name}, known {note}" if note.startswith("by") else f"{number}: {note}"


def _cells(name: str, one: Measured) -> Cells:
    """Method, PSNR, SSIM."""
    told = name.replace("nlm_oracle", "non-local means, best for this set")
    if strength := one.more.get("strength"):
        how = f"h {strength['h']:.3g}, {strength['template']:.0f} px"
        told += f" ({how if strength['h'] else 'h 0: best is to do nothing'})"
    means = [one.means["psnr"], one.means["ssim"]]
    psnr, ssim = (
        "–" if mean is None else f"{mean:.{digits}f}"
        for mean, digits in zip(means, (2, 4), strict=True)
    )
    return told, psnr, ssim


def _tell_more(name: str, one: Measured, number: int) -> None:
    if count := one.more.get("undamaged_count"):
        say(f"{count} of {number} pictures were left undamaged: 100 dB each")
    if scores := one.more.get("mask"):
        told = [
            f"{key} {'–' if scores[key] is None else f'{scores[key]:.3f}'}"
            for key in ("f1", "precision", "recall", "iou")
        ]
        say(f"damage that {name} found, over all pixels: {', '.join(told)}")


def _print_table(rows: Sequence[Cells], num_ours: int) -> None:
    """With rules on a terminal, in plain columns elsewhere."""
    head = ("method", "PSNR (dB)", "SSIM")
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(*head[:1])
        for title in head[1:]:
            table.add_column(title, justify="right")
        for number, row in enumerate(rows, 1):
            table.add_row(*row, end_section=number == num_ours)
        Console().print(table)
        return
    width = max(len(row[0]) for row in rows)
    for name, psnr, ssim in (head, *rows):
        say(f"  {name:<{width}}  {psnr:>9}  {ssim:>6}".rstrip())
