"""The viewer, and the pages that hold it, in a real browser: by keyboard, by finger, without
script, on paper, in both color schemes, on a laptop and on a phone."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline import pages
from pipeline.pages.viewer import EXTRA, STYLE, Shot, legend, viewer, viewers
from pipeline.report import board, leaderboard
from pipeline.report.page import build
from pipeline.showcase import FALSE, MISSED, RIGHT
from tests.browser import LAPTOP, PHONE, Tab, browse
from tests.pipeline.reported import report
from tests.pipeline.test_pages import check_page, gray


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports' first page and a system's page, where they link to each other."""
    folder = tmp_path_factory.mktemp("reports")
    made = report()
    (folder / "systems/one-worn").mkdir(parents=True)
    (folder / "systems/one-worn/index.html").write_text(build(made), encoding="utf-8")
    pair = {"system": "one", "recipe": "worn", "summary": made.metrics, "tuned": {"telea": {}}}
    lines = leaderboard({"one-worn": pair | {"breakdown": made.breakdown}})
    (folder / "index.html").write_text(board.build(lines), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def system(site: Path) -> Path:
    return site / "systems/one-worn/index.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browse(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


FIRST = "document.querySelector('.viewer')"
SHOWN = f"[...{FIRST}.querySelectorAll('.shot')].filter(s => getComputedStyle(s).visibility == "
SHOWN += "'visible').map(s => s.dataset.name).join()"
AT = f"{FIRST}.querySelector('.shots').style.getPropertyValue('--at')"


def test_a_viewer_is_labelled_pictures_for_whoever_runs_no_script() -> None:
    shots = [Shot(name, gray(), f"alt {name}") for name in ("a", "b & <c>")]
    made = viewers([viewer("x", shots, "a", "b & <c>", "told ", pages.strong("<i>"))])
    read = check_page(pages.page("t", made, legend(True), extra=EXTRA))
    assert [attrs["alt"] for attrs in read.all("img")] == ["alt a", "alt b & <c>"]
    assert "a b & <c> told <i>" in read.text and not read.all("select")
    assert "marked where the truth is not known" in read.text


def test_the_legend_has_the_colors_of_the_overlay() -> None:
    for name, color in (("right", RIGHT), ("false", FALSE), ("missed", MISSED)):
        assert f".key.{name}::before {{ background: #{bytes(color).hex()}; }}" in STYLE


@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pages_ask_no_network_complain_of_nothing_and_fit_the_window(
    site: Path, tab: Tab, size: tuple[int, int], dark: bool
) -> None:
    for page in (site / "index.html", site / "systems/one-worn/index.html"):
        tab.asked.clear()
        tab.complaints.clear()
        tab.open(page, size, dark)
        assert tab.ask("document.documentElement.scrollWidth") <= size[0]
        loaded = "[...document.images].every(i => i.complete && i.naturalWidth > 1)"
        assert tab.ask(loaded) and tab.ask("document.images.length") > 0
        assert tab.asked == [page.as_uri()] and tab.complaints == []


def test_links_lead_from_page_to_page(site: Path, tab: Tab) -> None:
    tab.open(site / "index.html")
    there = tab.ask("[...document.links].find(a => a.textContent == 'one').href")
    assert there == (site / "systems/one-worn/index.html").as_uri()
    tab.open(site / "systems/one-worn/index.html")
    assert tab.ask("document.links[0].href") == (site / "index.html").as_uri()


def test_the_border_moves_by_keyboard(system: Path, tab: Tab) -> None:
    tab.open(system)
    assert (tab.ask(SHOWN), tab.ask(AT)) == ("damaged,restored", "50%")
    tab.ask(f"{FIRST}.querySelector('select').focus()")
    tab.press("Tab")
    tab.press("Tab")
    assert tab.ask("document.activeElement.type") == "range"
    tab.press("ArrowRight", 3)
    assert tab.ask(AT) == "53%"
    left, right = (
        tab.ask(f"getComputedStyle({FIRST}.querySelector('.shot.{side}')).clipPath")
        for side in ("left", "right")
    )
    assert left in ("inset(0px 47% 0px 0px)", "inset(0px calc(100% - 53%) 0px 0px)")
    assert right == "inset(0px 0px 0px 53%)"
    tab.press("Home")
    assert tab.ask(AT) == "0%"
    told = tab.ask("document.activeElement.getAttribute('aria-valuetext')")
    assert told == "0 % damaged, then restored"


def test_other_pictures_are_chosen_by_keyboard(system: Path, tab: Tab) -> None:
    tab.open(system)
    tab.ask(f"{FIRST}.querySelectorAll('select')[1].focus()")
    tab.press("ArrowDown")
    assert tab.ask(SHOWN) == "damaged,original"
    tab.press("End")
    assert tab.ask(SHOWN) == "damaged,damage found"
    tab.press("Home")
    assert tab.ask(SHOWN) == "damaged", "the same picture on both sides is shown whole"
    assert tab.ask(f"getComputedStyle({FIRST}.querySelector('.shot.left')).clipPath") == "none"


def test_controls_have_names(system: Path, tab: Tab) -> None:
    tab.open(system)
    nodes = tab.do("Accessibility.getFullAXTree")["nodes"]
    names = {}
    for node in nodes:
        role = node.get("role", {}).get("value")
        names.setdefault(role, []).append(node.get("name", {}).get("value"))
    assert names["slider"] == ["border"] * 5
    assert names["combobox"] == ["left picture", "right picture"] * 5
    assert "photo 0.png, worst" in names["group"]


@pytest.mark.parametrize("touch", [True, False], ids=["finger", "mouse"])
def test_the_border_follows_a_finger_and_a_mouse(system: Path, tab: Tab, touch: bool) -> None:
    tab.open(system, PHONE)
    tab.ask(f"{FIRST}.scrollIntoView()")
    box = json.loads(tab.ask(f"JSON.stringify({FIRST}.querySelector('.shots')"
                             ".getBoundingClientRect())"))  # fmt: skip
    y = box["y"] + box["height"] / 2
    if touch:
        tab.do("Emulation.setTouchEmulationEnabled", enabled=True)
    for place, kind in ((0.5, "down"), (0.4, "move"), (0.2, "move"), (0.2, "up")):
        x = box["x"] + place * box["width"]
        if touch:
            name = {"down": "touchStart", "move": "touchMove", "up": "touchEnd"}[kind]
            points = [] if kind == "up" else [{"x": x, "y": y}]
            tab.do("Input.dispatchTouchEvent", type=name, touchPoints=points)
        else:
            name = {"down": "mousePressed", "move": "mouseMoved", "up": "mouseReleased"}[kind]
            held = {"button": "left", "buttons": 0 if kind == "up" else 1, "clickCount": 1}
            tab.do("Input.dispatchMouseEvent", type=name, x=x, y=y, **held)
    tab.do("Emulation.setTouchEmulationEnabled", enabled=False)
    assert abs(float(tab.ask(AT).rstrip("%")) - 20) <= 1


def pixels(tab: Tab, tmp_path: Path) -> np.ndarray:
    with Image.open(tab.shoot(tmp_path / "shot.png")) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def test_what_stands_at_each_side_of_the_border_is_that_picture(
    system: Path, tab: Tab, tmp_path: Path
) -> None:
    """The pictures of the fixture differ in brightness: 40 and up, 80 and up."""
    tab.open(system)
    tab.ask(f"{FIRST}.scrollIntoView()")
    box = json.loads(tab.ask(f"JSON.stringify({FIRST}.querySelector('.shots')"
                             ".getBoundingClientRect())"))  # fmt: skip
    shot = pixels(tab, tmp_path)
    row = shot[int(box["y"] + box["height"] * 0.6)]
    left, right = (row[int(box["x"] + share * box["width"]) :][:40].mean() for share in (0.2, 0.7))
    assert 45 < left < 65 and 85 < right < 105


def test_without_script_every_picture_stands_in_a_row_with_its_name(system: Path, tab: Tab) -> None:
    tab.open(system, script=False)
    tab.do("Emulation.setScriptExecutionDisabled", value=False)  # for these questions alone
    assert tab.ask("document.documentElement.className") == ""
    assert tab.ask("document.querySelectorAll('select, input').length") == 0
    assert tab.ask(SHOWN).count(",") == 4
    tops = f"new Set([...{FIRST}.querySelectorAll('.shot img')].map(i => i.offsetTop)).size"
    assert tab.ask(tops) == 1


def test_paper_keeps_every_picture_and_no_controls(system: Path, tab: Tab, tmp_path: Path) -> None:
    tab.open(system)
    tab.press("Tab")
    tab.look(LAPTOP, paper=True)
    assert tab.ask(SHOWN).count(",") == 4
    assert tab.ask("getComputedStyle(document.querySelector('.tools')).display") == "none"
    clips = "[...document.querySelectorAll('.shot')].every(s => getComputedStyle(s).clipPath == "
    assert tab.ask(clips + "'none')")
    tab.look(LAPTOP)
    paper = tab.print(tmp_path / "page.pdf")
    if shutil.which("pdfimages") is None:
        pytest.skip("pdfimages is not installed")
    listed = subprocess.run(
        ["pdfimages", "-list", paper], capture_output=True, text=True, check=True
    ).stdout.splitlines()[2:]
    lights = tab.ask("document.querySelectorAll('img:not(.dark)').length")
    assert len([line for line in listed if line.split()[2] == "image"]) == lights > 23


def test_the_page_is_light_or_dark_as_the_screen_asks(
    system: Path, tab: Tab, tmp_path: Path
) -> None:
    means = {}
    for dark in (False, True):
        tab.open(system, dark=dark)
        means[dark] = pixels(tab, tmp_path).mean()
    assert means[True] < 90 and means[False] > 170, means
