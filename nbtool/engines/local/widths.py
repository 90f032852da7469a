"""How many rows go into one forward: measured on the work itself, and remembered."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

EXACT = 8  # rows; fixed, so that an image does not depend on what it is batched with
COMPILED = 16  # rows; fixed, since a compiled network is compiled anew for each width
SMALLEST, LARGEST = 2, 64  # rows; the ends of what is tried
TRIES = 2  # forwards at a width before it is judged: the first may be slow for being new
NEAR = 1.02  # as good as the best, for a width that takes less memory
FULL = 0.75  # of the width must be rows for a forward to say something of it
RESERVE = 0.8  # of the free memory may be used


@dataclass
class _Width:
    rows: int = SMALLEST
    settled: bool = False
    tries: int = 0
    seconds_per_row: dict[int, float] = field(default_factory=dict)  # the best at each width


class Widths:
    """The width for each question: a network, the size of its samples, the device, the dtype.

    It doubles while rows get cheaper and the memory suffices. What runs out of memory halves it
    for good.
    """

    def __init__(self) -> None:
        self._widths: dict[Hashable, _Width] = {}

    def rows(self, question: Hashable) -> int:
        """How many rows to put into the next forward."""
        return self._of(question).rows

    def settled(self, question: Hashable) -> bool:
        """True when nothing more needs to be measured."""
        return self._of(question).settled

    def fix(self, question: Hashable, rows: int) -> None:
        """Sets a width that only a want of memory may change."""
        if question not in self._widths:
            self._widths[question] = _Width(rows=rows, settled=True)

    def measured(
        self, question: Hashable, rows: int, seconds: float, memory: tuple[int, int]
    ) -> None:
        """A forward of this many rows took so long, and so much of the memory that was free."""
        width = self._of(question)
        if width.settled or rows < FULL * width.rows:
            return
        times = width.seconds_per_row
        times[width.rows] = min(seconds / rows, times.get(width.rows, seconds / rows))
        width.tries += 1
        if width.tries < TRIES:
            return
        used, free = memory
        best = min(times.values())
        # Two doublings that brought nothing: one alone may have been disturbed.
        in_vain = best * NEAR >= times.get(width.rows // 4, float("inf"))
        if in_vain or 2 * width.rows > LARGEST or 2 * used > RESERVE * free:
            width.rows = min(rows for rows, each in times.items() if each <= NEAR * best)
            width.settled = True
        else:
            width.rows, width.tries = 2 * width.rows, 0

    def too_wide(self, question: Hashable, rows: int) -> None:
        """A forward of this many rows ran out of memory."""
        self._widths[question] = _Width(rows=max(1, rows // 2), settled=True)

    def clear(self) -> None:
        self._widths.clear()

    def _of(self, question: Hashable) -> _Width:
        return self._widths.setdefault(question, _Width())
