"""A star or a note of the image that is looked at."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from nbtool.display import script
from nbtool.display.widget import Widget

HERE = Path(__file__).parent


class Mark(Widget):
    """A button or a text field about one image.

    The browser says of which image it speaks: when its message comes, another may be shown.

    Args:
        empty: False for a button, "" for a field.
        description: Its label.
        tooltip: What it is for.
        marked: Told the key of an image and what it was marked with.
    """

    _esm = script.module((HERE / "mark.js").read_text(encoding="utf-8"))
    key = traitlets.Unicode().tag(sync=True)  # of the image that is shown
    value = traitlets.Any().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    tooltip = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        empty: bool | str,
        description: str,
        tooltip: str,
        marked: Callable[[str, Any], None],
    ) -> None:
        super().__init__(value=empty, description=description, tooltip=tooltip)
        self._kind = type(empty)
        self._marked = marked
        self._lock = threading.RLock()
        self._showing = False
        self.on_msg(self._said)
        self.observe(self._set, "value")

    def show(self, key: str, value: Any) -> None:
        """Shows what an image is marked with."""
        with self._lock, self.hold_sync():
            self._showing = True
            self.key, self.value = key, value
            self._showing = False

    def _set(self, change: dict[str, Any]) -> None:
        """In Python: it is about the image that is shown."""
        with self._lock:
            if not self._showing:
                self._marked(self.key, change["new"])

    def _said(self, _: object, content: Any, __: object) -> None:
        key, value = (content.get(name) for name in ("key", "value"))
        if isinstance(key, str) and isinstance(value, self._kind):
            self._marked(key, value)
