"""What was done last in a section of the gallery: how it is said, and how it is undone."""

from __future__ import annotations

from collections.abc import Callable

from nbtool.errors import StoreError

Undo = Callable[[], str]


class Done:
    """What was done, the last of it first to be undone.

    Args:
        say: Told what was done, or "", and whether it can be undone.
    """

    def __init__(self, say: Callable[[str, bool], None]) -> None:
        self._say = say
        self._undos: list[Undo] = []
        self._only_tells = False

    def tell(self, text: str, undo: bool = False) -> None:
        """Says what happened."""
        self._only_tells = bool(text) and not undo
        self._say(text, undo)

    def did(self, what: str, undo: Undo) -> None:
        """Says what was done, and keeps how it is undone; `undo` returns what is said then."""
        self._undos.append(undo)
        self.tell(what, undo=True)

    def go_on(self) -> None:
        """Something else is done: what was said goes, unless it offers to undo something."""
        if self._only_tells:
            self.tell("")

    def undo(self) -> None:
        """Takes back what was done last; what the disk refuses is tried again by the next call."""
        if not self._undos:
            self.tell("There is nothing to undo")
            return
        undo = self._undos.pop()
        try:
            undone = undo()
        except (StoreError, KeyError) as error:
            if refused(error):
                self._undos.append(undo)
            else:  # what was done before it can be undone still
                self.tell("That cannot be undone any more", bool(self._undos))
            raise
        self.tell(undone, bool(self._undos))

    def forget(self) -> None:
        """Nothing before can be undone any more."""
        self._undos.clear()


def refused(error: BaseException) -> bool:
    """Whether the disk refused it, which it may not the next time."""
    return isinstance(error, OSError) and isinstance(error.__cause__, OSError)
