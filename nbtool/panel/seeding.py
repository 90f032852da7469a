"""The seed of a panel: typed, which locks it, or drawn anew each time, which a die stands for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nbtool.errors import RecipeError
from nbtool.panel.entry import Entry
from nbtool.panel.mark import Mark
from nbtool.recipes import axes, given
from nbtool.recipes.checks import WHOLE
from nbtool.recipes.parameters import ROWS, checked
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_IMAGES = 1000  # of one click
ANEW = ("", "-1")  # as other programs write a seed that is drawn


class Seeding:
    """A field and a die. While the die is pressed, the field shows the seed of the last run.

    Attributes:
        last: Gives the seed to lock where none is shown; None where there is none either.
    """

    def __init__(self) -> None:
        self.last: Callable[[], int | None] = lambda: None
        self.entry = Entry(
            description=ROWS["seed"].label,
            tooltip=f"seed: {ROWS['seed'].about} Typing one locks it; 1-4 are several.",
            placeholder="new each time",
        )
        self.die = Mark(True, "⚄ New each time", "A new seed for each run", self._pressed)
        self._showing = False  # a seed is shown, not typed
        self._look(drawn=True)
        self.entry.observe(self._typed, "value")
        self.entry.on_retyped(self._typed)

    @property
    def typed(self) -> tuple[int, ...]:
        """The seeds that are locked, none while the die is pressed.

        Raises:
            RecipeError: What is typed is no seed and no range of seeds, or too many.
        """
        text = str(self.entry.value).strip()
        if self.die.value or not text:
            return ()
        read = _read(text)
        if isinstance(read, str):
            raise RecipeError(read)
        return read

    @property
    def are_several(self) -> bool:
        """Whether several seeds are typed."""
        try:
            return len(self.typed) > 1
        except RecipeError:
            return False

    def seeds(self, count: int) -> tuple[int, ...]:
        """As many as asked for: drawn, or counted up from the one locked; or the several typed.

        Raises:
            RecipeError: What is typed is no seed and no range of seeds.
        """
        if not (typed := self.typed):
            return axes.random_seeds(count)
        if len(typed) > 1:
            return typed
        return tuple(checked("seed", typed[0] + i) for i in range(count))

    def lock(self, seed: int) -> None:
        self._show(str(seed), drawn=False)

    def ran(self, seeds: tuple[int, ...]) -> None:
        """Shows the first of the seeds that a run drew."""
        if self.die.value:
            self._show(str(seeds[0]), drawn=True)

    @property
    def words(self) -> str:
        """What is set, in words."""
        return "new each time" if self.die.value else f"{str(self.entry.value).strip()}, locked"

    def _show(self, text: str, *, drawn: bool) -> None:
        self._showing = True
        try:
            self.entry.value = text
        finally:
            self._showing = False
        self._look(drawn=drawn)

    def _typed(self, _: Any = None) -> None:
        if self._showing:
            return
        if str(self.entry.value).strip() in ANEW:
            self._show("", drawn=True)
        else:
            self._look(drawn=False)

    def _pressed(self, _: str, drawn: bool) -> None:
        if drawn:  # what is no seed is no last one either
            self._show("" if self.entry.error else self.entry.value, drawn=True)
            return
        last = None if self.entry.value else self.last()
        seed = axes.random_seeds(1)[0] if last is None else last
        self._show(self.entry.value or str(seed), drawn=False)

    def _look(self, *, drawn: bool) -> None:
        self.entry.quiet = drawn
        self.die.show("", drawn)


@lru_cache(maxsize=8)  # it is asked for at each change of the form, and a long range takes a while
def _read(text: str) -> tuple[int, ...] | str:
    """The seeds that a text says, or what is wrong with it."""
    try:
        if len(given.numbers("seed", text, WHOLE, MAX_IMAGES + 1)) > MAX_IMAGES:
            return f"seed: at most {MAX_IMAGES:,} images of one click; give fewer seeds"
        return tuple(axes.sweep(Recipe(), (), {"seed": text}, {}).axes[0].labels)
    except RecipeError as error:
        return str(error)
