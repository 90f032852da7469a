"""Pictures brought to a size, and the size that suits a picture. Pure functions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

CROP, PAD, STRETCH = "crop", "pad", "stretch"
LEAST, MOST = 0.5, 1.5  # of a model's own number of pixels
MIN_SIDE, MAX_SIDE = 16, 8192  # pixels


def fitted(image: Image, size: tuple[int, int], mode: str = CROP) -> Image:
    """A picture in another size, by Lanczos; one that has it already is returned as it is.

    Args:
        image: The picture.
        size: Width and height in pixels.
        mode: "crop" fills it and cuts off what is beyond, the same on both sides; "pad" shows all
            of the picture and goes on with its edges; "stretch" makes it wider or higher.
    """
    from PIL import ImageOps
    from PIL.Image import Resampling

    if image.size == size:
        return image
    if mode == STRETCH:
        return image.resize(size, Resampling.LANCZOS)
    if mode == CROP:
        return ImageOps.fit(image, size, Resampling.LANCZOS)
    return _edges_out(ImageOps.contain(image, size, Resampling.LANCZOS), size)


def _edges_out(image: Image, size: tuple[int, int]) -> Image:
    """A picture in the middle of a larger one, its edges drawn out to the sides."""
    import numpy as np
    from PIL import Image as PILImage

    values = np.asarray(image)
    spare = [large - small for large, small in zip(size[::-1], values.shape[:2], strict=True)]
    sides = [(more // 2, more - more // 2) for more in spare] + [(0, 0)] * (values.ndim - 2)
    return PILImage.fromarray(np.pad(values, sides, mode="edge"))


def size_for(own: tuple[int, int], usual: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The size in which a model best makes something of a picture: the picture's own, if it can be.

    The picture's shape is kept as far as the multiple lets it, with half as many pixels as the model
    usually makes at least, and one and a half times as many at most.

    Args:
        own: Of the picture.
        usual: Of the model's images.
        multiple: Of pixels, for each side.
    """
    area, wanted = math.prod(own), math.prod(usual)
    scale = math.sqrt(min(max(area, wanted * LEAST), wanted * MOST) / area)
    width, height = (_side(side * scale, multiple) for side in own)
    return width, height


def _side(pixels: float, multiple: int) -> int:
    least = math.ceil(MIN_SIDE / multiple)
    most = MAX_SIDE // multiple
    return min(max(round(pixels / multiple), least), most) * multiple
