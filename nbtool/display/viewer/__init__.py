"""The grid viewer that notebooks and saved pages share: one JavaScript module and its style.

The module is the files below, one after another. It exports what a widget needs, `initialize`
and `render`, and takes all it shows from a model: in a notebook the widget's, on a saved page
the one that host.js makes of the page's data.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nbtool.display import script

if TYPE_CHECKING:
    from collections.abc import Iterable

ZOOM = ("elements", "zoom", "scales")
CURTAIN = "curtain"
ENLARGED = (*ZOOM, CURTAIN, "play", "bare", "enlarged")
PARTS = (
    *ENLARGED,
    *(
        "labels",
        "places",
        "layouts",
        "arrangement",
        "sheet",
        "fitting",
        "cell",
        "shelf",
        "cells",
        "marks",
    ),
    *("axes", "values", "toolbar", "compare", "keys", "view"),
)
HOST = "host"


@cache
def module() -> str:
    """The viewer as the text of an ES module."""
    return script.module(_joined(PARTS))


@cache
def page_module() -> str:
    """The same with the host of a saved page, which shows the page's data."""
    return f"{module()}\n{_read(f'{HOST}.js')}"


@cache
def style() -> str:
    """The viewer's CSS."""
    return f"{enlarged_style()}\n{_read('viewer.css')}"


@cache
def enlarged_module() -> str:
    """The enlarged view alone, to stand before another module; enlarged.js says what it needs.

    It declares the class `Enlarged`, whose `element` goes into the widget's own.
    """
    return _joined(ENLARGED)


@cache
def pictures_module() -> str:
    """The same, and the shelf of pictures that come from Python: the class `Shelf`."""
    return _joined((*ENLARGED, "shelf"))


@cache
def enlarged_style() -> str:
    """The CSS of the enlarged view alone."""
    return f"{zoom_style()}\n{curtain_style()}\n{_read('enlarged.css')}"


@cache
def curtain_module() -> str:
    """A before-and-after divider alone, to stand before another module; curtain.js says how it is used."""
    return _joined(("elements", CURTAIN))


@cache
def curtain_style() -> str:
    """Its CSS."""
    return _read(f"{CURTAIN}.css")


@cache
def zoom_module() -> str:
    """A picture on a stage alone: the classes `Zoom` and `Scales`, and how elements are made."""
    return _joined(ZOOM)


@cache
def zoom_style() -> str:
    """The theme, and the CSS of the stage."""
    return f"{_read('theme.css')}\n{_read('zoom.css')}"


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(_read(f"{part}.js") for part in parts)


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
