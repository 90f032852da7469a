"""Which images are in the making, and by whom: what several ask for at once is made once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection

_changed = threading.Condition()
_shares: set[Share] = set()  # of all who are not done
_makers: dict[tuple[str, str], Share] = {}  # of what is in the making, by store and key


class Share:
    """What one who asks for images makes, and what is left to others with the same store.

    Args:
        store: The folder, by whatever way it is called.
        keys: Of the images.

    Attributes:
        left: The keys of what is left to others, who make it or have made it.
    """

    def __init__(self, store: str | os.PathLike[str], keys: Collection[str]) -> None:
        self.place = os.path.realpath(store)
        self.keys = keys
        self.left: set[str] = set()
        _shares.add(self)  # what others make from now on, it hears of

    def take(self, key: str) -> None:
        """An image is begun here; whoever was first goes on with it."""
        with _changed:
            _makers.setdefault((self.place, key), self)

    def made(self, key: str) -> None:
        """An image was made here: no other needs to make it any more."""
        for other in tuple(_shares):
            if other is not self and other.place == self.place and key in other.keys:
                other.left.add(key)

    def leaves(self, key: str) -> bool:
        """Whether an image is left to another, who makes it or has made it."""
        if len(_shares) > 1 and self._is_elsewhere(key):
            self.left.add(key)
        return key in self.left

    def wait(self, wanted: Callable[[str], bool]) -> list[str]:
        """What was left to others and is in the making no more; it is there now, or came to nothing.

        Waits until there is any, or none of it is wanted.

        Args:
            wanted: Whether an image is still wanted here; asked whenever anything is dropped.
        """

        def left() -> list[str]:
            return [key for key in tuple(self.left) if wanted(key)]

        def free() -> list[str]:
            return [key for key in left() if not self._is_elsewhere(key)]

        with _changed:
            _changed.wait_for(lambda: not left() or free())
            found = free()
        self.left.difference_update(found)
        return found

    def drop(self, *keys: str) -> None:
        """These are not in the making here any more, done or given up."""
        with _changed:
            for key in keys:
                if _makers.get((self.place, key)) is self:
                    del _makers[self.place, key]
            _changed.notify_all()

    def close(self) -> None:
        """Nothing is made or wanted here any more."""
        _shares.discard(self)
        self.drop(*self.keys)

    def _is_elsewhere(self, key: str) -> bool:
        return _makers.get((self.place, key), self) is not self


def forsake() -> None:
    """In a fork: nothing is in the making, whatever threads that are gone were doing."""
    global _changed  # noqa: PLW0603 - one of them may have held it
    _changed = threading.Condition()
    _shares.clear()
    _makers.clear()
