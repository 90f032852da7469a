"""The pictures that an axis sets, small, to stand at its labels."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from nbtool.errors import NbtoolError, log
from nbtool.recipes.parameters import PICTURES
from nbtool.recipes.picture import each
from nbtool.results.image import GeneratedImage

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.recipes.axis import Axis
    from nbtool.recipes.picture import Picture
    from nbtool.results.labelled import Labelled

EDGE = 128  # pixels of a small picture's longer side, at most
MOST = 3  # side by side, where a label has several
MANY = 100  # positions; of a longer axis the first ones have pictures
GAP = 4  # pixels between them
KEPT = 256  # small pictures, so that large ones are not read for each view of a grid

_kept: dict[str, Image] = {}  # by what the large one is known by, the oldest first
_keeping = threading.Lock()


class Heads:
    """Small pictures for the labels of a grid, on those of its axes that set pictures."""

    def __init__(self, grid: Labelled) -> None:
        self._grid = grid
        self._axes = {
            axis.name: (number, axis)
            for number, axis in enumerate(grid.swept)
            if not PICTURES.isdisjoint(axis.parameters)
        }
        self._made: dict[tuple[str, int], Image | None] = {}

    def __contains__(self, name: object) -> bool:
        """Whether an axis sets pictures."""
        return name in self._axes

    def at(self, name: str | None, position: int) -> Image | None:
        """The pictures at a position of an axis, in one; None where there are none to be had."""
        if name not in self._axes or position >= MANY:
            return None
        if (name, position) not in self._made:
            number, axis = self._axes[name]
            small = [_small(one) for one in self._pictures(number, axis, position)[:MOST]]
            self._made[name, position] = _side_by_side([one for one in small if one])
        return self._made[name, position]

    def _pictures(self, number: int, axis: Axis, position: int) -> list[Picture]:
        """Those that are set there; of one that was made first, what came of it."""
        given = axis.edits[position].parameters
        names = [name for name in given if name in PICTURES]
        if any(one.is_deferred for name in names for one in each(given[name])):
            made = (i for i in self._grid.indices() if i[number] == position)
            cells = (self._grid.cell(index) for index in made)
            if image := next((c for c in cells if isinstance(c, GeneratedImage)), None):
                return [one for name in names for one in each(getattr(image.recipe, name))]
        return [one for name in names for one in each(given[name])]


def _small(picture: Picture) -> Image | None:
    """A copy in RGB, on white where it can be seen through; None if it is not here."""
    key = picture.used or picture.key
    if (known := _kept.get(key)) is not None:
        return known
    try:
        small = _reduced(picture.image)
    except NbtoolError as error:
        log("a picture cannot be shown at its label", error)
        return None
    with _keeping:
        _kept[key] = small
        while len(_kept) > KEPT:
            del _kept[next(iter(_kept))]
    return small


def _reduced(image: Image) -> Image:
    from PIL import Image as PILImage

    image.thumbnail((EDGE, EDGE), reducing_gap=2.0)
    if image.mode == "RGBA":
        image = PILImage.alpha_composite(PILImage.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _side_by_side(images: list[Image]) -> Image | None:
    from PIL import Image as PILImage

    if len(images) < 2:
        return images[0] if images else None
    width = sum(image.width + GAP for image in images) - GAP
    joined = PILImage.new("RGBA", (width, max(image.height for image in images)))
    left = 0
    for image in images:
        joined.paste(image, (left, (joined.height - image.height) // 2))
        left += image.width + GAP
    return joined
