"""Text measured, wrapped and shortened to fit; for pictures and figures alike."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from nbtool.display import fonts
from nbtool.text import printable

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

LINE = 1.3  # line height in font sizes
MAX_MEASURED = 2000  # characters; nothing longer fits anywhere
CONTEXT = 16  # characters, at most, of a word that texts begin in common

Fitting = TypeVar("Fitting", str, tuple[str, ...])


@functools.lru_cache(maxsize=64)
def font(size: float, path: str | None = None) -> FreeTypeFont:
    """The font of labels, or another, of a height in pixels."""
    from PIL import ImageFont

    return ImageFont.truetype(path or fonts.faces_for("")[0].path, size)


@functools.lru_cache(maxsize=4096)
def width(text: str, size: float) -> float:
    """How wide one line of printable text is."""
    return sum(font(size, face.path).getlength(piece) for face, piece in fonts.pieces(text))


def fitted(text: str, size: float, room: float) -> str:
    """One line of printable text, shortened with an ellipsis to fit into `room`."""
    text = drawable(text)
    if width(text, size) <= room:
        return text
    return text[: _longest(text, size, room, "…")].rstrip() + "…"


def wrapped(text: str, size: float, room: float, lines: int) -> list[str]:
    """At most so many lines of printable text, broken between words where that can be done."""
    left = drawable(text).strip()
    result: list[str] = []
    while left and len(result) < lines - 1 and width(left, size) > room:
        end = max(1, _longest(left, size, room))
        space = left.rfind(" ", 0, end + 1)
        end = space if space > 0 else end
        result.append(left[:end].rstrip())
        left = left[end:].lstrip()
    return [*result, fitted(left, size, room)] if left else result


def told_apart(texts: Iterable[str], fit: Callable[[str], Fitting]) -> dict[str, Fitting]:
    """Each text as `fit` shortens it at its end, so that no two are alike.

    Those that would be lose what they have in common in the middle instead, or wherever it stands,
    or are numbered where even that leaves no room.
    """
    fitting: dict[str, Fitting] = {text: fit(text) for text in texts}
    groups = _alike(fitting)
    while groups:
        group = groups.pop()
        for shorter in _without_middle(group):
            short = dict(zip(group, map(fit, shorter), strict=True))
            if len(set(short.values())) > 1:
                fitting |= short
                groups += _alike(short)
                break
    if alike := [*itertools.chain(*_alike(fitting))]:
        fitting |= zip(alike, map(fit, _without_common(alike)), strict=True)
    numbers = {text: number for number, text in enumerate(fitting, 1)}
    for text in itertools.chain(*_alike(fitting)):
        fitting[text] = fit(f"{numbers[text]}: {text}")
    return fitting


def _without_middle(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts from the word on in which they differ, after ever less of their beginning."""
    head = common = len(os.path.commonprefix([*texts]))  # noqa: RUF071 - letters
    word = texts[0].rfind(" ", max(0, common - CONTEXT), common) + 1 or common
    while head:
        head //= 2
        yield [f"{text[:head].rstrip()}…{text[word:]}" for text in texts]


def _without_common(texts: Sequence[str]) -> list[str]:
    """The texts without the words, or where there are no spaces the letters, that all have."""
    space = " " if " " in texts[0] else ""
    words = [text.split(" ") if space else [*text] for text in texts]
    common = set(words[0]).intersection(*words)
    return [
        space.join("…" if shared else space.join(run) for shared, run in runs)
        for runs in (itertools.groupby(row, common.__contains__) for row in words)
    ]


def _alike(fitting: dict[str, Fitting]) -> list[list[str]]:
    """The texts that look the same once they fit, by how they look."""
    groups: dict[Fitting, list[str]] = {}
    for text, short in fitting.items():
        groups.setdefault(short, []).append(text)
    return [group for group in groups.values() if len(group) > 1]


def drawable(text: str) -> str:
    """A printable text of letters that there are fonts for; nothing is longer than can be seen."""
    return fonts.spelled(printable(text[:MAX_MEASURED]))


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
