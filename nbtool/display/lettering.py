"""Text measured, wrapped and shortened to fit; for pictures and figures alike."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from nbtool.text import printable

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FONT = "DejaVu Sans"  # ships with matplotlib; Pillow's own font knows ASCII only
LINE = 1.3  # line height in font sizes
MAX_MEASURED = 2000  # characters; nothing longer fits anywhere


@functools.lru_cache(maxsize=64)
def font(size: float) -> FreeTypeFont:
    """The font of all labels, of a height in pixels."""
    import matplotlib as mpl
    from PIL import ImageFont

    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size)


@functools.lru_cache(maxsize=4096)
def width(text: str, size: float) -> float:
    """How wide one line of printable text is."""
    return font(size).getlength(text)


def fitted(text: str, size: float, room: float) -> str:
    """One line of printable text, shortened with an ellipsis to fit into `room`."""
    text = printable(text[:MAX_MEASURED])
    if width(text, size) <= room:
        return text
    return text[: _longest(text, size, room, "…")].rstrip() + "…"


def wrapped(text: str, size: float, room: float, lines: int) -> list[str]:
    """At most so many lines of printable text, broken between words where that can be done."""
    left = printable(text[:MAX_MEASURED]).strip()
    result: list[str] = []
    while left and len(result) < lines - 1 and width(left, size) > room:
        end = max(1, _longest(left, size, room))
        space = left.rfind(" ", 0, end + 1)
        end = space if space > 0 else end
        result.append(left[:end].rstrip())
        left = left[end:].lstrip()
    return [*result, fitted(left, size, room)] if left else result


def _longest(text: str, size: float, room: float, ending: str = "") -> int:
    """How many characters of a text fit, by bisection."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle] + ending, size) <= room:
            low = middle
        else:
            high = middle - 1
    return low
