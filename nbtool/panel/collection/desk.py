"""What people do in the gallery besides looking: one after another, beside the kernel's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from nbtool.live.feed import sendable
from nbtool.panel.background import InTurn
from nbtool.panel.collection.changes import Changes
from nbtool.panel.collection.done import Done
from nbtool.panel.collection.queue import Queue
from nbtool.panel.collection.sweeps import Sweeps
from nbtool.text import count

if TYPE_CHECKING:
    from nbtool.panel.notice import Notice
    from nbtool.recipes.recipe import Recipe
    from nbtool.results.image import GeneratedImage
    from nbtool.results.store import Store

SECTIONS = ("images", "sweeps")  # in which something is said of what was done
Act = Callable[[Mapping[str, Any]], None]


class Wall(Protocol):
    """The gallery as those who change it see it."""

    selected: Any
    said: Any
    deleted: Any
    sweeps: Any
    opened: Any
    queue: Any

    @property
    def images(self) -> Mapping[str, GeneratedImage]:
        """What is listed."""

    def is_open(self, section: str) -> bool:
        """Whether somebody looks at a section."""

    def look(self, *, again: bool) -> None:
        """Searches the store once more."""

    def marked(self, keys: Sequence[str]) -> None:
        """Shows the stars and notes of some as they are now."""

    def leave(self, keys: Sequence[str]) -> None:
        """Some images are about to be taken out of the store."""

    def removed(self, keys: Sequence[str]) -> None:
        """What was deleted is gone for good."""


class Desk:
    """Does what the browser asks for: with images, saved sweeps and jobs.

    Args:
        wall: The gallery.
        store: Whose images it shows.
        notice: Where it says what went wrong.
        copy: Puts a text on the clipboard.
    """

    def __init__(
        self, wall: Wall, store: Store, notice: Notice, copy: Callable[[str], None]
    ) -> None:
        self._wall = wall
        self._store = store
        self._copy = copy
        self.use: Callable[[Recipe], None] = lambda _: None  # the settings of an image
        self.start: Callable[[GeneratedImage], None] = lambda _: None  # from an image
        self._done = {name: Done(partial(self._say, name)) for name in SECTIONS}
        self._changes = Changes(store, self._done["images"])
        self._in_turn = InTurn(notice.fail)
        self.sweeps = Sweeps(store)
        self.queue = Queue(self._show_queue, lambda: wall.is_open("queue"), notice.fail)
        self._acts: dict[str, Act] = {
            "use": self._use,
            "start": self._start,
            "paths": self._copy_paths,
            "star": self._star,
            "note": self._note,
            "delete": lambda said: self._delete(texts(said.get("cells"))),
            "undo": lambda said: self._take_back(self._done[said["section"]].undo),
            "restore": lambda said: self._restore(texts(said.get("cells"))),
            "restore all": lambda _: self._restore(self._store.deleted.find().keys),
            "empty": lambda _: self._empty(),
            "sweeps": lambda _: self._list_sweeps(),
            "open sweep": lambda said: self._open_sweep(said["name"]),
            "rename sweep": lambda said: self._rename_sweep(said["name"], said["to"].strip()),
            "delete sweep": lambda said: self._delete_sweep(said["name"]),
            "move up": lambda said: self.queue.move_up(said["name"]),
            "cancel job": lambda said: self.queue.cancel(said["name"]),
        }

    def hear(self, kind: str, said: Mapping[str, Any]) -> None:
        """Does what was asked for, after what was asked for before; returns at once."""
        if act := self._acts.get(kind):
            self._in_turn(lambda: self._act(act, said))

    def keep(self, grid: Any) -> None:
        """Keeps the grid of a sweep under a name that it suggests itself; returns at once."""

        def keep() -> None:
            self.sweeps.keep(grid)
            self._list_sweeps()

        self._in_turn(keep)

    def describe(self) -> None:
        """Says how much was deleted; returns at once."""
        self._in_turn(self._describe)

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is left to do, or `timeout` seconds for each part of it."""
        self._in_turn.join(timeout)
        self.queue.join(timeout)

    def _act(self, act: Act, said: Mapping[str, Any]) -> None:
        for done in self._done.values():
            done.go_on()
        act(said)

    def _say(self, section: str, text: str, undo: bool) -> None:
        self._wall.said = {**self._wall.said, section: {"text": sendable(text), "undo": undo}}

    def _use(self, said: Mapping[str, Any]) -> None:
        for key in texts(said.get("cells"))[:1]:
            self.use(self._wall.images[key].recipe)

    def _start(self, said: Mapping[str, Any]) -> None:
        for key in texts(said.get("cells"))[:1]:
            self.start(self._wall.images[key])

    def _copy_paths(self, said: Mapping[str, Any]) -> None:
        images = [self._wall.images[key] for key in texts(said.get("cells"))]
        paths = [str(image.path) for image in images if image.path]
        self._copy("\n".join(paths))
        copied = "The path is" if len(paths) == 1 else f"{len(paths):,} paths are"
        self._done["images"].tell(f"{copied} on the clipboard")

    def _star(self, said: Mapping[str, Any]) -> None:
        keys = texts(said.get("cells"))
        try:
            self._changes.star(keys, starred=said.get("starred") is True)
        finally:
            self._wall.marked(keys)

    def _note(self, said: Mapping[str, Any]) -> None:
        keys = texts(said.get("cells"))
        try:
            self._changes.note(keys, str(said.get("note", "")))
        finally:
            self._wall.marked(keys)

    def _delete(self, keys: Sequence[str]) -> None:
        self._wall.leave(keys)
        try:
            self._changes.delete(keys)
        finally:
            self._wall.look(again=True)

    def _restore(self, keys: Sequence[str]) -> None:
        self._take_back(lambda: self._changes.restore(keys))

    def _take_back(self, act: Callable[[], None]) -> None:
        try:
            act()
        finally:
            self._wall.look(again=True)
            self._wall.marked(list(self._wall.images))
            self._list_sweeps()

    def _empty(self) -> None:
        keys = self._store.deleted.find().keys
        freed = self._store.empty_deleted()
        done = self._done["images"]
        done.forget()
        removed = f"{count(len(keys), 'image')} removed for good"
        done.tell(f"{removed}; {size_of(freed)} are free again")
        self._wall.removed(keys)
        self._describe()

    def _describe(self) -> None:
        deleted = self._store.deleted
        self._wall.deleted = {"images": len(deleted), "size": size_of(deleted.size)}

    def _list_sweeps(self) -> None:
        self._wall.sweeps = self.sweeps.listed()

    def _open_sweep(self, name: str) -> None:
        if name:
            self.sweeps.open(name)
        else:
            self.sweeps.close()
        self._wall.opened = name

    def _rename_sweep(self, name: str, to: str) -> None:
        if not to or to == name:
            return
        try:
            self.sweeps.rename(name, to)
            if self._wall.opened == name:
                self._wall.opened = to
        finally:
            self._list_sweeps()

    def _delete_sweep(self, name: str) -> None:
        undo = self.sweeps.delete(name)
        if self._wall.opened == name:
            self._open_sweep("")

        def put_back() -> str:
            undo()
            return "1 sweep put back"

        self._done["sweeps"].did("1 sweep deleted; its images stay", put_back)
        self._list_sweeps()

    def _show_queue(self, queue: list[dict[str, Any]]) -> None:
        if queue != self._wall.queue:
            self._wall.queue = queue


def size_of(count: int) -> str:
    """Bytes in words."""
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} GB"


def texts(given: object) -> list[str]:
    """Those of a list that are texts."""
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
