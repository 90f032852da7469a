"""The gallery of a panel: all images of the store, its saved sweeps, and the jobs."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from nbtool.display import faces
from nbtool.display.widget import Widget
from nbtool.live.feed import sendable
from nbtool.live.thumbnails import jpeg
from nbtool.panel import collection
from nbtool.panel.background import Latest
from nbtool.panel.collection.desk import Desk, texts
from nbtool.panel.collection.listed import Asked, Listed
from nbtool.panel.collection.tiles import Tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from nbtool.panel.notice import Notice
    from nbtool.recipes.recipe import Recipe
    from nbtool.results.image import GeneratedImage
    from nbtool.results.labelled import Labelled
    from nbtool.results.store import Store

AHEAD = 48  # tiles that are made before they are asked for: what most screens show of them
THUMBNAIL = 160  # pixels on the longer side
MAX_CAPTION = 300  # characters


class Gallery(Widget):
    """All images of a store, its saved sweeps, and the jobs that run and wait.

    The browser has the keys of all images, and asks for the tiles that are in sight. An image in
    the making keeps its place when it is finished.

    Args:
        store: What it shows.
        notice: Where it says what went wrong.
        copy: Puts a text on the clipboard.

    Attributes:
        sweep: Where a saved sweep is seen that was opened.
    """

    _esm = collection.module()
    _css = collection.style()
    recent = traitlets.List(traitlets.Unicode()).tag(sync=True)  # keys, in front of those below
    making = traitlets.List(traitlets.Unicode()).tag(sync=True)  # those of them that are not done
    stored = traitlets.Bytes().tag(sync=True)  # keys, 32 bytes each
    total = traitlets.Int().tag(sync=True)  # images in the store
    selected = traitlets.Unicode().tag(sync=True)  # the key of the one that is looked at, or ""
    asked = traitlets.Dict().tag(sync=True)  # words, model, starred, today, deleted, sort
    found = traitlets.Dict().tag(sync=True)  # what was asked for when these keys were found
    models = traitlets.List(traitlets.Unicode()).tag(sync=True)
    said = traitlets.Dict().tag(sync=True)  # what was done last, by section: text, undo
    deleted = traitlets.Dict().tag(sync=True)  # what can be removed for good: images, size
    folder = traitlets.Dict().tag(sync=True)  # where the images are: path, home
    section = traitlets.Unicode("images").tag(sync=True)  # or "sweeps" or "queue"
    sweeps = traitlets.List(traitlets.Dict()).tag(sync=True)
    opened = traitlets.Unicode().tag(sync=True)  # the name of the sweep that is open, or ""
    queue = traitlets.List(traitlets.Dict()).tag(sync=True)
    ahead = traitlets.Dict().tag(sync=True)  # the first tiles, for views that come: with files

    def __init__(self, store: Store, notice: Notice, copy: Callable[[str], None]) -> None:
        super().__init__(folder=sendable({"path": str(store.path), "home": str(Path.home())}))
        self._store = store
        self._updating = threading.RLock()  # jobs of both tabs may end at once
        self._listed = Listed()
        self.filled = False  # from the store, for the first time
        self._looked_at: GeneratedImage | None = None
        self._left: set[str] = set()  # the keys of what is taken out, and is not listed since
        self._previews: dict[str, Image] = {}  # as they were sent
        self._marked: Callable[[], None] = lambda: None
        self._looks: Callable[[], None] = lambda: None
        self._tiles = Tiles(self, self._find)
        self._searching = Latest(notice.fail)
        self._desk = Desk(self, store, notice, copy)
        self.sweep = self._desk.sweeps.place
        self._guarded = notice.guarded
        self.on_msg(lambda _, content, __: self.ask(content))
        self.observe(self._turn_back, "selected")
        self.observe(lambda _: self._search(), "asked")
        self.observe(lambda _: self._turn_to(), "section")

    @property
    def image(self) -> GeneratedImage | None:
        """The image that is selected, be it listed or not."""
        key, seen = self.selected, self._looked_at
        if seen is None or seen.recipe.key != key:
            self._looked_at = seen = self._find(key) or self._store.get(key)
        return seen

    @property
    def images(self) -> Mapping[str, GeneratedImage]:
        """What is listed and done, by key, in its order; each is read when it is taken."""
        return self._listed

    def newest(self, count: int = 1) -> list[GeneratedImage]:
        """The images that were made last, whatever is searched for; 24 at most."""
        return self._listed.newest[:count]

    def beside(self, key: str) -> tuple[str, str, str]:
        """The keys of the images before and after one, "" where there is none, and its place."""
        keys = list(self._listed)
        if key not in keys:
            return "", "", ""
        at = keys.index(key)
        before, after = keys[at - 1] if at else "", keys[at + 1] if at + 1 < len(keys) else ""
        return before, after, f"{at + 1:,} of {len(keys):,}"

    def on_use(self, use: Callable[[Recipe], None]) -> None:
        """What is done with the recipe of an image that is dropped on the form."""
        self._desk.use = use

    def on_start(self, start: Callable[[GeneratedImage], None]) -> None:
        """What is done with an image that is dropped on the picture to start from."""
        self._desk.start = start

    def on_marked(self, marked: Callable[[], None]) -> None:
        """What is done when images got a star or a note here."""
        self._marked = marked

    def on_look(self, look: Callable[[], None]) -> None:
        """What is done besides when somebody comes back, who may have changed the store."""
        self._looks = look

    def keep_sweep(self, grid: Labelled) -> None:
        """Keeps the grid of a sweep under a name that it suggests itself; returns at once."""
        self._desk.keep(grid)

    def ask(self, content: Mapping[str, Any]) -> None:
        """Does what the browser asks for; returns at once."""
        self._guarded(partial(self._hear, content))()

    def fill(self) -> None:
        """Shows what the store holds, for the first time; it takes a moment.

        Raises:
            StoreError: The store cannot be read.
        """
        self._look(again=False, quick=Asked(self.asked).is_plain)
        self.filled = True

    def look(self, *, again: bool = False) -> None:
        """Searches the store for what is asked, and shows what is found; it takes a moment.

        Args:
            again: It was searched so before: what came since then keeps its place.

        Raises:
            StoreError: The store cannot be read.
        """
        self._look(again=again)

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
            begun = self.making if making is None else making
            known = self._listed.came(fresh, begun)
            self._left.difference_update(image.recipe.key for image in fresh)
            if any(image.recipe.key == self.selected for image in fresh):
                self._looked_at = None
            self._show()
        self._stale(known)
        self._send_previews({key: p for key, (_, p) in (making or {}).items() if p})
        if making:
            self._desk.queue.look()
        if fresh and not Asked(self.asked).is_plain:
            self._search(again=True)

    def refresh(self, image: GeneratedImage) -> None:
        """Shows an image's mark as it is now."""
        self._stale([image.recipe.key])

    def marked(self, keys: Sequence[str]) -> None:
        """Shows the stars and notes of some as they are now."""
        self._stale(keys)
        self._marked()
        if self.asked.get("starred") or self.asked.get("words"):
            self._search(again=True)

    def leave(self, keys: Sequence[str]) -> None:
        """Some images are about to be taken out of the store; what comes after them is looked at."""
        self._left |= {*keys}
        if self.selected in self._left:
            self.selected = self._listed.after(self.selected, self._left)

    def removed(self, keys: Sequence[str]) -> None:
        """What was deleted is gone for good: who looked through it is back at all images."""
        if self.asked.get("deleted"):
            self.asked = {}
        if self.selected in keys and not self._store.has(self.selected):
            newest = self.newest()
            self.selected = newest[0].recipe.key if newest else ""

    def send_ahead(self, content: dict[str, Any], files: list[bytes]) -> None:
        """Sends the first tiles, to views that come later too."""
        self.ahead = content | {"files": files}

    def is_open(self, section: str) -> bool:
        """Whether somebody looks at a section."""
        return bool(self.section == section and self.comm is not None)

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is under way, or `timeout` seconds for each part of it."""
        hands_on = (self._searching, self._desk)  # each to the other
        for part in (*hands_on, *hands_on, self._tiles):
            part.join(timeout)

    def _look(self, *, again: bool, quick: bool = False) -> None:
        asked = Asked(self.asked)
        with self._updating:
            self._listed.search(self._store, asked, again=again, quick=quick)
            self._left.difference_update(self._listed if self._left else ())
            self._show(found=asked.said)
        if not again and asked.is_plain:
            self._tiles.begin(self._listed.stored[:AHEAD])
        self.models = sendable(self._listed.models)
        self._desk.describe()

    def _show(self, **others: Any) -> None:
        listed = self._listed
        with self.hold_sync():
            self.recent, self.making, self.total = listed.recent, listed.making, listed.total
            self.stored = bytes.fromhex("".join(listed.stored))
            for name, value in others.items():
                setattr(self, name, value)

    def _find(self, key: str) -> GeneratedImage | None:
        return self._listed.get(key)

    def _send_previews(self, previews: Mapping[str, Image]) -> None:
        fresh = {key: p for key, p in previews.items() if self._previews.get(key) is not p}
        self._previews = dict(previews)
        if fresh:
            files = [jpeg(picture) for picture in fresh.values()]
            types = [mime for mime, _ in files]
            content = {"kind": "previews", "cells": list(fresh), "types": types, "edge": 0}
            self.send(content, [data for _, data in files])

    def _stale(self, keys: Sequence[str]) -> None:
        """Has the tiles of these images shown as they are now."""
        if keys:
            self.ahead = {}  # they may be among these
            self.send({"kind": "stale", "keys": list(keys)})

    def _turn_back(self, change: Any) -> None:
        """What was selected a moment before it was taken out is not looked at."""
        if change["new"] in self._left and self.selected == change["new"]:
            self.selected = change["old"] if change["old"] not in self._left else ""

    def _search(self, *, again: bool = False) -> None:
        self._searching(lambda: self.look(again=again))

    def _turn_to(self) -> None:
        if self.section == "queue":
            self._desk.queue.look()
        elif self.section == "sweeps":
            self._desk.hear("sweeps", {})

    # What the browser says. Nothing here may take long: it is the kernel's own thread.

    def _hear(self, content: Mapping[str, Any]) -> None:
        kind = content.get("kind")
        if kind == "want":
            self._tiles.want(texts(content.get("cells")), int(content["edge"]))
        elif kind == "whole":
            self._tiles.ask(str(content.get("cell", "")))
        elif kind == "look":
            self._search(again=True)
            self._looks()
        else:
            self._desk.hear(str(kind), content)


def small_copy(image: GeneratedImage) -> bytes:
    """A small WebP copy; a grey one where the file is gone or damaged."""
    from PIL import Image as PILImage

    picture = faces.picture(image) or PILImage.new("RGB", (16, 16), (128, 128, 128))
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return webp(picture)


def webp(picture: Image) -> bytes:
    """A picture as a WebP file."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()
