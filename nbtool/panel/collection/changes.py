"""What is done with images of the gallery."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from nbtool.errors import StoreError
from nbtool.panel.collection.done import Done, refused
from nbtool.text import count

if TYPE_CHECKING:
    from nbtool.results.store import Store


class Changes:
    """Stars, notes and deletes several images of a store. Each call may take a while.

    Args:
        store: Whose images they are.
        done: Told what was done, and how it is undone.
    """

    def __init__(self, store: Store, done: Done) -> None:
        self._store = store
        self._done = done

    def star(self, keys: Iterable[str], *, starred: bool) -> None:
        for key in keys:
            self._store.set_mark(key, starred=starred)

    def note(self, keys: Sequence[str], note: str) -> None:
        """The same note for each; what was noted before comes back where it is undone."""
        before = {key: self._store.mark(key).note for key in keys}
        for key in keys:
            self._store.set_mark(key, note=note)
        what = f"The note of {count(len(keys), 'image')}"

        def undo() -> str:
            lost = _each(before, lambda key: self._store.set_mark(key, note=before[key]))
            return "; ".join([f"{what} is as before", *_but(lost)])

        self._done.did(f"{what} is {'kept' if note else 'gone'}", undo)

    def delete(self, keys: Iterable[str]) -> None:
        """Takes images out of the store; where some have to stay, the others can be put back."""
        deleted: list[str] = []
        try:
            for key in keys:
                self._store.delete(key)
                deleted.append(key)
        finally:
            if deleted:
                what = count(len(deleted), "image")
                self._done.did(f"{what} deleted", lambda: self._restore(deleted))

    def restore(self, keys: Sequence[str]) -> None:
        """Puts back what was deleted and not removed."""
        self._done.tell(self._restore(keys))

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
    reasons, error_of_disk = [], None
    for key in keys:
        try:
            act(key)
        except StoreError as error:
            if refused(error):
                error_of_disk = error
            else:
                reasons.append(str(error))
    if error_of_disk:
        raise error_of_disk
    return reasons


def _but(reasons: list[str]) -> list[str]:
    return [f"{len(reasons):,} could not be: {reasons[0]}"] if reasons else []
