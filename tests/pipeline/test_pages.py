"""Pages stand alone, are well-formed, say what pictures show, and escape what they are given."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from pipeline import pages
from pipeline.images import encode_png
from pipeline.pages import Markup, Plot
from pipeline.seeds import rng
from pipeline.themes import DARK, LIGHT

VOID = {"meta", "link", "img", "br", "source"}
NASTY = """<script>alert("1 & 2")</script>'"""


class Reader(HTMLParser):
    """A page's elements, its text, and whatever is not balanced."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.problems, self.open = [], [], [], []
        self.feed(text)
        self.close()
        self.problems += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


RELATIVE = re.compile(r"(\.\./)*[\w%][\w.%-]*(/[\w%][\w.%-]*)*")  # beside the page, no scheme


def sha256(text):
    """As a page's policy names a script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def check_scripts(text, read):
    """At most one, inline, and the policy holds its hash; without one the policy allows none."""
    found = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(found) == len(read.all("script")) <= 1
    policy = read.all("meta")[1]["content"]
    assert "unsafe" not in policy and "http" not in policy
    assert policy.partition("; script-src ")[2] == "".join(map(sha256, found))


def check_page(text):
    """All that any page must be; returns it read."""
    read = Reader(text)
    assert text.startswith("<!doctype html>") and not read.problems
    assert not {"iframe", "object", "form"} & {tag for tag, _ in read.elements}
    check_scripts(text, read)
    for tag, attrs in read.elements:
        assert not [name for name in attrs if name.startswith("on") or name == "style"], tag
        for name in ("src", "srcset", "href", "action", "data"):
            if tag == "a" and RELATIVE.fullmatch(attrs.get(name, "")):
                continue
            assert attrs.get(name, "#").startswith(("#", "data:")), (tag, name, attrs[name][:80])
    assert "@import" not in text and "url(" not in text
    assert all(attrs.get("alt") for attrs in read.all("img")), "a picture without words"
    names = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(names) == len(set(names))
    links = [attrs["href"][1:] for attrs in read.all("a") if attrs["href"].startswith("#")]
    labels = [a["aria-labelledby"] for _, a in read.elements if "aria-labelledby" in a]
    assert set(links) | set(labels) <= set(names), "a link that leads nowhere"
    assert len(read.all("h1")) == len(read.all("title")) == len(read.all("main")) == 1
    return read


def gray(height=6, width=9):
    return encode_png(rng(0, "gray").integers(0, 256, (height, width), np.uint8))


def jpeg():
    out = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(out, "JPEG")
    return out.getvalue()


def full(text="plain"):
    """A page that uses everything, with `text` wherever text goes."""
    plot = Plot(gray(), gray(7, 3))
    return pages.page(
        text,
        pages.section(
            "one", text, pages.heading(text), pages.paragraph(text, pages.code(text)), text,
            pages.bullets([text, pages.strong(text)]), kind="alarm",
        ),
        pages.section(
            "two", text,
            pages.beside(
                pages.table(text, [text, "n"], [[text, "1"], ["b", text]]),
                pages.figure(plot, text, text, pages.strong(text)),
            ),
            pages.grid([pages.picture_row([(gray(), text), (jpeg(), text)], text)], broad=True),
            pages.listing(text, text), pages.paragraph(pages.link("a/b-1.csv", text)),
        ),
        lead=text, contents=[("one", text), ("two", "Two")],
        above=pages.link("../../index.html", text),
    )  # fmt: skip


@pytest.mark.parametrize("text", ["plain", NASTY, "</style></main>", "ä → 中文 \u2028 &amp;", "–"])
def test_a_page_is_whole_whatever_text_it_is_given(text):
    read = check_page(full(text))
    assert read.text.count(" ".join(text.split())) >= 12, "the text is there to read, as it was"
    assert {attrs["alt"] for attrs in read.all("img")} == {text}


def test_markup_stays_and_text_is_escaped():
    made = pages.paragraph("a < b ", pages.code("<i>"), Markup("<em>c</em>"))
    assert made == "<p>a &lt; b <code>&lt;i&gt;</code><em>c</em></p>"


def test_only_the_pages_own_style_may_run():
    text = full()
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    policy = Reader(text).all("meta")[1]["content"]
    assert policy == f"default-src 'none'; img-src data:; style-src {sha256(style)}"


def test_a_script_of_a_page_may_run_by_its_hash_alone():
    extra = pages.Extra(".x { color: red; }", "document.title = 'a < b';")
    text = pages.page("t", extra=extra)
    assert text.endswith(f"<script>{extra.script}</script>\n</body>\n</html>\n")
    policy = check_page(text).all("meta")[1]["content"]
    assert sha256(pages.STYLE + extra.style) in policy and sha256(extra.script) in policy


@pytest.mark.parametrize(
    "address", ["https://x.org", "//x.org/a", "/etc/passwd", "a/../b", "a/..", "..", "", "a/./b"]
)
def test_links_lead_to_files_beside_the_page_alone(address):
    with pytest.raises(AssertionError):
        pages.link(address, "text")


@pytest.mark.parametrize(
    "name", ["three +2", "#a", "a?b=1&c", "javascript:alert(1)", "50% ü", '"><b>', "a\\b"]
)
def test_whatever_a_folder_is_called_a_link_leads_there(name):
    made = pages.link(f"../{name}/index.html", "text")
    (attrs,) = Reader(made).all("a")
    assert RELATIVE.fullmatch(attrs["href"]) and unquote(attrs["href"]) == f"../{name}/index.html"


def test_a_plot_is_drawn_in_both_themes():
    assert pages.themed(lambda theme: repr(theme).encode()) == Plot(
        repr(LIGHT).encode(), repr(DARK).encode()
    )


def test_pictures_are_inside_with_their_size():
    read = Reader(full())
    kinds = []
    for attrs in read.all("img"):
        head, data = attrs["src"].split(";base64,")
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
            image.load()
            assert (attrs["width"], attrs["height"]) == tuple(map(str, image.size))
            assert head == f"data:image/{image.format.lower()}"
            kinds.append((image.format, attrs.get("class")))
    assert kinds == [("PNG", "light"), ("PNG", "dark"), ("PNG", None), ("JPEG", None)]
    assert base64.b64encode(gray()).decode() in read.all("img")[0]["src"]


def test_a_plot_for_dark_screens_shows_there_alone():
    light, dark = pages.STYLE.split("@media screen and (prefers-color-scheme: dark)")
    assert "img.dark { display: none; }" in light
    assert "img.light { display: none; } img.dark { display: block; }" in dark.split("@media")[0]
    assert pages.picture(Plot(gray()), "x").count("<img") == 1


def test_columns_of_words_stand_left_and_numbers_right():
    head = ["name", "share", "said", "left"]
    rows = [["1st", "1,234.5%", "3 of 4", "−1"], ["2", "–", "12", ""]]
    read = Reader(pages.table("t", head, rows))
    cells = [a.get("class") for tag, a in read.elements if tag in ("th", "td")]
    assert cells == ["words", None, "words", None] * 3
    scopes = [attrs["scope"] for attrs in read.all("th")]
    assert scopes == ["col"] * 4 + ["row"] * 2 and not read.problems


def test_a_row_that_does_not_fit_the_head_is_an_error():
    with pytest.raises((ValueError, IndexError)):
        pages.table("t", ["a", "b"], [["1"]])


def test_the_same_parts_are_the_same_page():
    assert full() == full() != full("other")


def contrast(one, other):
    """WCAG 2 contrast ratio of two colors, #rrggbb."""
    lights = []
    for color in (one, other):
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        lights.append(np.dot(linear, (0.2126, 0.7152, 0.0722)))
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_text_is_readable_on_light_and_on_dark():
    light, dark = pages.STYLE.split("@media screen and (prefers-color-scheme: dark)")
    for style in (light, dark):
        color = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", style.split("@media")[0]))
        for ink in ("ink", "soft", "accent"):
            for ground in ("page", "card", "alarm-card", "calm-card"):
                assert contrast(color[ink], color[ground]) >= 4.5, (ink, ground)
        assert contrast(color["alarm"], color["alarm-card"]) >= 4.5
