"""Numbers written as text, in the range syntax of AUTOMATIC1111's X/Y/Z plot."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from decimal import Context, Decimal, localcontext
from typing import NamedTuple

from nbtool.errors import AxisError

MAX_VALUES = 100_000  # of one axis


def parse_range(text: str, *, whole: bool, most: int = MAX_VALUES + 1) -> tuple[int | float, ...]:
    """The numbers of a range string, in the syntax of AUTOMATIC1111's X/Y/Z plot.

    Comma-separated: `7`, `1-5`, `1-9 (+2)`, `10-1 (-3)`, `0-1 [6]` (six evenly spaced). The end
    belongs to the range where a step meets it.

    Args:
        text: The range.
        whole: Truncates to integers.
        most: How many numbers are taken: the first, where it holds more. Who allows as many as
            there are takes one more, which tells that there are too many.

    Raises:
        AxisError: It is no such text.
    """
    items = text.split(",")
    if len(items) > 1 and not items[-1].strip():
        items.pop()
    numbers = itertools.chain.from_iterable(_range_item(item, text, whole) for item in items)
    with localcontext(Context(prec=60)):  # whatever the user has set
        taken = list(itertools.islice(numbers, most))
    return tuple(int(n) if whole else float(n) for n in taken)


class Span(NamedTuple):
    """The parts of a range as they are written; what is not there is ""."""

    start: str
    end: str
    step: str
    number: str


def span(text: str) -> Span | None:
    """The parts of a text that is one range; None where it is something else."""
    match = _SPAN.fullmatch(text)
    if match is None:
        return None
    start, end, sign, step, number = match.groups(default="")
    return Span(start, end, sign.replace("+", "") + step, number)


_UNSIGNED = r"(?:\d+(?:\.\d*)?|\.\d+)"
_NUMBER = rf"-?{_UNSIGNED}"
_SINGLE = re.compile(rf"\s*({_NUMBER})\s*")
_SPAN = re.compile(
    rf"\s*({_NUMBER})\s*-\s*({_NUMBER})\s*"
    rf"(?:\(\s*([+-])\s*({_UNSIGNED})\s*\)|\[\s*(\d{{1,9}})(?:\.0*)?\s*\])?\s*"
)


def _range_item(item: str, text: str, whole: bool) -> Iterable[Decimal]:
    if match := _SINGLE.fullmatch(item):
        number = Decimal(match[1])
        if whole and number != number.to_integral_value():
            raise AxisError(f"{_shown(item, text)} is not a whole number")
        return [number]
    match = _SPAN.fullmatch(item)
    if match is None:
        raise AxisError(
            f"{_shown(item, text)} is no number or range; "
            f"write 7, 1-5, 1-9 (+2), 10-1 (-3) or 0-1 [6]"
        )
    start, end = Decimal(match[1]), Decimal(match[2])
    if match[5]:
        return _evenly_spaced(start, end, int(match[5]), text)
    step = Decimal(match[3] + match[4]) if match[3] else Decimal(1 if end >= start else -1)
    if step == 0 or (end - start) * step < 0:
        raise AxisError(f"the step {step} in {text!r} does not lead from {start} to {end}")
    return (start + i * step for i in range(int((end - start) / step) + 1))


def _shown(item: str, text: str) -> str:
    """An item, and the text that it is a part of."""
    item, text = item.strip(), text.strip()
    return repr(item) if item == text else f"{item!r} in {text!r}"


def _evenly_spaced(start: Decimal, end: Decimal, count: int, text: str) -> Iterable[Decimal]:
    if count < 1:
        raise AxisError(f"a count in {text!r} must be at least 1")
    if count == 1:
        return [start]
    return (start + (end - start) * i / (count - 1) for i in range(count))
