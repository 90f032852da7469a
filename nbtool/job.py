"""One run in progress: asks the store first, hands the rest to the engine, stores each image."""

from __future__ import annotations

import asyncio
import atexit
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from nbtool.axes import Index, Sweep
from nbtool.engines.base import Engine, Event, Failed, Finished, Loading, Started, Stepped
from nbtool.errors import GenerationError, NbtoolError, StoreError
from nbtool.grid import Cell, Grid
from nbtool.image import GeneratedImage
from nbtool.recipe import Recipe
from nbtool.store import Store


@dataclass(frozen=True)
class Progress:
    """Where a job stands. Counts are images; an image that serves several cells counts once."""

    total: int
    stored: int = 0  # found in the store
    made: int = 0
    failed: int = 0
    step: int = 0  # of the image in the making
    steps: int = 0
    seconds: float = 0.0  # spent generating
    activity: str = "waiting"

    @property
    def done(self) -> int:
        return self.stored + self.made + self.failed

    @property
    def fraction(self) -> float:
        """From 0 to 1, counting the steps of the image in the making."""
        part = self.step / self.steps if self.steps else 0.0
        return min(1.0, (self.done + part) / self.total) if self.total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate; None until the first image gives one."""
        if not self.made:
            return None
        part = self.step / self.steps if self.steps else 0.0
        return self.seconds / (self.made + part) * (self.total - self.done - part)


class Job:
    """One run in progress, on the worker thread.

    `cancel()`, `wait()` and `grid` may be called from anywhere; `await job` waits without
    blocking; iterating gives the images as they are finished.
    """

    def __init__(
        self,
        sweep: Sweep,
        engine: Engine,
        store: Store,
        generate: Callable[[Recipe], GeneratedImage],
    ) -> None:
        self.sweep = sweep
        self._engine = engine
        self._store = store
        self._generate = generate
        self._cells: dict[str, list[Index]] = {}
        self._recipes: dict[str, Recipe] = {}
        for index, recipe in sweep:
            engine.check(recipe)
            key = recipe.key
            self._recipes.setdefault(key, recipe)
            self._cells.setdefault(key, []).append(index)
        store.prepare()
        self._results: dict[str, Cell] = {}
        self._progress = Progress(total=len(self._recipes))
        self._changed = threading.Condition()
        self._cancelled = threading.Event()
        self._finished = threading.Event()
        self._error: NbtoolError | None = None
        self._notes: dict[str, None] = {}
        self._image_started = 0.0
        _worker.submit(self._run, self.cancel)

    @property
    def progress(self) -> Progress:
        return self._progress

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

    def cancel(self) -> None:
        """Stops within one denoising step; finished images are kept."""
        self._cancelled.set()

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
                while len(self._results) == seen and not self.done:
                    self._changed.wait()
                fresh = list(self._results.values())[seen:]
            if not fresh:
                break
            seen += len(fresh)
            yield from (cell for cell in fresh if isinstance(cell, GeneratedImage))
        if self._error is not None:
            raise self._error

    def __repr__(self) -> str:
        progress = self.progress
        state = "cancelled" if self.cancelled else "done" if self.done else progress.activity
        state = "stopped by an error" if self._error else state
        return f"<Job {progress.done} of {progress.total} images, {state}>"

    def _run(self) -> None:
        """The whole of the work; called by the worker."""
        try:
            missing = [recipe for key, recipe in self._recipes.items() if not self._take(key)]
            if missing and not self.cancelled:
                self._engine.run(missing, self._handle, self._cancelled.is_set)
        except NbtoolError as error:
            self._error = error
        except Exception as error:  # the worker must live on, and the user must hear of it
            self._error = GenerationError(f"generation stopped: {type(error).__name__}: {error}")
        finally:
            with self._changed:
                self._finished.set()
                self._changed.notify_all()

    def _take(self, key: str) -> bool:
        """Takes an image from the store, if it is there."""
        if self.cancelled or not (image := self._store.get(key)):
            return False
        image.generate = self._generate
        self._settle(key, image, stored=1)
        return True

    def _handle(self, event: Event) -> None:
        progress = self._progress
        if isinstance(event, Loading):
            self._update(activity=f"loading {event.what}")
        elif isinstance(event, Started):
            self._image_started = time.monotonic()
            self._update(activity="generating", step=0, steps=0)
        elif isinstance(event, Stepped):
            self._update(step=event.step, steps=event.steps)
        elif isinstance(event, Failed):
            error = GenerationError(event.reason)
            self._settle(event.recipe.key, error, failed=1)
        elif isinstance(event, Finished):
            self._keep(event)
            spent = time.monotonic() - self._image_started
            self._update(seconds=progress.seconds + spent)

    def _keep(self, event: Finished) -> None:
        key = event.recipe.key
        try:
            image = self._store.put(event.image, event.recipe, event.provenance)
        except StoreError as error:
            # Not on disk, but not lost either: it stays in memory, and the run stops.
            self._settle(key, error.unsaved, made=1)
            raise
        image.generate = self._generate
        for note in event.provenance.notes:
            self._notes.setdefault(note)
        self._settle(key, image, made=1)

    def _settle(self, key: str, cell: Cell, **counts: int) -> None:
        with self._changed:
            self._results[key] = cell
        self._update(
            step=0, steps=0,
            **{name: getattr(self._progress, name) + count for name, count in counts.items()},
        )  # fmt: skip

    def _update(self, **changes: Any) -> None:
        with self._changed:
            self._progress = replace(self._progress, **changes)
            self._changed.notify_all()


class _Worker:
    """The one thread on which everything is generated, job after job."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[tuple[Callable[[], None], Callable[[], None]] | None]
        self._jobs = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._cancel_current: Callable[[], None] | None = None
        self._closing = False

    def submit(self, run: Callable[[], None], cancel: Callable[[], None]) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="nbtool", daemon=True)
                self._thread.start()
                atexit.register(self._close)
        self._jobs.put((run, cancel))

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            run, self._cancel_current = job
            if self._closing:
                self._cancel_current()
            run()
            self._cancel_current = None

    def _close(self) -> None:
        """At exit: lets the running step end, so that torch is not torn down under it."""
        self._closing = True
        if cancel := self._cancel_current:
            cancel()
        self._jobs.put(None)
        assert self._thread is not None
        self._thread.join(timeout=30)


_worker = _Worker()
