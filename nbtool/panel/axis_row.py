"""One axis of a sweep in the making: a parameter, its values as typed, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ipywidgets
import traitlets

from nbtool.catalogue import loras
from nbtool.display import script
from nbtool.display.widget import Widget
from nbtool.errors import AxisError
from nbtool.imaging import reading
from nbtool.panel.notice import Notice, said_of
from nbtool.panel.values import BAR, REPLACE, Values, arrow, pieces, values_of
from nbtool.panel.weighing import UnderWayError, Weighing
from nbtool.recipes import axes, lora_axes, templates
from nbtool.recipes.axes import PRESET
from nbtool.recipes.axis import Axis, Edit
from nbtool.recipes.parameters import (
    COMPOSED,
    INTEGERS,
    NETWORK,
    PICTURES,
    REALS,
    ROWS,
    called,
    ordered,
)
from nbtool.recipes.picture import Picture
from nbtool.recipes.preset import Preset, is_none
from nbtool.recipes.recipe import Recipe
from nbtool.text import count, digits

NOTHING = ""
LORA = lora_axes.NAME
FIRST = ("guidance_scale", "num_inference_steps", "seed", "scheduler")
HIDDEN = NETWORK | COMPOSED - PICTURES  # what is not typed
LABELS = {
    NOTHING: "–",
    **{row.name: row.label for row in ordered(FIRST) if row.name not in HIDDEN},
    PRESET: called(PRESET),
    REPLACE: "Replace in the prompt",
    LORA: "LoRA",
}
HINTS = {
    REPLACE: "red → blue | green",
    PRESET: "ink | photo | none",
    LORA: "ink: 0-1 [5] or ink | dots: 0.5, 1",
}
MAX_SHOWN = 12  # values in words
HERE = Path(__file__).parent

Presets = Mapping[str, Preset]
NO_PRESETS: Presets = MappingProxyType({})
Known = Mapping[str, Mapping[str, Picture]]  # pictures by parameter and name
NO_PICTURES: Known = MappingProxyType({})


class Handle(Widget):
    """By which a row is dragged, or moved by the arrow keys; and marks what is wrong in the row.

    Args:
        move: Told by how many places.

    Attributes:
        label: What screen readers call it.
        wrong: "name" or "values", the field that is wrong, or "".
    """

    _esm = script.module((HERE / "axis_row.js").read_text(encoding="utf-8"))
    _css = (HERE / "axis_row.css").read_text(encoding="utf-8")
    label = traitlets.Unicode().tag(sync=True)
    wrong = traitlets.Unicode().tag(sync=True)

    def __init__(self, move: Callable[[int], None]) -> None:
        super().__init__()
        self._move = move
        self.on_msg(self._said)

    def lead(self) -> None:
        """Takes whoever works in the panel to the field that is wrong."""
        self.send({"lead": True})

    def _said(self, _: object, content: Any, __: object) -> None:
        if isinstance(content, dict) and isinstance(by := content.get("move"), int):
            self._move(by)


class AxisRow:
    """The widgets of one axis. `parsed()` is what the text says.

    Args:
        changed: Called when it says something else.
        move: Told by how many places the row is to be moved.
        presets: The presets there are.
        pictures: The pictures that have a name here.
        weighing: What knows LoRAs.
    """

    def __init__(
        self,
        changed: Callable[[], None],
        move: Callable[[int], None],
        presets: Callable[[], Presets] = lambda: NO_PRESETS,
        pictures: Known = NO_PICTURES,
        weighing: Weighing | None = None,
    ) -> None:
        self._changed = changed
        self._presets = presets
        self._pictures = pictures
        self._weighing = weighing
        self._fields: Values | None = None
        self._offering = False
        self.error: Exception | None = None  # what keeps it from being an axis
        self.handle = Handle(move)
        self.name = ipywidgets.Dropdown(description="Vary", options=_options(()))
        self.values = ipywidgets.Text(description="Values")
        self.values.add_class("nbtool-values")
        self.fill_in = ipywidgets.ToggleButton(
            description="Fill in", tooltip="Fields that write the values"
        )
        self.remove = ipywidgets.Button(description="Remove", tooltip="Take this axis away")
        self.remove.add_class("nbtool-remove")
        self.message = Notice()
        self._below = ipywidgets.VBox()
        self._below.add_class("nbtool-fields")
        line = ipywidgets.HBox([self.handle, self.name, self.values, self.fill_in, self.remove])
        line.add_class("nbtool-row")
        self.widget = ipywidgets.VBox([line, self.message.widget, self._below])
        self.widget.add_class("nbtool-axis")
        self.name.observe(self.message.guarded(self._renamed), "value")
        self.values.observe(self.message.guarded(self._retyped), "value")
        self.fill_in.observe(self.message.guarded(self._show_fields), "value")
        self._renamed()

    def fill(self, name: str, values: str) -> None:
        self.name.value = name
        self.values.value = values

    def offer(self, *prompts: str) -> None:
        """Offers the words in braces of prompts as axes too."""
        chosen = self.name.value
        options = _options([name for prompt in prompts for name in templates.names(prompt)])
        if options == list(self.name.options):
            return
        self._offering = True  # the drop-down forgets meanwhile what was chosen
        try:
            self.name.options = options
            self.name.value = chosen if chosen in [value for _, value in options] else NOTHING
        finally:
            self._offering = False
        if self.name.value != chosen:
            self._renamed()

    def offer_presets(self) -> None:
        """Offers the presets there are now, where they are what is varied."""
        if self.name.value == PRESET:
            self._show_fields()

    @property
    def label(self) -> str:
        """What is varied, as people see it."""
        return _label(self.name.value)

    def place(self, number: int, of: int) -> None:
        """Says where the row stands."""
        named = f": {self.label}" if self.name.value else ""
        self.handle.label = f"Move axis {number} of {of}{named}"

    def refuse(self, text: str) -> None:
        """Marks what is varied as wrong, and says why."""
        self.error = AxisError(text)
        self.handle.wrong = "name"
        self.message.alarm(text)

    def parsed(self, *, wanted: bool = False) -> tuple[Axis, ...]:
        """The axes that the row says; none for an empty one, and for one with an `error`.

        Says under the field what is wrong, or how many values there are.

        Args:
            wanted: Whether it is to be run: then it is wrong that there are no values yet.
        """
        self.error = None
        if self.name.value == NOTHING:
            self.message.clear()
            self.handle.wrong = ""
            return ()
        try:
            axes, note = self._parse()
        except Exception as error:
            self.error = error
            is_wrong = wanted or self.values.value.strip()
            under_way = isinstance(error, UnderWayError)
            self.handle.wrong = "values" if is_wrong and not under_way else ""
            say = self.message.alarm if self.handle.wrong else self.message.say
            say(said_of(error, self.name.value, self.label))
            return ()
        self.handle.wrong = ""
        self.message.say(" × ".join(map(_in_words, axes)) + note)
        return axes

    def _parse(self) -> tuple[tuple[Axis, ...], str]:
        """The axes, and what is to be known of what is typed."""
        name, text = self.name.value, self.values.value
        if name == LORA and self._weighing and text.strip():
            return self._weighing(text)
        return (parse(name, text, self._presets(), self._pictures),), _hint_at_bars(name, text)

    def _renamed(self) -> None:
        if self._offering:
            return
        name = self.name.value
        self.values.placeholder = _hint(name) if name else ""
        self.values.disabled = self.fill_in.disabled = name == NOTHING
        self._show_fields()
        self._changed()

    def _retyped(self) -> None:
        if self._fields:
            self._fields.read(self.values.value)
        if self._weighing:
            self._weighing.forget(self.values.value)
        self._changed()

    def _show_fields(self) -> None:
        """The fields of the parameter, with what is typed; made when they are asked for."""
        if not self.fill_in.value or self.fill_in.disabled:
            self._fields, self._below.children = None, ()
            return
        name = self.name.value
        named = {PRESET: self._presets, LORA: loras.names}.get(name, lambda: ())()
        self._fields = values_of(name, self._write, [*named, *self._pictures.get(name, ())])
        self._fields.read(self.values.value)
        self._below.children = (self._fields.widget,)

    def _write(self, text: str) -> None:
        self.values.value = text


def _label(name: str) -> str:
    return LABELS.get(name, f"{{{name}}}")


def _in_words(axis: Axis) -> str:
    """How many values there are, and which."""
    values = count(len(axis), "value")
    if axis.drawn:  # others than now
        return f"{values}; -1 is drawn when it runs"
    more = ", …" if len(axis) > MAX_SHOWN else ""
    return f"{values}: {', '.join(axis.texts[:MAX_SHOWN])}{more}"


def _hint_at_bars(name: str, text: str) -> str:
    """That a comma stands between numbers only; "" where there is none, or none is meant."""
    parts = [part.strip() for part in text.split(",")]
    if name in {*INTEGERS, *REALS, *PICTURES} or "|" in text or not all(parts) or len(parts) < 2:
        return ""
    return f" · for several, write {BAR.join(parts)}"


def _hint(name: str) -> str:
    """How values of a parameter or word are typed."""
    if name in HINTS:
        return HINTS[name]
    if name in INTEGERS + REALS:
        return "1, 3, 5 or 1-9 (+2) or 0-1 [6]"
    if name in PICTURES:
        return "cat.png | photos/*.jpg"
    if name in ROWS and (choices := ROWS[name].check.choices):
        return " | ".join(choices[:3])
    return "one | another | a third"


def parse(
    name: str, text: str, presets: Presets = NO_PRESETS, pictures: Known = NO_PICTURES
) -> Axis:
    """The axis of a parameter or word with its values as typed.

    Raises:
        RecipeError: They are no such values.
    """
    if not text.strip():
        raise AxisError("no values yet")
    if name == REPLACE:
        searched, found, replacements = arrow(text)
        if not found:
            raise AxisError(
                "write what to replace, an arrow and the replacements: red → blue | green"
            )
        return axes.replace(searched.strip(), pieces(replacements))
    given = pieces(text)
    if name == PRESET:
        names = [None if is_none(piece) else piece for piece in given]
        if not presets and (asked := next(filter(None, names), "")):
            raise AxisError(
                f"unknown preset {asked!r}; there are none yet: Edit presets, on the Generate tab, "
                f"keeps one"
            )
        axis = axes.preset(names, presets)
        assert isinstance(axis, Axis)
        return axis
    if name in PICTURES:
        known = pictures.get(name, {})
        meant: list[Any] = []
        for piece in given:
            meant += [known[piece]] if piece in known else reading.matching(name, piece)
        return axes.sweep(Recipe(), (), {name: meant}, {}).axes[0]
    if name in ROWS:
        # The one place where numbers, ranges and limits are understood, tried on its own.
        value: Any = text if name in INTEGERS + REALS else given
        return axes.sweep(Recipe(), (), {name: value}, {}).axes[0]
    return Axis(name, tuple(given), tuple(Edit(words={name: piece}) for piece in given))


def around(recipe: Recipe) -> dict[str, str]:
    """Values around those of a recipe, as one would type them."""
    guidance = Decimal(repr(recipe.guidance_scale or 0.0))  # whose arithmetic is that of the range
    low = max(Decimal(0), guidance - 2)
    steps = recipe.num_inference_steps or 1
    return {
        "guidance_scale": f"{digits(float(low))}-{digits(float(low + 4))} (+1)",
        "num_inference_steps": ", ".join(
            str(n) for n in sorted({max(1, steps // 2), steps, min(1000, steps * 2)})
        ),
    }


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    offered = [(f"{{{word}}}", word) for word in dict.fromkeys(words) if word not in LABELS]
    return [*((label, name) for name, label in LABELS.items()), *offered]
