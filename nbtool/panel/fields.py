"""A field for a parameter, made from its row."""

from __future__ import annotations

import math
from typing import Any

import ipywidgets

from nbtool.errors import RecipeError
from nbtool.panel.entry import Entry
from nbtool.panel.notice import said_of
from nbtool.recipes.checks import CHOICE, TEXT
from nbtool.recipes.parameters import Row, called, checked

OPEN = "not set"


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
        if value == "" and (self._optional or self.row.kind != TEXT):
            value = self.row.rest
        return checked(self.row.name, value)

    @value.setter
    def value(self, value: Any) -> None:
        """Shows a value; None leaves the field open, or as it is where it cannot be."""
        if value is None and not self._optional:
            return
        if self.row.kind == CHOICE:
            self._offer(value or "")
        self.widget.value = "" if value is None else value

    @property
    def error(self) -> str:
        """What is wrong with it, by the name that it has in the panel."""
        try:
            _ = self.value
        except RecipeError as error:
            return said_of(error, self.row.name, called(self.row.name))
        return ""

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
        named = {"description": row.label, "tooltip": tooltip(row)}
        if row.kind == CHOICE:
            return ipywidgets.Dropdown(options=self._options(), **named)
        hint = hint or (OPEN if self._optional else "")
        if row.kind == TEXT:
            return Entry(placeholder=hint, lines=lines, **named)
        least = row.check.low if math.isfinite(row.check.low) else None
        return Entry(placeholder=hint or "default", step=row.step, least=least, **named)


def tooltip(row: Row) -> str:
    """What a parameter is, after the name that Python has for it."""
    return f"{row.name}: {row.about}"
