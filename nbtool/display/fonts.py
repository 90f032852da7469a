"""The fonts that have the letters of a text, and how it is written where none has."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path
from typing import Any, NamedTuple

from nbtool.errors import log
from nbtool.silence import importing

FONT = "DejaVu Sans"  # ships with matplotlib; Pillow's own font knows ASCII only
NORMAL = 400  # the weight


class Face(NamedTuple):
    """A font's name and its file."""

    family: str
    path: str


def pieces(text: str) -> list[tuple[Face, str]]:
    """A line of text in pieces, each with a font that has its letters."""
    faces = faces_for(text)
    if len(faces) == 1:
        return [(faces[0], text)]
    letters = frozenset(text)
    having = [(face, _held(face.path, letters)) for face in faces]
    result: list[tuple[Face, str]] = []
    for letter in text:
        face = next((face for face, held in having if letter in held), faces[0])
        if result and (face == result[-1][0] or unicodedata.category(letter).startswith("M")):
            result[-1] = result[-1][0], result[-1][1] + letter
        else:
            result.append((face, letter))
    return result


def faces_for(text: str) -> list[Face]:
    """The fonts that a text needs: the usual one, and others of this machine where it lacks letters."""
    lacking = _lacking(text)
    return [_usual(), *(_others(lacking, _count()) if lacking else ())]


def missing(text: str) -> frozenset[str]:
    """The letters that no font of this machine has."""
    left = _lacking(text)
    for face in faces_for(text)[1:]:
        left -= _held(face.path, left)
    return left


def spelled(text: str) -> str:
    """The text with the letters that no font has spelled out as escapes."""
    if not (without := missing(text)):
        return text
    return "".join(c.encode("unicode_escape").decode() if c in without else c for c in text)


@functools.cache
def _usual() -> Face:
    with importing("matplotlib"):
        import matplotlib as mpl

    return Face(FONT, str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")))


def _lacking(text: str) -> frozenset[str]:
    letters = frozenset() if text.isascii() else frozenset(text)
    return letters - _held(_usual().path, letters) if letters else letters


@functools.lru_cache(maxsize=4096)
def _held(path: str, letters: frozenset[str]) -> frozenset[str]:
    """Those of the letters that a font has."""
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(path)
        return frozenset(c for c in letters if font.get_char_index(ord(c)))
    except Exception as error:  # a file that is gone or damaged has none
        log(f"no font: {path}", error)
        return frozenset()


@functools.lru_cache(maxsize=1024)
def _others(lacking: frozenset[str], _: int) -> tuple[Face, ...]:
    """As few fonts of this machine as have all of the letters, or all that can be had."""
    candidates, chosen, left = _candidates(), [], lacking
    while left and candidates:
        best = max(candidates, key=lambda face: len(_held(face.path, lacking) & left))
        if not (found := _held(best.path, lacking) & left):
            break
        chosen.append(best)
        left -= found
    return tuple(chosen)


def _candidates() -> list[Face]:
    """This machine's fonts, the plain ones first.

    Not those that come with matplotlib, which are for formulas, nor any "Last Resort": it has a box
    for every letter.
    """
    import matplotlib as mpl
    from matplotlib.font_manager import fontManager

    def plain(entry: Any) -> tuple[object, ...]:
        weight = entry.weight if isinstance(entry.weight, int) else NORMAL
        special = entry.style != "normal" or entry.stretch != "normal" or "Sans" not in entry.name
        return abs(weight - NORMAL), special, entry.name, entry.fname

    entries = [
        entry
        for entry in fontManager.ttflist
        if not entry.fname.startswith(mpl.get_data_path())
        and "lastresort" not in entry.name.lower().replace(" ", "")
        and not getattr(entry, "index", 0)  # the first of the faces in one file
    ]
    return list(dict.fromkeys(Face(e.name, e.fname) for e in sorted(entries, key=plain)))


def _count() -> int:
    """How many fonts matplotlib knows; more are found at once."""
    from matplotlib.font_manager import fontManager

    _look_again()
    return len(fontManager.ttflist)


@functools.cache
def _look_again() -> None:
    """Tells matplotlib of the fonts that were installed since it last looked."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    known = {entry.fname for entry in fontManager.ttflist}
    for path in sorted(set(findSystemFonts()) - known):
        try:
            fontManager.addfont(path)
        except Exception as error:  # not every file is a font that it can use
            log(f"no font: {path}", error)
