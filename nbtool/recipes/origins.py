"""What is known of a recipe's pictures besides their pixels: names, and the recipes that made them.

It travels beside a recipe, in a record or in a file, and is no part of its key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nbtool.errors import RecipeError
from nbtool.recipes.picture import Picture
from nbtool.recipes.recipe import Recipe


class Origin(NamedTuple):
    """What people call a picture, and what made it, if nbtool did."""

    name: str = ""
    recipe: Recipe | None = None


def origins_of(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """What is known of a recipe's pictures, and of the pictures that these were made from."""
    said: dict[str, dict[str, Any]] = {}
    for picture in behind(recipe):
        known: dict[str, Any] = {"name": picture.name} if picture.name else {}
        if picture.recipe is not None:
            known["recipe"] = picture.recipe.to_dict()
        if known:
            said.setdefault(picture.digest, known)
    return said


def origins_in(said: object) -> dict[str, Origin]:
    """What a file says of pictures, by their hashes; what makes no sense is left out."""
    found: dict[str, Origin] = {}
    for digest, known in said.items() if isinstance(said, Mapping) else ():
        if not isinstance(known, Mapping):
            continue
        name, recipe = known.get("name"), None
        if isinstance(known.get("recipe"), Mapping):
            with contextlib.suppress(RecipeError, TypeError, AttributeError):
                recipe = Recipe.from_record(known["recipe"])
        found[digest] = Origin(name if isinstance(name, str) else "", recipe)
    return found


def behind(recipe: Recipe) -> Iterator[Picture]:
    """The pictures with pixels that a recipe is made from, and those that these were made from."""
    for picture in recipe.pictures:
        if not picture.is_deferred:
            yield picture
        if picture.recipe is not None:
            yield from behind(picture.recipe)
