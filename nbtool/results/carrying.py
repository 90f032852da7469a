"""The input pictures of images that are saved: inside the file where they fit, else beside it."""

from __future__ import annotations

from typing import NamedTuple

from nbtool import metadata
from nbtool.errors import NbtoolError
from nbtool.recipes.origins import behind
from nbtool.recipes.picture import png
from nbtool.recipes.recipe import Recipe
from nbtool.text import warn


class Luggage(NamedTuple):
    """PNGs of the pictures without which an image cannot be made again, by their hashes."""

    inside: dict[str, bytes]
    beside: dict[str, bytes]


def packed(recipe: Recipe, format: str) -> Luggage:
    """The pictures of a recipe, for a file in a format of Pillow's.

    What is not here any more is left out, and named in a warning.
    """
    found: dict[str, bytes] = {}
    for picture in behind(recipe, deep=False):
        if picture.digest in found:
            continue
        try:
            found[picture.digest] = png(picture.image)
        except NbtoolError as error:
            warn(f"saved without a picture that it was made from: {error}", stacklevel=5)
    fits = sum(map(len, found.values())) <= metadata.MAX_CARRIED
    return Luggage(found, {}) if format == "PNG" and fits else Luggage({}, found)
