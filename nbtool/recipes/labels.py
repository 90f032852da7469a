"""The labels of an axis: what people read, and which one is meant by what they ask for."""

from __future__ import annotations

import bisect
import contextlib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from nbtool.errors import RecipeError
from nbtool.recipes.checks import as_number, is_bool
from nbtool.text import digits, printable

NEAR = 2**-22  # how far numbers are apart, in proportion, that are one when rounded to 32 bits

# Python takes these for printable: fillers and blanks, and what chooses a variant of a letter.
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_LATIN = str.maketrans(  # letters of other scripts, and hyphens, that are drawn as these
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοϲ‐−",
    "ABESIJKMHOPCTYXaesijopcyxdhqwABEZHIKMNOPTYXoc--",
)

_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def shown(labels: Sequence[Any]) -> tuple[str, ...]:
    """The labels of one axis as people read them: one line each, and no two look alike.

    Numbers have as many digits as it takes; texts that differ in their spaces, in what nobody sees
    or in the form of a letter are spelled out.
    """
    texts = _texts(labels)
    looks = Counter(map(_look, texts))
    if len(looks) == len(texts):
        return tuple(texts)
    pairs = list(zip(labels, texts, strict=True))
    some = [_spelled(label) if looks[_look(text)] > 1 else text for label, text in pairs]
    return tuple(some if len(set(map(_look, some))) == len(some) else map(_spelled, labels))


def parts(labels: Sequence[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    """The parts of labels that are tuples, as people read them."""
    return list(zip(*map(_texts, zip(*labels, strict=True)), strict=True))


def named(name: str, names: Iterable[str]) -> str | None:
    """The one of these names that is meant, in whichever Unicode form; None if there is none."""
    forms = {canonical(one): one for one in names}
    return name if name in forms.values() else forms.get(canonical(name))


def canonical(name: str) -> str:
    """A name in the form in which Python has its own."""
    return unicodedata.normalize("NFKC", name)


class Lookup:
    """Finds labels by what they are, what they were given as, what is shown, and as numbers.

    Args:
        labels: The labels, each once.
        read: What a label that was given in another form would be held as; it may raise a
            RecipeError.
    """

    def __init__(self, labels: Sequence[Any], read: Callable[[Any], Any]) -> None:
        self._labels = labels
        self._read = read
        self._positions = {label: i for i, label in enumerate(labels)}

    def position(self, given: object) -> int | None:
        """Where the label stands that is meant; None if there is none, or more than one."""
        if is_bool(given):  # equal to 1, and never meant so
            return None
        found = self._exact(given)
        if found is None:
            with contextlib.suppress(RecipeError):
                found = self._exact(self._read(given))
        if found is not None:
            return found
        return self._written(given) if isinstance(given, str) else self._counted(given)

    def label(self, given: object) -> Any:
        """The label that is meant; None if there is none, or more than one."""
        found = self.position(given)
        return None if found is None else self._labels[found]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The labels as people read them."""
        return shown(self._labels)

    def _exact(self, given: object) -> int | None:
        try:
            return self._positions.get(given)
        except TypeError:  # what cannot be hashed is no label
            return None

    def _written(self, given: str) -> int | None:
        """By a text: as it is shown, in another Unicode form, or a number in other words."""
        found = self._by_text.get(_composed(given), [])
        if not found and (number := _said(given)) is not None:
            found = self._by_number.get(number, [])
            found = [i for i in found if not isinstance(self._labels[i], str)]
        return found[0] if len(found) == 1 else None

    def _counted(self, given: object) -> int | None:
        """By a number: one that is shown, or the only one that is the same but for rounding."""
        if (number := as_number(given)) is None:
            return None
        found = self._by_number.get(number) or self._near(number)
        return found[0] if len(found) == 1 else None

    def _near(self, number: float) -> list[int]:
        reach = abs(number) * NEAR
        first = bisect.bisect_left(self._reals, (number - reach, -1))
        last = bisect.bisect_right(self._reals, (number + reach, len(self._labels)))
        return [i for _, i in self._reals[first:last]]

    @cached_property
    def _by_text(self) -> dict[str, list[int]]:
        """What is shown comes before what only reads the same in another Unicode form."""
        forms: dict[str, list[int]] = {}
        for i, label in enumerate(self._labels):
            if isinstance(label, str):
                forms.setdefault(_composed(label), []).append(i)
        return forms | {_composed(text): [i] for i, text in enumerate(self.texts)}

    @cached_property
    def _by_number(self) -> dict[float, list[int]]:
        """The numbers that labels are, or that are read where they are shown."""
        numbers: dict[float, list[int]] = {}
        for i, pair in enumerate(zip(self._labels, self.texts, strict=True)):
            for number in set(map(_said, pair)):
                if number is not None:
                    numbers.setdefault(number, []).append(i)
        return numbers

    @cached_property
    def _reals(self) -> list[tuple[float, int]]:
        """The numbers that are not counted, in order; whole ones are never near."""
        said = ((_said(label), i) for i, label in enumerate(self._labels))
        return sorted((number, i) for number, i in said if isinstance(number, float))


def _texts(labels: Sequence[Any]) -> list[str]:
    if labels and all(isinstance(label, tuple) for label in labels):
        return [" × ".join(texts) for texts in parts(labels)]
    numbers = _digits({label for label in labels if isinstance(label, float)})
    return [numbers[label] if isinstance(label, float) else _line(label) for label in labels]


def _digits(numbers: set[float]) -> dict[float, str]:
    """The numbers written with as many digits as tell all of them apart, and six at least."""
    for length in range(6, 17):
        texts = {number: f"{number:.{length}g}" for number in numbers}
        if len(set(texts.values())) == len(numbers):
            return texts
    return {number: digits(number) for number in numbers}


def _line(label: object) -> str:
    text = printable(str(label))
    return text if _look(text) else _spelled(label) if text else "(empty)"


def _spelled(label: object) -> str:
    """A label in ASCII, as a different one never is; spaces that are easily overlooked too."""
    return ascii(label).replace("  ", r" \x20")


def _look(text: str) -> str:
    """What is left of a text for the eye: spaces run together, letters that look alike are one."""
    seen = _UNSEEN.sub("", unicodedata.normalize("NFKC", text)).translate(_LATIN)
    return " ".join(seen.split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _said(label: object) -> float | None:
    """The number that a label is or says; one that is whole as an integer."""
    if not isinstance(label, str):
        return as_number(label)
    if not _NUMBER.fullmatch(label):
        return None
    return int(label) if label.lstrip("-").isdigit() and len(label) < 40 else _finite(label)


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None
