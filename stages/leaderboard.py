"""`patina leaderboard`: every evaluated system and baseline in one table, and on the first page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages.console import command, make_app, project_root, read_params, say


@command
def leaderboard() -> None:
    """Gather the reports of all pairs into reports/index.html and leaderboard.md, .json."""
    from pipeline.config import read_names
    from pipeline.files import write_json, write_text
    from pipeline.report import board as first_page
    from pipeline.report import leaderboard as rank
    from pipeline.report import leaderboard_text

    root = project_root()
    reports = root / "reports"
    pairs = read_names(read_params(root), "evaluate")
    board = rank({pair: _read(reports / "systems" / pair, pair) for pair in pairs})
    pages = sorted(path.parent.name for path in (reports / "data").glob("*/index.html"))
    write_text(reports / "index.html", first_page.build(board, pages))
    write_text(reports / "leaderboard.md", leaderboard_text(board))
    write_json(reports / "leaderboard.json", board)
    for row in board:
        told = [row[name]["psnr"] for name in ("input", "composite")]
        before, after = ("     –" if psnr is None else f"{psnr:6.2f}" for psnr in told)
        say(f"{row['recipe']:>10}  {row['system']:<20} {before} → {after} dB")


def _read(folder: Path, pair: str) -> dict[str, Any]:
    """A pair's report, as `pipeline.report.leaderboard` takes it."""
    from pipeline.errors import ParamsError
    from pipeline.rows import read_csv

    try:
        subject, summary = (
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
            for name in ("subject", "metrics")
        )
        parts = read_csv((folder / "breakdown.csv").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ParamsError(folder, "holds no report", f"run `patina evaluate {pair}`") from None
    told = {name: subject[name] for name in ("system", "recipe", "tuned", "given_masks")}
    return told | {"summary": summary, "breakdown": parts}


app = make_app(leaderboard, "leaderboard")
if __name__ == "__main__":
    app()
