"""What the gallery is made of: its JavaScript, its style, and what each of its sections does.

The module is the viewer's enlarged view and its shelf of pictures, what can be done with an
enlarged picture of the panel, then the files below.
"""

from __future__ import annotations

from pathlib import Path

from nbtool.display import script, viewer

PARTS = (
    *("choice", "tiles", "keyboard", "dragging", "search", "tools", "folder"),
    *("done", "deleted", "lists", "staying", "browsing", "counting", "sections", "gallery"),
)


def module() -> str:
    """The gallery as the text of an ES module."""
    actions = (Path(__file__).parents[1] / "picture_actions.js").read_text(encoding="utf-8")
    return script.module(
        viewer.pictures_module(), actions, *(_read(f"{part}.js") for part in PARTS)
    )


def style() -> str:
    """Its CSS."""
    return f"{viewer.enlarged_style()}\n{_read('gallery.css')}"


def _read(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
