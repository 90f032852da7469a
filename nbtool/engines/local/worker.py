"""The one thread on which pipelines run, and the threads that write what it makes."""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, Protocol, TypeVar

from nbtool.background import Loop
from nbtool.engines.local import memory
from nbtool.engines.local.hub import BrokenDeviceError, Hub, Stopped, TooWideError
from nbtool.engines.local.questions import Cell, Outcome
from nbtool.errors import GenerationError, NbtoolError
from nbtool.recipes.recipe import Recipe
from nbtool.silence import quiet

LOOKAHEAD = 128  # recipes among which one is sought whose size has room
WRITERS = max(2, min(8, (os.cpu_count() or 2) // 2))  # threads
BACKLOG = 32  # images that may wait to be written
LEAVING = 30  # seconds that the end of the process waits for a forward


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

    def kind(self, recipe: Recipe) -> Hashable:
        """Equal for images that one call of the pipeline can make."""

    def begin(self, recipes: Sequence[Recipe]) -> Callable[[], object]:
        """What calls the pipeline for images of one kind."""

    def finish(
        self, recipe: Recipe, place: int, cell: Cell, outcome: Outcome
    ) -> Callable[[], None]:
        """Takes what came of one image; the rest is done by what it returns, on another thread.

        Args:
            recipe: Of the image.
            place: Of the image among those of the call.
            cell: The call.
            outcome: What came of it.
        """

    def spare(self, hub: Hub, recipe: Recipe) -> bool:
        """Makes the model take less memory, after an image did not fit alone; False if it cannot."""

    def cancelled(self, recipe: Recipe) -> bool:
        """Whether an image is not wanted any more."""


class _Next(NamedTuple):
    """A recipe that is to be begun.

    Its kind is equal for images that one call can make. It begins anew where what was decided of
    its widths before does not fit into the memory.
    """

    recipe: Recipe
    kind: Hashable
    anew: bool = False


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
        self.cells: dict[Cell, Sequence[Recipe]] = {}
        self.unwritten = 0
        self.shown = False  # whether an image of it is finished
        self.error: NbtoolError | None = None
        self.over = threading.Event()
        self._recipes: Iterator[Recipe] = iter(recipes)
        self._next: deque[_Next] = deque()

    @property
    def begun(self) -> bool:
        """True when nothing is left to begin."""
        wanting = max(0, LOOKAHEAD - len(self._next))
        self._next.extend(map(self._prepare, islice(self._recipes, wanting)))
        return not self._next

    def take(self, room: Callable[[Size, int], int]) -> Sequence[_Next]:
        """Takes the next recipe of a size for which there is room, and others of its kind.

        Args:
            room: How many there is room for, told their size and of how many images they are the
                first.
        """
        if self.begun:
            return ()
        full: set[Size] = set()
        for first in self._next:
            size = self.task.size(first.recipe)
            if size in full:
                continue
            if most := room(size, len(self._next)):
                return self._take(first.kind, most)
            full.add(size)
        return ()

    def _take(self, kind: Hashable, most: int) -> Sequence[_Next]:
        taken: list[_Next] = []
        rest: deque[_Next] = deque()
        for waiting in self._next:
            if waiting.kind == kind and len(taken) < most:
                taken.append(waiting)
            else:
                rest.append(waiting)
        self._next = rest
        return taken

    def put_back(self, recipes: Sequence[Recipe], *, anew: bool = False) -> None:
        """Begins these again, each by itself; anew: whatever was decided of their widths."""
        self._next.extendleft(_Next(recipe, object(), anew) for recipe in reversed(recipes))

    def drop_unwanted(self) -> list[Cell]:
        """Drops what is cancelled and not begun; returns the cells of which nothing is wanted."""
        unwanted = self.task.cancelled if self.error is None else _all
        self._next = deque(n for n in self._next if not unwanted(n.recipe))
        return [cell for cell, recipes in self.cells.items() if all(map(unwanted, recipes))]

    def _prepare(self, recipe: Recipe) -> _Next:
        # Made again, each is made as it was.
        return _Next(recipe, object() if recipe.past else self.task.kind(recipe))

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
        self._calls: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._leaving = False
        # The widths of images that were finished while another run might ask for the same ones.
        self._decided: dict[str, dict[str, int]] = {}
        self._working = Loop("nbtool", self._turn, fail=self._fail, retry=0, around=self._ready)
        self._writing = Loop("nbtool writer", self._write, threads=WRITERS)

    def run(self, run: Run) -> None:
        """Returns when nothing of the run is left to do.

        Raises:
            NbtoolError: What stopped the run.
        """
        with self._changed:
            self._runs.append(run)
            self._runs.sort(key=lambda r: -r.priority)
            self._changed.notify_all()
        self._working.wake()
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
        if self._working.is_current:
            return work()
        future: Future[Result] = Future()
        with self._changed:
            self._calls.append((future, work))
            self._changed.notify_all()
        self._working.wake()
        return future.result()

    def leave(self) -> None:
        """Lets the forward that runs end, before torch is torn down."""
        self._leaving = True
        self._working.join(LEAVING)

    @contextmanager
    def _ready(self) -> Iterator[None]:
        import torch

        with torch.no_grad(), quiet():
            self.hub.begin()
            yield

    def _turn(self) -> float | None:
        """A tick, or a little of what is left to find out; None when there is nothing to do."""
        runs = self._busy_runs()
        try:
            self._advance(runs)
        except BrokenDeviceError as error:
            for run in runs:
                run.fail(_restart(error))
        self._close_finished(runs)
        return None if not self._compare() and self._is_idle() else 0

    def _fail(self, error: Exception) -> None:
        """Tells all who wait of an error that is nobody's own."""
        with self._changed:
            calls, self._calls = self._calls, []
            runs = list(self._runs)
        for future, _ in calls:
            future.set_exception(error)
        for run in runs:
            run.fail(error)
        self._close_finished(runs)

    def _busy_runs(self) -> list[Run]:
        """Waits until there is something to do; the runs for which there is, or none at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._calls or not self._runs or any(map(_busy, self._runs))
            )
            calls, self._calls = self._calls, []
        for future, work in calls:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        with self._changed:
            return [run for run in self._runs if _busy(run)]

    def _advance(self, runs: Sequence[Run]) -> None:
        for run in runs:
            try:
                self._refresh(run)
            except Exception as error:  # this run's alone
                run.fail(error)
        self.hub.tick()

    def _compare(self) -> bool:
        """Learns a little about widths, once every run has shown an image; whether it did.

        After the last run it goes on for what is left of its share of the time.
        """
        with self._changed:
            if self._leaving or self._calls or not all(run.shown for run in self._runs):
                return False
        try:
            return self.hub.compare()
        except BrokenDeviceError:  # the next forward will say so
            return False

    def _is_idle(self) -> bool:
        if not self._runs:
            self.hub.remember()
        with self._changed:
            if len(self._runs) < 2:
                self._decided.clear()
            return not (self._calls or self._runs)

    def _refresh(self, run: Run) -> None:
        """Leaves what is cancelled, and begins what there is room for."""
        if (not run.prepared or run.task.outdated) and run.error is None:
            run.task.prepare(self.hub)
            run.prepared = True
        for cell in run.drop_unwanted():
            self.hub.stop(cell)
        while taken := run.take(partial(self.hub.room, run.priority)):
            self._begin(run, taken)

    def _begin(self, run: Run, taken: Sequence[_Next]) -> None:
        recipes = [waiting.recipe for waiting in taken]
        decided = [
            widths
            for waiting in taken
            if not waiting.anew and (widths := self._decided_for(waiting.recipe)) is not None
        ]
        if decided and len(taken) > 1:
            run.put_back(recipes)
            return
        cell = Cell(
            work=run.task.begin(recipes),
            done=partial(self._done, run, recipes),
            priority=run.priority,
            size=run.task.size(recipes[0]),
            exact=run.exact,
            images=len(recipes),
            past=recipes[0].past,
            widths=decided[0] if decided else {},
        )
        run.cells[cell] = recipes
        self.hub.start(cell)

    def _decided_for(self, recipe: Recipe) -> dict[str, int] | None:
        """The widths of an image that is asked for a second time: the first request decides."""
        if len(self._runs) < 2:
            return None
        for run in self._runs:
            for cell, recipes in run.cells.items():
                if any(other.key == recipe.key for other in recipes):
                    return cell.widths
        return self._decided.get(recipe.key)

    def _done(self, run: Run, recipes: Sequence[Recipe], cell: Cell, outcome: Outcome) -> None:
        del run.cells[cell]
        error = outcome.error
        if isinstance(error, Stopped) or run.error is not None:
            return
        if isinstance(error, TooWideError):
            run.put_back(recipes, anew=True)
            return
        if error is not None and self._can_do_better(run, cell, recipes, error):
            run.put_back(recipes)
            return
        writes = [
            run.task.finish(recipe, place, cell, outcome)
            for place, recipe in enumerate(recipes)
            if not run.task.cancelled(recipe)
        ]
        with self._changed:
            run.unwritten += len(writes)
            if len(self._runs) > 1:
                self._decided.update((recipe.key, cell.widths) for recipe in recipes)
        for write in writes:
            self._unwritten.put((run, write))
            self._writing.wake()

    def _can_do_better(
        self, run: Run, cell: Cell, recipes: Sequence[Recipe], error: BaseException
    ) -> bool:
        """Whether images may succeed at another try.

        After a want of memory: with fewer images at once, or the model placed more sparingly. What
        failed together may also have been the fault of one.
        """
        if not memory.is_out_of_memory(error):
            return cell.images > 1
        return self.hub.thin_out(cell) or run.task.spare(self.hub, recipes[0])

    def _close_finished(self, runs: Sequence[Run]) -> None:
        with self._changed:
            for run in runs:
                if run.begun and not run.cells and not run.unwritten:
                    self._runs.remove(run)
                    run.task.close()
                    run.over.set()

    def _write(self) -> float | None:
        try:
            run, write = self._unwritten.get_nowait()
        except queue.Empty:
            return None
        try:
            write()
            run.shown = True
        except Exception as error:  # what cannot be kept ends the run
            run.fail(error)
        with self._changed:
            run.unwritten -= 1
            self._changed.notify_all()
        return 0


def _busy(run: Run) -> bool:
    """Whether the worker has something to do for it, or to close it."""
    return not run.begun or bool(run.cells) or not run.unwritten


def _all(_: Recipe) -> bool:
    return True


def _restart(error: Exception) -> GenerationError:
    return GenerationError(
        f"the GPU stopped working and needs a new process ({str(error).splitlines()[0]}); "
        f"restart the kernel and run the same again: what was made is kept"
    )


worker = Worker()
atexit.register(worker.leave)
