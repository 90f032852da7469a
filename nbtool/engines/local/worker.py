"""The one thread on which pipelines run, and the threads that write what it makes."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from nbtool.engines.local import memory
from nbtool.engines.local.hub import BrokenDeviceError, Cell, Hub, Outcome, Stopped
from nbtool.engines.local.loading import quiet
from nbtool.errors import GenerationError, NbtoolError
from nbtool.recipe import Recipe

LOOKAHEAD = 128  # recipes among which one is sought whose size has room
WRITERS = max(2, min(8, (os.cpu_count() or 2) // 2))  # threads
BACKLOG = 32  # images that may wait to be written


Size = tuple[Hashable, ...]
Result = TypeVar("Result")


class Task(Protocol):
    """What an engine does for one run. All but the writing is called on the worker's thread."""

    def prepare(self, hub: Hub) -> None:
        """Loads the model.

        Raises:
            ModelError: It cannot be loaded.
        """

    @property
    def outdated(self) -> bool:
        """Whether its model was taken from under it, and must be loaded again."""

    def close(self) -> None:
        """Lets go of the model: the run is over."""

    def size(self, recipe: Recipe) -> Size:
        """Equal for images whose networks are asked questions of one kind."""

    def begin(self, recipe: Recipe) -> Callable[[], object]:
        """What calls the pipeline for an image."""

    def finish(self, recipe: Recipe, cell: Cell, outcome: Outcome) -> Callable[[], None]:
        """Takes what came of an image; the rest is done by what it returns, on another thread."""

    def spare(self, hub: Hub, recipe: Recipe) -> bool:
        """Makes the model take less memory, after an image did not fit alone; False if it cannot."""

    def cancelled(self, recipe: Recipe) -> bool:
        """Whether an image is not wanted any more."""


class Run:
    """Images asked for together.

    Args:
        task: What to do for each.
        recipes: In the order in which they should be begun.
        priority: A run of higher priority goes ahead of the others from the next tick on.
        exact: Whether images must not depend on what they are batched with.
    """

    def __init__(
        self, task: Task, recipes: Iterable[Recipe], *, priority: int, exact: bool
    ) -> None:
        self.task = task
        self.priority = priority
        self.exact = exact
        self.prepared = False
        self.cells: dict[Cell, Recipe] = {}
        self.unwritten = 0
        self.error: NbtoolError | None = None
        self.over = threading.Event()
        self._recipes: Iterator[Recipe] = iter(recipes)
        self._next: deque[Recipe] = deque()

    @property
    def begun(self) -> bool:
        """True when nothing is left to begin."""
        self._next.extend(islice(self._recipes, LOOKAHEAD - len(self._next)))
        return not self._next

    def take(self, has_room: Callable[[Size, int], bool]) -> Recipe | None:
        """Takes the next recipe of a size for which there is room.

        Args:
            has_room: Told the size, and of how many images the recipe is one of the last.
        """
        if self.begun:
            return None
        full: set[Size] = set()
        for position, recipe in enumerate(self._next):
            size = self.task.size(recipe)
            if size not in full and has_room(size, len(self._next)):
                del self._next[position]
                return recipe
            full.add(size)
        return None

    def put_back(self, recipe: Recipe) -> None:
        self._next.appendleft(recipe)

    def drop_unwanted(self) -> list[Cell]:
        """Drops what is cancelled and not begun; returns the cells that are begun."""
        unwanted = self.task.cancelled if self.error is None else _all
        self._next = deque(recipe for recipe in self._next if not unwanted(recipe))
        return [cell for cell, recipe in self.cells.items() if unwanted(recipe)]

    def fail(self, error: Exception) -> None:
        """Begins nothing more; the first error is the run's."""
        if not isinstance(error, NbtoolError):
            error = GenerationError(f"generation stopped: {type(error).__name__}: {error}")
        self.error = self.error or error
        self._recipes = iter(())


class Worker:
    """Advances all runs together, one tick after the other, on a thread of its own.

    The thread ends with the last run: the threads that torch keeps for it would slow down those
    that it keeps for others.
    """

    def __init__(self) -> None:
        self.hub = Hub()
        self._runs: list[Run] = []
        self._unwritten: queue.Queue[tuple[Run, Callable[[], None]]] = queue.Queue(BACKLOG)
        self._changed = threading.Condition()
        self._working = False
        self._writing = False
        self._calls: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None

    def run(self, run: Run) -> None:
        """Returns when nothing of the run is left to do.

        Raises:
            NbtoolError: What stopped the run.
        """
        with self._changed:
            self._runs.append(run)
            self._runs.sort(key=lambda r: -r.priority)
            self._wake()
            if not self._writing:
                self._writing = True
                for _ in range(WRITERS):
                    _start(self._write)
        run.over.wait()
        if run.error is not None:
            raise run.error

    def forget(self, pipeline: Any) -> None:
        """Lets go of what is remembered of a pipeline's networks, so that they can be freed."""
        self.call(partial(self.hub.forget, pipeline))

    def call(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, called on the worker's thread between two ticks.

        There it may change what pipelines share. What it raises is raised here.
        """
        if threading.current_thread() is self._thread:
            return work()
        future: Future[Result] = Future()

        def answer() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        with self._changed:
            self._calls.append(answer)
            self._wake()
        return future.result()

    def _wake(self) -> None:
        self._changed.notify_all()
        if not self._working:
            self._working = True
            self._thread = _start(self._work)

    def _work(self) -> None:
        import torch

        with torch.no_grad(), quiet():
            going_on = True
            while going_on:
                runs = self._busy_runs()
                try:
                    self._advance(runs)
                except BrokenDeviceError as error:
                    for run in runs:
                        run.fail(_restart(error))
                except Exception as error:  # the thread must live on, and users must hear of it
                    for run in runs:
                        run.fail(error)
                going_on = self._close_finished(runs)

    def _busy_runs(self) -> list[Run]:
        """Waits until there is something to do; the runs for which there is."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls or any(map(_busy, self._runs)))
            calls, self._calls = self._calls, []
        for call in calls:
            call()
        with self._changed:
            return [run for run in self._runs if _busy(run)]

    def _advance(self, runs: Sequence[Run]) -> None:
        for run in runs:
            try:
                self._refresh(run)
            except Exception as error:  # this run's alone
                run.fail(error)
        self.hub.tick()

    def _refresh(self, run: Run) -> None:
        """Leaves what is cancelled, and begins what there is room for."""
        if (not run.prepared or run.task.outdated) and run.error is None:
            run.task.prepare(self.hub)
            run.prepared = True
        for cell in run.drop_unwanted():
            self.hub.stop(cell)
        while recipe := run.take(partial(self.hub.room, run.priority)):
            cell = Cell(
                work=run.task.begin(recipe),
                done=partial(self._done, run, recipe),
                priority=run.priority,
                size=run.task.size(recipe),
                exact=run.exact,
            )
            run.cells[cell] = recipe
            self.hub.start(cell)

    def _done(self, run: Run, recipe: Recipe, cell: Cell, outcome: Outcome) -> None:
        del run.cells[cell]
        error = outcome.error
        if isinstance(error, Stopped) or run.error is not None:
            return
        if error is not None and memory.is_out_of_memory(error) and self._make_room(run, recipe):
            run.put_back(recipe)
            return
        write = run.task.finish(recipe, cell, outcome)
        with self._changed:
            run.unwritten += 1
        self._unwritten.put((run, write))

    def _make_room(self, run: Run, recipe: Recipe) -> bool:
        """After a want of memory: fewer images at once, or the model placed more sparingly."""
        return self.hub.thin_out() or run.task.spare(self.hub, recipe)

    def _close_finished(self, runs: Sequence[Run]) -> bool:
        """Closes what is done; whether there is more to do."""
        with self._changed:
            for run in runs:
                if run.begun and not run.cells and not run.unwritten:
                    self._runs.remove(run)
                    run.task.close()
                    run.over.set()
            self._working = bool(self._calls or self._runs)
            return self._working

    def _write(self) -> None:
        while True:
            run, write = self._unwritten.get()
            try:
                write()
            except Exception as error:  # what cannot be kept ends the run
                run.fail(error)
            del write  # it holds pixels
            with self._changed:
                run.unwritten -= 1
                self._changed.notify_all()
            del run  # it holds its model, which may be unloaded while this thread waits


def _busy(run: Run) -> bool:
    """Whether the worker has something to do for it, or to close it."""
    return not run.begun or bool(run.cells) or not run.unwritten


def _start(loop: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=loop, name="nbtool", daemon=True)
    thread.start()
    return thread


def _all(_: Recipe) -> bool:
    return True


def _restart(error: Exception) -> GenerationError:
    return GenerationError(
        f"the GPU stopped working and needs a new process ({str(error).splitlines()[0]}); "
        f"restart the kernel and run the same again: what was made is kept"
    )


worker = Worker()
