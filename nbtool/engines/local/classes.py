"""Which widths agree: whose rows are the same to the bit, however many there are in the forward.

Libraries choose their kernels by the number of rows, and cut the work into pieces for their
threads, so that the last bits of a row may depend on how many there are, and on its place among
them. A width at which every place gives the same is sound. Sound widths that give the same form a
class: an image whose forwards stay in one class is the same whatever else is made. All that is
found out by comparing, and kept for later processes; of what has not been compared nothing is
assumed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbtool import files
from nbtool.engines.local.kernels import HERE
from nbtool.engines.local.widths import LADDER

MAX_KEPT = 2000  # keys in the file; the oldest go first
_ONE = (1,)  # a single row has but one place


class Classes:
    """The classes of widths, by a key that says all on which they depend (`kernels.key`).

    Args:
        path: Gives the file in which they are kept.
    """

    def __init__(self, path: Callable[[], Path]) -> None:
        self._path = path
        self._kept: dict[str, _Entry] | None = None
        self._fresh: set[str] = set()  # keys that are not in the file as they are here

    def members(self, key: str, width: int) -> Sequence[int]:
        """The widths that agree with one, itself among them, the smallest first."""
        return next((found for found in self._of(key).classes if width in found), [width])

    def sound(self, key: str) -> Sequence[int]:
        """The widths that are known to be sound, the smallest first."""
        return sorted({*_ONE, *self._of(key).placed})

    def unsound(self, key: str) -> Collection[int]:
        """The widths that are known not to be."""
        return self._of(key).unsound

    def next(self, key: str, row: Mapping[int, bytes], wanted: int) -> int | None:
        """The width to compute a row at next, so that the class of one width is known.

        Args:
            key: Of what the row asks.
            row: Digests of its answers, by the widths at which they were computed.
            wanted: The width.

        Returns:
            None when all is known of it.
        """
        entry = self._of(key)
        if wanted in entry.placed or wanted in entry.unsound:
            return None
        if wanted not in row:
            return wanted
        untried = (min(widths) for widths in entry.classes if not any(w in row for w in widths))
        return next(untried, None)

    def put(self, key: str, row: Mapping[int, bytes]) -> None:
        """Puts the widths of a row's digests into classes, as far as they can be told."""
        entry = self._of(key)
        for width in [width for width in row if width not in entry.placed]:
            alike = (c for c in entry.classes if any(row.get(w) == row[width] for w in c))
            if (widths := next(alike, None)) is not None:
                widths.append(width)
                widths.sort()
            elif all(any(w in row for w in c) for c in entry.classes):
                entry.classes.append([width])
            else:
                continue
            self._fresh.add(key)

    def refuse(self, key: str, width: int) -> None:
        """Says that a width is not sound."""
        self._of(key).unsound.add(width)
        self._fresh.add(key)

    def best(self, key: str) -> int | None:
        """The width that was found to be fastest; None if that is not settled."""
        return self._of(key).best

    def settle(self, key: str, width: int) -> None:
        """Says which width is fastest."""
        self._of(key).best = width
        self._fresh.add(key)

    def save(self) -> None:
        """Keeps what is new for later processes; where that cannot be done it is lost."""
        if not self._fresh:
            return
        try:
            kept = files.kept(self._path())
        except OSError:
            return
        for key in sorted(self._fresh):
            if key.startswith(HERE):
                continue
            before = kept.pop(key, None)  # the newest are last
            kept[key] = (before if isinstance(before, dict) else {}) | self._of(key).to_dict()
        self._fresh.clear()
        newest = dict(list(kept.items())[-MAX_KEPT:])
        files.keep(self._path(), json.dumps(newest, separators=(",", ":")).encode())

    def _of(self, key: str) -> _Entry:
        if self._kept is None:
            self._kept = {}
            with contextlib.suppress(OSError):
                kept = files.kept(self._path())
                self._kept = {key: _Entry(given) for key, given in kept.items()}
        if key not in self._kept:
            self._kept[key] = _Entry({})
        return self._kept[key]


class _Entry:
    """What is known for one key; made of what the file says, as far as that makes sense."""

    def __init__(self, given: Any) -> None:
        given = given if isinstance(given, dict) else {}
        self.unsound = set(_widths(given.get("unsound")))
        best = _widths([given.get("best")])
        self.best = best[0] if best else None
        self.classes: list[list[int]] = []
        classes = given.get("classes")
        for widths in classes if isinstance(classes, list) else ():
            if new := sorted(set(_widths(widths)) - self.placed - self.unsound):
                self.classes.append(new)

    @property
    def placed(self) -> set[int]:
        return {width for widths in self.classes for width in widths}

    def to_dict(self) -> dict[str, Any]:
        best = {} if self.best is None else {"best": self.best}
        return {"classes": self.classes, "unsound": sorted(self.unsound), **best}


def _widths(given: Any) -> list[int]:
    return [w for w in given if type(w) is int and w in LADDER] if isinstance(given, list) else []
