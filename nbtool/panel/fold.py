"""Parts of a panel that can be folded away, and say in one line what is set in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets
import traitlets

from nbtool.display.widget import Widget
from nbtool.panel.telling import put_off

HERE = Path(__file__).parent


class Fold(Widget):
    """The head: a button that opens and closes what comes next; `widget` is both.

    Args:
        title: What is inside.
        *children: The widgets inside.
        opened: At first; later it is as it was left in this browser.
    """

    _esm = (HERE / "fold.js").read_text(encoding="utf-8")
    name = traitlets.Unicode().tag(sync=True)  # by which the browser remembers it
    title = traitlets.Unicode().tag(sync=True)
    summary = traitlets.Unicode().tag(sync=True)
    wrong = traitlets.Bool().tag(sync=True)
    opened = traitlets.Bool().tag(sync=True)

    def __init__(self, title: str, *children: Any, opened: bool = False) -> None:
        super().__init__(title=title, name=title, opened=opened)
        inside = ipywidgets.VBox(children)
        inside.add_class("nbtool-folded")
        if not opened:
            put_off(inside)
        self.widget = ipywidgets.VBox([self, inside])
        self.widget.add_class("nbtool-fold")

    def unfold(self) -> None:
        """Shows what is inside."""
        self.send({"open": True})
