"""One axis of a sweep in the making: a parameter, its values as typed, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import ipywidgets

from nbtool.errors import AxisError
from nbtool.panel.notice import Notice
from nbtool.recipes import axes, templates
from nbtool.recipes.axis import Axis, Edit
from nbtool.recipes.labels import shown
from nbtool.recipes.parameters import INTEGERS, REALS, ROWS, ordered
from nbtool.recipes.recipe import Recipe
from nbtool.text import count, digits

NOTHING = ""
REPLACE = "replace"
FIRST = ("guidance_scale", "num_inference_steps", "seed", "scheduler")
LABELS = {
    NOTHING: "–",
    **{row.name: row.label for row in ordered(FIRST) if not row.network},
    REPLACE: "Replace in the prompt",
}


class AxisRow:
    """The widgets of one axis. `parsed()` is what the text says."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self.name = ipywidgets.Dropdown(description="Vary", options=_options(()))
        self.values = ipywidgets.Text(description="Values")
        self.remove = ipywidgets.Button(description="Remove", tooltip="Take this axis away")
        self.message = Notice()
        line = ipywidgets.HBox([self.name, self.values, self.remove])
        line.add_class("nbtool-row")
        self.widget = ipywidgets.VBox([line, self.message.widget])
        self.widget.add_class("nbtool-axis")
        self.name.observe(self.message.guarded(self._renamed), "value")
        self.values.observe(self.message.guarded(changed), "value")
        self._renamed()

    def fill(self, name: str, values: str) -> None:
        self.name.value = name
        self.values.value = values

    def offer(self, prompt: str) -> None:
        """Offers the words in braces of a prompt as axes too."""
        chosen = self.name.value
        options = _options(templates.names(prompt))
        if options != list(self.name.options):
            self.name.options = options
            self.name.value = chosen if chosen in [value for _, value in options] else NOTHING

    def parsed(self) -> tuple[str, Any] | None:
        """The name of a parameter or word with its values, an axis, or None for an empty row.

        Says under the field what is wrong, or how many values there are.

        Raises:
            RecipeError: The values make no axis.
        """
        if self.name.value == NOTHING:
            self.message.clear()
            return None
        try:
            values = parse(self.name.value, self.values.value)
        except Exception as error:
            self.message.fail(error)
            raise
        labels = values.texts if isinstance(values, Axis) else shown(values)
        more = ", …" if len(labels) > 12 else ""
        self.message.say(f"{count(len(labels), 'value')}: {', '.join(labels[:12])}{more}")
        return self.name.value, values

    def _renamed(self) -> None:
        name = self.name.value
        self.values.placeholder = _hint(name) if name else ""
        self.values.disabled = name == NOTHING
        self._changed()


def _hint(name: str) -> str:
    """How values of a parameter or word are typed."""
    if name == REPLACE:
        return "red → blue | green"
    if name in INTEGERS + REALS:
        return "1, 3, 5 or 1-9 (+2) or 0-1 [6]"
    if name in ROWS and (choices := ROWS[name].check.choices):
        return " | ".join(choices[:3])
    return "one | another | a third"


def parse(name: str, text: str) -> Axis | tuple[Any, ...]:
    """The values of a parameter or word as typed, or the axis of a replacement.

    Raises:
        RecipeError: They are no such values.
    """
    if not text.strip():
        raise AxisError("no values yet")
    if name == REPLACE:
        searched, arrow, replacements = text.replace("->", "→").partition("→")
        if not arrow:
            raise AxisError(
                "write what to replace, an arrow and the replacements: red → blue | green"
            )
        return axes.replace(searched.strip(), _pieces(replacements))
    if name in INTEGERS + REALS:
        # The one place where numbers, ranges and limits are understood, tried on its own.
        sweep = axes.sweep(Recipe(), (), {name: text}, {})
        return sweep.axes[0].labels
    pieces = tuple(_pieces(text))
    if name in LABELS:
        return axes.sweep(Recipe(), (), {name: pieces}, {}).axes[0].labels
    Axis(name, pieces, tuple(Edit() for _ in pieces))  # refuses a word given twice
    return pieces


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


def _pieces(text: str) -> list[str]:
    return [piece.strip() for piece in text.split("|")]


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    offered = [(f"{{{word}}}", word) for word in dict.fromkeys(words) if word not in LABELS]
    return [*((label, name) for name, label in LABELS.items()), *offered]
