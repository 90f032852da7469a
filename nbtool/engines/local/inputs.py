"""What a recipe's pictures are to its pipeline, and how the image is made of what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from nbtool.catalogue.verbs import EDIT, TEXT
from nbtool.errors import RecipeError
from nbtool.pictures import masks
from nbtool.pictures.fitting import STRETCH, fitted
from nbtool.recipes.picture import Picture, each
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT = 16  # pictures that are ready for a pipeline


@dataclass(frozen=True)
class Inputs:
    """What a pipeline is given.

    Attributes:
        images: The pictures; none for text to image.
        mask: Black and white; None where there is none.
        finish: Makes the image of what the pipeline made.
    """

    images: tuple[Image, ...] = ()
    mask: Image | None = None
    finish: Callable[[Image], Image] = lambda made: made


def inputs(recipe: Recipe, verb: str, cell: int) -> Inputs:
    """The pictures of a recipe as its pipeline takes them.

    Args:
        recipe: Of one pass.
        verb: What the model does with them, as in `nbtool.catalogue.verbs`.
        cell: Pixels along the side of what it can free of a mask.

    Raises:
        RecipeError: They are not there, or the mask frees nothing.
    """
    if verb == TEXT:
        return Inputs()
    if verb == EDIT:  # it looks at them as they are
        return Inputs(tuple(_coloured(picture) for picture in each(recipe.image)))
    (image,) = each(recipe.image)
    width, height = recipe.width or 0, recipe.height or 0
    if recipe.mask_image is None:
        return Inputs((_fitted(image, width, height, recipe.resize_mode),))
    return _masked(
        _Masked(
            image=image,
            mask=recipe.mask_image,
            width=width,
            height=height,
            mode=recipe.resize_mode,
            padding=recipe.mask_padding,
            blur=recipe.mask_blur,
            cell=cell,
        )
    )


@dataclass(frozen=True, kw_only=True)
class _Masked:
    """A picture and its mask, and all that decides what a pipeline is given of them."""

    image: Picture
    mask: Picture
    width: int
    height: int
    mode: str
    padding: int | None
    blur: int
    cell: int


@lru_cache(KEPT)
def _masked(asked: _Masked) -> Inputs:
    free = _mask(asked.mask, *asked.image.size)
    return _of_the_whole(asked, free) if asked.padding is None else _of_a_part(asked, free)


def _of_the_whole(asked: _Masked, free: Image) -> Inputs:
    """The whole picture, and what its mask frees."""
    image = _fitted(asked.image, asked.width, asked.height, asked.mode)
    free = masks.as_mask(fitted(free, (asked.width, asked.height), asked.mode))
    share = masks.softened(free, asked.blur)
    return Inputs((image,), masks.freed(free, asked.cell), partial(_pasted, image, share))


def _of_a_part(asked: _Masked, free: Image) -> Inputs:
    """The part of a picture around what its mask frees."""
    image = _coloured(asked.image)
    box = masks.region(free, asked.padding or 0, asked.width, asked.height)
    share = masks.softened(free, asked.blur).crop(box)
    size = asked.width, asked.height
    part, inside = (fitted(whole.crop(box), size, STRETCH) for whole in (image, free))
    given = masks.freed(masks.as_mask(inside), asked.cell)
    return Inputs((part,), given, partial(_put_back, image, box, share))


def _pasted(image: Image, share: Image, made: Image) -> Image:
    return masks.pasted(image, made, share)


def _put_back(image: Image, box: masks.Box, share: Image, made: Image) -> Image:
    """A picture with a part made anew; around it no pixel was touched."""
    part = fitted(made, share.size, STRETCH)
    whole = image.copy()
    whole.paste(masks.pasted(image.crop(box), part, share), box[:2])
    return whole


@lru_cache(KEPT)
def _coloured(picture: Picture) -> Image:
    """A picture in colours; what is transparent is white."""
    from PIL import Image

    image = picture.image
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image).convert("RGB")


@lru_cache(KEPT)
def _fitted(picture: Picture, width: int, height: int, mode: str) -> Image:
    return fitted(_coloured(picture), (width, height), mode)


@lru_cache(KEPT)
def _mask(picture: Picture, width: int, height: int) -> Image:
    """A mask for a picture of a size.

    Raises:
        RecipeError: It frees nothing.
    """
    mask = masks.as_mask(picture.image)
    if masks.is_empty(mask):
        raise RecipeError(
            "the mask is black all over, so nothing would be made anew; what is white in it is"
        )
    return masks.as_mask(fitted(mask, (width, height), STRETCH))
