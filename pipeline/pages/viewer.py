"""Pictures of one thing, to be compared: a labelled row of them on paper or without script; on a
screen two of them, with a border between that is moved by key, mouse or finger."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.pages import Extra, Markup, Plot, picture
from pipeline.themes import FALSE, MISSED, RIGHT

COLORS = "\n".join(
    f".key.{name}::before {{ background: #{bytes(color).hex()}; }}"
    for name, color in (("right", RIGHT), ("false", FALSE), ("missed", MISSED))
)
STYLE = """
.viewers { display: grid; gap: 1.6rem; align-items: start; }
.shots { display: grid; gap: 0.4rem;
  grid-template-columns: repeat(auto-fit, minmax(min(45%, 10rem), 1fr)); }
.shots img { width: 100%; border-radius: 0.2rem; }
.shot figcaption { font-size: 0.82rem; margin-top: 0.1rem; }
.how { display: none; }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; max-width: none; }
.key::before { content: ""; display: inline-block; width: 0.85em; height: 0.85em;
  margin-right: 0.4em; border-radius: 0.15em; vertical-align: -0.05em;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
COLORS
.key.unknown::before { background: #ffffff; outline: 1px solid var(--line); }
@media screen {
  .live .how { display: block; }
  .live .viewers { grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
  .live .shots { position: relative; gap: 0; grid-template-columns: 1fr; overflow: hidden;
    border-radius: 0.3rem; cursor: ew-resize; touch-action: pan-y; user-select: none;
    -webkit-user-select: none; }
  .live .shot { grid-area: 1 / 1; visibility: hidden; }
  .live .shot.left, .live .shot.right { visibility: visible; }
  .live .shot.left { clip-path: inset(0 calc(100% - var(--at)) 0 0); }
  .live .shot.right { clip-path: inset(0 0 0 var(--at)); }
  .live .shot.left.right { clip-path: none; }
  .live .shot figcaption { position: absolute; top: 0.4rem; margin: 0; padding: 0 0.45rem;
    border-radius: 0.25rem; background: #000000b3; color: #ffffff; max-width: 45%; }
  .live .shot.left figcaption { left: 0.4rem; } .live .shot.right figcaption { right: 0.4rem; }
  .live .shot.left.right figcaption { right: auto; }
  .live .shots::after { content: ""; position: absolute; top: 0; bottom: 0; left: var(--at);
    width: 2px; margin-left: -1px; background: #ffffff; box-shadow: 0 0 0 1px #00000080;
    pointer-events: none; }
  .tools { display: grid; grid-template-columns: 1fr 1fr; gap: 0.3rem 0.8rem;
    margin-top: 0.45rem; }
  .tools label { display: grid; font-size: 0.82rem; color: var(--soft); min-width: 0; }
  .tools label.wipe { grid-column: 1 / -1; }
  .tools select { font: inherit; font-size: 0.94rem; color: var(--ink); min-width: 0;
    background: var(--page); border: 1px solid var(--line); border-radius: 0.3rem;
    padding: 0.3rem; min-height: 2.2rem; }
  .tools input { width: 100%; margin: 0; height: 2rem; accent-color: var(--accent); } }
@media print { .tools { display: none; } .viewers { gap: 0.8rem; }
  .shots { grid-template-columns: repeat(auto-fill, minmax(3.1cm, 1fr)); } }
""".replace("COLORS", COLORS)

SCRIPT = """
"use strict";
function made(tag, properties, parent) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}
function enliven(viewer) {
  const box = viewer.querySelector(".shots"), shots = [...box.querySelectorAll(".shot")];
  const tools = document.createElement("div"), title = viewer.dataset.title;
  tools.className = "tools";
  tools.setAttribute("role", "group");
  tools.setAttribute("aria-label", title);
  box.after(tools);
  const choices = ["left", "right"].map(side => {
    const select = made("select", {}, made("label", {textContent: side + " picture"}, tools));
    for (const shot of shots) made("option", {textContent: shot.dataset.name}, select);
    select.value = viewer.dataset[side];
    select.onchange = show;
    return select;
  });
  const label = made("label", {className: "wipe", textContent: "border"}, tools);
  const range = made("input", {type: "range", min: 0, max: 100, step: 1, value: 50}, label);
  range.oninput = show;
  function show() {
    choices.forEach((select, side) => shots.forEach((shot, place) =>
      shot.classList.toggle(side ? "right" : "left", place === select.selectedIndex)));
    box.style.setProperty("--at", range.value + "%");
    range.setAttribute("aria-valuetext",
      `${range.value} % ${choices[0].value}, then ${choices[1].value}`);
  }
  function drag(event) {
    if (!event.buttons) return;
    const edge = box.getBoundingClientRect();
    range.value = 100 * (event.clientX - edge.left) / edge.width;
    show();
  }
  box.onpointerdown = event => {
    if (event.isPrimary) box.setPointerCapture(event.pointerId);
    drag(event);
  };
  box.onpointermove = drag;
  box.ondragstart = event => event.preventDefault();
  show();
}
document.documentElement.classList.add("live");
document.querySelectorAll(".viewer").forEach(enliven);
"""

EXTRA = Extra(STYLE, SCRIPT)  # what a page with viewers needs


class Shot(NamedTuple):
    """A picture of a viewer: what it is called there, PNG or JPEG bytes, and its alt text."""

    name: str
    data: bytes
    alt: str


def viewer(title: str, shots: Sequence[Shot], left: str, right: str, *caption: str) -> Markup:
    """Pictures of the same size under one caption; `left` and `right`: the names of the two that
    are looked at first; `title` is what a reader of screens calls the controls."""
    cells = "\n".join(
        f'<figure class="shot" data-name="{html.escape(shot.name)}">'
        f"{picture(Plot(shot.data), shot.alt)}"
        f"<figcaption>{html.escape(shot.name)}</figcaption></figure>"
        for shot in shots
    )
    sides = f'data-left="{html.escape(left)}" data-right="{html.escape(right)}"'
    told = "".join(one if isinstance(one, Markup) else html.escape(one) for one in caption)
    return Markup(
        f'<figure class="viewer" data-title="{html.escape(title)}" {sides}>\n'
        f'<div class="shots">\n{cells}\n</div>\n<figcaption>{told}</figcaption>\n</figure>'
    )


def viewers(figures: Sequence[str]) -> Markup:
    """Viewers in as many columns as the window is wide for; on paper, one under another."""
    return Markup('<div class="viewers">\n' + "\n".join(figures) + "\n</div>")


def how() -> Markup:
    """How viewers are worked, told where they can be."""
    return Markup(
        '<p class="how">Choose the picture on the left and on the right and move the border '
        "between them: by its slider, with arrow keys, by dragging on the picture.</p>"
    )


def legend(unknown: bool = False) -> Markup:
    """What the colors of a mask overlay mean; `unknown`: some samples have no true mask."""
    told = {"right": "damage that was found", "false": "marked, but whole",
            "missed": "damage that was missed"}  # fmt: skip
    told |= {"unknown": "marked where the truth is not known"} if unknown else {}
    keys = "".join(f'<span class="key {name}">{text}</span>' for name, text in told.items())
    return Markup(f'<p class="legend">{keys}</p>')
