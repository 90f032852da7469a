"""Images asked for together: which are waiting, in the making, and done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

from nbtool.engines.local.adapters import Weights
from nbtool.engines.local.forwards import Forwards
from nbtool.engines.local.questions import Making, Outcome
from nbtool.errors import NbtoolError, stopped_by
from nbtool.recipes.recipe import Recipe

LOOKAHEAD = 128  # recipes among which one is sought whose size has room

Size = tuple[Hashable, ...]


class Task(Protocol):
    """What an engine does for one run. All but the writing is called on the worker's thread."""

    def prepare(self, forwards: Forwards, wanted: Callable[[], bool]) -> None:
        """Loads the model.

        Args:
            forwards: Where its networks are to be asked.
            wanted: Asked now and then whether anybody still waits for it.

        Raises:
            ModelError: It cannot be loaded.
            Stopped: Nobody waits for it.
        """

    @property
    def outdated(self) -> bool:
        """Whether its model was taken from under it, and must be loaded again."""

    def close(self) -> None:
        """Lets go of the model: the run is over."""

    def size(self, recipe: Recipe) -> Size:
        """Equal for images whose networks are asked questions of one kind."""

    def kind(self, recipe: Recipe) -> Hashable:
        """Equal for images that one call of the pipeline can make."""

    def has_room(self, recipe: Recipe) -> bool:
        """Whether what its networks need beside themselves may be loaded now."""

    def adapters(self, recipe: Recipe) -> tuple[Weights, Weights]:
        """What acts on the network that denoises, and what on the text encoders."""

    def begin(self, recipes: Sequence[Recipe]) -> Callable[[], object]:
        """What calls the pipeline for images of one kind."""

    def finish(
        self, recipe: Recipe, place: int, making: Making, outcome: Outcome
    ) -> Callable[[], None]:
        """Takes what came of one image; the rest is done by what it returns, on another thread.

        Args:
            recipe: Of the image.
            place: Of the image among those of the call.
            making: The call.
            outcome: What came of it.
        """

    def take_less_memory(self, forwards: Forwards, recipe: Recipe) -> bool:
        """Makes the model take less memory, after an image did not fit alone; False if it cannot."""

    def cancelled(self, recipe: Recipe) -> bool:
        """Whether an image is not wanted any more."""


class Waiting(NamedTuple):
    """A recipe that is to be begun.

    Its kind is equal for images that one call can make. It begins anew where what was decided of
    its widths before does not fit into the memory.
    """

    recipe: Recipe
    kind: Hashable
    anew: bool = False


class Run:
    """Images asked for together.

    Args:
        task: What to do for each.
        recipes: In the order in which they should be begun.
        priority: A run of higher priority goes ahead of the others from the next tick on.
        exact: Whether images are to be the same however they are asked for first.
    """

    def __init__(
        self, task: Task, recipes: Iterable[Recipe], *, priority: int, exact: bool
    ) -> None:
        self.task = task
        self.priority = priority
        self.exact = exact
        self.prepared = False
        self.makings: dict[Making, Sequence[Recipe]] = {}
        self.unwritten = 0
        self.shown = False  # whether an image of it is finished
        self.error: NbtoolError | None = None
        self.over = threading.Event()
        self._recipes: Iterator[Recipe] = iter(recipes)
        self._next: deque[Waiting] = deque()

    @property
    def busy(self) -> bool:
        """Whether the worker has something to do for it, or to close it."""
        return not self.begun or bool(self.makings) or not self.unwritten

    @property
    def begun(self) -> bool:
        """True when nothing is left to begin."""
        wanting = max(0, LOOKAHEAD - len(self._next))
        try:
            self._next.extend(map(self._prepare, islice(self._recipes, wanting)))
        except BaseException as error:  # whatever their source raises is this run's alone
            self.fail(error)
        return not self._next

    def take(self, room: Callable[[Size, int], int]) -> Sequence[Waiting]:
        """Takes the next recipe of a size for which there is room, and others of its kind.

        Args:
            room: How many there is room for, told their size and of how many images they are the
                first.
        """
        if self.begun:
            return ()
        full: set[Size] = set()
        for first in self._next:
            size = self.task.size(first.recipe)
            # One of each run may begin in any case: none waits for another to end.
            if size in full or (self.makings and not self.task.has_room(first.recipe)):
                continue
            if most := room(size, len(self._next)):
                return self._take(first.kind, most)
            full.add(size)
        return ()

    def _take(self, kind: Hashable, most: int) -> Sequence[Waiting]:
        taken: list[Waiting] = []
        rest: deque[Waiting] = deque()
        for waiting in self._next:
            if waiting.kind == kind and len(taken) < most:
                taken.append(waiting)
            else:
                rest.append(waiting)
        self._next = rest
        return taken

    def put_back(self, recipes: Sequence[Recipe], *, anew: bool = False) -> None:
        """Begins these again, each by itself; anew: whatever was decided of their widths."""
        self._next.extendleft(Waiting(recipe, object(), anew) for recipe in reversed(recipes))

    def drop_unwanted(self) -> list[Recipe]:
        """Drops what is cancelled and not begun; returns it."""
        dropped: list[Recipe] = []
        rest: deque[Waiting] = deque()
        for waiting in self._next:
            if self._is_unwanted(waiting.recipe):
                dropped.append(waiting.recipe)
            else:
                rest.append(waiting)
        self._next = rest
        return dropped

    @property
    def unwanted(self) -> list[Making]:
        """The makings of which nothing is wanted."""
        makings = self.makings.items()
        return [making for making, recipes in makings if all(map(self._is_unwanted, recipes))]

    def _is_unwanted(self, recipe: Recipe) -> bool:
        return self.error is not None or self.task.cancelled(recipe)

    def _prepare(self, recipe: Recipe) -> Waiting:
        # Made again, each is made as it was.
        return Waiting(recipe, object() if recipe.past else self.task.kind(recipe))

    def fail(self, error: BaseException) -> None:
        """Begins nothing more; the first error is the run's."""
        self.error = self.error or stopped_by(error)
        self._recipes = iter(())
