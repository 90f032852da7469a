"""How long images take, judged by those that a store holds."""

from __future__ import annotations

import statistics

from nbtool.recipes.recipe import Recipe
from nbtool.results.store import Listing, Store

NEWEST = 20  # images by which it is judged


class Paces:
    """How long images of each model take.

    Args:
        store: Its newest images are the ones to judge by.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: dict[str | None, tuple[Listing, float | None]] = {}

    def seconds(self, work: float, model: str | None, stored: Listing) -> float | None:
        """What so much work takes; None where no image of the model is there to tell.

        Args:
            work: See `work`.
            model: By its name in recipes.
            stored: What the store holds now: images are read once for each state of it.
        """
        if not work:
            return 0.0
        if model not in self._kept or self._kept[model][0] != stored:
            self._kept[model] = stored, self._measured(model)
        pace = self._kept[model][1]
        return None if pace is None else pace * work

    def _measured(self, model: str | None) -> float | None:
        """Seconds for each unit of work, as newly stored images of a model took."""
        paces = [
            image.provenance.seconds / work(image.recipe)
            for image in self._store.glance()[:NEWEST]
            if image.recipe.model == model
        ]
        return statistics.median_high(paces) if paces else None


def pixels(recipe: Recipe) -> int:
    """Of the image."""
    return (recipe.width or 0) * (recipe.height or 0)


def work(recipe: Recipe) -> float:
    """A measure of an image's cost: pixels, steps, and two network rows where guided."""
    rows = 2 if (recipe.guidance_scale or 0) > 1 else 1
    return pixels(recipe) * (recipe.num_inference_steps or 1) * rows
