"""``./run test [--quick|--long]``: lint, types, then the tests of that tier."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIERS = {"quick": "not slow and not long", "default": "not long", "long": ""}


def main() -> int:
    """Run everything of a tier; the exit code is the first failure's."""
    parser = argparse.ArgumentParser(prog="./run test", description=__doc__)
    tier = parser.add_mutually_exclusive_group()
    tier.add_argument("--quick", action="store_const", const="quick", dest="tier")
    tier.add_argument("--long", action="store_const", const="long", dest="tier")
    parser.add_argument("rest", nargs="*", help="passed on to pytest (after --)")
    arguments = parser.parse_args()
    python = sys.executable
    workers = ["-n", str(os.cpu_count() or 1), "--dist", "loadfile"]
    commands = [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy"],
        [python, "-m", "pytest", *workers, "-m", TIERS[arguments.tier or "default"]],
    ]
    commands[-1] += arguments.rest
    # One compute thread a test process: more of them than cores stand in each other's way.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for command in commands:
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
