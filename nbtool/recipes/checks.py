"""What a parameter may be: checks that give a value as a recipe holds it, or refuse it."""

from __future__ import annotations

import contextlib
import math
import operator
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from nbtool import schedulers
from nbtool.errors import RecipeError
from nbtool.recipes.picture import Picture, Pictures
from nbtool.text import digits, shown

WHOLE, REAL, TEXT, CHOICE, PICTURE, PARTS = "whole", "real", "text", "choice", "picture", "parts"
MAX_PROMPT = 20_000  # characters; what is embedded in a PNG must be readable by other programs
MIN_SIDE, MAX_SIDE = 16, 8192  # pixels
SIDE_MULTIPLE = 8  # pixels to a latent
MAX_SEED = 2**64 - 1  # what torch.Generator.manual_seed takes


_NARROW = {"float32": "f", "float16": "e"}  # what struct calls them


class Check(NamedTuple):
    """What a parameter may be.

    Attributes:
        kind: WHOLE, REAL, TEXT, CHOICE, PICTURE, or PARTS: a value that has values of its own.
        convert: Given the parameter's name and a value: the value as a recipe holds it.
        low: The least number.
        high: The greatest.
        choices: All there are to choose from by a short name.
    """

    kind: str
    convert: Callable[[str, object], Any]
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()


def whole(low: int, high: int) -> Check:
    """A whole number within limits."""

    def check(name: str, value: object) -> int:
        number = as_integer(value)
        if number is None or not low <= number <= high:
            raise RecipeError(
                f"{name} must be a whole number from {low} to {high}, got {shown(value)}"
            )
        return number

    return Check(WHOLE, check, low, high)


def as_integer(value: Any) -> int | None:
    """A whole number of any kind as an int; None for whatever is none."""
    number = as_number(value)
    if number is None or type(number) is int:
        return number
    return int(number) if number.is_integer() else None


def real(low: float, high: float = math.inf) -> Check:
    """A finite number within limits."""
    limits = f"≥ {digits(low)}" if high == math.inf else f"from {digits(low)} to {digits(high)}"

    def check(name: str, value: object) -> float:
        number = as_number(value)
        if number is None or not low <= number <= min(high, sys.float_info.max):
            # A field and a shell have -3 for what is -3.0 here.
            got = digits(value) if type(value) is float else shown(value)
            raise RecipeError(f"{name} must be a number {limits}, got {got}")
        return float(number) + 0.0  # -0.0 becomes 0.0

    return Check(REAL, check, low, high)


def is_bool(value: object) -> bool:
    """Whether it is True or False, Python's or an array library's."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool")


def as_number(value: Any) -> float | None:
    """A finite number of any kind as an int or a float; None for whatever is none.

    One of 32 or 16 bits is the short decimal that it stands for: 0.1, not 0.10000000149011612.
    """
    if type(value) in (int, float):  # as in the cells of a large sweep
        return value if abs(value) < math.inf else None
    if isinstance(value, (str, bytes, bytearray)) or is_bool(value):
        return None
    if getattr(value, "ndim", 0) > 0:
        return None
    try:
        number = _converted(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) < math.inf else None


def _converted(value: Any) -> float:
    with contextlib.suppress(TypeError):
        return operator.index(value)
    number = float(value)
    if isinstance(value, float) or hasattr(value, "dtype") or not math.isfinite(number):
        return narrowed(number, getattr(value, "dtype", ""))
    whole = int(value)  # of a Decimal or a Fraction, which may be longer than a float is exact
    return whole if whole == value else number


def narrowed(number: float, dtype: object) -> float:
    """A number that was held in a dtype, as the shortest decimal that is the same in it."""
    format = _NARROW.get(str(dtype).lower().rpartition(".")[2])
    if format and not number.is_integer():
        for digits in range(1, 10):
            short = float(f"{number:.{digits}g}")
            if struct.unpack(format, struct.pack(format, short))[0] == number:
                return short
    return number


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise RecipeError(f"{name} must be text, got {shown(value)}")
    if len(value) > MAX_PROMPT:
        raise RecipeError(f"{name} has {len(value)} characters; at most {MAX_PROMPT} are kept")
    # A pair of surrogates becomes the character it stands for, as it would in JSON; a lone one stays.
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _side(name: str, value: object) -> int:
    pixels: int = _PIXELS.convert(name, value)
    if pixels % SIDE_MULTIPLE:
        below = pixels - pixels % SIDE_MULTIPLE
        raise RecipeError(
            f"{name} must be a multiple of {SIDE_MULTIPLE}, got {pixels}; "
            f"try {below} or {below + SIDE_MULTIPLE}"
        )
    return pixels


def _seed(name: str, value: object) -> int | None:
    return None if as_integer(value) == -1 else _FIXED_SEED.convert(name, value)


def _picture(name: str, value: object) -> Picture:
    if isinstance(value, Pictures) and len(value) == 1:
        (value,) = value
    if isinstance(value, Pictures):
        raise RecipeError(f"{name} is one picture, got {len(value)}")
    try:
        return value if isinstance(value, Picture) else Picture(value)
    except RecipeError as error:
        raise RecipeError(f"{name}: {error}") from None


def _pictures(name: str, value: object) -> Picture | Pictures:
    several = isinstance(value, Pictures) and len(value) > 1
    return value if several else _picture(name, value)  # type: ignore[return-value]


def one_of(*words: str) -> Check:
    """One of a few words."""

    def check(name: str, value: object) -> str:
        if value not in words:
            raise RecipeError(f"{name} is {' or '.join(map(repr, words))}, got {shown(value)}")
        return str(value)

    return Check(CHOICE, check, choices=words)


def _scheduler(_: str, value: object) -> str:
    return schedulers.canonical(value)


_PIXELS = whole(MIN_SIDE, MAX_SIDE)
_FIXED_SEED = whole(0, MAX_SEED)
text = Check(TEXT, _text)
side = _PIXELS._replace(convert=_side)
seed = _FIXED_SEED._replace(convert=_seed)
scheduler = Check(CHOICE, _scheduler, choices=tuple(schedulers.SHORT_NAMES))
picture = Check(PICTURE, _picture)
pictures = Check(PICTURE, _pictures)
