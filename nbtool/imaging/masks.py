"""Masks: what of a picture is to be made anew, and how the new is joined to the old. Pure.

A mask is as large as its picture, in 256 grays: black protects a pixel, white frees it, a gray
between mixes the old and the new. What is protected is never touched, not even by a resize.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image

    Array = ndarray[Any, Any]

NEARLY = 16  # grays from black or white are taken for it: JPEG leaves such
Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


def as_mask(picture: Image) -> Image:
    """The mask that a picture is: of its alpha, where it has one that says anything, or its gray.

    Where a picture is transparent it is to be filled: that is free.
    """
    import numpy as np
    from PIL import Image

    alpha = picture.getchannel("A") if "A" in picture.getbands() else None
    if alpha is not None and alpha.getextrema() != (255, 255):
        grays = 255 - np.asarray(alpha)
    else:
        grays = np.asarray(picture.convert("RGB").convert("L"))
    grays = np.where(grays < NEARLY, 0, np.where(grays > 255 - NEARLY, 255, grays))
    return Image.fromarray(grays.astype(np.uint8))


def is_empty(mask: Image) -> bool:
    """Whether it protects everything."""
    return mask.getbbox() is None


def is_full(mask: Image) -> bool:
    """Whether it frees everything."""
    return mask.getextrema() == (255, 255)


def softened(mask: Image, blur: int) -> Image:
    """A mask whose edges fade inwards: what was protected stays so.

    Args:
        mask: Of a picture.
        blur: Pixels from an edge to where the new is there in full; at the most as many as there
            are, so that a thin line is not lost.
    """
    import numpy as np
    from PIL import Image
    from scipy import ndimage

    grays = np.asarray(mask)
    free = grays > 0
    if not blur or free.all() or not free.any():
        return mask
    depth = ndimage.distance_transform_edt(free)
    spots, count = ndimage.label(free, structure=np.ones((3, 3)))
    deepest = np.asarray(ndimage.maximum(depth, spots, range(count + 1)))
    reach = np.minimum(blur + 1, np.maximum(1, deepest))[spots]
    share = np.minimum(1, depth / reach)
    faded = grays * share * share * (3 - 2 * share)
    return Image.fromarray(np.ceil(faded).astype(np.uint8))


def region(mask: Image, padding: int, width: int, height: int) -> Box:
    """The part of a picture around what is free, in the proportions of the size worked at.

    Where the picture is too narrow for them, it is as wide as the picture.

    Args:
        mask: Of the picture; not empty.
        padding: Pixels around what is free, as far as the picture goes.
        width: Of the size worked at.
        height: The same.
    """
    box = mask.getbbox()
    assert box is not None
    left, top, right, bottom = box
    across, down = right - left + 2 * padding, bottom - top + 2 * padding
    if across * height < down * width:
        across = -(-down * width // height)
    else:
        down = -(-across * height // width)
    across, down = min(across, mask.width), min(down, mask.height)
    left = _moved_in((left + right - across) // 2, across, mask.width)
    top = _moved_in((top + bottom - down) // 2, down, mask.height)
    return left, top, left + across, top + down


def _moved_in(start: int, length: int, room: int) -> int:
    """Where something begins that is to lie between 0 and `room`."""
    return min(max(0, start), room - length)


def freed(mask: Image, cell: int) -> Image:
    """The part that a model is to make anew, black and white: all that is not protected.

    Args:
        mask: Of the size worked at.
        cell: Pixels along the side of what a model can free; cells are freed as a whole. What it
            makes of protected pixels in them is not used.
    """
    import numpy as np
    from PIL import Image

    free = np.asarray(mask) > 0
    height, width = free.shape
    padded = np.pad(free, ((0, -height % cell), (0, -width % cell)))
    rows, columns = (side // cell for side in padded.shape)
    cells = padded.reshape(rows, cell, columns, cell).any(axis=(1, 3))
    grown = cells.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    return Image.fromarray((grown * 255).astype(np.uint8))


def pasted(old: Image, new: Image, mask: Image) -> Image:
    """A picture with new pixels where its mask is free; protected ones are the old ones to the byte.

    Args:
        old: The picture.
        new: Of the same size.
        mask: The same.
    """
    import numpy as np
    from PIL import Image

    before, after = (np.asarray(picture.convert("RGB"), np.int32) for picture in (old, new))
    share = np.asarray(mask, np.int32)[..., None]
    mixed = (before * (255 - share) + after * share + 127) // 255
    return Image.fromarray(mixed.astype(np.uint8))
