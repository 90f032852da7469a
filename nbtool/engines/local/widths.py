"""How many rows go into one forward: measured on the work itself, and remembered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

EXACT = 8  # rows; fixed, so that an image does not depend on what it is batched with
COMPILED = 16  # rows; fixed, since a compiled network is compiled anew for each width
SMALLEST, LARGEST = 4, 64  # rows; the ends of what is tried
LARGEST_ON_PROCESSORS = 32  # unless forwards are short: more rows would hold up who cancels
TRIES = 4  # forwards at each of two widths before they are judged, by the best: some are disturbed
CLEARLY = 1.15  # a gain for which half of the tries will do
GAIN = 1.01  # that a width twice as large must bring for each row
# What a row may lose by it where forwards are short: what comes between them counts too, and while
# two widths take turns the larger one is slower than it will be, its memory being found anew.
LOSS = 0.9
FULL = 0.75  # of the width must be rows for a forward to say something of it
RESERVE = 0.8  # of the free memory may be used

Question = tuple[Any, ...]  # the network asked, then what decides how much work a row is


@dataclass
class _Width:
    rows: int = SMALLEST
    settled: bool = False
    narrow: list[float] = field(default_factory=list)  # seconds a row at this width,
    wide: list[float] = field(default_factory=list)  # and at twice this width
    known: set[int] = field(default_factory=set)  # rows of forwards that are not the first of such

    @property
    def next(self) -> int:
        """The two widths take turns: what disturbs one for a while disturbs both."""
        wide = not self.settled and len(self.wide) < len(self.narrow)
        return 2 * self.rows if wide else self.rows

    @property
    def gain(self) -> float | None:
        """What a row gains at twice the width, as a ratio; None until that can be said."""
        if not self.wide:
            return None
        gain = min(self.narrow) / min(self.wide)
        enough = TRIES // 2 if gain > CLEARLY else TRIES
        return gain if len(self.wide) >= enough else None


class Widths:
    """The width for each question: a network, the size of its samples, the device, the dtype.

    It doubles while rows get cheaper and the memory suffices. What runs out of memory halves it
    for good.
    """

    def __init__(self) -> None:
        self._widths: dict[Question, _Width] = {}

    def rows(self, question: Question) -> int:
        """How many rows to put into the next forward."""
        return self._of(question).next

    def most(self, question: Question) -> int:
        """How many rows the next few forwards may have."""
        width = self._of(question)
        return width.rows if width.settled else 2 * width.rows

    def settled(self, question: Question) -> bool:
        """True when nothing more needs to be measured."""
        return self._of(question).settled

    def fix(self, question: Question, rows: int) -> None:
        """Sets a width that only a want of memory may change."""
        if question not in self._widths:
            self._widths[question] = _Width(rows=rows, settled=True)

    def measured(
        self,
        question: Question,
        rows: int,
        seconds: float,
        memory: tuple[int, int],
        *,
        largest: int = LARGEST,
        least: float = GAIN,
    ) -> None:
        """A forward of this many rows took so long, and so much of the memory that was free.

        Args:
            question: What was asked.
            rows: In the forward.
            seconds: That it took.
            memory: The bytes that it took, and those that had been free.
            largest: The end of what is tried.
            least: What twice the width must bring for each row.
        """
        width = self._of(question)
        if width.settled or rows < FULL * width.next:
            return
        if rows not in width.known:  # a processor's kernels are compiled for each number of rows
            width.known.add(rows)
            return
        if width.next > width.rows:
            width.wide.append(seconds / rows)
        else:
            width.narrow.append(seconds / rows)
            used, free = memory
            width.settled = 2 * used > RESERVE * free
        if width.gain is None:
            return
        if width.gain > least:
            twice = 2 * width.rows
            settled = 2 * twice > largest
            self._widths[question] = _Width(rows=twice, settled=settled, known=width.known)
        else:
            width.settled = True

    def too_wide(self, question: Question, rows: int) -> None:
        """A forward of this many rows ran out of memory."""
        self._widths[question] = _Width(rows=max(1, rows // 2), settled=True)

    def forget(self, networks: Collection[Any]) -> None:
        """Forgets the widths of questions to these networks."""
        kept = {key: width for key, width in self._widths.items() if key[0] not in networks}
        self._widths = kept

    def _of(self, question: Question) -> _Width:
        return self._widths.setdefault(question, _Width())
