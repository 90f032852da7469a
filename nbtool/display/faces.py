"""What there is to show of a cell: its picture, or in words why there is none."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

from nbtool.errors import GenerationError, log
from nbtool.recipes.parameters import PARAMETERS
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import GeneratedImage, settings
from nbtool.text import count, ellipsized

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.results.labelled import Cell, Labelled

NOT_MADE = "not made"
FAILED = GenerationError("no image came of it")  # where nobody is told why
MAX_REASON = 500  # characters
MANY = 500  # images


def picture(cell: Cell | None) -> Image | None:
    """The pixels in RGB; None where there are none or they cannot be read."""
    if not isinstance(cell, GeneratedImage):
        return None
    try:
        return cell.image
    except Exception as error:  # a file that is gone or damaged must not take the others with it
        log("a picture cannot be shown", error)
        return None


def size(cell: Cell | None) -> tuple[int, int] | None:
    """Width and height without decoding the pixels; None where there is no picture."""
    from PIL import Image as PILImage

    if not isinstance(cell, GeneratedImage):
        return None
    try:
        with PILImage.open(io.BytesIO(cell.png)) as image:
            width, height = image.size
            return width, height
    except Exception as error:
        log("a picture has no size", error)
        return None


def reason(cell: Cell | None) -> str:
    """Why a cell shows no picture, on one line."""
    if cell is None:
        return NOT_MADE
    if isinstance(cell, GeneratedImage):
        name = cell.path.name if cell.path else "damaged data"
        return ellipsized(f"cannot be read: {name}", MAX_REASON)
    return ellipsized(str(cell) or type(cell).__name__, MAX_REASON)


def largest(grid: Labelled) -> tuple[int, int]:
    """The width and height that every picture of a grid fits into."""
    if len(grid) > MANY:  # opening every file would take long
        recipes = [image.recipe for image in grid]
        return max(r.width or 512 for r in recipes), max(r.height or 512 for r in recipes)
    sizes = [found for cell in grid if (found := size(cell))]
    if not sizes:
        return min(512, grid.base.width or 256), min(512, grid.base.height or 256)
    return max(width for width, _ in sizes), max(height for _, height in sizes)


def shared(grid: Labelled) -> Recipe:
    """A recipe of what all images have in common; the rest is left open."""
    recipes = [image.recipe for image in grid] or [grid.base]
    common = {}
    for name in PARAMETERS:
        values = {getattr(recipe, name) for recipe in recipes}
        if len(values) == 1 and name not in grid.axes:
            common[name] = values.pop()
    return Recipe(**common)


def counts(grid: Labelled) -> list[str]:
    """How many images there are, and how many are not."""
    missing = len(grid.missing)
    failed = math.prod(grid.shape) - len(grid) - missing
    parts = [count(len(grid), "image")]
    parts += [f"{failed:,} failed"] if failed else []
    return parts + ([f"{missing:,} not made"] if missing else [])


def summary(grid: Labelled) -> list[str]:
    """How many images there are, and what they have in common."""
    return counts(grid) + [ellipsized(words, 200) for words in settings(shared(grid))]
