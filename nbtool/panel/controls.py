"""The settings of a panel: a field for each recipe parameter, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import ipywidgets

from nbtool import catalogue
from nbtool.errors import RecipeError
from nbtool.panel.fields import Field
from nbtool.recipes import axes
from nbtool.recipes.checks import SIDE_MULTIPLE
from nbtool.recipes.parameters import ROWS, Row, checked
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import settings
from nbtool.text import shown

MAX_IMAGES = 1000  # of one click
NEW, LOCKED = "New each time", "Locked"
OTHER = (0, 0)  # no preset
TEXTS = {"prompt": (3, "What to draw"), "negative_prompt": (2, "What to stay away from")}
CENTRAL = ("guidance_scale", "num_inference_steps", "scheduler")
MAIN = (*TEXTS, *CENTRAL, "width", "height")  # the others are under "Advanced"
RATIOS = {
    "Square": (1, 1),
    "Portrait 2:3": (1, 1.5),
    "Landscape 3:2": (1.5, 1),
    "Large square": (2, 2),
}


class Settings:
    """The form. Fields send what is typed when they are left; nothing is checked before."""

    def __init__(self) -> None:
        self.fields = {row.name: _field(row) for row in ROWS.values() if _has_field(row)}
        self.prompt, self.negative, self.width, self.height = (
            self.fields[name].widget for name in ("prompt", "negative_prompt", "width", "height")
        )
        self.prompt.add_class("nbtool-prompt")
        self.model = ipywidgets.Combobox(
            description="Model",
            options=catalogue.names(),
            placeholder="a name, hub id or folder",
            continuous_update=False,
        )
        self.seed = ipywidgets.Text(
            description="Seed", placeholder="drawn when needed", continuous_update=False
        )
        self.seed_mode = ipywidgets.Dropdown(
            description="Seed is", options=[NEW, LOCKED], tooltip="Whether the seed changes"
        )
        self.reuse = ipywidgets.Button(
            description="Reuse last", tooltip="Take the seed of the last image and lock it"
        )
        self.size = ipywidgets.Dropdown(description="Size", options=[("Other", OTHER)])
        self.swap = ipywidgets.Button(description="Swap", tooltip="Swap width and height")
        self.count = ipywidgets.IntText(description="Images", value=1)  # beside the button
        self.exact = ipywidgets.Checkbox(
            description="Exact",
            indent=False,
            tooltip="The same to the bit however it is asked for first, alone or in a grid; slower",
        )
        self._sizing = False  # a preset sets the width before the height
        self.size.observe(self._resize, "value")
        self.width.observe(self._name_size, "value")
        self.height.observe(self._name_size, "value")
        self.swap.on_click(self._swap)
        self.widget = self._arranged()

    def parameters(self) -> dict[str, Any]:
        """The recipe parameters as they stand, without the seed.

        Raises:
            RecipeError: A value is out of range.
        """
        return {name: field.value for name, field in self.fields.items()}

    def seeds(self) -> tuple[int, ...]:
        """As many seeds as images are asked for: drawn, or counted up from the one locked.

        Raises:
            RecipeError: The count or the seed is no such number.
        """
        count = self.count.value
        if not 1 <= count <= MAX_IMAGES:
            raise RecipeError(f"Images must be a number from 1 to {MAX_IMAGES}, got {count}")
        text = self.seed.value.strip()
        if self.seed_mode.value == NEW or not text:
            return axes.random_seeds(count)
        first = _seed(text)
        return tuple(checked("seed", first + i) for i in range(count))

    def lock(self, seed: int) -> None:
        self.seed.value = str(seed)
        self.seed_mode.value = LOCKED

    def fill(self, values: Mapping[str, Any], *, but: Collection[Any] = ()) -> None:
        """Shows these parameters, and locks a seed; what is not among them stays as it is.

        Args:
            values: By their names.
            but: Widgets that stay as they are too.
        """
        for name, field in self.fields.items():
            if name in values and field.widget not in but:
                field.value = values[name]
        if values.get("seed") is not None and self.seed not in but:
            self.lock(values["seed"])

    def take(self, recipe: Recipe) -> None:
        """Shows all of a recipe but its model, and locks its seed."""
        self.fill({name: getattr(recipe, name) for name in (*self.fields, "seed")})

    def offer_sizes(self, width: int, height: int) -> None:
        """Sizes made from the model's own."""
        self._sizing = True
        self.size.options = [
            *(
                (label, (_rounded(width * w), _rounded(height * h)))
                for label, (w, h) in RATIOS.items()
            ),
            ("Other", OTHER),
        ]
        self._sizing = False
        self._name_size()

    def summary(self) -> str:
        """The settings on one line.

        Raises:
            RecipeError: A value is out of range.
        """
        recipe = Recipe(**self.parameters())
        return " · ".join([str(recipe), *settings(recipe)])

    def on_change(self, action: Callable[..., None]) -> None:
        fields = (field.widget for field in self.fields.values())
        for widget in [*fields, self.seed, self.seed_mode, self.count]:
            widget.observe(action, "value")

    def _resize(self, change: Any) -> None:
        if self._sizing or change["new"] in (None, OTHER):
            return
        self._sizing = True
        try:
            self.width.value, self.height.value = change["new"]
        finally:
            self._sizing = False

    def _name_size(self, _: Any = None) -> None:
        if not self._sizing:
            size = self.width.value, self.height.value
            self.size.value = size if size in [value for _, value in self.size.options] else OTHER

    def _swap(self, _: Any) -> None:
        width, height = self.width.value, self.height.value
        self.width.value, self.height.value = height, width

    def _arranged(self) -> Any:
        advanced = [name for name in self.fields if name not in MAIN]
        more = ipywidgets.Accordion(
            children=[_row(*(self.fields[name].widget for name in advanced), self.exact)],
            titles=["Advanced"],
        )
        more.add_class("nbtool-advanced")
        seed = _row(self.seed, self.seed_mode, self.reuse)
        seed.add_class("nbtool-seed")
        size = _row(self.size, self.width, self.height, self.swap)
        size.add_class("nbtool-size")
        form = ipywidgets.VBox(
            [
                self.prompt,
                self.negative,
                self.model,
                seed,
                _row(*(self.fields[name].widget for name in CENTRAL)),
                size,
                more,
            ]
        )
        form.add_class("nbtool-form")
        return form


def _seed(text: str) -> int:
    number = int(text) if text.isascii() and text.lstrip("-").isdigit() and len(text) < 30 else text
    seed: int | None = checked("seed", number)
    if seed is None:
        raise RecipeError(f"a locked seed must be a whole number from 0, got {shown(text)}")
    return seed


def _rounded(side: float) -> int:
    return max(1, round(side / SIDE_MULTIPLE)) * SIDE_MULTIPLE


def _has_field(row: Row) -> bool:
    """Whether a parameter has a field made from its row; seeds and models have their own."""
    return not row.network and row.name != "seed"


def _field(row: Row) -> Field:
    lines, hint = TEXTS.get(row.name, (1, ""))
    return Field(row, optional=row.rest is None and row.name not in MAIN, lines=lines, hint=hint)


def _row(*fields: Any) -> Any:
    row = ipywidgets.HBox(list(fields))
    row.add_class("nbtool-row")
    return row
