"""Which images the gallery lists, and in which order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from nbtool.results.found import NEWEST, TODAY
from nbtool.results.image import GeneratedImage
from nbtool.results.store import Store

MAKING = 12  # images in the making that are shown at once
KNOWN = 24  # newest images that are known whatever is searched for


class Asked:
    """What is searched for.

    Args:
        said: words, model, starred, today, deleted and sort, as the browser says them.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.said = dict(said)
        self._is_of_deleted = bool(said.get("deleted"))
        self._sort = str(said.get("sort") or NEWEST)
        model = {"model": str(said["model"])} if said.get("model") else {}
        starred = {"starred": True} if said.get("starred") else {}
        today = {"since": TODAY} if said.get("today") else {}
        self._words = str(said.get("words") or "")
        self._limits: dict[str, Any] = {**model, **starred, **today}

    @property
    def is_plain(self) -> bool:
        """All of them, the newest first: what comes belongs in front of what is there."""
        narrowed = self._is_of_deleted or self._words or self._limits
        return not narrowed and self._sort == NEWEST

    def search(self, store: Store) -> Any:
        place = store.deleted if self._is_of_deleted else store
        return place.find(self._words, sort=self._sort, **self._limits)


class Listed(Mapping[str, GeneratedImage]):
    """The images by their key, in their order: what came, then what the search found.

    An image is read when it is taken from here. What came since the search, or is in the making,
    never changes its place.

    Attributes:
        recent: The keys of what came and of what is in the making.
        stored: The keys of the rest.
        making: Those of `recent` that are not done.
        newest: The images that were made last, whatever is searched for.
        total: How many images there are, whatever is searched for.
    """

    def __init__(self) -> None:
        self.recent: list[str] = []
        self.stored: Sequence[str] = ()
        self.making: list[str] = []
        self.newest: list[GeneratedImage] = []
        self.total = 0
        self._every: Any = None  # all images, at the last search
        self._is_plain = True
        self._held: dict[str, GeneratedImage] = {}  # what came, by key
        self._found: tuple[dict[str, int], Any] = {}, ()  # places by key, and what was found

    def __getitem__(self, key: str) -> GeneratedImage:
        """The image of a key; also one that came and is not listed.

        Raises:
            KeyError: There is none.
            StoreError: It is not in the store any more, or cannot be read.
        """
        places, found = self._found
        image: GeneratedImage = self._held.get(key) or found[places[key]]
        return image

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self.recent if key in self._held)
        yield from self.stored

    def __len__(self) -> int:
        return sum(key in self._held for key in self.recent) + len(self.stored)

    def __contains__(self, key: object) -> bool:
        return key in self._held or key in self._found[0]

    @property
    def models(self) -> list[str]:
        """The models that made all images, at the last search; it takes a moment."""
        return list(self._every.models)

    def search(self, store: Store, asked: Asked, *, again: bool, quick: bool = False) -> None:
        """Takes what a search finds; it takes a moment.

        Args:
            store: Where it searches.
            asked: For what.
            again: What came since the last search keeps its place.
            quick: All is asked for, and may be as it was when it was last seen.
        """
        found = store.glance() if quick else asked.search(store)
        every = found if asked.is_plain else store.find(sort=NEWEST)
        keys, newest = found.keys, list(every[:KNOWN])
        listing = store.listing() if again and self._held else ()
        held = {
            key: image for key, image in self._held.items() if image.path is None or key in listing
        }
        unsaved = [image for image in held.values() if image.path is None]
        self._held, self._is_plain = held, asked.is_plain
        self._found = {key: place for place, key in enumerate(keys)}, found
        kept = {*held, *self.making}
        self.recent = [key for key in self.recent if key in kept] if asked.is_plain else []
        front = {*self.recent}
        self.stored = [key for key in keys if key not in front]
        self.newest = [*unsaved[::-1], *newest][:KNOWN]
        self.total = len(every) + len(unsaved)
        self._every = every

    def came(self, fresh: Iterable[GeneratedImage], making: Collection[str]) -> list[str]:
        """Adds images in the order in which they were finished, and what is in the making now.

        Returns:
            The keys of images that were known before, and may be others now.
        """
        added = {image.recipe.key: image for image in fresh}
        known = [key for key in added if key in self]
        self.newest = [
            *list(added.values())[::-1],
            *(image for image in self.newest if image.recipe.key not in added),
        ][:KNOWN]
        begun = [key for key in making if key not in self and key not in added]
        self.total += len(added) - len(known)
        self._held |= added
        if not self._is_plain:
            self.making = []
            return known
        before = [key for key in self.recent if key in self._held or key in begun]
        room = max(0, MAKING - sum(key not in self._held for key in before))
        new = [key for key in added if key not in before and key not in self._found[0]]
        new += [key for key in begun if key not in before][:room]
        self.recent = [*new[::-1], *before]
        self.making = [key for key in self.recent if key in begun]
        return known

    def after(self, key: str, gone: Collection[str]) -> str:
        """What comes after an image, or else before it, and is not gone; "" where there is none."""
        keys = list(self)
        at = keys.index(key) if key in keys else 0
        return next((one for one in keys[at:] + keys[:at][::-1] if one not in gone), "")
