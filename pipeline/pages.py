"""Reports as one HTML file: no script, nothing loaded from anywhere, every picture inside it.

Text is escaped where it enters; what these functions return is `Markup`, which stays as it is.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

STYLE = """
:root { color-scheme: light dark; --page: #f4f5f7; --card: #ffffff; --ink: #1d232b;
  --soft: #5b6673; --line: #d9dee5; --accent: #1f4e8c; --alarm: #8a1f11; --alarm-card: #fdf1ee;
  --calm-card: #eef6f0; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main, nav { max-width: 80rem; margin: 0 auto; padding: 0 clamp(0.75rem, 3vw, 2rem); }
header { padding-top: clamp(1rem, 4vw, 2.5rem); }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: 0 0 0.4rem; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 0 0 0.5rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { max-width: 46rem; margin: 0.4rem 0 0.9rem; }
.lead { font-size: 1.1rem; color: var(--soft); }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; list-style: none; padding: 0;
  margin: 0.8rem 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem;
  padding: clamp(0.8rem, 3vw, 1.5rem); margin: 1rem 0; }
section > :last-child { margin-bottom: 0; }
section.alarm { background: var(--alarm-card); border-left: 0.35rem solid var(--alarm); }
section.calm { background: var(--calm-card); }
section.alarm h2 { color: var(--alarm); }
section.alarm li { margin: 0.25rem 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 0.88em;
  overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0.8rem 0 1.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: 0.35rem; max-width: 82vw; }
th, td { padding: 0.32rem 0.6rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; font-size: 0.94rem; }
.words { text-align: left; }
th:first-child { padding-left: 0; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal;
  line-height: 1.25; max-width: 7.5rem; }
tbody th { font-weight: 600; }
.beside { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; align-items: start; }
.beside > figure { flex: 1 1 18rem; max-width: 26rem; }
.beside > .scroll { min-width: 0; }
.grid { display: grid; gap: 1.4rem 1.6rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.grid.broad { grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { font-size: 0.9rem; color: var(--soft); margin-top: 0.3rem; overflow-wrap: anywhere; }
figcaption strong { color: var(--ink); }
figcaption code { display: block; font-size: 0.8em; }
img { display: block; max-width: 100%; height: auto; }
img.dark { display: none; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 0.3rem; }
.row img { width: 100%; border-radius: 0.2rem; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #0f1216; --card: #181c22; --ink: #e3e8ee; --soft: #9aa6b4; --line: #2d343d;
    --accent: #8fbaf0; --alarm: #ffb4a8; --alarm-card: #2b1916; --calm-card: #15231a; }
  img.light { display: none; } img.dark { display: block; } }
@media print { :root { color-scheme: light; --page: #ffffff; }
  nav { display: none; } html { font-size: 9pt; } section { border: 0; padding: 0; }
  section.alarm { padding: 0.8rem; } .scroll { overflow: visible; } tr { break-inside: avoid; }
  h2, h3, caption, thead { break-after: avoid; } .grid { grid-template-columns: repeat(3, 1fr); }
  .grid.broad { grid-template-columns: repeat(2, 1fr); } }
"""


class Markup(str):
    """HTML that is finished: everything else is escaped."""


class Plot(NamedTuple):
    """A picture's bytes, with another for dark screens or none."""

    light: bytes
    dark: bytes | None = None


def page(title: str, *parts: str, lead: str = "", contents: Sequence[tuple[str, str]] = ()) -> str:
    """A whole HTML document. `contents`: (id, name) of the sections worth a link."""
    hashed = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{hashed}'"
    links = "".join(f'<li><a href="#{_text(key)}">{_text(name)}</a></li>' for key, name in contents)
    navigation = f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n' if links else ""
    head = f'<p class="lead">{_text(lead)}</p>' if lead else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header>\n<h1>{_text(title)}</h1>\n{head}\n</header>\n{navigation}"
        f"<main>\n{_join(parts)}\n</main>\n</body>\n</html>\n"
    )


def section(key: str, title: str, *parts: str, kind: str = "") -> Markup:
    """A part of the page that ``#key`` leads to; `kind` ``alarm`` or ``calm`` colors it."""
    look = f' class="{_text(kind)}"' if kind else ""
    head = f'<h2 id="{_text(key)}-title">{_text(title)}</h2>'
    opened = f'<section id="{_text(key)}" aria-labelledby="{_text(key)}-title"{look}>'
    return Markup(f"{opened}\n{head}\n{_join(parts)}\n</section>")


def heading(title: str) -> Markup:
    """A heading inside a section."""
    return Markup(f"<h3>{_text(title)}</h3>")


def paragraph(*parts: str) -> Markup:
    """A paragraph of text and inline markup."""
    return Markup(f"<p>{''.join(map(_text, parts))}</p>")


def bullets(items: Sequence[str]) -> Markup:
    """A list."""
    return Markup("<ul>\n" + "\n".join(f"<li>{_text(item)}</li>" for item in items) + "\n</ul>")


def code(text: str) -> Markup:
    """A name or key as code, inline."""
    return Markup(f"<code>{_text(text)}</code>")


def strong(text: str) -> Markup:
    """Words that matter, inline."""
    return Markup(f"<strong>{_text(text)}</strong>")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table whose first column names its rows; it scrolls sideways where the window is narrow."""
    looks = [_look([row[place] for row in rows]) for place in range(len(head))]
    tops = _cells(['th scope="col"'] * len(head), looks, head)
    tags = ['th scope="row"', *["td"] * (len(head) - 1)]
    lines = "\n".join(f"<tr>{_cells(tags, looks, row)}</tr>" for row in rows)
    return Markup(
        f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(caption)}">\n<table>\n'
        f"<caption>{_text(caption)}</caption>\n<thead><tr>{tops}</tr></thead>\n"
        f"<tbody>\n{lines}\n</tbody>\n</table>\n</div>"
    )


def figure(plot: Plot, alt: str, *caption: str) -> Markup:
    """One picture and what it shows."""
    told = "".join(map(_text, caption))
    return Markup(f"<figure>\n{picture(plot, alt)}\n<figcaption>{told}</figcaption>\n</figure>")


def picture_row(pictures: Sequence[tuple[bytes, str]], *caption: str) -> Markup:
    """Pictures side by side, (bytes, alt text) each, under one caption."""
    images = "\n".join(picture(Plot(data), alt) for data, alt in pictures)
    told = "".join(map(_text, caption))
    return Markup(
        f'<figure>\n<div class="row">\n{images}\n</div>\n<figcaption>{told}</figcaption>\n</figure>'
    )


def grid(figures: Sequence[str], broad: bool = False) -> Markup:
    """Figures in as many columns as the window is wide for; fewer of them when they are `broad`."""
    look = "grid broad" if broad else "grid"
    return Markup(f'<div class="{look}">\n{_join(figures)}\n</div>')


def beside(*parts: str) -> Markup:
    """A table and figures next to each other, where the window is wide enough."""
    return Markup(f'<div class="beside">\n{_join(parts)}\n</div>')


def picture(plot: Plot, alt: str) -> Markup:
    """An image whose bytes are in the page; where there are two, the style shows one of them, so
    that paper gets the light one whatever the screen is."""
    if plot.dark is None:
        return _image(plot.light, alt)
    return Markup(_image(plot.light, alt, "light") + _image(plot.dark, alt, "dark"))


def data_uri(data: bytes) -> str:
    """PNG or JPEG bytes as an address that holds them."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _image(data: bytes, alt: str, look: str = "") -> Markup:
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
    look = f' class="{look}"' if look else ""
    return Markup(
        f'<img{look} src="{data_uri(data)}" alt="{_text(alt)}" width="{width}" height="{height}">'
    )


def _look(cells: Sequence[str]) -> str:
    """Numbers stand at the right of their column, words at the left."""
    return ' class="words"' if any(re.search(r"[^\W\d_]", cell) for cell in cells) else ""


def _cells(tags: Sequence[str], looks: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(
        f"<{tag}{look}>{_text(text)}</{tag[:2]}>"
        for tag, look, text in zip(tags, looks, texts, strict=True)
    )


def _text(text: str) -> str:
    return text if isinstance(text, Markup) else html.escape(text)


def _join(parts: Sequence[str]) -> str:
    return "\n".join(map(_text, parts))
