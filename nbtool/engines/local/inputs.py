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
_ZERO_OR_ONE = (
    "mask_image has no value above 1, which is black; give mask * 255, or an array of bool"
)


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
        if picture.used and not picture.is_gone:  # pixels that are kept here are no other's proof
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


def check_mask(recipe: Recipe) -> None:
    """Refuses a mask that frees nothing; one that is not here yet is looked at when it is.

    Args:
        recipe: Of one pass.

    Raises:
        RecipeError: It frees nothing, or nothing in the size that is worked at.
    """
    mask = recipe.mask_image
    if mask is None or recipe.image is None or mask.is_deferred:
        return
    size, own = (recipe.width or 0, recipe.height or 0), each(recipe.image)[0].size
    try:
        pixels = _Pixels.of(mask)
        reason = _why_not(pixels, own, size, recipe.resize_mode, recipe.mask_padding)
    except NbtoolError:  # it is made again first, or who makes the image says so
        return
    if reason:
        raise RecipeError(reason)


@lru_cache(32)
def _why_not(
    pixels: _Pixels, own: tuple[int, int], size: tuple[int, int], mode: str, padding: int | None
) -> str:
    """Why a mask frees nothing of a picture that is so large; "" if it frees something."""
    picture = pixels.load()
    mask = masks.as_mask(picture)
    if masks.is_empty(mask):
        return _black(picture)
    try:
        _worked_at(_resized(mask, own, STRETCH), size, mode, padding)
    except RecipeError as error:
        return str(error)
    return ""


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
    picture = pixels.load()
    mask = masks.as_mask(picture)
    if masks.is_empty(mask):
        raise RecipeError(_black(picture))
    return mask


def _black(picture: Image) -> str:
    """What is said of a mask that frees nothing."""
    has_ones = "A" not in picture.getbands() and picture.convert("L").getextrema() == (0, 1)
    return _ZERO_OR_ONE if has_ones else _BLACK


@lru_cache(KEPT)
def _prepared(asked: _Asked) -> Inputs:
    image = _coloured(asked.image)
    if asked.mask is None:
        return Inputs((fitted(image, asked.size, asked.mode),))
    mask = _mask(asked.mask)
    free = _resized(mask, image.size, STRETCH)
    notes = tuple(_notes(image, mask))
    box, given = _worked_at(free, asked.size, asked.mode, asked.padding)
    made = masks.freed(given, asked.cell)
    if box is None:
        image, share = fitted(image, asked.size, asked.mode), masks.softened(given, asked.blur)
        return Inputs((image,), made, partial(_pasted, image, share), notes)
    part, share = image.crop(box), masks.softened(free, asked.blur).crop(box)
    part = fitted(part, asked.size, STRETCH)
    return Inputs((part,), made, partial(_put_back, image, box, share), notes)


def _worked_at(
    free: Image, size: tuple[int, int], mode: str, padding: int | None
) -> tuple[masks.Box | None, Image]:
    """The part that is worked on, None for the whole, and what is free of it in that size.

    Args:
        free: The mask of a picture, as large as that.
        size: Worked at.
        mode: How the whole is brought to it.
        padding: Around what is free; None: the whole is worked on.

    Raises:
        RecipeError: Nothing is free there.
    """
    if masks.is_empty(free):
        own = " × ".join(map(str, free.size))
        raise RecipeError(
            f"nothing is left of mask_image when it is brought to the size of the picture; give one "
            f"that is {own}"
        )
    if padding is None:
        box, given = None, _resized(free, size, mode)
        rest = "mask_padding=32 works on the part of the picture around it, and makes that larger"
    else:
        box = masks.region(free, padding, *size)
        given = _resized(free.crop(box), size, STRETCH)
        rest = "give a smaller mask_padding, or a larger width and height"
    if masks.is_empty(given):
        at = " × ".join(map(str, size))
        raise RecipeError(
            f"nothing is left of mask_image at {at}: it is too small, or in what is cut off; {rest}"
        )
    return box, given


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
