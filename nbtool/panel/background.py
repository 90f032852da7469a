"""Work beside the kernel's own thread: handlers hand it over and return."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbtool.job import Job

LOOK = 0.15  # seconds between two looks at running jobs

Fail = Callable[[Exception], None]


Call = Callable[[], Callable[[], None] | None]


class Latest:
    """Runs the newest call on a daemon thread; calls it had no time for are dropped.

    What a call returns is called too, unless something newer was asked for meanwhile.

    Args:
        fail: Told what a call raised.
    """

    def __init__(self, fail: Fail) -> None:
        self._fail = fail
        self._changed = threading.Condition(threading.RLock())
        self._next: Call | None = None
        self._busy = False
        self._asked = 0

    def __call__(self, call: Call) -> None:
        with self._changed:
            self._asked += 1
            self._next = call
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, name="nbtool panel", daemon=True).start()

    def forget(self) -> None:
        """Drops what is under way."""
        with self._changed:
            self._asked += 1
            self._next = None

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is left to do, or `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                call, self._next = self._next, None
                asked = self._asked
                if call is None:
                    self._busy = False
                    self._changed.notify_all()
                    return
            try:
                then = call()
                with self._changed:
                    if then and asked == self._asked:
                        then()
            except Exception as error:
                self._fail(error)


class Follower:
    """Looks at running jobs from a daemon thread until all of them are done.

    Args:
        look: Given the jobs since the last time nothing ran, and whether all are done. It may
            touch nothing but traits and display handles.
        fail: Told what `look` raised.
    """

    def __init__(self, look: Callable[[Sequence[Job], bool], None], fail: Fail) -> None:
        self._look = look
        self._fail = fail
        self._changed = threading.Condition()
        self._jobs: list[Job] = []

    def follow(self, job: Job) -> None:
        with self._changed:
            self._jobs.append(job)
            if len(self._jobs) == 1:
                threading.Thread(target=self._run, name="nbtool follower", daemon=True).start()

    def cancel(self) -> None:
        """Cancels every job that runs."""
        with self._changed:
            for job in self._jobs:
                job.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Waits until all jobs are done and looked at, or `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._jobs, timeout)

    def _run(self) -> None:
        over = False
        while not over:
            with self._changed:
                jobs = tuple(self._jobs)
            if waiting := [job for job in jobs if not job.done]:
                waiting[0].join(LOOK)
            over = all(job.done for job in jobs)
            try:
                self._look(jobs, over)
            except Exception as error:
                self._fail(error)
            with self._changed:
                over = over and len(self._jobs) == len(jobs)
                if over:
                    self._jobs.clear()
                    self._changed.notify_all()
