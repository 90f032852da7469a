"""The picture that an image was made from, to be shown before it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from nbtool.errors import log
from nbtool.imaging.fitting import fitted
from nbtool.recipes.picture import each

if TYPE_CHECKING:
    from nbtool.results.image import GeneratedImage

TYPE = "image/webp"


class Before(NamedTuple):
    """A picture for the browser.

    Attributes:
        file: Its bytes, of the type TYPE; as large as the image that was made from it.
        words: What it is.
    """

    file: bytes
    words: str


def before(image: GeneratedImage) -> Before | None:
    """What an image was made from, its first pass where it has two; None if there is no such."""
    recipe = image.recipe.last_pass
    pictures = each(recipe.image)
    if not pictures:
        return None
    try:
        seen = fitted(pictures[0].image, image.image.size, recipe.resize_mode or "crop")
        buffer = io.BytesIO()
        seen.convert("RGBA").save(buffer, "WEBP", quality=90)
    except Exception as error:  # it may be gone; the image itself is not
        log("what an image was made from cannot be shown", error)
        return None
    return Before(
        buffer.getvalue(), f"Before: {pictures[0].name or 'the picture it was made from'}"
    )
