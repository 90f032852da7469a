"""What is done with images of the gallery, and how the last of it is undone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from nbtool.errors import StoreError
from nbtool.text import count

if TYPE_CHECKING:
    from nbtool.results.store import Store

Undo = Callable[[], str]


class Changes:
    """Stars, notes and deletes several images of a store. Each call may take a while.

    Args:
        store: Whose images they are.
        say: Told what was done, and whether it can be undone.
    """

    def __init__(self, store: Store, say: Callable[[str, bool], None]) -> None:
        self._store = store
        self._say = say
        self._undos: list[Undo] = []

    def star(self, keys: Iterable[str], *, starred: bool) -> None:
        for key in keys:
            self._store.set_mark(key, starred=starred)

    def note(self, keys: Sequence[str], note: str) -> None:
        """The same note for each; what was noted before comes back with `undo`."""
        before = {key: self._store.mark(key).note for key in keys}
        for key in keys:
            self._store.set_mark(key, note=note)
        what = f"The note of {count(len(keys), 'image')}"

        def undo() -> str:
            lost = _each(before, lambda key: self._store.set_mark(key, note=before[key]))
            return "; ".join([f"{what} is as before", *_but(lost)])

        self.did(f"{what} is {'kept' if note else 'gone'}", undo)

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
                self.did(f"{what} deleted", lambda: self._restore(deleted))

    def restore(self, keys: Sequence[str]) -> None:
        """Puts back what was deleted and not removed."""
        self._say(self._restore(keys), False)

    def did(self, what: str, undo: Undo) -> None:
        """Says what was done, and keeps how it is undone; `undo` returns what is said then."""
        self._undos.append(undo)
        self._say(what, True)

    def undo(self) -> None:
        """Takes back what was done last; what the disk refuses is tried again by the next call."""
        if not self._undos:
            self._say("There is nothing to undo", False)
            return
        undo = self._undos.pop()
        try:
            undone = undo()
        except (StoreError, KeyError) as error:
            if _refused(error):
                self._undos.append(undo)
            else:  # what was done before it can be undone still
                self._say("That cannot be undone any more", bool(self._undos))
            raise
        self._say(undone, bool(self._undos))

    def forget(self) -> None:
        """Nothing before can be undone any more."""
        self._undos.clear()

    def _restore(self, keys: Collection[str]) -> str:
        deleted, anew = self._store.deleted, 0

        def restore(key: str) -> None:
            nonlocal anew
            if not self._store.has(key):
                self._store.restore(key)
            elif deleted.has(key):  # else it was put back before
                anew += 1

        lost = _each(keys, restore)
        said = [f"{count(len(keys) - anew - len(lost), 'image')} put back"]
        said += [f"{anew:,} {'was' if anew == 1 else 'were'} made anew meanwhile"] if anew else []
        return "; ".join([*said, *_but(lost)])


def _each(keys: Iterable[str], act: Callable[[str], object]) -> list[str]:
    """Why it could not be done with some; raises what the disk refused, after all were tried."""
    reasons, refused = [], None
    for key in keys:
        try:
            act(key)
        except StoreError as error:
            if _refused(error):
                refused = error
            else:
                reasons.append(str(error))
    if refused:
        raise refused
    return reasons


def _refused(error: BaseException) -> bool:
    """Whether the disk refused it, which it may not the next time."""
    return isinstance(error, OSError) and isinstance(error.__cause__, OSError)


def _but(reasons: list[str]) -> list[str]:
    return [f"{len(reasons):,} could not be: {reasons[0]}"] if reasons else []
