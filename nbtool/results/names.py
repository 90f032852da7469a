"""Names of files by a pattern: safe on any system, and no two alike."""

from __future__ import annotations

import datetime as dt
import difflib
import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nbtool.errors import RecipeError
from nbtool.recipes.parameters import PARAMETERS
from nbtool.results.folder import KEY_DIGITS
from nbtool.results.image import FORMATS, GeneratedImage
from nbtool.text import digits, shown

SUGGESTED = "{prompt:40}-{seed}"
NUMBERED = "image-{index}"
UNTOLD = "image"
MADE = ("date", "time", "key", "index")  # besides the parameters and the axes
MAX_PIECE = 40  # characters of a value, where the pattern says nothing else
MAX_STEM = 128  # bytes; with a number and a suffix there are at most 143, as some drives take
ENDS = " .,-=_"
KIND = re.compile(r"\.(?=\d*[a-z])[a-z\d]+", re.IGNORECASE | re.ASCII)  # of a file
WIDTH = re.compile(r"(?!0+$)\d{0,3}", re.ASCII)
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)")

Piece = tuple[str, str, int]  # what stands there, then a name and its width; 0: none is said


class Pattern:
    """How files are named: `Pattern("{date}-{prompt:30}-{seed}")`.

    In braces stand every parameter; `date` and `time` of the making; `key`, the start of the
    recipe's; `index`, from 1 on, as wide as the last one; and the axes and words of a grid. A
    width cuts a text between words, and fills a number up with zeros. An end such as .jpg says as
    what images are written; without one it is .png.

    Args:
        pattern: The pattern; `{{` and `}}` are braces.
        words: The names of axes and of words in the prompts.

    Raises:
        RecipeError: It is no pattern, or a name in it is not known.
    """

    def __init__(self, pattern: str, words: Iterable[str] = ()) -> None:
        self.pieces = list(_parsed(pattern, {*PARAMETERS, *MADE, *words}))
        self._by_labels = False
        last = self.pieces[-1]
        dot = "" if last[1] else last[0][last[0].rfind(".") :]
        self.suffix = dot if dot.lower() in FORMATS else ".png"
        if dot.lower() in FORMATS:
            self.pieces[-1] = (last[0].removesuffix(dot), "", 0)
        elif KIND.fullmatch(dot):
            raise RecipeError(
                f"images are saved as {', '.join(FORMATS)}, not as {dot}; end {shown(pattern)} with "
                f"one of these"
            )

    @classmethod
    def of_axes(cls, names: Iterable[str]) -> Pattern:
        """As grids name their images: "seed=2,guidance_scale=5"."""
        pattern = cls(NUMBERED)
        if pieces := [(f",{_safe(name)}=", name, 0) for name in names]:
            pattern.pieces = pieces
            # An axis may be called like what else there is of an image, and its label says more.
            pattern._by_labels = True
        return pattern

    def stem_of(
        self, image: GeneratedImage, words: Mapping[str, str], *, index: int = 1, of: int = 1
    ) -> str:
        """The name of an image without its suffix; `values_of` says what is given."""
        return self.stem(words if self._by_labels else values_of(image, words, index=index, of=of))

    def stem(self, values: Mapping[str, Any]) -> str:
        """The name without its suffix, of such values as `values_of` tells."""
        written = (
            text + _written(name, values.get(name), width) for text, name, width in self.pieces
        )
        return _whole("".join(written))


class Names:
    """Gives names, of which no two are alike even where case does not count.

    Args:
        taken: Names that others have.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {_compared(name) for name in taken}
        self._numbers: dict[str, int] = {}  # the last that was tried, by the name without one

    def give(self, stem: str, suffix: str) -> str:
        """The name; with a number where it is taken."""
        name = stem + suffix
        asked = _compared(name)
        number = self._numbers.get(asked, 1)
        while _compared(name) in self._taken:
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._taken.add(_compared(name))
        self._numbers[asked] = number
        return name


def values_of(
    image: GeneratedImage,
    words: Mapping[str, str] | None = None,
    *,
    index: int = 1,
    of: int = 1,
) -> dict[str, Any]:
    """What a pattern may name of an image.

    Args:
        image: The image.
        words: Labels and words by the names of axes and words.
        index: Which it is of those that are saved, from 1 on.
        of: How many these are.
    """
    given = image.recipe.in_words()
    numbers = {name: value for name, value in given.items() if not isinstance(value, str)}
    made = {"key": image.recipe.key[:KEY_DIGITS], "index": f"{index:0{len(str(of))}}"}
    made |= _when(image.provenance.created)
    return given | dict(words or {}) | numbers | made


def suggested(image: GeneratedImage, *, metadata: bool = True) -> str:
    """A name for a file of one image alone; without metadata it tells nothing of it."""
    return f"{Pattern(SUGGESTED).stem(values_of(image)) if metadata else UNTOLD}.png"


def _parsed(pattern: str, known: set[str]) -> Iterator[Piece]:
    if not isinstance(pattern, str) or not pattern.strip():
        raise RecipeError(f'names are a pattern such as "{SUGGESTED}", got {shown(pattern)}')
    try:
        for text, name, width, conversion in string.Formatter().parse(pattern):
            if bad := re.search(r"[/\\\x00-\x1f\x7f]", text):
                raise RecipeError(
                    f"names are those of files in one folder: no {shown(bad[0])} in {shown(pattern)}"
                )
            if name is None:
                yield text, "", 0
                continue
            if name not in known:
                raise RecipeError(_unknown(name, known, pattern))
            if conversion or not WIDTH.fullmatch(width or ""):
                raise RecipeError(
                    f"in names, {{{name}}} may have a width from 1 to 999, as in {{{name}:30}}; "
                    f"got {shown(pattern)}"
                )
            yield text, name, int(width or 0)
    except ValueError as error:
        raise RecipeError(f"names={shown(pattern)} is no pattern: {error}") from None


def _unknown(name: str, known: Iterable[str], pattern: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    there = ", ".join(sorted(known))
    return f"unknown name {name!r} in names={shown(pattern)}; {hint}there are: {there}"


def _written(name: str, value: object, width: int) -> str:
    """A value as a part of a name: words with hyphens between them, numbers with all digits."""
    if isinstance(value, (int, float)):
        return digits(value).zfill(width)
    text = _safe("" if value is None else str(value))
    return text.zfill(width) if name == "index" else _cut(text, width or MAX_PIECE)


def _cut(text: str, width: int) -> str:
    """At most so many characters, up to the end of a word if one ends there."""
    if len(text) <= width:
        return text
    short, sign, _ = text[: width + 1].rpartition("-")
    return short.rstrip(ENDS) if sign and short.strip(ENDS) else text[:width]


def _safe(text: str) -> str:
    """Letters and digits of any script; hyphens in place of what has a meaning somewhere."""
    normal = unicodedata.normalize("NFKC", text[:2000])
    kept = (c if c in "._+-" or _is_letter(c) else " " for c in normal)
    return re.sub(r"\.{2,}", ".", re.sub(r"[ -]*[ ][ -]*", "-", "".join(kept))).strip("-.")


def _is_letter(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _whole(text: str) -> str:
    """A name that every system takes, of what a pattern came to."""
    text = "".join(c if c.isprintable() and c not in '<>:"|?*/\\' else "-" for c in text)
    text = (
        re.sub(r"\.{2,}", ".", text).encode("utf-8", "replace")[:MAX_STEM].decode("utf-8", "ignore")
    )
    stem = text.strip(ENDS) or "image"
    return f"_{stem}" if RESERVED.match(stem) else stem


def _compared(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _when(created: str) -> dict[str, str]:
    """Date and time of the making, where one is."""
    try:
        made = dt.datetime.fromisoformat(created).astimezone()
    except (ValueError, OverflowError, OSError):
        return {"date": "undated", "time": ""}
    return {"date": made.strftime("%Y-%m-%d"), "time": made.strftime("%H-%M-%S")}
