"""Work beside the kernel's own thread: handlers hand it over and return."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nbtool.background import Fail, Loop

if TYPE_CHECKING:
    from nbtool.job import Job

LOOK = 0.15  # seconds between two looks at running jobs

Work = Callable[[], Callable[[], None] | None]


class Latest:
    """Runs the newest call on a daemon thread; calls it had no time for are dropped.

    What a call returns is called too, unless something newer was asked for meanwhile.

    Args:
        fail: Told what a call raised.
        after: Comes first, if that is under way.
    """

    def __init__(self, fail: Fail, *, after: Latest | None = None) -> None:
        self._loop = Loop("nbtool panel", self._turn, fail=fail)
        self._after = after
        self._lock = threading.RLock()
        self._next: Work | None = None
        self._asked = 0

    def __call__(self, call: Work) -> None:
        with self._lock:
            self._asked += 1
            self._next = call
        self._loop.wake()

    def forget(self) -> None:
        """Drops what is under way."""
        with self._lock:
            self._asked += 1
            self._next = None

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is left to do, or `timeout` seconds."""
        self._loop.join(timeout)

    def _turn(self) -> float | None:
        if self._after:
            self._after.join()
        with self._lock:
            call, self._next = self._next, None
            asked = self._asked
        if call is None:
            return None
        then = call()
        with self._lock:
            if then and asked == self._asked:
                then()
        return 0


class InTurn:
    """Runs calls one after another on a daemon thread; none is dropped.

    Args:
        fail: Told what a call raised.
    """

    def __init__(self, fail: Fail) -> None:
        self._loop = Loop("nbtool desk", self._turn, fail=fail, retry=0)
        self._calls: deque[Callable[[], None]] = deque()

    def __call__(self, call: Callable[[], None]) -> None:
        self._calls.append(call)
        self._loop.wake()

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is left to do, or `timeout` seconds."""
        self._loop.join(timeout)

    def _turn(self) -> float | None:
        if not self._calls:
            return None
        self._calls.popleft()()
        return 0


class Follower:
    """Looks at running jobs from a daemon thread until all of them are done.

    Args:
        look: Given the jobs since the last time nothing ran, and whether all are done. It may
            touch nothing but traits and display handles.
        fail: Told what `look` raised.
    """

    def __init__(self, look: Callable[[Sequence[Job], bool], None], fail: Fail) -> None:
        self._look = look
        # A look that failed is no reason to look away from jobs that run.
        self._loop = Loop("nbtool follower", self._turn, fail=fail, retry=0)
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._failed = False  # the last look

    def follow(self, job: Job) -> None:
        with self._lock:
            self._jobs.append(job)
        self._loop.wake()

    def cancel(self) -> None:
        """Cancels every job that runs."""
        with self._lock:
            for job in self._jobs:
                job.cancel()

    def join(self, timeout: float | None = None) -> None:
        """Waits until all jobs are done and looked at, or `timeout` seconds."""
        self._loop.join(timeout)

    def _turn(self) -> float | None:
        with self._lock:
            jobs = tuple(self._jobs)
        if not jobs:
            return None
        if waiting := [job for job in jobs if not job.done]:
            waiting[0].join(LOOK)
        over = all(job.done for job in jobs)
        looked = False
        try:
            self._look(jobs, over)
            looked = True
        finally:
            with self._lock:  # a last look that failed is taken once more
                if over and (looked or self._failed):
                    del self._jobs[: len(jobs)]  # others may have come meanwhile
            self._failed = not looked
        return 0
