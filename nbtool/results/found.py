"""The images of a store that were searched for, and what makes an image one of them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from nbtool.errors import RecipeError, unknown_name
from nbtool.recipes.parameters import PARAMETERS
from nbtool.recipes.recipe import Recipe
from nbtool.results.folder import KEY_DIGITS
from nbtool.results.image import GeneratedImage, Mark
from nbtool.results.index import Entry
from nbtool.text import count, shown

OLDEST, NEWEST = "oldest", "newest"
TODAY = "today"
PROMPTS = ("prompt", "negative_prompt")  # of which a part is enough


class Found(Sequence[GeneratedImage]):
    """Images of a store in the order that was asked for, as they were when it was asked.

        found = store.find("fox hat", sort="newest")
        len(found); found[0]; found[:24]; found.keys

    An image is read when it is taken from here, without its pixels. One that is gone meanwhile
    raises a StoreError where it is asked for by its place, and is left out where all are gone
    through.
    """

    def __init__(
        self,
        named: Sequence[tuple[str, Entry]],
        load: Callable[[str], GeneratedImage],
        usable: Callable[[Iterable[str]], Iterator[GeneratedImage]],
    ) -> None:
        self._named = named
        self._load = load
        self._usable = usable

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all of them; no file is read."""
        return tuple(hashlib.sha256(e.recipe.encode("ascii")).hexdigest() for _, e in self._named)

    @property
    def models(self) -> list[str]:
        """The names of the models that made them, sorted; no file is read."""
        return models_of(entry for _, entry in self._named)

    def __len__(self) -> int:
        return len(self._named)

    @overload
    def __getitem__(self, place: int) -> GeneratedImage: ...
    @overload
    def __getitem__(self, place: slice) -> Found: ...
    def __getitem__(self, place: int | slice) -> GeneratedImage | Found:
        if isinstance(place, slice):
            return Found(self._named[place], self._load, self._usable)
        return self._load(self._named[place][0])

    def __iter__(self) -> Iterator[GeneratedImage]:
        return self._usable(name for name, _ in self._named)

    def __contains__(self, image: object) -> bool:
        return _key(image) in self.keys

    def index(self, image: object, start: int = 0, stop: int | None = None) -> int:
        """Where an image stands.

        Raises:
            ValueError: It is none of them.
        """
        places = slice(start, stop)
        return range(len(self))[places][self.keys[places].index(_key(image))]

    def __eq__(self, other: object) -> bool:
        """Whether it is a sequence of the same images."""
        if not isinstance(other, (Found, list, tuple)):
            return NotImplemented
        keys = other.keys if isinstance(other, Found) else tuple(_key(one) for one in other)
        return self.keys == keys

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Found: {count(len(self), 'image')}>"


def chosen(
    entries: Mapping[str, Entry],
    marks: Mapping[str, Mark] | None,
    *,
    words: str,
    starred: bool | None,
    since: object,
    sort: str,
    parameters: Mapping[str, Any],
) -> list[tuple[str, Entry]]:
    """The entries that are asked for, in the order that is asked for; `Store.find` says by what.

    The entries stand by the start of their keys, the marks by the keys, where they are needed.

    Raises:
        RecipeError: There is no such parameter, order or time.
    """
    asked = json.loads(Recipe(**parameters).to_json())
    if not isinstance(words, str):
        raise RecipeError(f"words are a text, got {shown(words)}; a parameter needs its name")
    if not isinstance(sort, str):
        raise RecipeError(f'sort is "{OLDEST}", "{NEWEST}" or a parameter, got {shown(sort)}')
    if sort not in (OLDEST, NEWEST, *PARAMETERS):
        raise RecipeError(unknown_name(sort, {OLDEST, NEWEST, *PARAMETERS}, "sort"))
    after = _in_utc(since)
    sought = _folded(words).split()
    marked = {key[:KEY_DIGITS]: mark for key, mark in (marks or {}).items()}

    def matches(name: str, said: Mapping[str, Any]) -> bool:
        for parameter in parameters:
            value, wanted = said.get(parameter), asked.get(parameter)
            in_text = parameter in PROMPTS and (wanted or "").lower() in (value or "").lower()
            if not in_text and value != wanted:
                return False
        mark = marked.get(name, Mark())
        texts = [*(said.get(text, "") for text in (*PROMPTS, "model")), mark.note]
        text = _folded("\n".join(texts)) if sought else ""
        return (starred is None or mark.starred == starred) and all(w in text for w in sought)

    found = [(name, entry) for name, entry in entries.items() if entry.created >= after]
    if sought or parameters or starred is not None:
        found = [(n, entry) for n, entry in found if matches(n, json.loads(entry.recipe))]
    # Several that were made in one moment come in one order everywhere.
    found.sort(key=lambda pair: (pair[1].created, pair[0]), reverse=sort == NEWEST)
    if sort in PARAMETERS:
        found.sort(key=lambda pair: _rank(json.loads(pair[1].recipe).get(sort)))
    return found


def models_of(entries: Iterable[Entry]) -> list[str]:
    """The models that the recipes name, sorted."""
    return sorted({json.loads(entry.recipe).get("model") for entry in entries} - {None})


def _key(image: object) -> str:
    return image.recipe.key if isinstance(image, GeneratedImage) else ""


def _folded(text: str) -> str:
    """A text in which letters are compared, whatever their case and Unicode form."""
    return unicodedata.normalize("NFKC", text).casefold()


def _rank(value: Any) -> tuple[int, float, str]:
    """Numbers by size, then texts as in a dictionary, then what is not set."""
    if isinstance(value, (int, float)):
        return 0, value, ""
    return (2, 0, "") if value is None else (1, 0, _folded(str(value)))


def _in_utc(since: object) -> str:
    """A time as records have it; one without a zone, and a day, are those of this machine."""
    if since is None:
        return ""
    try:
        if since == TODAY:
            since = dt.date.today()  # noqa: DTZ011 - a day where one is
        if isinstance(since, str):
            since = dt.datetime.fromisoformat(since)
        if isinstance(since, dt.date) and not isinstance(since, dt.datetime):
            since = dt.datetime.combine(since, dt.time())
        if isinstance(since, dt.datetime):
            return since.astimezone(dt.timezone.utc).isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    raise RecipeError(
        f'since is a date, a time, "{TODAY}" or a text such as "2026-01-31", got {shown(since)}'
    )
