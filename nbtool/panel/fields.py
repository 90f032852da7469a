"""A field for a parameter, made from its row."""

from __future__ import annotations

from typing import Any

import ipywidgets

from nbtool.recipes.checks import CHOICE, REAL, TEXT, WHOLE
from nbtool.recipes.parameters import Row, checked

OPEN = "as the model has it"


class Field:
    """The widget of a parameter, and its value as a recipe holds it.

    Args:
        row: Of the parameter.
        optional: Whether it may be left open.
        lines: Of a text; more than one make an area.
        hint: What an empty text shows.
    """

    def __init__(self, row: Row, *, optional: bool = False, lines: int = 1, hint: str = "") -> None:
        self.row = row
        self._optional = optional
        self.widget = self._made(lines, hint)
        self.value = row.rest

    @property
    def value(self) -> Any:
        """What it says, checked.

        Raises:
            RecipeError: It is out of range or of the wrong kind.
        """
        value: Any = self.widget.value
        if self._optional and value == "":
            value = self.row.rest
        elif self._optional and self.row.kind in (WHOLE, REAL):
            value = _number(value)
        return checked(self.row.name, value)

    @value.setter
    def value(self, value: Any) -> None:
        """Shows a value; None leaves the field open, or as it is where it cannot be."""
        if value is None and not self._optional:
            return
        if self._optional:
            value = "" if value is None else str(value)
        if self.row.kind == CHOICE:
            self._offer(value)
        self.widget.value = value

    def _offer(self, value: str) -> None:
        """Adds a choice that has no short name to those there are."""
        options = self._options(value)
        if list(self.widget.options) != options:
            self.widget.options = options

    def _options(self, chosen: str = "") -> list[Any]:
        choices = list(self.row.check.choices)
        if chosen and chosen not in choices:
            choices.append(chosen)
        return [(OPEN, ""), *zip(choices, choices, strict=True)] if self._optional else choices

    def _made(self, lines: int, hint: str) -> Any:
        row = self.row
        named = {"description": row.label}
        if row.kind == CHOICE:
            return ipywidgets.Dropdown(options=self._options(), **named)
        if row.kind == TEXT or self._optional:
            kind = ipywidgets.Textarea if lines > 1 else ipywidgets.Text
            size = {"rows": lines} if lines > 1 else {}
            hint = hint or (OPEN if self._optional else "")
            return kind(placeholder=hint, continuous_update=False, **size, **named)
        kind = ipywidgets.IntText if row.kind == WHOLE else ipywidgets.FloatText
        return kind(step=row.step, **named)


def _number(text: str) -> float | str:
    """A number as typed; what is none stays text, which is refused by name where it is checked."""
    try:
        return float(text)
    except ValueError:
        return text
