"""What a parameter may be: checks that give a value as a recipe holds it, or refuse it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from nbtool import schedulers
from nbtool.errors import RecipeError
from nbtool.text import shown

WHOLE, REAL, TEXT, CHOICE = "whole", "real", "text", "choice"
MAX_PROMPT = 20_000  # characters; what is embedded in a PNG must be readable by other programs
MIN_SIDE, MAX_SIDE = 16, 8192  # pixels
SIDE_MULTIPLE = 8  # pixels to a latent
MAX_SEED = 2**64 - 1  # what torch.Generator.manual_seed takes


class Check(NamedTuple):
    """What a parameter may be.

    Attributes:
        kind: WHOLE, REAL, TEXT or CHOICE.
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
        number = _integer(value)
        if number is None or not low <= number <= high:
            raise RecipeError(
                f"{name} must be a whole number from {low} to {high}, got {shown(value)}"
            )
        return number

    return Check(WHOLE, check, low, high)


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        return None


def real(low: float, high: float = math.inf) -> Check:
    """A finite number within limits."""
    limits = f"≥ {low:g}" if high == math.inf else f"from {low:g} to {high:g}"

    def check(name: str, value: object) -> float:
        number = _number(value)
        if not (math.isfinite(number) and low <= number <= high):
            raise RecipeError(f"{name} must be a number {limits}, got {shown(value)}")
        return number + 0.0  # -0.0 becomes 0.0

    return Check(REAL, check, low, high)


def _number(value: Any) -> float:
    if isinstance(value, (bool, str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


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
    return None if value == -1 else _FIXED_SEED.convert(name, value)


def _scheduler(_: str, value: object) -> str:
    return schedulers.canonical(value)


_PIXELS = whole(MIN_SIDE, MAX_SIDE)
_FIXED_SEED = whole(0, MAX_SEED)
text = Check(TEXT, _text)
side = _PIXELS._replace(convert=_side)
seed = _FIXED_SEED._replace(convert=_seed)
scheduler = Check(CHOICE, _scheduler, choices=tuple(schedulers.SHORT_NAMES))
