"""A picture of one shape in the shape of another. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

CROP, PAD, STRETCH = "crop", "pad", "stretch"


def fit(picture: Image, width: int, height: int, mode: str) -> Image:
    """A picture in a size; one that has it stays as it is.

    Args:
        picture: Any.
        width: In pixels.
        height: The same.
        mode: "crop" cuts off what is too much at two sides, "pad" adds black, "stretch" does neither.
    """
    from PIL import Image, ImageOps

    size, lanczos = (width, height), Image.Resampling.LANCZOS
    if picture.size == size:
        return picture
    if mode == CROP:
        return ImageOps.fit(picture, size, lanczos)
    if mode == PAD:
        return ImageOps.pad(picture, size, lanczos)
    return picture.resize(size, lanczos)
