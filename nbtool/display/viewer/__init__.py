"""The grid viewer that notebooks and saved pages share: one JavaScript module and its style.

The module is the files below, one after another. It exports what a widget needs, `initialize`
and `render`, and takes all it shows from a model: in a notebook the widget's, on a saved page
the one that host.js makes of the page's data.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

PARTS = (
    *("elements", "places", "shelf", "sheet", "cell", "marks"),
    *("toolbar", "enlarged", "compare", "keys", "view"),
)
HOST = "host"


@cache
def module() -> str:
    """The viewer as the text of an ES module."""
    return "\n".join(_read(f"{part}.js") for part in PARTS)


@cache
def page_module() -> str:
    """The same with the host of a saved page, which shows the page's data."""
    return f"{module()}\n{_read(f'{HOST}.js')}"


@cache
def style() -> str:
    """The viewer's CSS."""
    return _read("viewer.css")


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
