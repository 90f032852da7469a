"""A picture that is extended, and knows what it was extended from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtool.imaging import outpainting
from nbtool.imaging.outpainting import FEATHER, Sides
from nbtool.recipes.picture import EXTENDS, Picture

if TYPE_CHECKING:
    from PIL.Image import Image


def extended(picture: Picture, sides: Sides, feather: int = FEATHER) -> tuple[Image, Image]:
    """A picture on a larger canvas, and the mask of what is new; see `outpainting.extended`.

    The larger one is another picture, of nobody's making. Of an image that nbtool made, the way to
    that image goes along with it, so that the chain of what is made next does not begin here.

    Raises:
        RecipeError: As there; or its pixels are not to be had.
    """
    larger, mask = outpainting.extended(picture.image, sides, feather)
    if picture.earlier:
        larger.info[EXTENDS] = picture
    return larger, mask
