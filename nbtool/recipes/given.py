"""What a Python user hands over as one value or several. Pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, KeysView, Mapping
from collections.abc import Set as AbstractSet
from numbers import Number
from typing import Any, NamedTuple

from nbtool.errors import AxisError
from nbtool.recipes.checks import PARTS, PICTURE, REAL, WHOLE, as_number, narrowed
from nbtool.recipes.loras import Loras
from nbtool.recipes.parameters import ROWS
from nbtool.recipes.picture import Pictures
from nbtool.recipes.ranges import MAX_VALUES, parse_range
from nbtool.text import shown

LORAS = "loras"
_PIXELS = "uifb"  # kinds of dtypes that are no texts and no objects


class Several(NamedTuple):
    """Several values, and their labels where those were given too, as the keys of a dict."""

    values: list[Any]
    labels: list[Any] | None = None

    def labelled(self, values: Iterable[Any]) -> tuple[Any, ...]:
        """The labels of values that were made of these: those given, or else the values."""
        return tuple(values if self.labels is None else self.labels)


def is_several(value: object) -> bool:
    """Whether it is a collection of values of any kind, and no text."""
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return False
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) > 0


def listed(name: str, values: Any) -> list[Any]:
    """The values of any collection that has an order, such as a list, an array or a generator.

    Raises:
        AxisError: They have no order, more than one dimension, or are too many.
    """
    if isinstance(values, (AbstractSet, Mapping)) and not isinstance(values, KeysView):
        raise AxisError(f"{name} needs an order, and {shown(values)} has none; give a list")
    if getattr(values, "ndim", 1) > 1:
        shape = " × ".join(map(str, values.shape))
        raise AxisError(f"{name} needs one row of values, got {shape} of them; give a flat list")
    dtype = getattr(values, "dtype", "")
    dtype = getattr(getattr(dtype, "categories", None), "dtype", dtype)  # of a pandas Categorical
    values = values.tolist() if hasattr(values, "tolist") else values
    taken = list(itertools.islice(values, MAX_VALUES + 1))
    if len(taken) > MAX_VALUES:
        raise AxisError(
            f"{name} has more than {MAX_VALUES:,} values; "
            f"take fewer, or run the grid in parts into one store"
        )
    return [narrowed(one, dtype) if isinstance(one, float) else one for one in taken]


def taken(name: str, value: Any, kind: str = "") -> Any:
    """One value as it is, several as a Several; a range in words is several too.

    Args:
        name: Of the parameter or word.
        value: What is handed over.
        kind: What the values are; "": what a recipe's parameter of this name has.

    Raises:
        AxisError: They have no order, more than one dimension, or are too many.
    """
    if isinstance(value, Several):
        return value
    kind = kind or (ROWS[name].kind if name in ROWS else "")
    if isinstance(value, str) and kind in (WHOLE, REAL):
        return Several(listed(name, numbers(name, value, kind)))
    if kind in (PICTURE, PARTS) and _is_one(value):
        return value
    if name == LORAS and _is_stack(value):
        return value
    if isinstance(value, Mapping):
        return Several(listed(name, value.values()), [_label(name, key) for key in value])
    return Several(listed(name, value)) if is_several(value) else value


def numbers(name: str, text: str, kind: str, most: int = MAX_VALUES + 1) -> tuple[int | float, ...]:
    """The first `most` numbers that a text gives a parameter of this kind.

    Raises:
        AxisError: It is no number and no range.
    """
    try:
        return parse_range(text, whole=kind == WHOLE, most=most)
    except AxisError as error:
        raise AxisError(f"{name}: {error}") from None


def _is_one(value: Any) -> bool:
    """Whether it is one picture or one value with parts, of whatever kind: arrays have rows too."""
    if isinstance(value, (Pictures, bytes, bytearray, memoryview)):
        return True
    return (
        hasattr(value, "detach") or getattr(getattr(value, "dtype", None), "kind", "O") in _PIXELS
    )


def _is_stack(value: Any) -> bool:
    """Whether it is LoRAs that act together, not several such with labels of their own."""
    if isinstance(value, Mapping):
        return not any(one is None or isinstance(one, (Mapping, Loras)) for one in value.values())
    return isinstance(value, Loras)


def word(name: str, value: Any) -> str:
    """A text for a prompt; a number is taken as it is written.

    Raises:
        AxisError: It is neither.
    """
    if isinstance(value, str):
        return str.__str__(value)  # of an Enum too: its value, not its name
    if as_number(value) is None or not isinstance(value, Number):
        raise AxisError(f"{name} needs texts, got {shown(value)}")
    if isinstance(value, int):
        return int.__repr__(value)
    return float.__repr__(value) if isinstance(value, float) else str(value)


def _label(name: str, key: object) -> str | float:
    if isinstance(key, str):
        return str.__str__(key)
    if (number := as_number(key)) is None:
        raise AxisError(f"{name} needs texts for its labels, got {shown(key)}")
    return number
