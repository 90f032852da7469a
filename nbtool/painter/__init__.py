"""The mask painter: a widget, its JavaScript and its style.

The module is the viewer's stage, then the files below, one after another.
"""

from __future__ import annotations

from pathlib import Path

from nbtool.display import script, viewer

PARTS = ("png", "mask", "history", "board", "hands", "keyboard", "tools", "edges", "view")


def module() -> str:
    """The painter as the text of an ES module."""
    return script.module(viewer.zoom_module(), *(_read(f"{part}.js") for part in PARTS))


def style() -> str:
    """Its CSS."""
    return f"{viewer.zoom_style()}\n{_read('painter.css')}"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
