"""`patina leaderboard`: every evaluated system and baseline in one table."""

from __future__ import annotations

import json

from stages.console import command, make_app, project_root, read_params, say


@command
def leaderboard() -> None:
    """Gather the metrics of all pairs into reports/leaderboard.md and .json."""
    from pipeline.config import read_names
    from pipeline.errors import ParamsError
    from pipeline.files import write_json, write_text
    from pipeline.report import leaderboard as rank
    from pipeline.report import leaderboard_text, psnr_of_all

    root = project_root()
    summaries = {}
    for pair in read_names(read_params(root), "evaluate"):
        path = root / "reports/systems" / pair / "metrics.json"
        try:
            summary = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise ParamsError(path, "is no report", f"run `patina evaluate {pair}`") from None
        summaries[pair] = {
            "system": summary["system"],
            "recipe": summary["recipe"],
            "summary": summary,
            "tuned": summary["tuned"],
        }
    board = rank(summaries)
    write_json(root / "reports/leaderboard.json", board)
    write_text(root / "reports/leaderboard.md", leaderboard_text(board))
    for row in board:
        told = [psnr_of_all(row[name]) for name in ("input", "composite")]
        before, after = ("     –" if psnr is None else f"{psnr:6.2f}" for psnr in told)
        say(f"{row['recipe']:>10}  {row['system']:<20} {before} → {after} dB")


app = make_app(leaderboard, "leaderboard")
if __name__ == "__main__":
    app()
