"""Fields that write the values of an axis: each writes what one could have typed, and reads it back."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from nbtool.errors import RecipeError
from nbtool.recipes import axes, lora_axes
from nbtool.recipes.parameters import INTEGERS, REALS, ROWS, checked
from nbtool.recipes.ranges import span

REPLACE = "replace"
_WEIGHED = re.compile(r"(?:(.*\S)\s*)?:([-+\d.,()\[\]\s]*)", re.DOTALL)
BAR = " | "
MAX_DRAWN = 1_000  # seeds

Write = Callable[[str], None]


class Values(ABC):
    """Fields for one kind of values. What they write is not read back while they do.

    Args:
        write: Given the text whenever the fields say another.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._busy = False
        self.widget = self._made()

    def read(self, text: str) -> None:
        """Shows the values that a text says."""
        if not self._busy:
            self._busy = True
            try:
                self._show(text)
            finally:
                self._busy = False

    def _wrote(self, *_: Any) -> None:
        if not self._busy:
            self._busy = True
            try:
                self._write(self._text())
            finally:
                self._busy = False

    @abstractmethod
    def _made(self) -> Any:
        """The fields."""

    @abstractmethod
    def _show(self, text: str) -> None:
        """Fills them from a text."""

    @abstractmethod
    def _text(self) -> str:
        """What they say."""


class Range(Values):
    """From, to, and a step or a number of values."""

    def _made(self) -> Any:
        self.start, self.end, self.step, self.count = fields = [
            ipywidgets.Text(description=label, placeholder=hint)
            for label, hint in (("From", ""), ("To", ""), ("Step", "1"), ("Or how many", ""))
        ]
        self.step.observe(lambda _: self._alone(self.count), "value")
        self.count.observe(lambda _: self._alone(self.step), "value")
        for field in fields:
            field.observe(self._wrote, "value")
        return _row(fields)

    def _alone(self, other: Any) -> None:
        """Of a step and a number of values there is one."""
        if not self._busy:
            self._busy = True
            other.value = ""
            self._busy = False

    def _show(self, text: str) -> None:
        parts = span(text) or ("", "", "", "")
        self.start.value, self.end.value, self.step.value, self.count.value = parts

    def _text(self) -> str:
        fields = self.start, self.end, self.step, self.count
        start, end, step, count = (str(field.value).strip() for field in fields)
        if not (start and end):
            return start or end
        if count:
            return f"{start}-{end} [{count}]"
        if not step:
            return f"{start}-{end}"
        size = step.lstrip("+-")
        return f"{start}-{end} ({'-' if _is_down(start, end) else '+'}{size})"


class Drawn(Values):
    """Seeds that are drawn."""

    def _made(self) -> Any:
        self.count = ipywidgets.BoundedIntText(
            description="How many", value=4, min=1, max=MAX_DRAWN
        )
        self.draw = ipywidgets.Button(description="Draw seeds", tooltip="Others at each press")
        self.draw.on_click(self._wrote)
        return _row([self.count, self.draw])

    def _show(self, text: str) -> None:
        if (seeds := text.split(","))[1:]:
            self.count.value = min(MAX_DRAWN, len(seeds))

    def _text(self) -> str:
        return ", ".join(map(str, axes.random_seeds(self.count.value)))


class Lines(Values):
    """Texts, one on each line."""

    def _made(self) -> Any:
        self.lines = ipywidgets.Textarea(description="One on each line", rows=4)
        self.lines.observe(self._wrote, "value")
        return _row([self.lines])

    def _show(self, text: str) -> None:
        self.lines.value = "\n".join(pieces(text)) if text.strip() else ""

    def _text(self) -> str:
        return BAR.join(filter(None, map(str.strip, self.lines.value.splitlines())))


class Replacement(Lines):
    """A text of the prompt, and what is put in its place."""

    def _made(self) -> Any:
        self.searched = ipywidgets.Text(description="In place of", placeholder="red")
        self.searched.observe(self._wrote, "value")
        return ipywidgets.VBox([self.searched, super()._made()])

    def _show(self, text: str) -> None:
        self.searched.value, _, replacements = map(str.strip, arrow(text))
        super()._show(replacements)

    def _text(self) -> str:
        return f"{self.searched.value.strip()} → {super()._text()}"


class Ticks(Values):
    """Some of a few choices; what else is typed stays behind them.

    Args:
        write: Given the text whenever the ticks say another.
        choices: All there are.
        named: The choice that a text means.
    """

    def __init__(
        self, write: Write, choices: Sequence[str], named: Callable[[str], str] = str
    ) -> None:
        self._choices, self._named = choices, named
        self._others: list[str] = []
        super().__init__(write)

    def _made(self) -> Any:
        self.ticks = {
            choice: ipywidgets.Checkbox(description=choice, indent=False)
            for choice in self._choices
        }
        for tick in self.ticks.values():
            tick.observe(self._wrote, "value")
        box = ipywidgets.Box(list(self.ticks.values()))
        box.add_class("nbtool-ticks")
        return box

    def _show(self, text: str) -> None:
        written = {piece: self._choice(piece) for piece in pieces(text) if piece}
        for choice, tick in self.ticks.items():
            tick.value = choice in written.values()
        self._others = [piece for piece, choice in written.items() if choice not in self.ticks]

    def _text(self) -> str:
        ticked = [choice for choice, tick in self.ticks.items() if tick.value]
        return BAR.join([*ticked, *self._others])

    def _choice(self, piece: str) -> str:
        try:
            return self._named(piece)
        except RecipeError:
            return piece


class Weighed(Ticks):
    """Some LoRAs, and their weights."""

    def _made(self) -> Any:
        self.weights = ipywidgets.Text(description="Weights", placeholder="0-1 [5]")
        self.weights.observe(self._wrote, "value")
        return ipywidgets.VBox([super()._made(), self.weights])

    def _show(self, text: str) -> None:
        named, self.weights.value = weighed(text)
        super()._show(named)

    def _text(self) -> str:
        weights = self.weights.value.strip()
        return super()._text() + (f": {weights}" if weights else "")


def values_of(name: str, write: Write, named: Sequence[str] = ()) -> Values:
    """The fields for the values of a parameter or word, some of which may have names here."""
    if kind := {REPLACE: Replacement, "seed": Drawn}.get(name):
        return kind(write)
    if name == lora_axes.NAME:
        return Weighed(write, [*named, "none"])
    if named or name == axes.PRESET:
        return Ticks(write, [*named, *(["none"] if name == axes.PRESET else [])])
    if name in INTEGERS + REALS:
        return Range(write)
    if name in ROWS and (choices := ROWS[name].check.choices):
        return Ticks(write, choices, lambda piece: str(checked(name, piece)))
    return Lines(write)


def pieces(text: str) -> list[str]:
    """Texts between bars."""
    return [piece.strip() for piece in text.split("|")]


def weighed(text: str) -> tuple[str, str]:
    """What stands before the weights of LoRAs, and the weights; a path may hold colons too."""
    found = _WEIGHED.fullmatch(text.strip())
    return (found[1] or "", found[2].strip()) if found else (text.strip(), "")


def arrow(text: str) -> tuple[str, str, str]:
    """What stands before an arrow, the arrow, and what stands behind it."""
    return text.replace("->", "→").partition("→")


def _is_down(start: str, end: str) -> bool:
    try:
        return float(end) < float(start)
    except ValueError:
        return False


def _row(fields: Sequence[Any]) -> Any:
    row = ipywidgets.HBox(fields)
    row.add_class("nbtool-row")
    return row
