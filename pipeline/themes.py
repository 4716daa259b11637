"""How plots look on light and on dark screens, and PNG bytes that tell nothing but the plot."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

# Damage that was found, whole pixels that were marked, and damage that was missed, in overlays:
# told apart also by color-blind eyes (Okabe & Ito 2008).
RIGHT, FALSE, MISSED = (0, 158, 115), (230, 159, 0), (86, 180, 233)


class Theme(NamedTuple):
    """Colors of a plot; a background of None is transparent. `others`: colors for what is compared
    with, told apart by eyes that see red and green alike (Okabe and Ito's)."""

    text: str
    fill: str
    line: str
    alarm: str
    background: str | None
    others: tuple[str, ...]


LIGHT = Theme(
    "#333a44", "#9db4cf", "#1f3a5f", "#b3261e", "#ffffff", ("#b45f06", "#00795a", "#a3487f")
)
DARK = Theme("#c3ccd8", "#46607f", "#9fc3ef", "#ff8a80", None, ("#f0b060", "#4fd0a8", "#e59cc6"))


def style(axes: Any, theme: Theme) -> None:
    """Quiet axes in a theme's colors."""
    axes.set_facecolor("none")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(theme.text)
    axes.tick_params(colors=theme.text, labelsize=8.5, width=0.7)


def png(figure: Any, theme: Theme, dpi: int = 160) -> bytes:
    """PNG without the metadata that would name the plotting library's version."""
    out = io.BytesIO()
    look = {"transparent": True} if theme.background is None else {"facecolor": theme.background}
    figure.savefig(out, format="png", dpi=dpi, metadata={"Software": None}, **look)
    return out.getvalue()
