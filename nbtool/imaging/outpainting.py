"""Extending a picture beyond its edges: a larger canvas, and a mask of what is new on it."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from nbtool.errors import RecipeError
from nbtool.text import shown

if TYPE_CHECKING:
    from PIL.Image import Image

MULTIPLE = 8  # pixels to a latent: what models make is so many wide and high
MAX_SIDE = 8192  # pixels
FEATHER = 16  # pixels


class Sides(NamedTuple):
    """How many pixels are added on each side of a picture."""

    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0

    def around(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size of a picture of this size with them."""
        return size[0] + self.left + self.right, size[1] + self.top + self.bottom

    def fitted(self, size: tuple[int, int]) -> Sides:
        """The same or a little more, so that width and height are multiples of 8.

        Where something is added already, else on the right and below.
        """
        across, down = (-length % MULTIPLE for length in self.around(size))
        if self.left and not self.right:
            left, right = self.left + across, 0
        else:
            left, right = self.left, self.right + across
        if self.top and not self.bottom:
            return Sides(left, right, self.top + down, 0)
        return Sides(left, right, self.top, self.bottom + down)

    def __str__(self) -> str:
        return ", ".join(f"{side}={length}" for side, length in self._asdict().items() if length)


def extended(picture: Image, sides: Sides, feather: int = FEATHER) -> tuple[Image, Image]:
    """A picture on a larger canvas, and the mask of what is new on it.

    The picture stays as it is, byte for byte, and black in the mask. The new part has the colours
    of the picture's edge; in the mask it rises from black at the seam to white.

    Args:
        picture: "L", "RGB" or "RGBA".
        sides: What is added.
        feather: Pixels of the new part that the mask takes to rise; at most half of what is added
            on a side, so that it comes to white.

    Raises:
        RecipeError: Nothing is added, a number is none that can be, or the whole would not be a
            multiple of 8 wide and high; the message says what would be.
    """
    sides = Sides(*map(_length, Sides._fields, sides))
    feather = _length("feather", feather)
    _check(sides, picture.size)
    return _carried_on(picture, sides), _mask_of(picture.size, sides, feather)


def _length(name: str, value: Any) -> int:
    try:
        length = operator.index(value)
    except TypeError:
        length = -1
    if isinstance(value, bool) or not 0 <= length <= MAX_SIDE:
        raise RecipeError(
            f"{name} must be a whole number of pixels from 0 to {MAX_SIDE}, got {shown(value)}"
        )
    return length


def _check(sides: Sides, size: tuple[int, int]) -> None:
    if not any(sides):
        raise RecipeError("nothing to extend: give left, right, top or bottom in pixels")
    width, height = sides.around(size)
    if max(width, height) > MAX_SIDE:
        raise RecipeError(
            f"the picture would be {width} × {height} pixels with {sides}; "
            f"at most {MAX_SIDE} × {MAX_SIDE} can be made: give less"
        )
    fitted = sides.fitted(size)
    if fitted != sides:
        larger = " × ".join(map(str, fitted.around(size)))
        raise RecipeError(
            f"the picture would be {width} × {height} pixels with {sides}, and models make "
            f"multiples of {MULTIPLE}; {fitted} gives {larger}"
        )


def _carried_on(picture: Image, sides: Sides) -> Image:
    """The picture with the colours of its edge carried on."""
    import numpy as np
    from PIL import Image as PILImage

    pixels = np.asarray(picture)
    around = [(sides.top, sides.bottom), (sides.left, sides.right)]
    padding = around + [(0, 0)] * (pixels.ndim - 2)
    return PILImage.fromarray(np.pad(pixels, padding, mode="edge"), picture.mode)


def _mask_of(size: tuple[int, int], sides: Sides, feather: int) -> Image:
    import numpy as np
    from PIL import Image as PILImage

    across = _rise(size[0], sides.left, sides.right, feather)
    down = _rise(size[1], sides.top, sides.bottom, feather)
    return PILImage.fromarray(np.maximum(across[None, :], down[:, None]), "L")


def _rise(length: int, before: int, after: int, feather: int) -> Any:
    """The mask along one direction: 0 on the picture, rising to 255 on both sides of it."""
    import numpy as np

    one, other = (_ramp(added, min(feather, added // 2)) for added in (before, after))
    return np.concatenate([one[::-1], np.zeros(length, np.uint8), other])


def _ramp(length: int, feather: int) -> Any:
    """From the seam outwards; white after `feather` pixels."""
    import numpy as np

    rising = 255 * np.arange(1, length + 1) / (feather + 1)
    return np.minimum(rising, 255).round().astype(np.uint8)
