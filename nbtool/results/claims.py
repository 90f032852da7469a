"""Which images are in the making, and by whom: what several ask for at once is made once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Hashable
from typing import TypeVar

Thing = TypeVar("Thing", bound=Hashable)


class Claims:
    """Who makes what, as long as it is in the making."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begins anew, whatever threads that are gone were doing."""
        self._changed = threading.Condition()
        self._holders: dict[Hashable, object] = {}

    def take(self, thing: Hashable, holder: object) -> None:
        """Somebody begins to make something; whoever was first goes on with it."""
        with self._changed:
            self._holders.setdefault(thing, holder)

    def is_elsewhere(self, thing: Hashable, holder: object) -> bool:
        """Whether somebody else makes it."""
        return self._holders.get(thing, holder) is not holder

    def drop(self, holder: object, thing: Hashable = None) -> None:
        """Somebody makes this no more, or nothing at all: it is done, or given up."""
        with self._changed:
            for held in [thing] if thing else list(self._holders):
                if self._holders.get(held) is holder:
                    del self._holders[held]
            self._changed.notify_all()

    def wait(
        self, things: Collection[Thing], holder: object, stop: Callable[[], bool]
    ) -> list[Thing]:
        """Those that nobody else makes; waits until there are some, or it is to stop.

        Args:
            things: That are wanted.
            holder: Who wants them.
            stop: Asked at the beginning, and whenever something is dropped.
        """

        def free() -> list[Thing]:
            return [thing for thing in things if not self.is_elsewhere(thing, holder)]

        with self._changed:
            self._changed.wait_for(lambda: stop() or free())
            return free()
