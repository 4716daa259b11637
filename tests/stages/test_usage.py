"""A command used wrongly answers in one line, with exit code 1, and says what it would take."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.conftest import ROOT, Run, small_params, write_params

WRONG = {
    "a stray argument": ("fetch folder", "patina fetch: takes no argument 'folder'; see `patina"),
    "two stray arguments": ("check a b", "patina check: takes no argument 'a b'; see"),
    "no such command": ("ftech", "patina: 'ftech' is no command; did you mean 'fetch'?"),
    "nothing like it": ("zzzzz", "patina: 'zzzzz' is no command; see `patina --help`"),
    "no such option": ("fetch --uot x", "patina fetch: --uot is no option; did you mean '--out'?"),
    "no such flag": ("--verison", "patina: --verison is no option; did you mean '--version'?"),
    "an option of nothing": ("show -q", "patina show: -q is no option; see `patina show --help`"),
    "no value": ("restore a.png -o", "patina: -o needs a value; see `patina --help`"),
    "a value too many": ("lift a.png --alpha=3", "patina: --alpha takes no value; see"),
    "no argument": ("synth", "patina synth: RECIPE is missing; see `patina synth --help`"),
    "no option": ("restore a.png", "patina restore: --output is missing; see"),
    "workers below": ("synth aged --workers -3", "patina synth: --workers must be at least 1, not"),
    "no workers": ("synth aged --workers 0", "--workers must be at least 1, not 0; see"),
    "a crowd": ("synth aged --workers 99999", "--workers must be at most 1024, not 99999; see"),
    "some workers": ("synth aged --workers some", "--workers must be a whole number, not some;"),
    "loaders below": ("train aged_unet --workers -2", "--workers must be at least -1, not -2;"),
    "number below": ("preview a.png -n -1", "patina preview: -n must be at least 1, not -1; see"),
    "a fraction": ("preview a.png -n 1.5", "patina preview: -n must be a whole number, not 1.5;"),
    "side above": ("preview a.png --side 100000", "--side must be at most 4096, not 100000; see"),
    "a choice": ("synth aged --format tars", "--format must be one of shards, folders, not tars;"),
    "no limit": ("restore a.png -o b --max-megapixels 0", "must be at least 0.001, not 0; see"),
    "a story's name": ("show abc -o a.txt", "--output a.txt: is no PNG; end its name in .png"),
    "a sheet's name": ("preview a.png --recipe aged -o a.jpg", "a.jpg: is no PNG; end its name in"),
    "a gallery's name": ("preview --gallery -o a.gif", "a.gif: is no PNG or JPG; end its name in"),
    "an overlay's name": ("lift a.png -o a", "--output a: is no PNG; end its name in .png"),
    "a device": ("train aged_unet --device tpu", "tpu"),
}


def patina(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The installed command, with this tree's code."""
    return subprocess.run(
        [Path(sys.prefix) / "bin/patina", *map(str, words)], cwd=folder, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_line_and_exit_1(project: Path, case: str) -> None:
    words, said = WRONG[case]
    done = patina(project, *words.split())
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("error: ") and said in line
    assert not done.stdout and len(list(project.iterdir())) == 3, "nothing was begun"


def test_a_stages_own_module_answers_alike(stage: Run) -> None:
    done = stage("fetch", "folder", check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: python -m stages.fetch: takes no argument 'folder'; "
        "see `python -m stages.fetch --help`\n"
    )


def test_help_and_version_are_no_errors_and_no_words_are_help(tmp_path: Path) -> None:
    for words in (["--help"], ["synth", "--help"], ["--version"]):
        done = patina(tmp_path, *words)
        assert done.returncode == 0 and done.stdout and not done.stderr
    done = patina(tmp_path)
    assert done.returncode == 1 and "Usage: patina" in done.stdout


@pytest.fixture
def limited(tmp_path: Path) -> Path:
    """A project that takes photos of a thousandth of a megapixel, and a photo of more."""
    params = small_params()
    params["index"]["max_megapixels"] = 0.001
    write_params(tmp_path, params)
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "photos/large.png")
    return tmp_path


def test_a_photo_above_the_limit_names_what_to_change(limited: Path) -> None:
    reason = "50x40 is more than 0.001 megapixels (index.max_megapixels)"
    done = patina(limited, "index", "photos", "--out", "index.json")
    assert done.returncode == 1 and reason in done.stderr
    for words in (["preview", "photos/large.png", "--recipe", "shapes"],
                  ["lift", "photos/large.png", "-o", "o.png"]):  # fmt: skip
        done = patina(limited, *words)
        assert done.stderr == (
            f"error: photos/large.png: {reason}; raise index.max_megapixels or make the photo "
            "smaller\n"
        )


def test_a_float_tiff_is_told_as_such(limited: Path) -> None:
    tifffile.imwrite(
        limited / "photos/deep.tif", np.zeros((9, 9, 3), np.float32), photometric="rgb"
    )
    (limited / "photos/large.png").unlink()
    done = patina(limited, "index", "photos", "--out", "index.json")
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
    assert "its pixels are 32-bit float, which is not supported, as deep.tif" in line
