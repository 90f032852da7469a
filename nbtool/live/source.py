"""What the viewer needs of a job, and what its feed needs of the viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from nbtool.recipes.axes import Index, Sweep
from nbtool.results.labelled import Cell, Labelled
from nbtool.results.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image


class Source(Protocol):
    """Where the cells of a grid come from while it fills; a Job is such a source."""

    @property
    def sweep(self) -> Sweep:
        """What is made."""

    @property
    def grid(self) -> Labelled:
        """The images so far."""

    @property
    def progress(self) -> Progress:
        """Where it stands."""

    @property
    def done(self) -> bool:
        """True when nothing more will come."""

    @property
    def previews(self) -> Mapping[Index, Callable[[], Image] | None]:
        """The cells in the making: what makes a small picture of each, if there is."""

    def changes(self, seen: int = 0) -> tuple[list[tuple[Index, Cell]], int]:
        """The cells that came since the first `seen`, and how many there are."""

    def fill(self, cells: Mapping[Index, Cell]) -> None:
        """Takes what came of cells later."""

    def wait(self) -> Labelled:
        """The grid, once the run is over."""

    def cancel(self) -> None:
        """Stops soon; what is finished is kept."""


class Face(Protocol):
    """What a feed fills and tells."""

    states: Any
    failures: Any
    summary: Any
    progress: Any

    def show_starred(self, numbers: Iterable[int]) -> None:
        """Shows that the images of these cells are starred too."""

    def hold_sync(self) -> AbstractContextManager[None]:
        """Sends what is changed meanwhile together, at the end."""

    def send(self, content: Any, buffers: Any = None) -> None:
        """Sends a message with files."""
