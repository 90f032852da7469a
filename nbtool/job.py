"""One run in progress: asks the store first, hands the rest to the engine, stores each image."""

from __future__ import annotations

import asyncio
import atexit
import math
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nbtool import environment
from nbtool.background import logger
from nbtool.engines.base import Engine, Event, Failed, Finished, Loading, Started, Stepped
from nbtool.errors import GenerationError, NbtoolError, StoreError
from nbtool.grid import Grid
from nbtool.recipes.axes import Index, Sweep
from nbtool.recipes.order import order
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import GeneratedImage
from nbtool.results.labelled import Cell
from nbtool.results.progress import Progress
from nbtool.results.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.live.view import GridView


class Job:
    """One run in progress, in the background.

    `cancel()`, `wait()` and `grid` may be called from anywhere; `await job` waits without
    blocking; iterating gives the images as they are finished.
    """

    def __init__(
        self,
        sweep: Sweep,
        engine: Engine,
        store: Store,
        generate: Callable[[Recipe], GeneratedImage],
        *,
        priority: int = 0,
    ) -> None:
        self.sweep = sweep
        self._engine = engine
        self._store = store
        self._generate = generate
        self._priority = priority
        self._cells: dict[str, list[Index]] = {}
        for index in order(sweep):
            recipe = sweep.recipe(index)
            engine.check(recipe)
            self._cells.setdefault(recipe.key, []).append(index)
        self._stored = store.listing()
        self._prepared = not all(key in self._stored for key in self._cells)
        if self._prepared:  # a store that may only be read still gives what it has
            store.prepare()
        self._results: dict[str, Cell] = {}
        self._settled: list[tuple[str, Cell]] = []  # the same in the order in which they came
        self._begun: dict[str, float] = {}  # how far the images in the making are, 0 to 1
        self._previews: dict[str, Callable[[], Image] | None] = {}  # of the same images
        self._counts = Progress(total=len(self._cells))  # without what changes at each step
        self._step = (0, 0)
        self._changed = threading.Condition(threading.RLock())
        self._unwanted: set[str] = set()
        self._cancelled = threading.Event()
        self._finished = threading.Event()
        self._error: NbtoolError | None = None
        self._notes: dict[str, None] = {}
        self._started = self._heard = 0.0  # of the first and of the last event
        self._thread = threading.Thread(target=self._run, name="nbtool job", daemon=True)
        _jobs.add(self)
        self._thread.start()

    @property
    def progress(self) -> Progress:
        with self._changed:
            step, steps = self._step
            return replace(
                self._counts,
                begun=math.fsum(self._begun.values()),
                step=step,
                steps=steps,
                seconds=self._heard - self._started,
            )

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
        return Grid(self.sweep.base, self.sweep.axes, cells)

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
        from nbtool.live.view import GridView

        return GridView(self.grid, job=self, rows=rows, cols=cols)

    def cancel(self, **labels: Any) -> None:
        """Stops within one denoising step; finished images are kept.

            job.cancel()                    all that is not done
            job.cancel(guidance_scale=9)    the cells with this label alone

        Raises:
            AxisError: There is no such axis or label.
        """
        if not labels:
            self._cancelled.set()
            return
        asked = set(Grid(self.sweep.base, self.sweep.axes, {}).matching(**labels))
        self._unwanted |= {key for key, cells in self._cells.items() if asked.issuperset(cells)}

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
        return asyncio.to_thread(self.wait).__await__()

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
        return f"<Job {progress.done} of {progress.total} images, {state}>"

    def _run(self) -> None:
        """The whole of the work; on the job's own thread."""
        try:
            # Compared with a listing first: only what is there needs to be read and verified.
            missing = [key for key in self._cells if not (key in self._stored and self._take(key))]
            if missing and not self.cancelled:
                if not self._prepared:
                    self._store.prepare()
                self._engine.run(
                    self._wanted(missing), self._handle, self._is_unwanted, priority=self._priority
                )
        except NbtoolError as error:
            self._error = error
        except Exception as error:  # whoever waits must hear of it
            logger.debug("in a job", exc_info=error)
            self._error = GenerationError(f"generation stopped: {type(error).__name__}: {error}")
        finally:
            with self._changed:
                self._previews.clear()
                self._finished.set()
                self._changed.notify_all()

    def _wanted(self, keys: Iterable[str]) -> Iterator[Recipe]:
        """The recipes of these keys, made one by one as they are asked for."""
        for key in keys:
            if self.cancelled:
                return
            if key not in self._unwanted:
                yield self.sweep.recipe(self._cells[key][0])

    def _is_unwanted(self, recipe: Recipe) -> bool:
        return self.cancelled or bool(self._unwanted and recipe.key in self._unwanted)

    def _take(self, key: str) -> bool:
        """Takes an image from the store, if it is there; whether there is nothing to make."""
        if self.cancelled:
            return False
        try:
            image = self._store[key]
        except KeyError:
            return False
        except StoreError as error:  # nothing is made in its place
            self._settle(key, GenerationError(str(error)), failed=1)
            return True
        image.generate = self._generate
        self._settle(key, image, stored=1)
        return True

    def _handle(self, event: Event) -> None:
        if isinstance(event, Loading):
            self._update(activity=event.what)
        elif isinstance(event, Started):
            self._started = self._started or time.monotonic()
            with self._changed:
                self._previews[event.recipe.key] = None
            self._update(activity="generating")
        elif isinstance(event, Stepped):
            self._advance(event)
        elif isinstance(event, Failed):
            self._settle(event.recipe.key, GenerationError(event.reason), failed=1)
        elif isinstance(event, Finished):
            self._keep(event)

    def _keep(self, event: Finished) -> None:
        key = event.recipe.key
        try:
            image = self._store.put(event.image, event.recipe, event.provenance)
        except StoreError as error:
            # Not on disk, but not lost either: it stays in memory, and the run stops.
            self._settle(key, error.unsaved, made=1)
            raise
        image.generate = self._generate
        with self._changed:
            for note in event.provenance.notes:
                self._notes.setdefault(note)
        self._settle(key, image, made=1)

    def _advance(self, event: Stepped) -> None:
        """Called for every step of every image: no more than notes it."""
        with self._changed:
            self._begun[event.recipe.key] = event.step / event.steps
            if event.preview:
                self._previews[event.recipe.key] = event.preview
            self._step = event.step, event.steps
            self._heard = time.monotonic()

    def _settle(self, key: str, cell: Cell, **counts: int) -> None:
        with self._changed:
            self._results[key] = cell
            self._settled.append((key, cell))
            self._begun.pop(key, None)
            self._previews.pop(key, None)
            now = {name: getattr(self._counts, name) + n for name, n in counts.items()}
            self._update(**now)

    def _update(self, **changes: Any) -> None:
        """Events come from several threads: each sees the counts that the last one left."""
        with self._changed:
            if self._started:
                self._heard = time.monotonic()
            self._counts = replace(self._counts, **changes)
            self._changed.notify_all()


_jobs: weakref.WeakSet[Job] = weakref.WeakSet()


def cancel() -> None:
    """Cancels every job; they stop within one denoising step, and finished images are kept."""
    for job in list(_jobs):
        job.cancel()


def _close() -> None:
    """At exit: lets the running step end, so that torch is not torn down under it."""
    cancel()
    for job in list(_jobs):
        job.join(timeout=30)


atexit.register(_close)
