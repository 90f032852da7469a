"""The settings of a panel: a field for each recipe parameter, and what they say together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import ipywidgets

from nbtool import catalogue
from nbtool.errors import RecipeError
from nbtool.panel import braces
from nbtool.panel.adapting import Adapting
from nbtool.panel.entry import Entry
from nbtool.panel.fields import Field, tooltip
from nbtool.panel.fold import Fold
from nbtool.panel.notice import AtFieldError, said_of
from nbtool.panel.presets import PresetChoice
from nbtool.panel.seeding import MAX_IMAGES, Seeding
from nbtool.panel.starting import OF_MASKS, OF_PICTURES, Starting
from nbtool.recipes.axes import PRESET
from nbtool.recipes.checks import SIDE_MULTIPLE, whole
from nbtool.recipes.parameters import COMPOSED, ROWS, Row
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import settings
from nbtool.text import ellipsized

OTHER = (0, 0)  # no preset
TEXTS = {"prompt": (3, "What to draw"), "negative_prompt": (2, "What to stay away from")}
CENTRAL = ("num_inference_steps", "guidance_scale", "scheduler")
MAIN = (*TEXTS, *CENTRAL, "width", "height")  # always said
ELSEWHERE = (*MAIN, *OF_PICTURES, *OF_MASKS)  # the others are under "Advanced"
NO_PROMPT = "Write what to draw; nothing is made of an empty prompt"
RATIOS = {
    "Square": (1, 1),
    "Portrait 2:3": (1, 1.5),
    "Landscape 3:2": (1.5, 1),
    "Large square": (2, 2),
}
HOW_MANY = {False: "How many to make, of seeds that follow", True: "As many as there are seeds"}
_COUNT = whole(1, MAX_IMAGES)


class Settings:
    """The form. Fields send what is typed when they are left; what is wrong is said beside them.

    Attributes:
        fields: By the names of their parameters.
        asking: The prompt, and room below it for what helps to write one.
        folds: All else, folded by how often it is used.
    """

    def __init__(self) -> None:
        self.fields = {row.name: _field(row) for row in ROWS.values() if _has_field(row)}
        self.prompt, self.negative, self.width, self.height = (
            self.fields[name].widget for name in ("prompt", "negative_prompt", "width", "height")
        )
        self.model = Entry(
            description=ROWS["model"].label,
            tooltip=tooltip(ROWS["model"]),
            options=catalogue.names(),
            placeholder="a name, hub id or folder",
        )
        self.seeding = Seeding()
        self.seed = self.seeding.entry
        self.size = ipywidgets.Dropdown(description="Size", options=[("Other", OTHER)])
        self.swap = ipywidgets.Button(description="Swap", tooltip="Swap width and height")
        self.count = Entry(description="Images", tooltip=HOW_MANY[False], step=1, least=1)
        self.count.value = self._wanted = 1
        self.exact = ipywidgets.Checkbox(
            description="Exact",
            indent=False,
            tooltip="The same to the bit however it is asked for first, alone or in a grid; slower",
        )
        self.preset = PresetChoice()
        self.starting = Starting([self.fields[name].widget for name in (*OF_PICTURES, *OF_MASKS)])
        self.starting.resize = self._suit
        self.loras = Adapting(self._add_word)
        self._unasked = True  # nobody wanted an image without a prompt yet
        self._sizing = False  # a preset sets the width before the height
        self.size.observe(self._resize, "value")
        self.width.observe(self._name_size, "value")
        self.height.observe(self._name_size, "value")
        self.swap.on_click(self._swap)
        self.below_prompt = ipywidgets.VBox()
        self.below_prompt.add_class("nbtool-below-prompt")
        self.asking = ipywidgets.VBox([self.prompt, self.below_prompt])
        self.asking.add_class("nbtool-asking")
        self.folds, self._in_words = self._arranged()
        self.on_change(self._judge)
        for widget in (self.model, self.exact):
            widget.observe(self._summarize, ["value", "error"])
        self._judge()

    def parameters(self, but: Collection[str] = ()) -> dict[str, Any]:
        """The recipe parameters as they stand, without the seed and those named.

        Raises:
            RecipeError: A value is out of range.
        """
        idle = self.starting.idle(but)
        said = {
            name: ROWS[name].rest if name in idle else field.value
            for name, field in self.fields.items()
            if name not in but
        }
        said |= {n: v for n, v in self.starting.values.items() if n not in but}
        return said if "loras" in but else said | {"loras": self.loras.value}

    def seeds(self) -> tuple[int, ...]:
        """As many seeds as images are asked for: drawn, counted up, or all that are typed.

        Raises:
            RecipeError: The count or the seed is no such number.
        """
        return self.seeding.seeds(_COUNT.convert("Images", self.count.value))

    @property
    def wrong(self) -> list[Any]:
        """The fields that are not right."""
        return list(self.wrong_but().values())

    def wrong_but(self, names: Collection[str] = ()) -> dict[str, Any]:
        """The fields that are not right, by their names; those named are not used."""
        fields: dict[str, Any] = {name: field.widget for name, field in self.fields.items()}
        fields |= {"seed": self.seed, "count": self.count, "model": self.model}
        fields |= {"loras": self.loras.first_wrong, PRESET: self.preset}
        unused = self.starting.idle(names).union(names)
        return {n: f for n, f in fields.items() if n not in unused and getattr(f, "error", None)}

    @property
    def unfilled(self) -> set[str]:
        """The names of fields with nothing wrong but words in braces, which a sweep can fill."""
        names = {name for name in TEXTS if self._words(name) and not self.fields[name].error}
        return names | ({PRESET} if self.preset.error else set())

    def require(self, but: Collection[str] = ()) -> None:
        """Leads to the first field that is not right, if there is one.

        Args:
            but: Names of fields that are not used.

        Raises:
            AtFieldError: With what is wrong with it.
        """
        if "prompt" not in but:
            self.require_prompt()
        self.loras.require()
        for field in self.wrong_but(but).values():
            field.lead()
            raise AtFieldError(field.error)

    def require_prompt(self) -> None:
        """Leads to the prompt if it is empty: what is made of none costs time all the same.

        Raises:
            AtFieldError: It is.
        """
        self._unasked = False
        self._judge()
        if not self.prompt.value.strip():
            self.prompt.lead()
            raise AtFieldError(NO_PROMPT)

    def lock(self, seed: int) -> None:
        self.seeding.lock(seed)

    def fill(self, values: Mapping[str, Any], *, but: Collection[Any] = ()) -> None:
        """Shows these parameters, and locks a seed; what is not among them stays as it is.

        Args:
            values: By their names.
            but: Widgets that stay as they are too, or `starting`, or `loras`.
        """
        if "image" in values and self.starting not in but:
            self.starting.take(values)
        if "loras" in values and self.loras not in but:
            self.loras.take(values["loras"])
        for name, field in self.fields.items():
            if name in values and field.widget not in but:
                field.value = values[name]
        if values.get("seed") is not None and self.seed not in but:
            self.lock(values["seed"])

    def take(self, recipe: Recipe) -> None:
        """Shows all of a recipe but its model, and locks its seed; it has its preset in it."""
        self.preset.clear()
        names = *self.fields, *self.starting.values, "loras", "seed"
        self.fill({name: getattr(recipe, name) for name in names})

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
        for widget in [*fields, self.seed, self.seeding.die, self.count, self.preset.field]:
            widget.observe(action, "value")
        self.starting.on_change(action)
        self.loras.on_change(action)

    def _judge(self, _: Any = None) -> None:
        """Says beside each field what is wrong with it, and in each fold what is set there."""
        for name, field in self.fields.items():
            if isinstance(field.widget, Entry):
                field.widget.error = field.error or braces.alone(self._words(name))
        self.preset.judge()
        self._unasked = self._unasked or bool(self.prompt.value.strip())
        if not self._unasked:
            self.prompt.error = NO_PROMPT
        self._count_seeds()
        self.count.error = _error(
            lambda: _COUNT.convert("Images", self.count.value), "Images", "Images"
        )
        last = 1 if self.count.error else int(self.count.value)
        self.seed.error = _error(lambda: self.seeding.seeds(last), "seed", "Seed")
        self._summarize()

    def _words(self, name: str) -> list[str]:
        """The words in braces of a text, none of which are filled here."""
        return braces.unfilled([self.fields[name].widget.value]) if name in TEXTS else []

    def _count_seeds(self) -> None:
        """Where several seeds are typed, there are as many images; then as many as before."""
        several = self.seeding.are_several
        if several and not self.count.disabled:
            self._wanted = self.count.value
        if several or self.count.disabled:
            self.count.disabled, self.count.tooltip = several, HOW_MANY[several]
            self.count.value = len(self.seeding.typed) if several else self._wanted

    def _summarize(self, _: Any = None) -> None:
        for fold, (fields, in_words) in zip(self.folds, self._in_words, strict=True):
            wrong = [field.description for field in fields if getattr(field, "error", "")]
            fold.wrong = bool(wrong)
            fold.summary = f"not right: {', '.join(wrong)}" if wrong else in_words()

    def _resize(self, change: Any) -> None:
        if self._sizing or change["new"] in (None, OTHER):
            return
        self._sizing = True
        try:
            self.width.value, self.height.value = change["new"]
        finally:
            self._sizing = False

    def _suit(self, width: int, height: int) -> None:
        """The size that suits the picture that is started from."""
        self._sizing = True
        self.width.value, self.height.value = width, height
        self._sizing = False
        self._name_size()

    def _name_size(self, _: Any = None) -> None:
        if not self._sizing:
            size = self.width.value, self.height.value
            self.size.value = size if size in [value for _, value in self.size.options] else OTHER

    def _swap(self, _: Any) -> None:
        width, height = self.width.value, self.height.value
        self.width.value, self.height.value = height, width

    def _arranged(self) -> tuple[list[Fold], list[tuple[list[Any], Callable[[], str]]]]:
        """The folds; and of each, its fields and what says in words how they are set."""
        central = [self.fields[name].widget for name in CENTRAL]
        advanced = [name for name in self.fields if name not in ELSEWHERE]
        pictures = [self.fields[name].widget for name in (*OF_PICTURES, *OF_MASKS)]
        more = [self.fields[name].widget for name in advanced]
        negative, width, height = self.negative, self.width, self.height
        seed = _row(self.seed, self.seeding.die, name="seed")
        size = _row(self.size, width, height, self.swap, name="size")
        model = _row(self.model, self.exact, name="model")
        self.picture = Fold("Picture", *self.starting.widgets)
        self.picture.widget.add_class("nbtool-starting")
        parts: list[tuple[Fold, list[Any], Callable[[], str]]] = [
            (
                Fold("Steps, guidance, scheduler", _row(*central, name="central"), opened=True),
                central,
                lambda: self._said(CENTRAL),
            ),
            (Fold("Seed", seed, opened=True), [self.seed], lambda: self.seeding.words),
            (self.picture, pictures, self._picture_in_words),
            (Fold("LoRAs", *self.loras.widgets), self.loras.fields, lambda: self.loras.in_words),
            (Fold("Size", size), [width, height], lambda: f"{width.value} × {height.value}"),
            (
                Fold("Negative prompt", negative),
                [negative],
                lambda: ellipsized(negative.value, 80) or "none",
            ),
            (Fold("Model", model), [self.model], self._model_in_words),
            (
                Fold("Advanced", _row(*more, name="advanced")),
                more,
                lambda: self._said(advanced) or "nothing set",
            ),
        ]
        folds = [fold for fold, _, _ in parts]
        return folds, [(fields, in_words) for _, fields, in_words in parts]

    def _add_word(self, word: str) -> None:
        """Adds a word to the prompt, where it is not there yet."""
        prompt = self.prompt.value.rstrip(" ,")
        if word not in prompt:
            self.prompt.value = f"{prompt}, {word}" if prompt else word

    def _said(self, names: Collection[str]) -> str:
        """How these parameters are set, in words; those at rest are left out."""
        values = {name: self.fields[name].value for name in names}
        set_ = {name: value for name, value in values.items() if value != ROWS[name].rest}
        return " · ".join(settings(Recipe(**set_)))

    def _picture_in_words(self) -> str:
        """What is started from, and how; a field that is not right does not get here."""
        names = [n for n in (*OF_PICTURES, *OF_MASKS) if n not in self.starting.idle()]
        return " · ".join(filter(None, [self.starting.summary, self._said(names)]))

    def _model_in_words(self) -> str:
        return " · ".join([self.model.value, *(["exact"] if self.exact.value else [])])


def _error(check: Callable[[], Any], name: str, label: str) -> str:
    try:
        check()
    except RecipeError as error:
        return said_of(error, name, label)
    return ""


def _rounded(side: float) -> int:
    return max(1, round(side / SIDE_MULTIPLE)) * SIDE_MULTIPLE


def _has_field(row: Row) -> bool:
    """Whether a parameter has a field made from its row; others have their own."""
    return not row.network and row.name != "seed" and row.name not in COMPOSED


def _field(row: Row) -> Field:
    lines, hint = TEXTS.get(row.name, (1, ""))
    return Field(row, optional=row.rest is None and row.name not in MAIN, lines=lines, hint=hint)


def _row(*fields: Any, name: str) -> Any:
    row = ipywidgets.HBox(list(fields))
    row.add_class("nbtool-row")
    row.add_class(f"nbtool-{name}")
    return row
