"""The saved sweeps of a store as the panel lists them: kept, opened, renamed, deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbtool.errors import StoreError
from nbtool.live.feed import sendable
from nbtool.recipes.parameters import extent
from nbtool.results.given_names import MAX_NAME
from nbtool.results.grid_records import said_of
from nbtool.text import ellipsized, printable

if TYPE_CHECKING:
    from nbtool.results.labelled import Labelled
    from nbtool.results.store import Store

MAX_PROMPT = 60  # characters of a suggested name
MAX_TRIES = 1000
ROOM = len(f" ({MAX_TRIES})")  # for a number
NO_AXES = "one image"


class Sweeps:
    """What is done with the grids of a store that have a name. Each call may take a while.

    Attributes:
        place: Where the one that is open is seen.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.place = ipywidgets.VBox()
        self.place.add_class("nbtool-results")

    def listed(self) -> list[dict[str, Any]]:
        """What there is to say of each, the newest first."""
        return [
            dict(sendable(summary.record(there) | {"axes": extent(summary.axes) or NO_AXES}))
            for summary, there in reversed(self._store.grids.listed())
        ]

    def keep(self, grid: Labelled) -> str:
        """Keeps a grid under a name that its prompt and axes suggest, and returns that.

        One that is kept already keeps its name; no other grid loses its own.

        Raises:
            StoreError: It cannot be written.
        """
        wanted = suggested(grid)
        images = frozenset(said_of(grid)["images"])
        same = [kept.name for kept in self._store.grids.summaries() if kept.images == images]
        for name in [*same, wanted, *(f"{wanted} ({n})" for n in range(2, MAX_TRIES))]:
            try:
                grid.name = name
            except StoreError:
                if name not in self._store.grids:
                    raise
            else:
                return name
        raise StoreError(f"too many sweeps are named like {wanted!r}; rename or delete some")

    def open(self, name: str) -> None:
        """Shows a grid in the viewer, in place of the one before."""
        from nbtool.live.view import GridView

        self._show([GridView(self._store.grids[name])])

    def close(self) -> None:
        self._show([])

    def rename(self, name: str, new: str) -> None:
        """Gives a grid another name.

        Raises:
            RecipeError: It is no line of text of at most 100 characters.
            StoreError: The name is another grid's, or it cannot be written.
        """
        self._store.grids[name].name = new

    def delete(self, name: str) -> Callable[[], None]:
        """Takes a grid out of the list; what is returned puts it back."""
        del self._store.grids[name]
        return lambda: self._store.grids.restore(name) and None

    def _show(self, views: list[Any]) -> None:
        before, self.place.children = self.place.children, views
        for view in before:
            view.close()


def suggested(grid: Labelled) -> str:
    """A name of what a sweep is about: its prompt and its axes."""
    prompt = ellipsized(printable(" ".join(grid.base.prompt.split())), MAX_PROMPT)
    axes = extent({axis.name: len(axis) for axis in grid.swept})
    whole = " · ".join(filter(None, [prompt, axes or NO_AXES]))
    return ellipsized(whole, MAX_NAME - ROOM)
