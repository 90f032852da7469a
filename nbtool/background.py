"""Loops in the background: threads that are there while there is work, and outlive its errors.

The one place where nbtool starts threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from nbtool.errors import log
from nbtool.silence import mild

Fail = Callable[[BaseException], None]
AGAIN = 0.1  # seconds until a thread that is to leave is told so again


class Loop:
    """Takes one turn after another on a daemon thread, while there is something to do.

        loop = Loop("nbtool writer", self._turn, fail=self._note)
        loop.wake()         # there is something to do: a thread starts if none is there

    A turn says when the next one is due: a number of seconds, `0` for at once, or None: there is
    nothing to do until somebody wakes the loop, and the thread ends. A turn that begins after
    `wake()` was called is sure to come, whenever that was. What a turn raises, be it an interrupt
    or the wish to exit, is logged and handed to `fail`; the loop goes on at the next wake, or after
    `retry` seconds. A warning is no error there. After a fork the child has no threads, and its
    first wake starts anew.

    Args:
        name: Of its threads.
        turn: Does a piece of the work; on one of the threads.
        fail: Told what a turn raised.
        retry: Seconds until the next turn after one that failed; None: not before a wake.
        threads: How many at most take turns side by side; every wake may start one more.
        around: Makes what a thread is inside of from the first turn after a wake to the last. If
            that raises, `fail` is told, and it is tried again at the next wake.
    """

    def __init__(
        self,
        name: str,
        turn: Callable[[], float | None],
        *,
        fail: Fail | None = None,
        retry: float | None = None,
        threads: int = 1,
        around: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self._name = name
        self._turn = turn
        self._fail = fail
        self._retry = retry
        self._most = threads
        self._around = around
        self._begin()

    def _begin(self) -> None:
        self._changed = threading.Condition()
        self._threads: set[threading.Thread] = set()
        self._calls = 0  # wakes that no turn has answered yet
        self._process = os.getpid()

    def wake(self) -> None:
        """There is something to do. Returns at once.

        Raises:
            RuntimeError: No thread is there, and the system starts none.
        """
        if self._process != os.getpid():  # a child: its parent's threads and locks are not its own
            self._begin()
        with self._changed:
            self._calls = min(self._calls + 1, self._most)
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                try:
                    thread.start()
                    self._threads.add(thread)
                except RuntimeError:
                    if not self._threads:
                        raise
            self._changed.notify_all()

    @property
    def running(self) -> bool:
        """Whether any thread is there."""
        return self._process == os.getpid() and bool(self._threads)

    @property
    def is_current(self) -> bool:
        """Whether it is one of its own threads that asks."""
        return threading.current_thread() in self._threads

    def join(self, timeout: float | None = None) -> bool:
        """Waits until nothing is left to do, or `timeout` seconds; whether it came to that."""
        if not self.running:
            return True
        with self._changed:
            return self._changed.wait_for(lambda: not self._threads, timeout)

    def leave(self, timeout: float) -> None:
        """At the end of the process: breaks off what its threads do, and waits until they are gone.

        Each is told to exit at its next line of Python, again and again: what it is in the middle
        of, such as an import, may take that for an error and go on.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            alive = [thread for thread in tuple(self._threads) if thread.is_alive()]
            if not alive:
                return
            for thread in alive:
                ident, error = ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, error)
            alive[0].join(AGAIN)

    def _run(self) -> None:
        try:
            while self._is_called():
                self._take_turns()
        finally:
            with self._changed:  # whatever happened, the next wake starts a thread
                self._threads.discard(threading.current_thread())
                self._changed.notify_all()

    def _is_called(self) -> bool:
        """Answers one wake; without any, the thread is not counted any more from this moment."""
        with self._changed:
            if self._calls:
                self._calls -= 1
                return True
            self._threads.discard(threading.current_thread())
            return False

    def _take_turns(self) -> None:
        """Until there is nothing to do."""
        try:
            with mild(), self._around():
                pause: float | None = 0
                while pause is not None:
                    self._rest(pause)
                    pause = self._take_turn()
        except BaseException as error:  # of what they are inside of
            self._note(error)

    def _rest(self, pause: float) -> None:
        """Waits until the next turn is due, or a wake makes it due."""
        if pause > 0:
            with self._changed:
                if self._changed.wait_for(lambda: self._calls, pause):
                    self._calls -= 1

    def _take_turn(self) -> float | None:
        try:
            with mild():  # again: there may be other filters by now
                return self._turn()
        except BaseException as error:
            self._note(error)
            return self._retry

    def _note(self, error: BaseException) -> None:
        """Hands an error on and logs it; what goes wrong with that is logged too."""
        try:
            if self._fail is not None:
                self._fail(error)
        except BaseException as another:
            log(f"in {self._name}, telling of an error", another)
        log(f"in {self._name}", error)
