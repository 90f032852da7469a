"""The account of a job: what came of each image so far, and how far those in the making are."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbtool.errors import GenerationError, stopped_by
from nbtool.job.ending import Ending
from nbtool.results.labelled import Cell
from nbtool.results.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.recipes.axes import Index


class Account:
    """What came of each image so far, and how far those in the making are. For any thread.

    Images go by their keys: one that stands in several cells is made once, and one that others are
    made from may stand in none. From the end on, nothing more is noted.

    Args:
        cells: The cells that each image stands in.
        counts: Where the job stands at its beginning.

    Attributes:
        cells: The same.
        later: Of images that stand in no cell, those that are made from them.
        ending: The end.
        changed: Notified of whatever is noted.
        cancelled: Whether nothing more is wanted.
    """

    def __init__(self, cells: Mapping[str, list[Index]], counts: Progress) -> None:
        self.ending = Ending()
        self.changed = threading.Condition(threading.RLock())
        self.cancelled = False
        self.cells = cells
        self.later: dict[str, set[str]] = {}
        self._counts = counts  # without what changes at each step
        self._step = (0, 0)
        self._started = self._heard = 0.0  # of the first and of the last event
        self._results: dict[str, Cell] = {}
        self._settled: list[tuple[str, Cell]] = []  # the same in the order in which they came
        self._begun: dict[str, float] = {}  # how far the images in the making are, 0 to 1
        self._previews: dict[str, Callable[[], Image] | None] = {}  # of the same images
        self._unwanted: set[str] = set()
        self._notes: dict[str, None] = {}

    # What it says.

    @property
    def progress(self) -> Progress:
        with self.changed:
            step, steps = self._step
            unwanted = self.cells.keys() | self.later.keys() if self.cancelled else self._unwanted
            return replace(
                self._counts,
                cancelled=len(unwanted - self._results.keys()),
                begun=math.fsum(self._begun.values()),
                step=step,
                steps=steps,
                seconds=self._heard - self._started,
            )

    @property
    def notes(self) -> list[str]:
        with self.changed:
            return list(self._notes)

    @property
    def results(self) -> dict[Index, Cell]:
        """What stands in the cells so far."""
        with self.changed:
            results = dict(self._results)
        return {index: results[key] for key in results for index in self._places(key)}

    @property
    def previews(self) -> dict[Index, Callable[[], Image] | None]:
        """The cells in the making: what makes a small picture of each as it stands, if there is."""
        with self.changed:
            previews = dict(self._previews)
        return {index: previews[key] for key in previews for index in self._places(key)}

    @property
    def is_making(self) -> bool:
        """Whether any image is in the making."""
        return bool(self._previews)

    def makes(self, key: str) -> bool:
        """Whether this image is in the making."""
        return key in self._previews

    def wants(self, key: str) -> bool:
        """Whether this image has not been cancelled."""
        return not (self.cancelled or self._is_renounced(key))

    def _is_renounced(self, key: str) -> bool:
        """Whether it is not wanted any more, or nothing that is made from it is."""
        if key in self.later:
            return all(map(self._is_renounced, self.later[key]))
        return key in self._unwanted

    def awaits(self, key: str) -> bool:
        """Whether this image is wanted and has not come."""
        return self.wants(key) and key not in self._results

    def changes(self, seen: int) -> tuple[list[tuple[Index, Cell]], int]:
        """The cells that came since the first `seen` images or failures, and how many there are."""
        with self.changed:
            fresh = self._settled[seen:]
        cells = [(index, cell) for key, cell in fresh for index in self._places(key)]
        return cells, seen + len(fresh)

    def follow(self) -> Iterator[Cell]:
        """What comes of the images, each when it comes, until the end."""
        seen = 0
        while True:
            with self.changed:
                while len(self._settled) == seen and not self.ending.came:
                    self.changed.wait()
                fresh = self._settled[seen:]
            if not fresh:
                return
            seen += len(fresh)
            yield from (cell for key, cell in fresh if key in self.cells)

    def outcome(self, key: str) -> Cell | None:
        """What came of an image, if anything did."""
        return self._results.get(key)

    def _places(self, key: str) -> Sequence[Index]:
        return self.cells.get(key, ())

    # What it is told.

    def expect(self, later: Mapping[str, set[str]]) -> None:
        """Images that stand in no cell are made first; told with those that are made from them."""
        with self.changed:
            self.later.update(later)
            self.update(total=self._counts.total + len(later))

    def note(self, text: str) -> None:
        """Keeps what there is to say, once."""
        with self.changed:
            self._notes.setdefault(text)

    def begin(self, key: str) -> bool:
        """An image is begun; False where the end came in the same moment."""
        with self.changed:
            if self.ending.came:
                return False
            self._heard = time.monotonic()
            self._started = self._started or self._heard
            self._previews[key] = None
            self.update(activity="generating")
            return True

    def advance(
        self, key: str, step: int, steps: int, preview: Callable[[], Image] | None = None
    ) -> None:
        """A step of an image is done. Called for every one of them: no more than notes it."""
        with self.changed:
            if not self.makes(key):  # let go of
                return
            self._begun[key] = step / steps
            if preview:
                self._previews[key] = preview
            self._step = step, steps
            self._heard = time.monotonic()

    def settle(self, key: str, cell: Cell, **counts: int) -> None:
        """This came of an image; the counts go up by so much."""
        with self.changed:
            if self.ending.came:  # cancelled in the same moment
                return
            self._results[key] = cell
            self._settled.append((key, cell))
            self.let_go(key)
            self.update(**{name: getattr(self._counts, name) + n for name, n in counts.items()})

    def fill(self, cells: Mapping[Index, Cell]) -> None:
        """This came of cells later, in the place of what came first; also after the end."""
        keys = {index: key for key, places in self.cells.items() for index in places}
        with self.changed:
            for index, cell in cells.items():
                before = self._results.get(keys[index])
                self._results[keys[index]] = cell
                self._settled.append((keys[index], cell))
                if isinstance(before, GenerationError) and not isinstance(cell, GenerationError):
                    counts = self._counts
                    self._counts = replace(counts, failed=counts.failed - 1, made=counts.made + 1)
            self.changed.notify_all()

    def let_go(self, key: str) -> None:
        """An image is not in the making here any more, whatever is still heard of it."""
        with self.changed:
            self._begun.pop(key, None)
            self._previews.pop(key, None)
            self.changed.notify_all()

    def update(self, **changes: Any) -> None:
        """Events come from several threads: each sees the counts that the last one left."""
        with self.changed:
            if self._started:
                self._heard = time.monotonic()
            self._counts = replace(self._counts, **changes)
            self.changed.notify_all()

    def cancel(self) -> None:
        """Nothing more is wanted. Where nothing is in the making, that is the end."""
        self.cancelled = True
        with self.changed:
            if not self.is_making:
                self.end()

    def renounce(self, keys: Collection[str]) -> None:
        """These images are not wanted any more."""
        with self.changed:
            self._unwanted.update(keys)
            for key in keys:
                self.let_go(key)

    def end(self, error: BaseException | None = None) -> None:
        """It is over, for all who wait; whatever goes wrong with saying why."""
        with self.changed:
            if self.ending.came:
                return
            try:
                self.ending.error = None if error is None else stopped_by(error)
            finally:
                self._begun.clear()
                self._previews.clear()
                self.ending.come()
                self.changed.notify_all()

    def forsake(self) -> None:
        """In a fork: no lock is held and nobody waits, whatever threads that are gone were doing."""
        self.changed = threading.Condition(threading.RLock())
        self.ending = Ending()
