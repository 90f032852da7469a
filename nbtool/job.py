"""One run in progress: asks the store first, hands the rest to the engine, stores each image."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import itertools
import math
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from nbtool import environment
from nbtool.background import Loop
from nbtool.display.queue import queue_bundle
from nbtool.engines.base import Engine, Event, Exacting, Failed, Finished, Loading, Started, Stepped
from nbtool.engines.placed import Placed
from nbtool.errors import GenerationError, NbtoolError, StoreError, stopped_by, without_secrets
from nbtool.grid import Grid
from nbtool.recipes.axes import Index, Sweep
from nbtool.recipes.order import order
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import GeneratedImage
from nbtool.results.labelled import Cell
from nbtool.results.origin import Origin
from nbtool.results.progress import Progress
from nbtool.results.share import Share, forsake
from nbtool.results.store import Store
from nbtool.silence import importing, mild
from nbtool.text import count

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.live.view import GridView

AHEAD = 1000  # the priority of a call that somebody waits for, above any job that is moved up
NOT_EXACT = (
    "some images were made without exact=True and are as the store has them; "
    "exact ones need a store of their own"
)
LEAVING = 30  # seconds that the end of the process waits for jobs, all of them together


class Job:
    """One run in progress, in the background.

    `cancel()`, `wait()` and `grid` may be called from anywhere; `await job` waits without
    blocking, and goes on without the one who awaits it when that is cancelled; iterating gives the
    images as they are finished. An image that another job with the same store is making already is
    taken from there when it is done.
    """

    def __init__(
        self,
        sweep: Sweep,
        engine: Engine,
        store: Store,
        generate: Callable[[Recipe], GeneratedImage],
        *,
        priority: int = 0,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.sweep = sweep
        self._engine = engine
        self._exact = isinstance(engine, Exacting) and engine.exact
        self._origin = self._described(store, defaults or {})
        self._store = store
        self._generate = generate
        self._priority = priority
        self._cells: dict[str, list[Index]] = {}
        for index in order(sweep):
            recipe = sweep.recipe(index)
            engine.check(recipe)
            self._cells.setdefault(recipe.key, []).append(index)
        self._results: dict[str, Cell] = {}
        self._settled: list[tuple[str, Cell]] = []  # the same in the order in which they came
        self._begun: dict[str, float] = {}  # how far the images in the making are, 0 to 1
        self._previews: dict[str, Callable[[], Image] | None] = {}  # of the same images
        # Without what changes at each step.
        self._counts = Progress(
            total=len(self._cells), drawn=sweep.drawn, drawn_apart=sweep.drawn_apart
        )
        self._step = (0, 0)
        self._changed = threading.Condition(threading.RLock())
        self._moved = False  # whether it is to go on with another priority
        self._number = next(_numbers)
        self._unwanted: set[str] = set()
        self._cancelled = threading.Event()
        self._finished = threading.Event()
        self._error: NbtoolError | None = None
        self._notes: dict[str, None] = {}
        self._started = self._heard = 0.0  # of the first and of the last event
        self._listeners: set[Callable[[], object]] = set()  # told of the end
        self._share = Share(store.path, self._cells)
        _jobs.add(self)
        try:
            self._stored = store.listing()
            self._prepared = not all(key in self._stored for key in self._cells)
            if self._prepared:  # a store that may only be read still gives what it has
                store.prepare()
        except BaseException:
            self._leave()
            raise
        try:
            Loop("nbtool job", self._run, fail=self._end).wake()
        except RuntimeError as error:  # the system starts no thread
            self._end(error)

    def _described(self, store: Store, defaults: Mapping[str, Any]) -> Origin:
        """Where its grid comes from."""
        generator = {
            "model": self._engine.name,
            "engine": type(self._engine).__name__,
            "exact": self._exact,
            "defaults": dict(defaults),
        }
        sweep = self.sweep
        return Origin(store.grids, generator, sweep.words, sweep.drawn, sweep.fixed)

    @property
    def progress(self) -> Progress:
        with self._changed:
            step, steps = self._step
            unwanted = self._cells.keys() if self.cancelled else self._unwanted
            return replace(
                self._counts,
                cancelled=len(unwanted - self._results.keys()),
                begun=math.fsum(self._begun.values()),
                step=step,
                steps=steps,
                seconds=self._heard - self._started,
            )

    @property
    def model(self) -> str:
        """The name of the model that makes the images."""
        return self._engine.name

    @property
    def state(self) -> str:
        """Whether it is "running" or "waiting" for others; "done", "cancelled" or "failed"."""
        if self.done:
            return "failed" if self._error else "cancelled" if self.cancelled else "done"
        return "running" if self._previews or self._is_first() else "waiting"

    def _is_first(self) -> bool:
        """Whether no job is ahead that takes turns with it: those of this machine's models all do."""
        alike = (job for job in _in_order() if job._lane is self._lane)  # noqa: SLF001
        return next(alike, self) is self

    @property
    def _lane(self) -> object:
        return Placed if isinstance(self._engine, Placed) else self._engine

    @property
    def done(self) -> bool:
        """True when nothing more will come: finished, cancelled or stopped by an error."""
        return self._finished.is_set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @property
    def error(self) -> NbtoolError | None:
        """What stopped the whole run, if anything did."""
        return self._error

    @property
    def notes(self) -> list[str]:
        """What the engine had to say, such as a prompt cut short; each once."""
        with self._changed:
            return list(self._notes)

    @property
    def grid(self) -> Grid:
        """The images so far, labelled."""
        with self._changed:
            results = dict(self._results)
        cells = {index: cell for key, cell in results.items() for index in self._cells[key]}
        return Grid(self.sweep.base, self.sweep.axes, cells, self._origin)

    @property
    def previews(self) -> dict[Index, Callable[[], Image] | None]:
        """The cells in the making: what makes a small picture of each as it stands, if there is.

        Call it only where the picture is looked at: it is made then, on the calling thread.
        """
        with self._changed:
            previews = dict(self._previews)
        return {index: preview for key, preview in previews.items() for index in self._cells[key]}

    def changes(self, seen: int = 0) -> tuple[list[tuple[Index, Cell]], int]:
        """The cells that came since the first `seen` images or failures, and how many there are.

        fresh, seen = job.changes(seen)
        """
        with self._changed:
            fresh = self._settled[seen:]
        return [(index, cell) for key, cell in fresh for index in self._cells[key]], seen + len(
            fresh
        )

    def view(self, *, rows: str | None = None, cols: str | None = None) -> GridView | Grid:
        """The grid as a widget that fills while the job runs; see `Grid.view`."""
        if environment.why_no_widgets():
            return self.grid.view(rows=rows, cols=cols)
        with importing("anywidget"):
            from nbtool.live.view import GridView

        with mild():
            return GridView(self.grid, job=self, rows=rows, cols=cols)

    def cancel(self, /, **labels: Any) -> None:
        """Stops within one denoising step, or at once while the model is being loaded.

        Finished images are kept.

            job.cancel()                    all that is not done
            job.cancel(guidance_scale=9)    the cells with this label alone

        Raises:
            AxisError: There is no such axis or label.
        """
        if not labels:
            self._cancelled.set()
            with self._changed:
                if not self._previews:  # nothing is in the making
                    self._end()
            self._share.drop(*self._cells)
            return
        asked = set(Grid(self.sweep.base, self.sweep.axes, {}).matching(**labels))
        unwanted = {key for key, cells in self._cells.items() if asked.issuperset(cells)}
        with self._changed:
            self._unwanted |= unwanted
            for key in unwanted:
                self._let_go(key)
        self._share.drop(*unwanted)

    def move_up(self) -> None:
        """Goes ahead of all other jobs, but of no call that somebody waits for.

        The next images that are begun are its own; what is in the making is finished, and the
        others go on after it.
        """
        rivals = [job for job in _in_order() if job._priority < AHEAD]  # noqa: SLF001
        if self in rivals[1:]:
            self._priority = rivals[0]._priority + 1  # noqa: SLF001
            self._moved = True

    def _let_go(self, key: str) -> None:
        """An image is not in the making here any more, whatever is still heard of it."""
        with self._changed:
            self._begun.pop(key, None)
            self._previews.pop(key, None)
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> None:
        """Waits for the end, or `timeout` seconds; raises nothing."""
        self._finished.wait(timeout)

    def wait(self, timeout: float | None = None) -> Grid:
        """The grid, once the run is over or `timeout` seconds have passed.

        Raises:
            NbtoolError: Something stopped the whole run. What was made is kept in `job.grid`.
        """
        self.join(timeout)
        if self._error is not None:
            raise self._error
        return self.grid

    def __await__(self) -> Generator[Any, None, Grid]:
        """The grid, once the run is over; the same errors as `wait`. It occupies no thread."""
        over = asyncio.Event()
        tell = partial(asyncio.get_running_loop().call_soon_threadsafe, over.set)
        with self._changed:
            self._listeners.add(tell)
        try:
            if not self.done:
                yield from over.wait().__await__()
        finally:
            self._listeners.discard(tell)
        return self.wait()

    def __iter__(self) -> Iterator[GeneratedImage]:
        """The images as they are finished, those from the store first."""
        seen = 0
        while True:
            with self._changed:
                while len(self._settled) == seen and not self.done:
                    self._changed.wait()
                fresh = self._settled[seen:]
            if not fresh:
                break
            seen += len(fresh)
            yield from (cell for _, cell in fresh if isinstance(cell, GeneratedImage))
        if self._error is not None:
            raise self._error

    def __repr__(self) -> str:
        progress = self.progress
        state = "cancelled" if self.cancelled else "done" if self.done else progress.activity
        state = "stopped by an error" if self._error else state
        drawn = "" if progress.drawn is None else f", seed={progress.drawn} was drawn"
        return f"<Job {progress.done:,} of {count(progress.total, 'image')}, {state}{drawn}>"

    def _run(self) -> None:
        """The whole of the work; on the job's own thread."""
        # Compared with a listing first: only what is there needs to be read and verified.
        missing = [key for key in self._cells if not (key in self._stored and self._take(key))]
        if missing and not self.cancelled and not self._prepared:
            self._store.prepare()
        while missing and not self.cancelled:
            self._moved = False
            self._engine.run(
                self._wanted(missing), self._handle, self._is_unwanted, priority=self._priority
            )
            left = self._not_begun(missing) if self._moved else []
            missing = left or self._take_from_others()
        self._keep_failures()
        self._end()

    def _not_begun(self, keys: Iterable[str]) -> list[str]:
        return [
            key
            for key in keys
            if not (key in self._results or key in self._unwanted or key in self._share.left)
        ]

    def _keep_failures(self) -> None:
        """What is kept of a grid that was named on the way says what failed since then."""
        grid = self.grid
        with contextlib.suppress(StoreError):
            if grid.failed and grid.name and grid.name in self._store.grids:
                grid.name = grid.name

    def _end(self, error: BaseException | None = None) -> None:
        """It is over, for all who wait; whatever goes wrong with saying why."""
        with self._changed:
            if self.done:
                return
            try:
                self._error = None if error is None else stopped_by(error)
            finally:
                self._begun.clear()
                self._previews.clear()
                self._finished.set()
                self._changed.notify_all()
                for tell in tuple(self._listeners):
                    with contextlib.suppress(RuntimeError):  # its event loop is closed
                        tell()
                self._leave()

    def _leave(self) -> None:
        _jobs.discard(self)
        self._share.close()

    def _forsake(self) -> None:
        """In the fork of the process in which it goes on, it is over."""
        self._changed = threading.Condition(threading.RLock())
        self._finished = threading.Event()
        self._listeners = set()
        self._end(GenerationError("this job goes on in the process that this one is a fork of"))

    def _take_from_others(self) -> list[str]:
        """What others were making is taken when it is done; the keys of what came to nothing."""
        while free := self._share.wait(self._is_awaited):
            if lost := [key for key in free if not self._take(key)]:
                return lost
        return []

    def _is_awaited(self, key: str) -> bool:
        return not (self.cancelled or key in self._results or key in self._unwanted)

    def _wanted(self, keys: Iterable[str]) -> Iterator[Recipe]:
        """The recipes of these keys, made one by one as they are asked for."""
        for key in keys:
            if self.cancelled or self._moved:
                return
            if key not in self._unwanted and key not in self._share.left:
                yield self._recipe(key)

    def _recipe(self, key: str) -> Recipe:
        return self.sweep.recipe(self._cells[key][0])

    def _is_unwanted(self, recipe: Recipe) -> bool:
        if self.cancelled or (self._unwanted and recipe.key in self._unwanted):
            return True
        if self._moved and recipe.key not in self._previews:  # it is begun with the new priority
            return True
        if left := self._share.leaves(recipe.key):
            self._let_go(recipe.key)
        return left

    def _take(self, key: str) -> bool:
        """Takes an image from the store, if it is there; whether there is nothing to make."""
        if self.cancelled:
            return False
        try:
            image = self._store[key]
        except KeyError:
            return False
        except StoreError as error:  # nothing is made in its place
            self._fail(key, str(error))
            return True
        image.generate = self._generate
        if self._exact and not image.provenance.exact and not self._recipe(key).past:
            with self._changed:
                self._notes.setdefault(NOT_EXACT)
        self._settle(key, image, stored=1)
        return True

    def _handle(self, event: Event) -> None:
        if self.done:  # cancelled before anything was begun
            return
        if isinstance(event, Loading):
            self._update(activity=event.what)
        elif isinstance(event, Started):
            self._begin(event.recipe.key)
        elif isinstance(event, Stepped):
            self._advance(event)
        elif isinstance(event, Failed):
            self._fail(event.recipe.key, without_secrets(event.reason))
        elif isinstance(event, Finished):
            self._keep(event)

    def _begin(self, key: str) -> None:
        with self._changed:
            if self.done:  # cancelled in the same moment
                return
            self._heard = time.monotonic()
            self._started = self._started or self._heard
            self._previews[key] = None
            self._share.take(key)
            self._update(activity="generating")

    def _keep(self, event: Finished) -> None:
        key = event.recipe.key
        try:
            image = self._store.put(event.image, event.recipe, event.provenance)
        except StoreError as error:
            # Not on disk, but not lost either: it stays in memory, and the run stops.
            self._settle(key, error.unsaved, made=1)
            raise
        image.generate = self._generate
        self._share.made(key)
        with self._changed:
            for note in event.provenance.notes:
                self._notes.setdefault(note)
        self._settle(key, image, made=1)

    def _fail(self, key: str, reason: str) -> None:
        failure = GenerationError(reason)
        failure.recipe = recipe = self._recipe(key)
        failure.again = partial(
            Job, Sweep(recipe), self._engine, self._store, self._generate, priority=AHEAD
        )
        self._settle(key, failure, failed=1)

    def _advance(self, event: Stepped) -> None:
        """Called for every step of every image: no more than notes it."""
        with self._changed:
            if event.recipe.key not in self._previews:  # let go of
                return
            self._begun[event.recipe.key] = event.step / event.steps
            if event.preview:
                self._previews[event.recipe.key] = event.preview
            self._step = event.step, event.steps
            self._heard = time.monotonic()

    def _settle(self, key: str, cell: Cell, **counts: int) -> None:
        with self._changed:
            if self.done:  # cancelled in the same moment
                return
            self._results[key] = cell
            self._settled.append((key, cell))
            self._let_go(key)
            now = {name: getattr(self._counts, name) + n for name, n in counts.items()}
            self._update(**now)
        self._share.drop(key)

    def _update(self, **changes: Any) -> None:
        """Events come from several threads: each sees the counts that the last one left."""
        with self._changed:
            if self._started:
                self._heard = time.monotonic()
            self._counts = replace(self._counts, **changes)
            self._changed.notify_all()


class Jobs(Sequence[Job]):
    """The jobs of this process that run or wait, whoever started them, as they are at each look.

        nbtool.jobs()                   shows them as a table
        nbtool.jobs()[2].move_up()
        for job in nbtool.jobs(): job.cancel()

    They come in the order in which they are worked on. One that is over is not among them.
    """

    def __len__(self) -> int:
        return len(_in_order())

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> list[Job]: ...
    def __getitem__(self, place: int | slice) -> Job | list[Job]:
        return _in_order()[place]

    def __iter__(self) -> Iterator[Job]:
        return iter(_in_order())

    def __repr__(self) -> str:
        text: str = queue_bundle(_in_order())["text/plain"]
        return text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return queue_bundle(_in_order())


_numbers = itertools.count()
_jobs: set[Job] = set()  # that are not over


def _in_order() -> list[Job]:
    """The jobs that are not over, those of higher priority first, then those that came first."""
    running = (job for job in tuple(_jobs) if not job.done)
    return sorted(running, key=lambda job: (-job._priority, job._number))  # noqa: SLF001


def jobs() -> Jobs:
    """The jobs of this process that run or wait, in the order in which they are worked on.

    Returns:
        A sequence that is as they are at each look, and shows itself as a table; each can be
        cancelled with `cancel()`, and goes ahead of the others with `move_up()`.
    """
    return Jobs()


def cancel() -> None:
    """Cancels every job; they stop within one denoising step, and finished images are kept."""
    for job in tuple(_jobs):
        job.cancel()


def _close() -> None:
    """At exit: lets the running step end and what is finished be written."""
    cancel()
    end = time.monotonic() + LEAVING
    for job in tuple(_jobs):
        job.join(max(0, end - time.monotonic()))


def _forsake() -> None:
    """In a fork: jobs go on in its parent alone."""
    forsake()
    for job in tuple(_jobs):
        job._forsake()  # noqa: SLF001 - of this module


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forsake)
