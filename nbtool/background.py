"""Loops in the background: threads that are there while there is work, and outlive its errors."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

logger = logging.getLogger("nbtool")

Fail = Callable[[Exception], None]


class Loop:
    """Takes one turn after another on a daemon thread, while there is something to do.

        loop = Loop("nbtool writer", self._turn, fail=self._note)
        loop.wake()         # there is something to do: a thread starts if none is there

    A turn says when the next one is due: a number of seconds, `0` for at once, or None: there is
    nothing to do until somebody wakes the loop, and the thread ends. A turn that begins after
    `wake()` was called is sure to come, whenever that was. What a turn raises is logged and handed
    to `fail`; the loop goes on at the next wake, or after `retry` seconds. After a fork the child
    has no threads, and its first wake starts anew.

    Args:
        name: Of its threads.
        turn: Does a piece of the work; on one of the threads.
        fail: Told what a turn raised.
        retry: Seconds until the next turn after one that failed; None: not before a wake.
        threads: How many at most take turns side by side; every wake may start one more.
        around: Makes what a thread is inside of from its first turn to its last.
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
        """There is something to do. Returns at once."""
        if self._process != os.getpid():  # a child: its parent's threads and locks are not its own
            self._begin()
        with self._changed:
            self._calls = min(self._calls + 1, self._most)
            if len(self._threads) < self._most:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._threads.add(thread)
                thread.start()
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

    def _run(self) -> None:
        try:
            with self._around():
                while self._is_called():
                    pause: float | None = 0
                    while pause is not None:
                        self._rest(pause)
                        pause = self._take_turn()
        except Exception as error:  # of what it is inside of
            self._note(error)
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

    def _rest(self, pause: float) -> None:
        """Waits until the next turn is due, or a wake makes it due."""
        if pause > 0:
            with self._changed:
                if self._changed.wait_for(lambda: self._calls, pause):
                    self._calls -= 1

    def _take_turn(self) -> float | None:
        try:
            return self._turn()
        except Exception as error:
            self._note(error)
            return self._retry

    def _note(self, error: Exception) -> None:
        """Logs an error and hands it on; what goes wrong with that is logged too."""
        logger.debug("in %s", self._name, exc_info=error)
        if self._fail is not None:
            try:
                self._fail(error)
            except Exception:
                logger.debug("in %s, telling of an error", self._name, exc_info=True)
