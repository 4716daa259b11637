"""Reports as one HTML file: nothing loaded from anywhere, every picture inside it, no script but
one that a page is told to hold.

Text is escaped where it enters; what these functions return is `Markup`, which stays as it is.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from PIL import Image

from pipeline.pages.style import STYLE
from pipeline.themes import DARK, LIGHT, Theme


class Markup(str):
    """HTML that is finished: everything else is escaped."""


class Plot(NamedTuple):
    """A picture's bytes, with another for dark screens or none."""

    light: bytes
    dark: bytes | None = None


def themed(draw: Callable[[Theme], bytes]) -> Plot:
    """A plot as it looks on light and on dark screens."""
    return Plot(draw(LIGHT), draw(DARK))


class Extra(NamedTuple):
    """What only some pages need: style beside the common one, and a script."""

    style: str = ""
    script: str = ""


PLAIN = Extra()
WORDS = ' class="words"'


def page(
    title: str,
    *parts: str,
    lead: str = "",
    contents: Sequence[tuple[str, str]] = (),
    above: str = "",
    extra: Extra = PLAIN,
) -> str:
    """A whole HTML document. `contents`: (id, name) of the sections worth a link; `above`: what
    stands over the title, such as a link to where the page belongs."""
    look = STYLE + extra.style
    policy = f"default-src 'none'; img-src data:; style-src {_hash(look)}"
    policy += f"; script-src {_hash(extra.script)}" if extra.script else ""
    script = f"<script>{extra.script}</script>\n" if extra.script else ""
    links = "".join(f'<li><a href="#{_text(key)}">{_text(name)}</a></li>' for key, name in contents)
    navigation = f'<nav aria-label="Contents"><ul>{links}</ul></nav>\n' if links else ""
    over = f'<p class="above">{_text(above)}</p>\n' if above else ""
    head = f'<p class="lead">{_text(lead)}</p>' if lead else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{_text(title)}</title>\n<style>{look}</style>\n</head>\n<body>\n"
        f"<header>\n{over}<h1>{_text(title)}</h1>\n{head}\n</header>\n{navigation}"
        f"<main>\n{_join(parts)}\n</main>\n{script}</body>\n</html>\n"
    )


def section(key: str, title: str, *parts: str, kind: str = "") -> Markup:
    """A part of the page that ``#key`` leads to, a key without spaces; `kind` ``alarm`` or ``calm``
    colors it."""
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


def link(address: str, text: str) -> Markup:
    """A link to a file beside the page: `address` is relative to it, as it is on the disk; whatever
    a folder is called, it leads to no other place."""
    parts = address.split("/")
    while parts[0] == ".." and len(parts) > 1:
        parts.pop(0)
    assert not {"", ".", ".."} & set(parts), address
    return Markup(f'<a href="{quote(address)}">{_text(text)}</a>')


def listing(text: str, label: str) -> Markup:
    """Lines as they are, under a label; they scroll sideways where the window is narrow."""
    head = f'<div class="scroll" tabindex="0" role="region" aria-label="{_text(label)}">'
    told = f"<figcaption>{strong(label)}</figcaption>"
    return Markup(f"<figure>\n{told}\n{head}<pre><code>{_text(text)}</code></pre></div>\n</figure>")


def table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """A table whose first column names its rows; it scrolls sideways where the window is narrow."""
    looks = [_look([row[place] for row in rows]) for place in range(len(head))]
    looks[:1] = [WORDS]
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


def _hash(text: str) -> str:
    """As a page's policy names a style or a script that may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _look(cells: Sequence[str]) -> str:
    """Numbers stand at the right of their column, words at the left."""
    return WORDS if any(re.search(r"[^\W\d_]", cell) for cell in cells) else ""


def _cells(tags: Sequence[str], looks: Sequence[str], texts: Sequence[str]) -> str:
    return "".join(
        f"<{tag}{look}>{_text(text)}</{tag[:2]}>"
        for tag, look, text in zip(tags, looks, texts, strict=True)
    )


def _text(text: str) -> str:
    return text if isinstance(text, Markup) else html.escape(text)


def _join(parts: Sequence[str]) -> str:
    return "\n".join(map(_text, parts))
