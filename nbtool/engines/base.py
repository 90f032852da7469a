"""What an engine is, and the events it reports.

An engine knows nothing of notebooks, widgets, grids or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nbtool.recipe import Provenance, Recipe

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Loading:
    """The model is being loaded."""

    what: str


@dataclass(frozen=True)
class Started:
    """Work on an image has begun."""

    recipe: Recipe


@dataclass(frozen=True)
class Stepped:
    """A denoising step is done: `step` of `steps`, counted from 1."""

    recipe: Recipe
    step: int
    steps: int
    preview: Image | None = None


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


Event = Loading | Started | Stepped | Finished | Failed


class Engine(Protocol):
    """Turns complete recipes into events."""

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
        recipes: Sequence[Recipe],
        emit: Callable[[Event], None],
        cancelled: Callable[[], bool],
    ) -> None:
        """Makes the images, in any order, and emits an event for everything that happens.

        Returns soon, within one denoising step, after `cancelled()` turns true; the images not
        finished by then have no `Finished` event. What `emit` raises ends the run.

        Raises:
            ModelError: The model cannot be loaded.
        """

    def describe(self) -> dict[str, str]:
        """What this engine is, for people: labels and values for the status card."""
