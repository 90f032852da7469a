"""What feeds a grid viewer: looks at the job and makes the thumbnails that are asked for."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from nbtool.background import Loop
from nbtool.display import faces
from nbtool.display.details import request, whole
from nbtool.display.progress import outcome, status
from nbtool.errors import GenerationError, log
from nbtool.live.again import Again
from nbtool.live.thumbnails import Encoded, Thumbnails, jpeg
from nbtool.results.image import GeneratedImage, settings
from nbtool.results.names import Pattern
from nbtool.text import count, ellipsized

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.live.source import Face, Source
    from nbtool.recipes.axes import Index, Sweep
    from nbtool.recipes.recipe import Recipe
    from nbtool.results.labelled import Cell, Labelled

LOOK = 0.15  # seconds between two looks at the job
CHUNK = 12  # thumbnails in one message
MAX_WANTED = 1024  # cells that are still to be sent; older wishes are forgotten
MAX_PUSHED = 256
MAX_PREVIEWS = 16  # in one look
SIDES = ("width", "height")
EDGES = (192, 448, 896)  # pixels on the longer side of a thumbnail
MADE, FAILED, RUNNING, MISSING = b"dfr."


class Feed:
    """The cells of a viewer by number, the last axis fastest, and a thread that sends them.

    The thread is there only while there is something to do.
    """

    def __init__(self, grid: Labelled, *, job: Source | None = None, push: bool = False) -> None:
        self._grid = grid
        self._job = job
        self._strides = [math.prod(grid.shape[i + 1 :]) for i in range(len(grid.shape))]
        self._states = bytearray([MISSING]) * math.prod(grid.shape)
        self.cells: dict[int, Cell] = {}
        self._settle((index, cell) for index in grid.indices() if (cell := grid.cell(index)))
        self._running = self._following = job is not None
        self._seen = 0  # results of the job, of which the view was told
        self._looked = -math.inf  # when
        self._view: Face | None = None
        self._lock = threading.Lock()
        self._wanted: dict[int, int] = {}  # edge by cell, the most urgent first
        self._asked: list[int] = []  # whole images
        self._again = Again()
        self._loop = Loop("nbtool view", self._turn, retry=LOOK)
        self._thumbnails = Thumbnails()
        self._previews: dict[int, Callable[[], Image]] = {}  # that were sent last
        self._push = push
        self._pushable = MAX_PUSHED
        recipes = [image.recipe for image in grid] or (_sizes(job.sweep) if job else [grid.base])
        self.size = (max(r.width or 512 for r in recipes), max(r.height or 512 for r in recipes))
        self._common = [ellipsized(words, 200) for words in settings(faces.shared(grid))]

    @property
    def grid(self) -> Labelled:
        """The grid as far as it is made."""
        return self._job.grid if self._job else self._grid

    @property
    def states(self) -> str:
        """A letter for each cell: made, failed, running or not made."""
        return self._states.decode()

    @property
    def failures(self) -> dict[str, str]:
        """Why cells failed, by their number."""
        return {
            str(number): sendable(faces.reason(cell))
            for number, cell in self.cells.items()
            if self._states[number] == FAILED
        }

    @property
    def summary(self) -> str:
        """How many images there are, and what they have in common."""
        if not self._running:
            return str(sendable(" · ".join(faces.summary(self.grid))))
        made, failed = self._states.count(MADE), self._states.count(FAILED)
        counts = [f"{made:,} of {count(len(self._states), 'image')}"]
        counts += [f"{failed:,} failed"] if failed else []
        return str(sendable(" · ".join(counts + self._common)))

    def attach(self, view: Face) -> None:
        """Begins to tell a view what comes."""
        self._view = view
        if self._job:
            self._loop.wake()

    def detach(self) -> None:
        self._view = None
        if self._loop.running:
            self._loop.wake()

    def want(self, numbers: Sequence[int], edge: int) -> None:
        """Asks for thumbnails, of cells that are still to be made too."""
        with self._lock:
            older = {n: e for n, e in self._wanted.items() if n not in numbers}
            wanted = dict.fromkeys(numbers, edge) | older
            self._wanted = dict(itertools.islice(wanted.items(), MAX_WANTED))
        self._loop.wake()

    def ask(self, numbers: Sequence[int]) -> None:
        """Asks for whole images with their details."""
        with self._lock:
            self._asked += numbers
        self._loop.wake()

    def retry(self, numbers: Sequence[int]) -> None:
        """Makes cells that failed again, where their generator is known."""
        self._again.ask(numbers)
        self._loop.wake()

    def cancel(self) -> None:
        if self._job:
            self._job.cancel()

    def join(self, timeout: float | None = None) -> bool:
        """Waits until nothing is left to do, or `timeout` seconds; whether it came to that."""
        return self._loop.join(timeout)

    def _turn(self) -> float | None:
        view = self._view
        if view is None:
            return None
        self._again.begin(self.cells)
        if self._following or self._again:
            self._look(view)
        if self._serve(view):
            return 0
        return LOOK if self._following or self._again else None

    def _look(self, view: Face) -> None:
        """Tells the view what was made since the last look."""
        if time.monotonic() - self._looked < LOOK:
            return
        self._looked = time.monotonic()
        job = self._job
        done = job is None or job.done  # asked first: what comes after is still looked at
        fresh, seen = job.changes(self._seen) if job else ([], 0)
        remade = {self._index(number): cell for number, cell in self._again.settled().items()}
        if remade:
            (self._job or self._grid).fill(remade)
        numbers = self._settle([*fresh, *remade.items()])
        previews = (
            {self._number(index): make for index, make in job.previews.items()} if job else {}
        )
        previews |= self._again.previews
        states = bytearray(self._states)
        for number in previews:
            if states[number] != MADE:
                states[number] = RUNNING
        self._running = not done
        stars = [number for number in numbers if self._is_starred(number)]
        with view.hold_sync():
            view.states = states.decode()
            if remade or any(self._states[number] == FAILED for number in numbers):
                view.failures = self.failures
            if stars:
                view.show_starred(stars)
            view.summary = self.summary
            if job:
                view.progress = _progress(job, done=done)
        self._seen, self._following = seen, not done  # only now: what fails is told again
        if self._push:
            pushed = dict.fromkeys(numbers[: self._pushable], EDGES[0])
            self._pushable -= len(pushed)
            with self._lock:
                self._wanted = pushed | self._wanted
        self._send_previews(view, previews)

    def _settle(self, fresh: Iterable[tuple[Index, Cell]]) -> list[int]:
        numbers = []
        for index, cell in fresh:
            number = self._number(index)
            self.cells[number] = cell
            self._states[number] = MADE if isinstance(cell, GeneratedImage) else FAILED
            numbers.append(number)
        return numbers

    def _is_starred(self, number: int) -> bool:
        cell = self.cells[number]
        return isinstance(cell, GeneratedImage) and cell.starred

    def _send_previews(self, view: Face, previews: dict[int, Callable[[], Image] | None]) -> None:
        with self._lock:
            sight = set(previews if self._push else self._wanted)
        fresh = {
            number: make
            for number, make in previews.items()
            if make and number in sight and self._previews.get(number) is not make
        }
        files: dict[int, Encoded] = {}
        for number, make in itertools.islice(fresh.items(), MAX_PREVIEWS):
            try:
                files[number] = jpeg(make())
            except Exception as error:  # it is not missed
                log("a preview cannot be made", error)
            self._previews[number] = make
        for number in self._previews.keys() - previews.keys():
            del self._previews[number]
        _send(view, "previews", files, EDGES[0])

    def _serve(self, view: Face) -> bool:
        """Sends what was asked for first; whether there was something to send."""
        with self._lock:
            asked, self._asked = self._asked, []
            ready = [number for number in self._wanted if number in self.cells][:CHUNK]
            wanted = {number: self._wanted.pop(number) for number in ready}
        for number in asked:
            self._send_whole(view, number)
        for edge in sorted(set(wanted.values())):
            files: dict[int, Encoded] = {}
            for number in (n for n, e in wanted.items() if e == edge):
                cell = self.cells[number]
                if not isinstance(cell, GeneratedImage):
                    continue
                try:
                    files[number] = self._thumbnails.get(number, cell, edge)
                except Exception as error:  # a damaged file must not take the others along
                    log("a picture cannot be shown", error)
                    self._states[number] = FAILED
                    view.states, view.failures = self.states, self.failures
            _send(view, "thumbnails", files, edge)
        return bool(asked or wanted)

    def _send_whole(self, view: Face, number: int) -> None:
        cell = self.cells.get(number)
        content: dict[str, Any] = {"kind": "whole", "cell": number, "types": ["image/png"]}
        index = self._index(number)
        if not isinstance(cell, GeneratedImage):
            again = isinstance(cell, GenerationError) and cell.again is not None
            view.send(content | sendable(request(self.grid.recipe(index))) | {"again": again})
            return
        try:
            stem = Pattern.of_axes(self._grid.axes).stem_of(cell, self._grid.texts(index))
            told, pictures = whole(cell, f"{stem}.png")
            view.send(content | sendable(told), pictures)
        except Exception as error:
            log("an image cannot be shown", error)
            content["error"] = sendable(faces.reason(cell))
            view.send(content)

    def _index(self, number: int) -> Index:
        places = zip(self._strides, self._grid.shape, strict=True)
        return tuple(number // stride % length for stride, length in places)

    def _number(self, index: Index) -> int:
        return sum(i * stride for i, stride in zip(index, self._strides, strict=True))


def _progress(job: Source, *, done: bool) -> dict[str, Any]:
    progress = job.progress
    text = outcome(progress, job.grid) if done else status(progress)
    return {
        "running": not done,
        "fraction": round(progress.fraction, 4),
        "text": sendable(text),
    }


def _sizes(sweep: Sweep) -> list[Recipe]:
    """Recipes of a sweep with every size in it."""
    decisive = [
        not axis.parameters.isdisjoint(SIDES) or any(edit.preset for edit in axis.edits)
        for axis in sweep.axes
    ]
    spans = (range(len(axis) if d else 1) for axis, d in zip(sweep.axes, decisive, strict=True))
    return [sweep.recipe(index) for index in itertools.product(*spans)]


def _send(view: Face, kind: str, files: dict[int, Encoded], edge: int) -> None:
    if files:
        types = [mime for mime, _ in files.values()]
        content = {"kind": kind, "cells": list(files), "edge": edge, "types": types}
        view.send(content, [data for _, data in files.values()])


def sendable(value: Any) -> Any:
    """The same without halves of characters, which no message can carry."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {sendable(key): sendable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [sendable(one) for one in value]
    return value
