"""What an engine is, and the events it reports.

An engine knows nothing of notebooks, widgets, grids or files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nbtool.recipes.axes import Sweep
from nbtool.recipes.loras import Lora
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Loading:
    """The model is being got or loaded: what happens, in words."""

    what: str


@dataclass(frozen=True)
class Started:
    """Work on an image has begun."""

    recipe: Recipe


@dataclass(frozen=True)
class Stepped:
    """A denoising step is done: `step` of `steps`, counted from 1.

    Now and then it comes with a preview: what makes, when called, on whatever thread, a small
    picture of the image as it stands.
    """

    recipe: Recipe
    step: int
    steps: int
    preview: Callable[[], Image] | None = None


@dataclass(frozen=True)
class Finished:
    """An image is done."""

    recipe: Recipe
    image: Image
    provenance: Provenance


@dataclass(frozen=True)
class Failed:
    """An image could not be made; the others go on."""

    recipe: Recipe
    reason: str


@dataclass(frozen=True)
class Reading:
    """How a model reads a prompt: its `tokens`, the `most` that are read, and the words `beyond`.

    `most` is None where there is no limit.
    """

    tokens: int
    most: int | None
    beyond: str = ""


Event = Loading | Started | Stepped | Finished | Failed


class Engine(Protocol):
    """Turns complete recipes into events."""

    @property
    def name(self) -> str:
        """The model's."""

    def settings(self) -> dict[str, Any]:
        """The recipe parameters that fit the model, as far as they are known here already."""

    def defaults(self) -> dict[str, Any]:
        """The recipe parameters of the model, for what a call leaves open.

        Raises:
            ModelError: There is no such model.
        """

    def check(self, recipe: Recipe) -> None:
        """Refuses a recipe that this model cannot make, without loading it.

        Raises:
            RecipeError: With the parameter, its value and what would do.
        """

    def run(
        self,
        recipes: Iterable[Recipe],
        emit: Callable[[Event], None],
        cancelled: Callable[[Recipe], bool],
        *,
        priority: int = 0,
    ) -> None:
        """Makes the images, and emits an event for everything that happens; returns at the end.

        May be called from several threads: all runs go on together, those of higher priority
        ahead. `emit` is called from other threads than the caller's, several at once for images
        that are finished; what it raises there ends the run.

        Args:
            recipes: Taken as there is room for them, about in this order.
            emit: Told every event.
            cancelled: Asked at each denoising step. An image that is cancelled before it is
                finished has no further events.
            priority: Of this run among others.

        Raises:
            ModelError: The model cannot be loaded.
        """

    def describe(self) -> dict[str, str]:
        """What this engine is, for people: labels and values for the status card."""


@runtime_checkable
class Renewing(Protocol):
    """An engine whose model may have another name in recipes."""

    def renewed(self, recipe: Recipe) -> Recipe:
        """A recipe of its model with the name that it has here today; others as they are."""


@runtime_checkable
class Fitting(Protocol):
    """An engine that makes something of pictures."""

    def fits(self, recipe: Recipe) -> dict[str, Any]:
        """What suits a recipe with a picture where it is left open: strength, width and height.

        The strength is left out where the model has none for what is done, and the size where the
        recipe works on a part of the picture.
        """


@runtime_checkable
class Telling(Protocol):
    """An engine that knows what comes of a strength."""

    def strengths_told(self, recipes: Sequence[Recipe]) -> list[str]:
        """What is to be known of recipes that differ in their strength alone, in words.

        Raises:
            RecipeError: The first of them cannot be made.
        """


@runtime_checkable
class Counting(Protocol):
    """An engine that knows how much of a prompt its model reads."""

    def reading(self, text: str) -> Reading | None:
        """How a text is read by the text encoder that reads least; None where that is not known.

        No weights are loaded for it.
        """


@runtime_checkable
class Exacting(Protocol):
    """An engine that can make images that depend on nothing they are made together with."""

    exact: bool


@runtime_checkable
class Adapting(Protocol):
    """An engine that can try LoRAs before it makes anything with them."""

    def misfits(
        self, loras: Sequence[Lora], emit: Callable[[Event], None], wanted: Callable[[], bool]
    ) -> dict[str, str]:
        """Those that are of no use for the model, by their keys, and why; loads the model.

        Args:
            loras: The LoRAs.
            emit: Told what is loaded.
            wanted: Asked now and then whether anybody still waits for it.

        Raises:
            ModelError: The model cannot be loaded.
        """


def is_exact(engine: Engine) -> bool:
    """Whether its images depend on nothing that they are made together with."""
    return isinstance(engine, Exacting) and engine.exact


def check(engine: Engine, recipe: Recipe, checked: set[str]) -> None:
    """Refuses a recipe that an engine cannot make, or that is made from one that it cannot make.

    Args:
        engine: Which is to make it.
        recipe: The recipe.
        checked: The keys of those that were found to be good; grows.

    Raises:
        RecipeError: With the parameter, its value and what would do.
    """
    if recipe.key in checked:
        return
    recipe.require_whole()
    engine.check(recipe)
    checked.add(recipe.key)
    for picture in recipe.sources:
        if picture.is_deferred:
            check(engine, picture.recipe, checked)


def foretold(engine: Engine, sweep: Sweep) -> list[str]:
    """What is to be known of a sweep before it is made, in words.

    Args:
        engine: Which is to make it, and can.
        sweep: The sweep.
    """
    notes: list[str] = []
    for place, axis in enumerate(sweep.axes):
        edit = axis.edits[0]
        if isinstance(engine, Telling) and {"strength"} in (set(edit.parameters), set(edit.refine)):
            before, after = (0,) * place, (0,) * (len(sweep.axes) - place - 1)
            along = [sweep.recipe((*before, n, *after)) for n in range(len(axis))]
            notes += engine.strengths_told(along)
    return notes
