"""What a panel needs of the browser besides widgets: style, Ctrl+Enter, clipboard, an answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import traitlets

from nbtool.display import script
from nbtool.display.widget import Widget
from nbtool.panel.entry import Entry

HERE = Path(__file__).parent


class Root(Widget):
    """Sits in a panel without being seen."""

    _esm = script.module((HERE / "root.js").read_text(encoding="utf-8"))
    _css = (HERE / "panel.css").read_text(encoding="utf-8")
    still = traitlets.Unicode().tag(sync=True)  # the class of the pictures that stand in for it

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._on("ping", lambda _: self.send({"pong": True}))
        self._on("typed", Entry.typed)

    def on_go(self, action: Callable[[bool], None]) -> None:
        """A press on Generate or Run, or Ctrl+Enter or Cmd+Enter anywhere in the panel.

        The action is told whether it is for the Sweep tab.
        """
        self._on("go", lambda said: action(bool(said.get("sweep"))))

    def on_seen(self, action: Callable[[], None]) -> None:
        """A browser shows the panel."""
        self._on("seen", lambda _: action())

    def on_chosen(self, action: Callable[[Mapping[str, Any]], None]) -> None:
        """Something is chosen from a list, or ticked, or was typed before a press."""
        self._on("chosen", action)

    def copy(self, text: str) -> None:
        """Puts a text on the clipboard of whoever looks; where that is refused, shows it."""
        self.send({"copy": text})

    def _on(self, event: str, action: Callable[[dict[str, Any]], None]) -> None:
        def handle(_: object, content: Any, __: object) -> None:
            if isinstance(content, dict) and content.get("event") == event:
                action(content)

        self.on_msg(handle)
