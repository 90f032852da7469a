"""The end of a job, for all who wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from nbtool.errors import NbtoolError


class Ending:
    """Comes once. Threads wait for it with `join`, coroutines with `await`.

    Attributes:
        error: What stopped the job, if anything did.
    """

    def __init__(self) -> None:
        self.error: NbtoolError | None = None
        self._came = threading.Event()
        self._listeners: set[Callable[[], object]] = set()

    @property
    def came(self) -> bool:
        return self._came.is_set()

    def come(self) -> None:
        """Tells all who wait."""
        self._came.set()
        for tell in tuple(self._listeners):
            with contextlib.suppress(RuntimeError):  # its event loop is closed
                tell()

    def join(self, timeout: float | None = None) -> None:
        """Waits for it, or `timeout` seconds; raises nothing."""
        self._came.wait(timeout)

    def __await__(self) -> Generator[Any, None, None]:
        """Waits for it, and occupies no thread."""
        over = asyncio.Event()
        tell = partial(asyncio.get_running_loop().call_soon_threadsafe, over.set)
        self._listeners.add(tell)
        try:
            if not self.came:  # asked last: what comes now is told
                yield from over.wait().__await__()
        finally:
            self._listeners.discard(tell)
