"""What is known of a recipe's pictures besides their hashes: names, what made them, where they lie.

It travels beside a recipe, in a record or in a file, and is no part of its key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from nbtool.errors import RecipeError
from nbtool.recipes.picture import Load, Picture

_STEPS = ("recipe", "extends")  # of a picture: what led to it
Places = Callable[[Picture], Iterable[Load]]


class Origin(NamedTuple):
    """What people call a picture, and the recipe that made it, or made what it was extended from."""

    name: str = ""
    recipe: Any = None
    extends: Any = None


def origins_of(recipe: Any) -> dict[str, dict[str, Any]]:
    """What is known of a recipe's pictures, and of the pictures that these were made from."""
    said: dict[str, dict[str, Any]] = {}
    for picture in behind(recipe):
        known: dict[str, Any] = {"name": picture.name} if picture.name else {}
        for what in _STEPS:
            if (earlier := getattr(picture, what)) is not None:
                known[what] = earlier.to_dict()
        if known:
            said.setdefault(picture.digest, known)
    return said


def bound(
    recipe: Any, said: object, places: Places, read: Callable[[Mapping[str, Any]], Any]
) -> Any:
    """The same recipe, whose pictures know what is said of them, and where their pixels lie.

    Args:
        recipe: The recipe.
        said: What `origins_of` said of it; it may be anything, and what makes no sense is left out.
        places: Where the pixels of a picture may lie.
        read: Makes a recipe of its dictionary.
    """
    return recipe.with_pictures(_Known(_origins_in(said, read), places))


def behind(recipe: Any, *, deep: bool = True) -> Iterator[Picture]:
    """The pictures with pixels that a recipe is made from, and those that are behind them.

    Those that more than one of them is made from come once.

    Args:
        recipe: The recipe.
        deep: False: only those without which it cannot be made again.
    """
    return _behind(recipe, deep, {})


def _behind(recipe: Any, deep: bool, met: dict[int, Picture]) -> Iterator[Picture]:
    for picture in recipe.pictures:
        if id(picture) in met:
            continue
        met[id(picture)] = picture
        if not picture.is_deferred:
            yield picture
        if picture.earlier is not None and (deep or picture.is_deferred):
            yield from _behind(picture.earlier, deep, met)


class _Known:
    """Gives pictures what is known of them, each once: a few that name each other lead on many ways."""

    def __init__(self, origins: Mapping[str, Origin], places: Places) -> None:
        self._origins = origins
        self._places = places
        self._found: dict[int, tuple[Picture, Picture]] = {}  # as it was, as it is known now
        self._under_way: set[str] = set()  # none is made of itself

    def __call__(self, picture: Picture) -> Picture:
        if id(picture) not in self._found:
            self._found[id(picture)] = picture, self._known(picture)
        return self._found[id(picture)][1]

    def _known(self, picture: Picture) -> Picture:
        digest = picture.digest
        is_new = digest not in self._under_way
        said = self._origins.get(digest, Origin()) if is_new else Origin()
        earlier = [getattr(said, what) or getattr(picture, what) for what in _STEPS]
        self._under_way.add(digest)
        picture = picture.with_past(*(one and one.with_pictures(self) for one in earlier))
        if is_new:
            self._under_way.discard(digest)
        return picture.bound(*self._places(picture)).called(picture.name or said.name)


def _origins_in(said: object, read: Callable[[Mapping[str, Any]], Any]) -> dict[str, Origin]:
    found: dict[str, Origin] = {}
    for digest, known in said.items() if isinstance(said, Mapping) else ():
        if not isinstance(known, Mapping):
            continue
        name, earlier = known.get("name"), {}
        for what in _STEPS:
            if isinstance(known.get(what), Mapping):
                with contextlib.suppress(RecipeError, TypeError, AttributeError):
                    earlier[what] = read(known[what])
        found[digest] = Origin(name if isinstance(name, str) else "", **earlier)
    return found
