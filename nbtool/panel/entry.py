"""A labelled field that keeps what was typed into it, and says what is wrong with that."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import traitlets

from nbtool.display import script
from nbtool.display.widget import Widget

HERE = Path(__file__).parent


class Entry(Widget):
    """A text or a number, with its label above and what is wrong with it below.

    Attributes:
        value: What is typed. With a `step` it is a number, unless what is typed is none: that
            stays text.
        description: The label.
        tooltip: What it is, and what Python calls it.
        placeholder: What an empty field shows.
        hint: What is said below it, whatever it shows.
        lines: More than one make an area.
        step: By which arrow keys and buttons change a number; 0: it is a text.
        least: They go no lower.
        slides: From where to where a slider beside it goes; empty: there is none.
        options: What the browser offers to choose from.
        quiet: Whether the value is only shown: nothing goes by it now.
        error: What is wrong with the value; "" while nothing is.
        offers: Values that are right, a button each.
    """

    _esm = script.module((HERE / "entry.js").read_text(encoding="utf-8"))
    place = traitlets.Int().tag(sync=True)  # by which the browser names it
    value = traitlets.Any("").tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    tooltip = traitlets.Unicode().tag(sync=True)
    placeholder = traitlets.Unicode().tag(sync=True)
    hint = traitlets.Unicode().tag(sync=True)
    lines = traitlets.Int(1).tag(sync=True)
    step = traitlets.Float().tag(sync=True)
    least = traitlets.Float(None, allow_none=True).tag(sync=True)
    slides = traitlets.List(traitlets.Float()).tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    disabled = traitlets.Bool().tag(sync=True)
    quiet = traitlets.Bool().tag(sync=True)
    error = traitlets.Unicode().tag(sync=True)
    offers = traitlets.List(traitlets.Unicode()).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(place=next(_PLACES), **traits)
        self._retyped: Callable[[], None] = lambda: None
        _AT[self.place] = self

    @staticmethod
    def typed(said: Mapping[str, Any]) -> None:
        """Takes what was typed into one of them, as a browser says it."""
        if entry := _AT.get(said["place"]):
            entry.take(said["value"], retyped=said["retyped"])

    def take(self, value: str, *, retyped: bool) -> None:
        """Takes what was typed into it; `retyped` says that it was only shown before."""
        before = self.value
        self.set_state({"value": value})
        if retyped and self.value == before:
            self._retyped()

    def on_retyped(self, call: Callable[[], None]) -> None:
        """Calls when the value that is only shown is typed once more: it stays, but is meant now."""
        self._retyped = call

    def lead(self) -> None:
        """Takes whoever works in the panel to the field."""
        self.send({"lead": True})

    @traitlets.validate("value")
    def _numbered(self, proposal: Any) -> Any:
        value = proposal["value"]
        return _number(value) if self.step and isinstance(value, str) else value


_PLACES = itertools.count()
_AT: weakref.WeakValueDictionary[int, Entry] = weakref.WeakValueDictionary()


def _number(text: str) -> float | str:
    """A number as typed, or the text where it is none."""
    for kind in (int, float):
        try:
            number = kind(text)
            return number if math.isfinite(number) else text
        except ValueError:
            continue
        except OverflowError:  # a whole number beyond all that are not
            return text
    return text
