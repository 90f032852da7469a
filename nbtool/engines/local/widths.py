"""How many rows go into one forward: measured on the work itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

LADDER: tuple[int, ...] = (1, 2, 4, 6, 8, 10, *range(12, 65, 4))  # rows that forwards may have
EXACT = 8  # rows; fixed, so that an image is the same however it is asked for
COMPILED = 16  # rows; fixed, since a compiled network is compiled anew for each width
ONE = 2  # rows that one image takes at the most; they are tried first
START = 16  # rows to go on with where one image's forward is quick
LARGEST = 64
LARGEST_ON_PROCESSORS = 32  # unless forwards are short: more rows would hold up who cancels
QUICK = 0.05  # seconds of one image's forward; more rows at once are sure to be worth it then
TRIES = 4  # forwards at each of two widths before they are judged, by the best: some are disturbed
CLEARLY = 1.15  # a gain for which half of the tries will do
GAIN = 1.01  # that the wider of two widths must bring for each row
# What a row may lose by it where forwards are short: what comes between them counts too, and while
# two widths take turns the larger one is slower than it will be, its memory being found anew.
LOSS = 0.9
WORTH = 1.1  # what batches must bring for each row altogether, or images are made one by one
RESERVE = 0.8  # of the free memory may be used

WidthKey = tuple[Any, ...]  # the network asked, then what decides how much work a row is


def step_up(rows: int, ladder: Collection[int] = LADDER) -> int:
    """The least width that holds so many rows; the largest where none does."""
    return min((width for width in ladder if width >= rows), default=max(ladder))


@dataclass
class Width:
    """What is known of the widths for one key.

    Attributes:
        rows: The width that is best as far as is known.
        settled: Whether nothing more needs to be measured.
        limit: Rows that fit into the memory.
        paces: Seconds a row, by width.
        warm: Widths whose first forward, which takes longer, is over.
        room: Rows that the memory that was free would hold.
    """

    rows: int = ONE
    settled: bool = False
    limit: int = LARGEST
    paces: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    warm: set[int] = field(default_factory=set)
    room: float = LARGEST

    def wider(self, refused: Collection[int] = ()) -> int | None:
        """The next width to try, about twice as wide, and none of those refused."""
        if self.settled:
            return None
        most = min(self.limit, self.room)
        return next((w for w in LADDER if 2 * self.rows <= w <= most and w not in refused), None)

    def gain(self, wider: int) -> float | None:
        """What a row gains at a wider width, as a ratio; None until that can be said."""
        if not self.paces[wider] or not self.paces[self.rows]:
            return None
        gain = min(self.paces[self.rows]) / min(self.paces[wider])
        enough = TRIES // 2 if gain > CLEARLY else TRIES
        return gain if len(self.paces[wider]) >= enough else None

    def settle(self, least: float) -> None:
        """Stays at this width; at the smallest where forwards are long and batches bring little."""
        self.settled = True
        alone = [pace for width in LADDER if width <= ONE for pace in self.paces[width]]
        if least >= 1 and alone and min(alone) < WORTH * min(self.paces[self.rows]):
            self.rows = min(ONE, self.rows)


class Widths:
    """The width for each key: a network, the size of its samples, the device, the dtype.

    It grows while rows get cheaper and the memory suffices. What runs out of memory narrows it
    for good.
    """

    def __init__(self) -> None:
        self._widths: dict[WidthKey, Width] = {}

    def of(self, key: WidthKey) -> Width:
        return self._widths.setdefault(key, Width())

    def __contains__(self, key: WidthKey) -> bool:
        return key in self._widths

    def begin(self, key: WidthKey, rows: int) -> None:
        """Sets the width to begin with."""
        self.of(key).rows = rows

    def fix(self, key: WidthKey, rows: int) -> None:
        """Sets a width that only a want of memory may change."""
        self._widths[key] = Width(rows=rows, settled=True)

    def measured(
        self,
        key: WidthKey,
        rows: int,
        seconds: float,
        memory: tuple[int, int],
        *,
        largest: int = LARGEST,
        least: float = GAIN,
        refused: Collection[int] = (),
    ) -> None:
        """A forward of this many rows took so long, and so much of the memory that was free.

        Args:
            key: Of what was asked.
            rows: In the forward.
            seconds: That it took.
            memory: The bytes that it took, and those that had been free.
            largest: The end of what is tried.
            least: What a wider width must bring for each row.
            refused: Widths that cannot be used.
        """
        width = self.of(key)
        if width.settled:
            return
        width.limit = min(width.limit, largest)
        if width.rows in refused:
            width.rows = max(w for w in LADDER if w < width.rows and w not in refused)
        if rows not in width.warm:  # a processor's kernels are compiled for each number of rows
            width.warm.add(rows)
            return
        width.paces[rows].append(seconds / rows)
        if rows <= ONE == width.rows and least < 1 and seconds < QUICK:
            width.rows = step_up(
                START, [w for w in LADDER if w <= width.limit and w not in refused]
            )
        if rows == width.rows:
            used, free = memory
            width.room = RESERVE * free * rows / used if used else LARGEST
        if not width.paces[width.rows]:
            return
        wider = width.wider(refused)
        gain = width.gain(wider) if wider else None
        if gain is not None and wider and gain > least:
            width.rows = wider
        elif gain is not None or wider is None:
            width.settle(least)

    def too_wide(self, key: WidthKey, rows: int) -> None:
        """A forward of this many rows ran out of memory."""
        width = self.of(key)
        width.limit = max((w for w in LADDER if w < rows), default=1)
        width.rows = min(width.rows, width.limit)
        width.settled = True

    def forget(self, networks: Collection[Any]) -> None:
        """Forgets the widths of questions to these networks."""
        kept = {key: width for key, width in self._widths.items() if key[0] not in networks}
        self._widths = kept
