"""What is wrong with a field that is not our own: marked, said below it, led to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import traitlets

from nbtool.display import script
from nbtool.display.widget import Widget

HERE = Path(__file__).parent


class Flaw(Widget):
    """A line below a field, or below the row in which it is the first, that marks it as wrong.

    Attributes:
        error: What is wrong; "" while nothing is.
    """

    _esm = script.module((HERE / "flaw.js").read_text(encoding="utf-8"))
    error = traitlets.Unicode().tag(sync=True)

    def lead(self) -> None:
        """Takes whoever works in the panel to the field."""
        self.send({"lead": True})

    def on_look(self, look: Callable[[], None]) -> None:
        """What is done when somebody comes to the field, and now and then while it is wrong."""

        def heard(_: object, content: Any, __: object) -> None:
            if isinstance(content, dict) and content.get("look"):
                look()

        self.on_msg(heard)
