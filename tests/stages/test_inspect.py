"""`patina inspect` as a user meets it: the folder it leaves, what it prints, and the page in a real
browser."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import run_stage, small_params, tree, write_params
from tests.pipeline.test_pages import check_page

pytestmark = pytest.mark.slow

FILES = {
    "brightness.png", "contrast.png", "covered.png", "data.json", "frequencies.png",
    "histograms.csv", "index.html", "samples.png", "severity.png", "sides.png",
}  # fmt: skip
BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small project with the shards of two recipes, inspected."""
    folder = tmp_path_factory.mktemp("project")
    write_params(folder, small_params())
    (folder / "data/inbox").mkdir(parents=True)
    for words in (["fetch"], ["index"], ["textures"]):
        run_stage(folder, *words)
    for recipe in ("shapes", "aged"):
        run_stage(folder, "synth", recipe, "--workers", "1")
        done = run_stage(folder, "inspect", recipe)
        (folder / f"{recipe}.txt").write_text(done.stdout)
    return folder


@pytest.mark.parametrize("recipe", ["shapes", "aged"])
def test_the_report_is_whole_and_tells_what_it_printed(made: Path, recipe: str) -> None:
    folder = made / "reports/data" / recipe
    assert set(tree(folder)) == FILES
    data = json.loads((folder / "data.json").read_text())
    assert {name: split["samples"] for name, split in data["splits"].items()} == {
        "train": 40, "val": 2, "test": 6,
    }  # fmt: skip
    printed = (made / f"{recipe}.txt").read_text().splitlines()
    warned = [line.removeprefix("warning: ") for line in printed if line.startswith("warning: ")]
    assert warned == data["warnings"] and len(warned) == data["num_warnings"]
    assert any(line.startswith("val: only 1 photo") for line in warned)
    page = check_page((folder / "index.html").read_text(encoding="utf-8"))
    assert all(line in page.text for line in warned)
    assert f"{recipe}: 48 samples" in printed[-1] and printed[-1].endswith("index.html)")


def test_the_same_shards_are_the_same_bytes_wherever_they_are_inspected(made: Path) -> None:
    where = {"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "3", "LC_ALL": "C"}
    run_stage(made, "inspect", "aged", "--out", made / "elsewhere", **where)
    again, first = tree(made / "elsewhere"), tree(made / "reports/data/aged")
    assert again == first
    for name, data in again.items():
        assert str(made).encode() not in data, name


def test_shards_of_another_recipe_of_that_name_are_told(made: Path) -> None:
    params = small_params()
    params["recipes"]["aged"]["steps"][1]["probability"] = 0.5
    del params["recipes"]["aged"]["steps"][2]
    other = made.parent / "other"
    write_params_of(made, other, params)
    told = run_stage(other, "inspect", "aged").stdout
    assert "train: 40 of 40 samples (100.0%) tell of steps that the recipe does not have" in told
    assert "train: step grain occurs in 40 of 40 samples; its probability of 0.5 makes" in told


def write_params_of(made: Path, other: Path, params: dict) -> None:
    """The project with other params."""
    shutil.copytree(made / "data", other / "data", dirs_exist_ok=True)
    write_params(other, params)


def test_refusals_are_one_line(project: Path, made: Path) -> None:
    for words, expected in (
        (["inspect", "agde"], "did you mean 'aged'"),
        (["inspect", "aged"], "holds no manifest"),
    ):
        done = run_stage(project, *words, check=False)
        assert done.returncode == 1 and expected in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
    shutil.copytree(made / "data", project / "data", dirs_exist_ok=True)
    path = next((project / "data/shards/aged").glob("train-*.tar"))
    path.write_bytes(path.read_bytes()[:-512])
    done = run_stage(project, "inspect", "aged", check=False)
    assert done.returncode == 1 and "its bytes are not those of the manifest" in done.stderr
    assert not (project / "reports/data/aged/data.json").exists()


# in a browser

Browse = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """``browse(page, "--dump-dom")`` opens a file in a headless browser."""
    if BROWSER is None:
        pytest.skip("no chromium is installed")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--hide-scrollbars", "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}",
    ]  # fmt: skip

    def run(page: Path, *more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BROWSER, *flags, *more, page.as_uri()], capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stderr
        assert "CONSOLE" not in done.stderr, "the page complains on the console"
        return done

    return run


def test_a_browser_loads_every_picture_and_asks_no_network(
    made: Path, browse: Browse, tmp_path: Path
) -> None:
    """A copy of the page may run one script: the one that looks at what the browser loaded."""
    page = (made / "reports/data/aged/index.html").read_text(encoding="utf-8")
    script = """<script>addEventListener("load", () => {
      const images = [...document.images];
      const wide = document.documentElement.scrollWidth - innerWidth;
      const asked = performance.getEntriesByType("resource").map(entry => entry.name);
      document.title = JSON.stringify({total: images.length, wide,
        loaded: images.filter(image => image.complete && image.naturalWidth > 1).length,
        network: asked.filter(name => !name.startsWith("data:"))});
    });</script></body>"""
    watched = page.replace("default-src 'none'", "default-src 'none'; script-src 'unsafe-inline'")
    copy = tmp_path / "copy.html"
    copy.write_text(watched.replace("</body>", script), encoding="utf-8")
    for width in (1200, 400):
        size = f"--window-size={width},900"
        dom = browse(copy, "--dump-dom", size).stdout
        title = dom.split("<title>")[1].split("</title>")[0]
        found = json.loads(title.replace("&amp;", "&"))
        assert found["total"] == found["loaded"] == page.count("<img ") > 40
        assert found["network"] == [] and found["wide"] <= 0, found


def test_the_page_looks_light_or_dark_as_the_screen_asks(
    made: Path, browse: Browse, tmp_path: Path
) -> None:
    means = {}
    for name, scheme in (("dark", 0), ("light", 1)):
        shot = tmp_path / f"{name}.png"
        browse(
            made / "reports/data/aged/index.html", f"--screenshot={shot}",
            "--window-size=900,4000", f"--blink-settings=preferredColorScheme={scheme}",
        )  # fmt: skip
        with Image.open(shot) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert len(np.unique(pixels.reshape(-1, 3)[::7], axis=0)) > 200, "nothing is drawn"
        means[name] = pixels.mean()
    assert means["dark"] < 90 and means["light"] > 170, means
