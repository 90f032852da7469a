"""A short text that stays the same while a picture looks the same.

Notebook checks compare text only, so the evidence that a picture has not changed must be text.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

BLOCKS = 8
# Ten basic colours, far apart: a flat area's colour is never near the border between two.
COLOURS = (
    (220, 40, 40), (245, 140, 30), (250, 220, 50), (50, 160, 70), (45, 90, 215),
    (130, 60, 180), (250, 150, 190), (250, 250, 250), (20, 20, 20), (128, 128, 128),
)  # fmt: skip


def digest(image: Image) -> str:
    """Eight hexadecimal digits for the nearest basic colour of each of 8 × 8 blocks.

    A block's colour is the median of its pixels, channel by channel: differences of a rounding
    or two, as between processors, leave it where it is; another picture moves some blocks.
    """
    import numpy as np

    pixels = np.asarray(image.convert("RGB"), dtype=np.int32)
    medians = [
        np.median(block.reshape(-1, 3), axis=0)
        for rows in np.array_split(pixels, BLOCKS, axis=0)
        for block in np.array_split(rows, BLOCKS, axis=1)
    ]
    distances = ((np.array(medians)[:, None] - np.array(COLOURS)[None]) ** 2).sum(axis=-1)
    nearest = distances.argmin(axis=1).astype(np.uint8)
    return hashlib.sha256(nearest.tobytes()).hexdigest()[:8]
