"""What must be made before an image can be: the pictures that it is made from, and its first pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from nbtool.errors import GenerationError, NbtoolError, RecipeError
from nbtool.imaging import reading
from nbtool.recipes.picture import Picture
from nbtool.recipes.recipe import Recipe
from nbtool.results.store import Store

MAX_STEPS = 200  # pictures made from pictures made from pictures


class Steps:
    """The recipes that come before others, level by level.

    Kept pixels are used. Where they are gone and the recipe that made them is known, that is what
    comes first; if other pixels come of it, they stand in for those that are gone.

    Args:
        store: Where images and their input pictures are kept.
        keep: Whether pictures that are here are put there at once.
    """

    def __init__(self, store: Store, *, keep: bool) -> None:
        self._store = store
        self._keep = keep
        self._here: dict[str, bool] = {}  # by the pictures' keys
        self._others: dict[str, Picture] = {}  # that stand in for them
        self._before: dict[str, tuple[Recipe, ...]] = {}  # by the recipes' keys
        self._depths: dict[str, int] = {}

    def levels(self, recipes: Iterable[Recipe]) -> list[dict[str, Recipe]]:
        """These recipes and all that come before, by their keys: first those that need none of these.

        Raises:
            StoreError: An input picture could not be kept.
            GenerationError: They go back too far.
        """
        found: dict[int, dict[str, Recipe]] = {}
        left = list(recipes)
        seen: set[str] = set()
        while left:
            recipe = left.pop()
            if recipe.key in seen:
                continue
            seen.add(recipe.key)
            found.setdefault(self._depth(recipe), {})[recipe.key] = recipe
            left += self.before(recipe)
        return [dict(reversed(found[depth].items())) for depth in sorted(found)]

    def before(self, recipe: Recipe) -> tuple[Recipe, ...]:
        """The recipes whose images are needed for this one, and are not there."""
        if not recipe.sources:
            return ()
        if recipe.key not in self._before:
            pictures = self._store.known(recipe).sources
            asked = [p for p in pictures if self._keep or p.recipe is not None]
            gone = [p.recipe for p in asked if not self._is_here(p)]
            self._before[recipe.key] = tuple(dict.fromkeys(filter(None, gone)))
        return self._before[recipe.key]

    def ready(self, recipe: Recipe) -> Recipe:
        """The recipe as it can be made now, with its pictures where they are to be had."""
        return self._store.known(recipe).with_pictures(self._had)

    @staticmethod
    def exchanged(recipe: Recipe) -> dict[str, str]:
        """The hashes of pictures that were gone, and of what stands in for them."""
        return {p.digest: p.used for p in recipe.pictures if p.used != p.digest}

    def _depth(self, recipe: Recipe, depth: int = 0) -> int:
        if depth > MAX_STEPS:
            raise GenerationError(
                f"an image is made in more than {MAX_STEPS} steps; save one between"
            )
        if recipe.key not in self._depths:
            before = (self._depth(one, depth + 1) + 1 for one in self.before(recipe))
            self._depths[recipe.key] = max(before, default=0)
        return self._depths[recipe.key]

    def _is_here(self, picture: Picture) -> bool:
        if picture.key not in self._here:
            self._here[picture.key] = self._look(picture)
        return self._here[picture.key]

    def _look(self, picture: Picture) -> bool:
        if picture.is_deferred and not self._keep:
            return self._store.has(picture.key)
        if picture.is_deferred or not self._keep:
            return picture.is_here
        try:
            self._store.keep(picture)
        except RecipeError:
            return False
        return True

    def _had(self, picture: Picture) -> Picture:
        """The picture, or what stands in for it: what its recipe gives now."""
        if picture.is_deferred or self._is_here(picture):
            return picture
        if picture.recipe is None:
            return picture.gone()
        if picture.digest not in self._others:
            self._others[picture.digest] = self._stand_in(picture)
        return self._others[picture.digest]

    def _stand_in(self, picture: Picture) -> Picture:
        load = partial(self._store.pixels, picture.recipe.key)
        try:
            return picture.standing_in(load, reading.digest(load()))
        except NbtoolError:
            return picture


def told(exchanged: Mapping[str, str]) -> str:
    """What there is to say where other pixels stand in for those that are gone."""
    pairs = ", ".join(f"{was[:8]}… is now {now[:8]}…" for was, now in exchanged.items())
    return (
        f"the pixels of an input picture were gone; made again from its recipe, they differ "
        f"(sha256 {pairs})"
    )
