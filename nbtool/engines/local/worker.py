"""The one thread on which pipelines run, and the threads that write what it makes."""

from __future__ import annotations

import atexit
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from nbtool.background import Loop
from nbtool.engines.local import memory
from nbtool.engines.local.forwards import BrokenDeviceError, Forwards, Stopped, TooWideError
from nbtool.engines.local.questions import Making, Outcome
from nbtool.engines.local.runs import Run, Waiting
from nbtool.errors import GenerationError
from nbtool.recipes.recipe import Recipe
from nbtool.silence import quiet

WRITERS = max(2, min(8, (os.cpu_count() or 2) // 2))  # threads
BACKLOG = 32  # images that may wait to be written
LEAVING = 30  # seconds that the end of the process waits for a forward


Result = TypeVar("Result")


class Worker:
    """Advances all runs together, one tick after the other, on a thread of its own.

    The thread ends with the last run: the threads that torch keeps for it would slow down those
    that it keeps for others.
    """

    def __init__(self) -> None:
        self.forwards = Forwards()
        self._runs: list[Run] = []
        self._unwritten: queue.Queue[tuple[Run, Callable[[], None]]] = queue.Queue(BACKLOG)
        self._changed = threading.Condition()
        self._calls: list[tuple[Future[Any], Callable[[], Any]]] = []
        self._leaving = False
        # The widths of images that were finished beside another run, which may ask for the same
        # ones, and whether they are exact; until all is done.
        self._decided: dict[str, tuple[dict[str, int], bool]] = {}
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
        self.call(partial(self.forwards.forget, pipeline))

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
            self.forwards.begin()
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
                lambda: self._calls or not self._runs or any(run.busy for run in self._runs)
            )
            calls, self._calls = self._calls, []
        for future, work in calls:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)
        with self._changed:
            return [run for run in self._runs if run.busy]

    def _advance(self, runs: Sequence[Run]) -> None:
        for run in runs:
            try:
                self._refresh(run)
            except Exception as error:  # this run's alone
                run.fail(error)
        self.forwards.tick()

    def _compare(self) -> bool:
        """Learns a little about widths, once every run has shown an image; whether it did.

        After the last run it goes on for what is left of its share of the time.
        """
        with self._changed:
            if self._leaving or self._calls or not all(run.shown for run in self._runs):
                return False
        try:
            return self.forwards.compare()
        except BrokenDeviceError:  # the next forward will say so
            return False

    def _is_idle(self) -> bool:
        if not self._runs:
            self.forwards.remember()
            self._decided.clear()
        with self._changed:
            return not (self._calls or self._runs)

    def _refresh(self, run: Run) -> None:
        """Leaves what is cancelled, and begins what there is room for."""
        if (not run.prepared or run.task.outdated) and run.error is None:
            run.task.prepare(self.forwards)
            run.prepared = True
        for making in run.drop_unwanted():
            self.forwards.stop(making)
        while taken := run.take(partial(self.forwards.room, run.priority)):
            self._begin(run, taken)

    def _begin(self, run: Run, taken: Sequence[Waiting]) -> None:
        recipes = [waiting.recipe for waiting in taken]
        decided = [
            widths
            for waiting in taken
            if not waiting.anew and (widths := self._decided_for(run, waiting.recipe)) is not None
        ]
        if decided and len(taken) > 1:
            run.put_back(recipes)
            return
        making = Making(
            work=run.task.begin(recipes),
            done=partial(self._done, run, recipes),
            priority=run.priority,
            size=run.task.size(recipes[0]),
            exact=run.exact,
            images=len(recipes),
            past=recipes[0].past,
            widths=decided[0] if decided else {},
        )
        run.makings[making] = recipes
        self.forwards.start(making)

    def _decided_for(self, run: Run, recipe: Recipe) -> dict[str, int] | None:
        """The widths of an image that is asked for a second time: the first request decides.

        Except for who wants an exact image where the first one did not.
        """
        for other in self._runs:
            for making, recipes in other.makings.items():
                if (making.exact or not run.exact) and any(r.key == recipe.key for r in recipes):
                    return making.widths
        widths, exact = self._decided.get(recipe.key, (None, False))
        return widths if exact or not run.exact else None

    def _done(self, run: Run, recipes: Sequence[Recipe], making: Making, outcome: Outcome) -> None:
        del run.makings[making]
        error = outcome.error
        if isinstance(error, Stopped) or run.error is not None:
            return
        if isinstance(error, TooWideError):
            run.put_back(recipes, anew=True)
            return
        if error is not None and self._can_do_better(run, making, recipes, error):
            run.put_back(recipes)
            return
        writes = [
            run.task.finish(recipe, place, making, outcome)
            for place, recipe in enumerate(recipes)
            if not run.task.cancelled(recipe)
        ]
        with self._changed:
            run.unwritten += len(writes)
            if len(self._runs) > 1:
                decided = making.widths, making.exact
                self._decided.update((recipe.key, decided) for recipe in recipes)
        for write in writes:
            self._unwritten.put((run, write))
            self._writing.wake()

    def _can_do_better(
        self, run: Run, making: Making, recipes: Sequence[Recipe], error: BaseException
    ) -> bool:
        """Whether images may succeed at another try.

        After a want of memory: with fewer images at once, or the model placed more sparingly. What
        failed together may also have been the fault of one.
        """
        if not memory.is_out_of_memory(error):
            return making.images > 1
        return self.forwards.make_fewer_at_once(making) or run.task.take_less_memory(
            self.forwards, recipes[0]
        )

    def _close_finished(self, runs: Sequence[Run]) -> None:
        with self._changed:
            for run in runs:
                if run.begun and not run.makings and not run.unwritten:
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


def _restart(error: Exception) -> GenerationError:
    return GenerationError(
        f"the GPU stopped working and needs a new process ({str(error).splitlines()[0]}); "
        f"restart the kernel and run the same again: what was made is kept"
    )


worker = Worker()
atexit.register(worker.leave)
