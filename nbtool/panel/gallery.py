"""The gallery of a panel: all images of the store, its saved sweeps, and the jobs."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from nbtool.display import faces
from nbtool.live.feed import sendable
from nbtool.live.thumbnails import jpeg
from nbtool.panel import library
from nbtool.panel.background import InTurn, Latest
from nbtool.panel.library.changes import Changes
from nbtool.panel.library.queue import Queue
from nbtool.panel.library.sweeps import Sweeps
from nbtool.panel.library.tiles import Tiles
from nbtool.results.found import NEWEST as FIRST
from nbtool.results.found import TODAY
from nbtool.results.image import GeneratedImage
from nbtool.text import ellipsized

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from nbtool.panel.notice import Notice
    from nbtool.recipes.recipe import Recipe
    from nbtool.results.labelled import Labelled
    from nbtool.results.store import Store

NEWEST = 24  # images that are known whatever is searched for
MAKING = 12  # images in the making that are shown at once
THUMBNAIL = 160  # pixels on the longer side
MAX_CAPTION = 300  # characters
HERE = Path(__file__).parent


class Gallery(anywidget.AnyWidget):
    """All images of a store, its saved sweeps, and the jobs that run and wait.

    The browser has the keys of all images, and asks for the tiles that are in sight. An image in
    the making keeps its place when it is finished.

    Args:
        store: What it shows.
        notice: Where it says what went wrong.
        copy: Puts a text on the clipboard.
    """

    _esm = library.module()
    _css = library.style()
    recent = traitlets.List(traitlets.Unicode()).tag(sync=True)  # keys, before those below
    making = traitlets.List(traitlets.Unicode()).tag(sync=True)  # those of them that are not done
    stored = traitlets.Bytes().tag(sync=True)  # keys, 32 bytes each, as the search found them
    total = traitlets.Int().tag(sync=True)  # images in the store
    selected = traitlets.Unicode().tag(sync=True)  # the key of the one that is looked at, or ""
    asked = traitlets.Dict().tag(sync=True)  # words, model, starred, today, sort
    found = traitlets.Dict().tag(sync=True)  # what was asked for when the keys were found
    models = traitlets.List(traitlets.Unicode()).tag(sync=True)
    said = traitlets.Dict().tag(sync=True)  # what was done last: text, undo
    deleted = traitlets.Dict().tag(sync=True)  # what can be removed for good: images, size
    folder = traitlets.Dict().tag(sync=True)  # where the images are: path, home
    section = traitlets.Unicode("images").tag(sync=True)  # or "sweeps" or "queue"
    sweeps = traitlets.List(traitlets.Dict()).tag(sync=True)
    opened = traitlets.Unicode().tag(sync=True)  # the sweep that is open, or ""
    queue = traitlets.List(traitlets.Dict()).tag(sync=True)

    def __init__(self, store: Store, notice: Notice, copy: Callable[[str], None]) -> None:
        super().__init__(folder={"path": sendable(str(store.path)), "home": str(Path.home())})
        self._store = store
        self._copy = copy
        self._updating = threading.RLock()  # jobs of both tabs may end at once
        self._making: Mapping[str, tuple[Recipe, Image | None]] = {}
        self._held: dict[str, GeneratedImage] = {}  # by key, those of `recent` that are done
        self._found: Sequence[GeneratedImage] = ()
        self._places: dict[str, int] = {}  # in what was found, by key
        self._looked_at: tuple[str, GeneratedImage | None] = "", None
        self._newest: list[GeneratedImage] = []
        self._use: Callable[[Recipe], None] = lambda _: None
        self._marked: Callable[[], None] = lambda: None
        self._tiles = Tiles(self, self.find)
        self._searching = Latest(notice.fail)
        self._in_turn = InTurn(notice.fail)
        self._changes = Changes(store, self._say)
        self._sweeps = Sweeps(store)
        self._queue = Queue(self._show_queue, lambda: self._watches("queue"), notice.fail)
        self.sweep = self._sweeps.place
        self.on_msg(lambda _, content, __: notice.guarded(partial(self._hear, content))())
        self.observe(lambda _: self._search(), "asked")
        self.observe(lambda _: self._turn_to(), "section")

    @property
    def image(self) -> GeneratedImage | None:
        """The image that is selected."""
        key = self.selected
        if self._looked_at[0] != key or (self._looked_at[1] is None and key):
            self._looked_at = key, self.find(key)
        return self._looked_at[1]

    @property
    def images(self) -> Mapping[str, GeneratedImage]:
        """What is listed and done, by its key, in its order; read when it is taken from here."""
        recent = [key for key in self.recent if key in self._held]
        return Images([*recent, *(k for k in self._places if k not in self._held)], self.find)

    def newest(self, count: int) -> list[GeneratedImage]:
        """The images that were made last, whatever is searched for; at most `NEWEST`."""
        return self._newest[:count]

    def find(self, key: str) -> GeneratedImage | None:
        """The image of a key, if it is listed here.

        Raises:
            StoreError: It is not in the store any more, or cannot be read.
        """
        with self._updating:
            held, place, found = self._held.get(key), self._places.get(key), self._found
        return held if held or place is None else found[place]

    def on_use(self, use: Callable[[Recipe], None]) -> None:
        """What is done with the recipe of an image that is dropped on the form."""
        self._use = use

    def on_marked(self, marked: Callable[[], None]) -> None:
        """What is done when images got a star or a note here."""
        self._marked = marked

    def look(self, *, again: bool = False) -> None:
        """Searches the store as was asked, and shows what is found; it takes a moment.

        Args:
            again: It was searched so before: what came since keeps its place.

        Raises:
            StoreError: The store cannot be read.
        """
        asked = dict(self.asked)
        found = self._store.find(
            str(asked.get("words", "")),
            starred=True if asked.get("starred") else None,
            since=TODAY if asked.get("today") else None,
            sort=str(asked.get("sort") or FIRST),
            **({"model": asked["model"]} if asked.get("model") else {}),
        )
        is_all = not _narrows(asked)
        every = found if is_all else self._store.find(sort=FIRST)
        newest = list(every[:NEWEST]) if asked.get("sort", FIRST) == FIRST or not is_all else None
        keys = found.keys
        with self._updating:
            places = {key: place for place, key in enumerate(keys)}
            self._held = {
                key: image
                for key, image in self._held.items()
                if image.path is None or (again and key in places)
            }
            self._found, self._places = found, places
            recent = [k for k in self.recent if k in self._held or k in self._making]
            recent = recent if _as_they_come(asked) else []
            unsaved = [image for image in self._held.values() if image.path is None]
            if newest is not None:
                self._newest = [*unsaved, *newest][:NEWEST]
            stored = b"".join(bytes.fromhex(key) for key in keys if key not in self._held)
            if not _as_they_come(asked):
                stored = b"".join(map(bytes.fromhex, keys))
            with self.hold_sync():
                self.recent, self.stored, self.found = recent, stored, asked
                self.total = len(every)
        self.models = self._store.models
        self._weigh()

    def update(
        self,
        fresh: Iterable[GeneratedImage] = (),
        making: Mapping[str, tuple[Recipe, Image | None]] | None = None,
    ) -> None:
        """Adds images, and shows those in the making by their key with what there is of them.

        Args:
            fresh: In the order in which they were finished.
            making: All that are in the making now; None: as before.
        """
        fresh = list(fresh)
        with self._updating:
            self._making = self._making if making is None else making
            begun = {key: value for key, value in self._making.items() if key not in self._held}
            known = [i.recipe.key for i in fresh if i.recipe.key in {*self._places, *self._held}]
            added = {image.recipe.key: image for image in fresh}
            if added:
                gone = {*added}
                rest = [image for image in self._newest if image.recipe.key not in gone]
                self._newest = [*list(added.values())[::-1], *rest][:NEWEST]
            recent = self._order(list(added), list(begun))
            self._held |= {k: i for k, i in added.items() if k in recent or k in self._held}
            made = sum(key not in self._places for key in self._held)
            with self.hold_sync():
                self.recent = recent
                self.making = [key for key in recent if key in begun and key not in added]
                self.total = max(self.total, len(self._places) + made) if recent else self.total
        self._stale(known)
        self._send_previews({k: p for k, (_, p) in begun.items() if p and k in recent})
        if begun:
            self._queue.look()
        if fresh and not _as_they_come(self.asked):
            self._search(again=True)

    def refresh(self, image: GeneratedImage) -> None:
        """Shows an image's mark as it is now."""
        self._stale([image.recipe.key])

    def beside(self, key: str) -> tuple[str, str, str]:
        """The keys of the images before and after one, "" where there is none, and its place."""
        keys = list(self.images)
        if key not in keys:
            return "", "", ""
        at = keys.index(key)
        before, after = keys[at - 1] if at else "", keys[at + 1] if at + 1 < len(keys) else ""
        return before, after, f"{at + 1:,} of {len(keys):,}"

    def keep_sweep(self, grid: Labelled) -> None:
        """Keeps the grid of a sweep under a name that it suggests itself; returns at once."""

        def keep() -> None:
            self._sweeps.keep(grid)
            self.sweeps = self._sweeps.listed()

        self._in_turn(keep)

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is under way, or `timeout` seconds for each part of it."""
        for part in (self._in_turn, self._searching, self._tiles, self._queue):
            part.join(timeout)

    def close(self) -> None:
        self.section = "images"  # nobody watches any more
        super().close()

    def _order(self, added: list[str], begun: list[str]) -> list[str]:
        """What comes before what was found; those that stay never change places."""
        if not _as_they_come(self.asked):
            return []
        finished = {*self._held, *added}
        before = [key for key in self.recent if key in finished or key in begun]
        room = max(0, MAKING - sum(key not in finished for key in before))
        new = [key for key in begun if key not in {*before, *added, *self._places}][:room]
        new += [key for key in added if key not in before and key not in self._places]
        return [*new[::-1], *before]

    def _send_previews(self, previews: Mapping[str, Image]) -> None:
        if previews:
            files = [jpeg(picture) for picture in previews.values()]
            types = [mime for mime, _ in files]
            content = {"kind": "previews", "cells": list(previews), "types": types, "edge": 0}
            self.send(content, [data for _, data in files])

    def _stale(self, keys: Sequence[str]) -> None:
        """Has the tiles of these images shown as they are now."""
        if keys:
            self.send({"kind": "stale", "cells": keys})

    def _search(self, *, again: bool = False) -> None:
        self._searching(lambda: self.look(again=again))

    def _weigh(self) -> None:
        """Says how much was deleted and could be removed."""
        deleted = self._store.deleted
        self.deleted = {"images": len(deleted), "size": size_of(deleted.size)}

    def _say(self, text: str, undo: bool) -> None:
        self.said = {"text": text, "undo": undo}

    def _watches(self, section: str) -> bool:
        return self.section == section and self.comm is not None

    def _show_queue(self, queue: list[dict[str, Any]]) -> None:
        if queue != self.queue:
            self.queue = queue

    def _turn_to(self) -> None:
        if self.section == "queue":
            self._queue.look()
        elif self.section == "sweeps":
            self._in_turn(self._list_sweeps)

    def _list_sweeps(self) -> None:
        self.sweeps = self._sweeps.listed()

    # What the browser says. Nothing here may take long: it is the kernel's own thread.

    def _hear(self, content: Mapping[str, Any]) -> None:
        kind = content.get("kind")
        keys = [key for key in _texts(content.get("cells")) if key not in self.making]
        name = str(content.get("name", ""))
        if kind == "want":
            self._tiles.want(keys, int(content.get("edge", 0)))
        elif kind == "whole":
            self._tiles.ask(str(content.get("cell", "")))
        elif kind == "look":
            self._search(again=True)
        elif kind == "use":
            self._in_turn(lambda: self._use_recipe(keys))
        elif kind == "paths":
            self._in_turn(lambda: self._copy_paths(keys))
        elif kind == "star":
            starred = content.get("starred") is True
            self._change(keys, lambda: self._changes.star(keys, starred=starred))
        elif kind == "note":
            note = str(content.get("note", ""))
            self._change(keys, lambda: self._changes.note(keys, note))
        elif kind == "delete":
            self._in_turn(lambda: self._changes.delete(keys, self._gone))
        elif kind == "undo":
            self._in_turn(self._undo)
        elif kind == "empty":
            self._in_turn(self._empty)
        elif kind == "cancel job":
            self._queue.cancel(name)
        elif kind == "move up":
            self._queue.move_up(name)
        elif kind == "open sweep":
            self._in_turn(lambda: self._open_sweep(name))
        elif kind == "rename sweep":
            self._in_turn(lambda: self._rename_sweep(name, str(content.get("to", "")).strip()))
        elif kind == "delete sweep":
            self._in_turn(lambda: self._delete_sweep(name))

    def _change(self, keys: Sequence[str], change: Callable[[], None]) -> None:
        """Marks images, and shows what they are marked with also where that failed."""

        def act() -> None:
            try:
                change()
            finally:
                self._show_marks(keys)

        self._in_turn(act)

    def _show_marks(self, keys: Sequence[str]) -> None:
        self._stale(keys)
        self._marked()
        if self.asked.get("starred") or self.asked.get("words"):
            self._search(again=True)

    def _undo(self) -> None:
        try:
            self._changes.undo()
        finally:
            self.look(again=True)
            self._list_sweeps()
            self._show_marks(list(self._held) + list(self._places))

    def _gone(self, keys: Sequence[str]) -> None:
        gone = {*keys}
        with self._updating:
            listed = [*self.images]
            if self.selected in gone:  # what comes after it is looked at, or what comes before
                at = listed.index(self.selected) if self.selected in listed else 0
                rest = [key for key in listed[at:] + listed[:at][::-1] if key not in gone]
                self.selected = rest[0] if rest else ""
            self._held = {key: image for key, image in self._held.items() if key not in gone}
            self.recent = [key for key in self.recent if key not in gone]
        self.look(again=True)

    def _empty(self) -> None:
        freed = self._store.empty_deleted()
        self._changes.forget()
        self._say(f"{size_of(freed)} are free again", undo=False)
        self._weigh()

    def _use_recipe(self, keys: Sequence[str]) -> None:
        image = self.find(keys[0]) if keys else None
        if image:
            self._use(image.recipe)

    def _copy_paths(self, keys: Sequence[str]) -> None:
        images = [image for key in keys if (image := self.find(key))]
        paths = [str(image.path) for image in images if image.path]
        self._copy("\n".join(paths))
        what = "The path is" if len(paths) == 1 else f"{len(paths):,} paths are"
        self._say(f"{what} on the clipboard", undo=False)

    def _open_sweep(self, name: str) -> None:
        if name:
            self._sweeps.open(name)
        else:
            self._sweeps.close()
        self.opened = name

    def _rename_sweep(self, name: str, to: str) -> None:
        if not to or to == name:
            return
        try:
            self._sweeps.rename(name, to)
            self.opened = to if self.opened == name else self.opened
        finally:
            self._list_sweeps()

    def _delete_sweep(self, name: str) -> None:
        undo = self._sweeps.delete(name)
        if self.opened == name:
            self._open_sweep("")
        self._changes.did("1 sweep deleted; its images stay", "1 sweep put back", undo)
        self._list_sweeps()


class Images(Mapping[str, GeneratedImage]):
    """Images by their keys, each read when it is asked for."""

    def __init__(self, keys: Iterable[str], find: Callable[[str], GeneratedImage | None]) -> None:
        self._keys = dict.fromkeys(keys)
        self._find = find

    def __getitem__(self, key: str) -> GeneratedImage:
        image = self._find(key) if key in self._keys else None
        if image is None:
            raise KeyError(key)
        return image

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class Stage(anywidget.AnyWidget):
    """One picture, large. A new one takes the place of the old without a flash."""

    _esm = (HERE / "stage.js").read_text(encoding="utf-8")
    key = traitlets.Unicode().tag(sync=True)  # of the image that all around it is about, or ""
    picture = traitlets.Bytes().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    unfinished = traitlets.Bool().tag(sync=True)
    empty = traitlets.Unicode("Your images appear here.").tag(sync=True)

    def on_look(self, action: Callable[[str], None]) -> None:
        """What happens when somebody begins to use what is around it: told the image's key."""

        def handle(_: object, content: Any, __: object) -> None:
            if isinstance(content, dict) and isinstance(key := content.get("look"), str):
                action(key)

        self.on_msg(handle)

    def show(self, image: GeneratedImage | None) -> None:
        picture = _png(image)
        with self.hold_sync():
            self.unfinished = False
            self.picture = picture
            self.alt = _caption(image) if image else ""

    def preview(self, recipe: Recipe, picture: Image) -> None:
        with self.hold_sync():
            self.unfinished = True
            self.picture = _webp(picture)
            self.alt = f"In the making: {ellipsized(str(recipe), MAX_CAPTION)}"


def small_copy(image: GeneratedImage) -> bytes:
    """A small WebP copy; a grey one where the file is gone or damaged."""
    from PIL import Image as PILImage

    picture = faces.picture(image) or PILImage.new("RGB", (16, 16), (128, 128, 128))
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return _webp(picture)


def _webp(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _png(image: GeneratedImage | None) -> bytes:
    if image is None or faces.picture(image) is None:
        return b""
    return image.png


def _caption(image: GeneratedImage) -> str:
    return ellipsized(image.caption, MAX_CAPTION)


def size_of(count: int) -> str:
    """Bytes in words."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = round(count / 1000)
    return f"{count:,} GB"


def _as_they_come(asked: Mapping[str, Any]) -> bool:
    """Whether what comes belongs in front of what is there."""
    return not _narrows(asked) and asked.get("sort", FIRST) == FIRST


def _narrows(asked: Mapping[str, Any]) -> bool:
    return any(asked.get(name) for name in ("words", "model", "starred", "today"))


def _texts(given: object) -> list[str]:
    return [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
