"""What a recipe's pictures are to its pipeline, and how the image is made of what comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from nbtool.catalogue.verbs import EDIT, TEXT
from nbtool.errors import NbtoolError, RecipeError
from nbtool.imaging import masks, reading
from nbtool.imaging.fitting import STRETCH, fitted
from nbtool.recipes.picture import Picture, each
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT = 8  # pictures that are ready for a pipeline
WHOLE = 3  # pictures of any size, as they were given
_BLACK = "mask_image is black all over, so nothing would change; make white in it what is to be made anew"


@dataclass(frozen=True)
class Inputs:
    """What a pipeline is given.

    Attributes:
        images: The pictures; none for text to image.
        mask: Black and white; None where there is none.
        finish: Makes the image of what the pipeline made.
        notes: What was done to them that people may not expect.
    """

    images: tuple[Image, ...] = ()
    mask: Image | None = None
    finish: Callable[[Image], Image] = lambda made: made
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pixels:
    """Pixels, known by their digest: a picture that is given as a recipe may change its own."""

    digest: str
    load: Callable[[], Image] = field(compare=False)

    @classmethod
    def of(cls, picture: Picture) -> _Pixels:
        if picture.used:
            return cls(picture.used, lambda: picture.image)
        image = picture.image
        return cls(reading.digest(image), lambda: image)


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """All that decides what a pipeline is given of a picture and its mask."""

    image: _Pixels
    mask: _Pixels | None
    size: tuple[int, int]
    mode: str
    padding: int | None
    blur: int
    cell: int


def inputs(recipe: Recipe, verb: str, cell: int, *, as_it_is: bool = False) -> Inputs:
    """The pictures of a recipe as its pipeline takes them.

    Args:
        recipe: Of one pass.
        verb: What the model does with them, as in `nbtool.catalogue.verbs`.
        cell: Pixels along the side of what it can free of a mask.
        as_it_is: Whether its picture keeps its size, as those that are edited do.

    Raises:
        RecipeError: They are not there, or the mask frees nothing.
    """
    if verb == TEXT:
        return Inputs()
    pixels = [_Pixels.of(picture) for picture in each(recipe.image)]
    if verb == EDIT or as_it_is:
        return Inputs(tuple(map(_coloured, pixels)))
    return _prepared(
        _Asked(
            image=pixels[0],
            mask=_Pixels.of(recipe.mask_image) if recipe.mask_image else None,
            size=(recipe.width or 0, recipe.height or 0),
            mode=recipe.resize_mode,
            padding=recipe.mask_padding,
            blur=recipe.mask_blur,
            cell=cell,
        )
    )


def check_mask(mask: Picture) -> None:
    """Refuses a mask that frees nothing; one that is not here yet is looked at when it is.

    Raises:
        RecipeError: It frees nothing.
    """
    if mask.is_deferred:
        return
    try:
        empty = _is_empty(_Pixels.of(mask))
    except NbtoolError:  # it is made again first, or who makes the image says so
        return
    if empty:
        raise RecipeError(_BLACK)


@lru_cache(32)
def _is_empty(pixels: _Pixels) -> bool:
    return masks.is_empty(masks.as_mask(pixels.load()))


@lru_cache(WHOLE)
def _coloured(pixels: _Pixels) -> Image:
    """A picture in colours; what is transparent is white."""
    from PIL import Image

    image = pixels.load()
    if image.mode != "RGBA":
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image).convert("RGB")


@lru_cache(WHOLE)
def _mask(pixels: _Pixels) -> Image:
    mask = masks.as_mask(pixels.load())
    if masks.is_empty(mask):
        raise RecipeError(_BLACK)
    return mask


@lru_cache(KEPT)
def _prepared(asked: _Asked) -> Inputs:
    image = _coloured(asked.image)
    if asked.mask is None:
        return Inputs((fitted(image, asked.size, asked.mode),))
    mask = _mask(asked.mask)
    free = _resized(mask, image.size, STRETCH)
    notes = tuple(_notes(image, mask))
    made = _of_the_whole if asked.padding is None else _of_a_part
    return made(asked, image, free, notes)


def _of_the_whole(asked: _Asked, image: Image, free: Image, notes: tuple[str, ...]) -> Inputs:
    """The whole picture, and what its mask frees."""
    image = fitted(image, asked.size, asked.mode)
    free = _resized(free, asked.size, asked.mode)
    share = masks.softened(free, asked.blur)
    return Inputs((image,), masks.freed(free, asked.cell), partial(_pasted, image, share), notes)


def _of_a_part(asked: _Asked, image: Image, free: Image, notes: tuple[str, ...]) -> Inputs:
    """The part of a picture around what its mask frees."""
    box = masks.region(free, asked.padding or 0, *asked.size)
    share = masks.softened(free, asked.blur).crop(box)
    part = fitted(image.crop(box), asked.size, STRETCH)
    given = masks.freed(_resized(free.crop(box), asked.size, STRETCH), asked.cell)
    return Inputs((part,), given, partial(_put_back, image, box, share), notes)


def _resized(mask: Image, size: tuple[int, int], mode: str) -> Image:
    """A mask of another size, where what was protected is not freed by a trace of white."""
    return masks.as_mask(fitted(mask, size, mode))


def _pasted(image: Image, share: Image, made: Image) -> Image:
    return masks.pasted(image, made, share)


def _put_back(image: Image, box: masks.Box, share: Image, made: Image) -> Image:
    """A picture with a part made anew; around it no pixel was touched."""
    whole = image.copy()
    part = fitted(made, share.size, STRETCH)
    whole.paste(masks.pasted(image.crop(box), part, share), box[:2])
    return whole


def _notes(image: Image, mask: Image) -> list[str]:
    found = []
    if image.size != mask.size:
        own, other = (" × ".join(map(str, one.size)) for one in (mask, image))
        found.append(
            f"the mask has {own} pixels, the picture {other}: the mask was stretched to it"
        )
    if masks.is_full(mask):
        found.append(
            "the mask is white all over: all of the picture is made anew, as without a mask"
        )
    return found
