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
from typing import Any, NamedTuple, TypeVar

from nbtool.background import Loop
from nbtool.engines.local import memory
from nbtool.engines.local.forwards import BrokenDeviceError, Forwards, Stopped, TooWideError
from nbtool.engines.local.questions import Making, Outcome
from nbtool.engines.local.runs import Run, Waiting
from nbtool.errors import GenerationError, in_short, stopped_by
from nbtool.recipes.recipe import Recipe
from nbtool.silence import importing, quiet

WRITERS = max(2, min(8, (os.cpu_count() or 2) // 2))  # threads
BACKLOG = 32  # images that may wait to be written
AGAIN = 0.1  # seconds until a writer that failed goes on
LEAVING = 30  # seconds that the end of the process waits for what cannot be broken off

Result = TypeVar("Result")


class _Call(NamedTuple):
    """What is to be called between two ticks; alone: once no image is in the making."""

    future: Future[Any]
    work: Callable[[], Any]
    alone: bool


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
        self._calls: list[_Call] = []
        self._leaving = False
        self._process: int | None = None  # in which it works
        # The widths of images that were finished beside another run, which may ask for the same
        # ones, and whether they are exact; until all is done.
        self._decided: dict[str, tuple[dict[str, int], bool]] = {}
        self._working = Loop("nbtool", self._turn, fail=self._fail, retry=0, around=self._ready)
        self._writing = Loop("nbtool writer", self._write, retry=AGAIN, threads=WRITERS)

    def run(self, run: Run) -> None:
        """Returns when nothing of the run is left to do.

        Raises:
            NbtoolError: What stopped the run.
        """
        with self._changed:
            self._working.wake()  # first: where no thread can be started there is no run
            self._runs = sorted([*self._runs, run], key=lambda r: -r.priority)
            self._changed.notify_all()
        run.over.wait()
        if run.error is not None:
            raise run.error

    def forget(self, pipeline: Any) -> None:
        """Lets go of what is remembered of a pipeline's networks, so that they can be freed."""
        if not self._leaving:
            self.call(partial(self.forwards.forget, pipeline))

    def call(self, work: Callable[[], Result], *, alone: bool = False) -> Result:
        """What `work` returns, called on the worker's thread between two ticks.

        There it may change what pipelines share. What it raises is raised here.

        Args:
            work: Called without arguments.
            alone: Whether it must not be called while an image is in the making. None is begun
                before it was called.
        """
        if self._working.is_current:
            return work()
        self.claim()
        future: Future[Result] = Future()
        with self._changed:
            self._working.wake()
            self._calls.append(_Call(future, work, alone))
            self._changed.notify_all()
        return future.result()

    def claim(self) -> None:
        """Makes sure that pipelines can run in this process.

        Raises:
            GenerationError: It ends, or is the fork of one in which they have run.
        """
        if self._leaving:
            raise _ending()
        self._process = self._process or os.getpid()
        if self._process != os.getpid():
            raise GenerationError(
                "this process is the fork of one that has made images, and torch does not survive "
                'that; start it with multiprocessing.get_context("spawn"), or make no image before'
            )

    def leave(self) -> None:
        """Breaks off what is loaded or made, before torch is torn down."""
        self._leaving = True
        self._working.leave(LEAVING)
        self._writing.join(LEAVING)

    @contextmanager
    def _ready(self) -> Iterator[None]:
        with importing("torch"):
            import torch
        with importing("transformers"):
            import transformers  # noqa: F401
        with importing("accelerate"):
            import accelerate  # noqa: F401
        with importing("diffusers"):
            import diffusers  # noqa: F401

        with torch.no_grad(), quiet():
            self.forwards.begin()
            yield

    def _turn(self) -> float | None:
        """A tick, or a little of what is left to find out; None when there is nothing to do."""
        if self._leaving:
            self._fail(_ending())
        runs = self._busy_runs()
        try:
            self._advance(runs)
        except BrokenDeviceError as error:
            for run in runs:
                run.fail(_restart(error))
        self._close_finished(runs)
        return None if not self._compare() and self._is_idle() else 0

    def _fail(self, error: BaseException) -> None:
        """Tells all who wait of an error that is nobody's own, and lets go of what is in the making."""
        with self._changed:
            calls, self._calls = self._calls, []
            runs = self._runs
        for call in calls:
            call.future.set_exception(stopped_by(error))
        self.forwards.abandon()
        for run in runs:
            run.makings.clear()
            run.fail(error)
        self._close_finished(runs)

    def _busy_runs(self) -> list[Run]:
        """Waits until there is something to do; the runs for which there is, or none at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._calls or not self._runs or any(run.busy for run in self._runs)
            )
            busy = bool(self.forwards.makings)
            calls = [call for call in self._calls if not (call.alone and busy)]
            self._calls = [call for call in self._calls if call.alone and busy]
        for call in calls:
            try:
                call.future.set_result(call.work())
            except BaseException as error:
                call.future.set_exception(error)
        with self._changed:
            return [run for run in self._runs if run.busy]

    def _advance(self, runs: Sequence[Run]) -> None:
        for run in runs:
            left = False
            try:
                self._refresh(run)
            except Stopped:  # nobody waits for its model any more
                left = True
            except Exception as error:  # this run's alone
                run.fail(error)
            if left:
                memory.release()
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
        for making in run.unwanted:
            self.forwards.stop(making)
        self._drop_unwanted(run)
        if run.begun or any(call.alone for call in self._calls):
            return
        if not run.prepared or run.task.outdated:
            run.task.prepare(self.forwards, partial(self._is_wanted, run))
            run.prepared = True
        while taken := run.take(partial(self.forwards.room, run.priority)):
            self._begin(run, taken)

    def _is_wanted(self, run: Run) -> bool:
        """Whether anything of it is to be made."""
        self._drop_unwanted(run)
        return not run.begun

    def _drop_unwanted(self, run: Run) -> None:
        """Drops what is not to be begun; what another run makes of it, and this one waits for, hastens."""
        if dropped := {recipe.key for recipe in run.drop_unwanted()}:
            for other in self._runs:
                for making, recipes in other.makings.items():
                    if any(recipe.key in dropped for recipe in recipes):
                        making.priority = max(making.priority, run.priority)

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
        own, text = run.task.adapters(recipes[0])
        making = Making(
            work=run.task.begin(recipes),
            done=partial(self._done, run, recipes),
            priority=run.priority,
            size=run.task.size(recipes[0]),
            exact=run.exact,
            images=len(recipes),
            adapters=own,
            text_adapters=text,
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
        try:
            writes = [
                run.task.finish(recipe, place, making, outcome)
                for place, recipe in enumerate(recipes)
                if not run.task.cancelled(recipe)
            ]
        except Exception as unforeseen:  # this run's alone
            run.fail(unforeseen)
            return
        with self._changed:
            run.unwritten += len(writes)
            if len(self._runs) > 1:
                decided = making.widths, making.exact
                self._decided.update((recipe.key, decided) for recipe in recipes)
        for place, write in enumerate(writes):
            self._unwritten.put((run, write))
            # A writer goes on until nothing is left. The last wake comes when all are there, the
            # first before they may be too many; more than there are writers only take time.
            if place == 0 or place > len(writes) - WRITERS:
                self._wake_a_writer()

    def _wake_a_writer(self) -> None:
        try:
            self._writing.wake()
        except RuntimeError:  # the system starts no thread
            while self._write() is not None:
                pass

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
                    self._runs = [other for other in self._runs if other is not run]
                    try:
                        run.task.close()
                    except Exception as error:
                        run.fail(error)
                    run.over.set()

    def _write(self) -> float | None:
        try:
            run, write = self._unwritten.get_nowait()
        except queue.Empty:
            return None
        try:
            write()
            run.shown = True
        except BaseException as error:  # what cannot be kept ends the run
            run.fail(error)
        with self._changed:
            run.unwritten -= 1
            self._changed.notify_all()
        return 0


def _ending() -> GenerationError:
    return GenerationError(
        "Python is ending, and no more images are made; ask for them before the last line of the "
        "script is done, not in what atexit calls"
    )


def _restart(error: Exception) -> GenerationError:
    return GenerationError(
        f"the GPU stopped working and needs a new process ({in_short(error)}); "
        f"restart the kernel and run the same again: what was made is kept"
    )


worker = Worker()
atexit.register(worker.leave)
