"""Cells that failed, made again in the background."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from nbtool.errors import Cancelled, GenerationError, NbtoolError

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.live.source import Source
    from nbtool.results.labelled import Cell


class Again:
    """The jobs that make cells again, by the cell's number. All but `ask` is for one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: list[int] = []
        self._jobs: dict[int, tuple[GenerationError, Source | None, str]] = {}

    def ask(self, numbers: Sequence[int]) -> None:
        with self._lock:
            self._asked += numbers

    def begin(self, cells: Mapping[int, Cell]) -> None:
        """Begins with what was asked for, of what failed and has a generator."""
        with self._lock:
            asked, self._asked = self._asked, []
        for number in asked:
            cell = cells.get(number)
            if number in self._jobs or not isinstance(cell, GenerationError) or not cell.again:
                continue
            try:
                self._jobs[number] = cell, cell.again(), ""
            except NbtoolError as error:
                self._jobs[number] = cell, None, str(error)

    def __bool__(self) -> bool:
        """Whether anything is being made again."""
        return bool(self._jobs)

    @property
    def previews(self) -> dict[int, Callable[[], Image] | None]:
        """What is in the making, and what makes a small picture of it, if there is."""
        jobs = ((number, job) for number, (_, job, _) in self._jobs.items() if job)
        return {number: job.previews.get(()) for number, job in jobs if not job.done}

    def settled(self) -> dict[int, Cell]:
        """What came of those that are over; they are forgotten then."""
        over = [n for n, (_, job, _) in self._jobs.items() if job is None or job.done]
        return {number: _outcome(*self._jobs.pop(number)) for number in over}


def _outcome(failed: GenerationError, job: Source | None, reason: str) -> Cell:
    try:
        if job:
            return job.wait().isel()  # type: ignore[no-any-return]
    except Cancelled:
        return failed
    except NbtoolError as error:
        reason = str(error)
    failure = GenerationError(reason)
    failure.recipe, failure.again = failed.recipe, failed.again
    return failure
