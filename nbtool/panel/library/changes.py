"""What is done with images of the gallery, and how the last of it is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from nbtool.errors import StoreError
from nbtool.text import count

if TYPE_CHECKING:
    from nbtool.results.store import Store

Undo = Callable[[], None]


class Changes:
    """Stars, notes and deletes several images of a store. Each call may take a while.

    Args:
        store: Whose images they are.
        say: Told what was done, and whether it can be undone.
    """

    def __init__(self, store: Store, say: Callable[[str, bool], None]) -> None:
        self._store = store
        self._say = say
        self._undos: list[tuple[str, Undo]] = []  # with what is said then

    def star(self, keys: Iterable[str], *, starred: bool) -> None:
        for key in keys:
            self._store.set_mark(key, starred=starred)

    def note(self, keys: Sequence[str], note: str) -> None:
        """The same note for each; what was noted before comes back with `undo`."""
        before = {key: self._store.mark(key).note for key in keys}
        for key in keys:
            self._store.set_mark(key, note=note)
        what = f"The note of {count(len(keys), 'image')}"

        def undo() -> None:
            for key, old in before.items():
                self._store.set_mark(key, note=old)

        self.did(f"{what} is {'kept' if note else 'gone'}", f"{what} is as before", undo)

    def delete(self, keys: Iterable[str], gone: Callable[[Sequence[str]], None]) -> None:
        """Takes images out of the store; `gone` is told which, also where some had to stay."""
        deleted: list[str] = []
        try:
            for key in keys:
                self._store.delete(key)
                deleted.append(key)
        finally:
            if deleted:
                gone(deleted)
                what = count(len(deleted), "image")
                self.did(f"{what} deleted", f"{what} put back", lambda: self._restore(deleted))

    def restore(self) -> None:
        """Puts back all that was deleted and not removed."""
        keys = self._store.deleted.find().keys
        self._restore(keys)
        self._say(f"{count(len(keys), 'image')} put back", False)

    def did(self, what: str, undone: str, undo: Undo) -> None:
        """Says what was done, and keeps how it is undone."""
        self._undos.append((undone, undo))
        self._say(what, True)

    def undo(self) -> None:
        """Takes back what was done last; what cannot be now is tried again by the next call."""
        if not self._undos:
            self._say("There is nothing to undo", False)
            return
        undone, undo = self._undos[-1]
        undo()
        self._undos.pop()
        self._say(undone, bool(self._undos))

    def forget(self) -> None:
        """Nothing before can be undone any more."""
        self._undos.clear()

    def _restore(self, keys: Iterable[str]) -> None:
        """Puts back what can be.

        Raises:
            StoreError: Why one could not be, or the first of several.
        """
        failed: list[StoreError] = []
        for key in keys:
            if not self._store.has(key):  # else it was made anew since
                try:
                    self._store.restore(key)
                except StoreError as error:
                    failed.append(error)
        if failed:
            raise failed[0]
