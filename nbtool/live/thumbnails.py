"""Small copies of images, made when they are asked for and kept within a bound."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.results.image import GeneratedImage

MAX_BYTES = 32_000_000
MAX_AS_IS = 60_000  # bytes of a file that need not be made smaller

Encoded = tuple[str, bytes]  # MIME type and file


class Thumbnails:
    """Thumbnails by what they are of, such as a cell, and size; any thread may ask for one.

    The one that was looked at longest ago goes first.
    """

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._bytes = 0
        self._kept: OrderedDict[tuple[Hashable, int], Encoded] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, place: Hashable, image: GeneratedImage, edge: int) -> Encoded:
        """A copy of at most `edge` pixels on the longer side.

        Raises:
            Exception: The file is gone or damaged.
        """
        key = place, edge
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        encoded = thumbnail(image, edge)
        with self._lock:
            self._bytes += len(encoded[1]) - len(self._kept.pop(key, ("", b""))[1])
            self._kept[key] = encoded
            while self._bytes > self._limit and len(self._kept) > 1:
                _, (_, old) = self._kept.popitem(last=False)
                self._bytes -= len(old)
        return encoded


def thumbnail(image: GeneratedImage, edge: int) -> Encoded:
    """A copy of at most `edge` pixels on the longer side: the file itself where it is small."""
    from PIL import Image as PILImage

    png = image.png
    with PILImage.open(io.BytesIO(png)) as picture:
        if max(picture.size) <= edge and len(png) <= MAX_AS_IS:
            picture.load()  # a damaged file is to be found here
            return "image/png", png
        small = picture.convert("RGB")
    small.thumbnail((edge, edge), reducing_gap=2.0)
    return jpeg(small)


def jpeg(picture: Image) -> Encoded:
    """A picture as JPEG."""
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=85)
    return "image/jpeg", buffer.getvalue()
