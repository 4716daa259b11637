"""`python -m benchmarks NAME [OPTION…]`: run `benchmarks/<name>.py` and keep its rows in
`benchmarks/results/<name>.json`.

A benchmark is a module whose `main(*options)` returns rows: dicts of `id`, `what`, `ours`, `peer`,
`ratio`, `floor` and `ceiling` (None where there is none); `ratio` ≥ `floor` always means good. A
module that cannot measure here says why in one line and returns no rows: then nothing is written.
Modules with a leading underscore are parts, not benchmarks.
"""

import difflib
import importlib
import json
import os
import platform
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
NUMBERS = ("ours", "peer", "ratio", "floor", "ceiling")


def names() -> list[str]:
    """The benchmarks of this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def machine() -> str:
    """What the numbers were measured on, in words."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    return (
        f"{model}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}"
    )


def table(rows: list[dict]) -> str:
    """The rows as people read them."""
    cells = [["id", *NUMBERS, "what"]]
    for row in rows:
        numbers = ["-" if row[name] is None else f"{row[name]:.4g}" for name in NUMBERS]
        cells.append([row["id"], *numbers, row["what"]])
    widths = [max(len(line[place]) for line in cells) for place in range(len(cells[0]) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]]
        )
        for line in cells
    )


def run(name: str = "", *options: str) -> int:
    """Measure, print, write."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        print(f"error: {name!r} is no benchmark{hint}; use one of {', '.join(names())}",
              file=sys.stderr)  # fmt: skip
        return 1
    rows = importlib.import_module(f"benchmarks.{name}").main(*options)
    if not rows:
        return 0
    print(table(rows))
    out = FOLDER / "results" / f"{name}.json"
    out.parent.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(), "rows": rows}, indent=1, ensure_ascii=False)
    out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]))
