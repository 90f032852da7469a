"""An engine that needs no model, no torch and no time.

engine = nbtool.testing.FakeEngine()
gen = nbtool.Generator(engine=engine, store=tmp_path)
grid = gen.grid("a star", seed=range(4))
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from nbtool._version import __version__
from nbtool.engines.base import Event, Failed, Finished, Loading, Started, Stepped
from nbtool.errors import RecipeError
from nbtool.imaging.fitting import fitted, size_for
from nbtool.recipes.checks import SIDE_MULTIPLE
from nbtool.recipes.picture import each
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image

STRENGTH = 0.8
LOOK = 0.01  # seconds between two looks at whether an image that waits is cancelled
SETTINGS: dict[str, Any] = {
    "num_inference_steps": 4,
    "guidance_scale": 3.0,
    "scheduler": "euler",
    "width": 64,
    "height": 64,
}


class FakeEngine:
    """An engine that makes flat pictures, the same for the same recipe, one after the other.

        engine = FakeEngine(fails=lambda recipe: "no" if recipe.seed == 3 else "")
        engine.hold(2)                  # images wait at their second step …
        job = nbtool.Generator(engine=engine).submit("a star", seed=range(4))
        engine.wait_for_hold(10)        # … now one does
        job.cancel()                    # is noticed there; or else:
        engine.release()

    From a picture it makes a blend of that and its own, as strength and mask say. It reports all
    that an engine reports, previews at each step included, and does what is asked of one: a
    cancelled image has no further events, and a run of higher priority goes ahead at the next
    image.

    Args:
        name: The model's, as recipes have it.
        fails: Says of a recipe why it fails, in the end; "" for one that does not.
        error: What every run raises once its model should be loaded.
        exact: What the provenance says of it; nothing else depends on it.
        **settings: Recipe parameters that fit the model, in place of its own: 4 steps, 64 × 64.
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        fails: Callable[[Recipe], str] = lambda _: "",
        error: Exception | None = None,
        exact: bool = False,
        **settings: Any,
    ) -> None:
        self.name = name
        self.exact = exact
        self._fails = fails
        self._error = error
        self._settings = {**SETTINGS, **settings}
        self._loaded = False
        self._changed = threading.Condition()
        self._priorities: list[int] = []  # of the runs there are
        self._holds: Callable[[Recipe, int], bool] = _nothing  # whether an image waits at a step
        self._held = 0  # images that wait

    def settings(self) -> dict[str, Any]:
        return dict(self._settings)

    def defaults(self) -> dict[str, Any]:
        return {**self._settings, "model": self.name}

    def check(self, recipe: Recipe) -> None:
        if recipe.model not in (None, self.name):
            raise RecipeError(
                f"this recipe is for the model {recipe.model!r}, this generator has {self.name!r}"
            )

    def fits(self, recipe: Recipe) -> dict[str, Any]:
        strength = {"strength": STRENGTH}
        if recipe.mask_padding is not None:
            return strength
        usual = self._settings["width"], self._settings["height"]
        width, height = size_for(each(recipe.image)[0].size, usual, SIDE_MULTIPLE)
        return strength | {"width": width, "height": height}

    def describe(self) -> dict[str, str]:
        return {"Model": self.name, "State": "a fake, for tests: it makes flat pictures"}

    def hold(self, step: int = 1, which: Callable[[Recipe], bool] = lambda _: True) -> None:
        """Makes images wait at a step before it is reported.

        Args:
            step: Counted from 1.
            which: Says of a recipe whether its image waits.
        """
        with self._changed:
            self._holds = lambda recipe, at: at == step and which(recipe)
            self._changed.notify_all()

    def release(self) -> None:
        """Lets the images that wait go on, and holds no others."""
        with self._changed:
            self._holds = _nothing
            self._changed.notify_all()

    def wait_for_hold(self, timeout: float | None = None, *, images: int = 1) -> bool:
        """Waits until so many images wait at their step, or `timeout` seconds; whether they do.

        Several are those of several runs: each makes one image after the other.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._held >= images, timeout)

    def run(
        self,
        recipes: Iterable[Recipe],
        emit: Callable[[Event], None],
        cancelled: Callable[[Recipe], bool],
        *,
        priority: int = 0,
    ) -> None:
        with self._running(priority):
            if not self._loaded:
                emit(Loading(f"loading {self.name}"))
            if self._error is not None:
                raise self._error
            self._loaded = True
            for recipe in recipes:
                if self._reaches(partial(self._is_ahead, priority), recipe, cancelled):
                    self._make(recipe, emit, cancelled)

    def _make(
        self, recipe: Recipe, emit: Callable[[Event], None], cancelled: Callable[[Recipe], bool]
    ) -> None:
        emit(Started(recipe))
        steps = recipe.num_inference_steps or 1
        for step in range(1, steps + 1):
            if not self._passes(step, recipe, cancelled):
                return
            emit(Stepped(recipe, step, steps, partial(_picture, recipe, (8, 8))))
        if cancelled(recipe):
            return
        if reason := self._fails(recipe):
            emit(Failed(recipe, reason))
            return
        try:
            image = _made(recipe)
        except RecipeError as error:  # a picture that is not there
            emit(Failed(recipe, str(error)))
            return
        emit(Finished(recipe, image, self._provenance(steps)))

    def _provenance(self, steps: int) -> Provenance:
        return Provenance(
            engine="fake",
            exact=self.exact,
            seconds=steps / 100,
            created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="microseconds"),
            versions={"nbtool": __version__},
        )

    @contextmanager
    def _running(self, priority: int) -> Iterator[None]:
        with self._changed:
            self._priorities.append(priority)
        try:
            yield
        finally:
            with self._changed:
                self._priorities.remove(priority)
                self._changed.notify_all()

    def _is_ahead(self, priority: int) -> bool:
        return priority >= max(self._priorities)

    def _passes(self, step: int, recipe: Recipe, cancelled: Callable[[Recipe], bool]) -> bool:
        """Waits where images are held; whether this one is still wanted then."""
        with self._changed:
            held = self._holds(recipe, step)
            self._held += held
            self._changed.notify_all()
        try:
            return self._reaches(lambda: not self._holds(recipe, step), recipe, cancelled)
        finally:
            with self._changed:
                self._held -= held

    def _reaches(
        self, there: Callable[[], bool], recipe: Recipe, cancelled: Callable[[Recipe], bool]
    ) -> bool:
        """Waits for something, but not for an image that is cancelled; whether it is wanted."""
        with self._changed:
            while not there() and not cancelled(recipe):
                self._changed.wait(LOOK)
        return not cancelled(recipe)


def _nothing(_: Recipe, __: int) -> bool:
    return False


def _made(recipe: Recipe) -> Image:
    """A flat picture; from another, as far from that as the strength says, where the mask is."""
    from PIL import Image as PILImage

    last = recipe.last_pass
    size = last.width or SETTINGS["width"], last.height or SETTINGS["height"]
    made = _picture(recipe, size)
    if last.image is None:
        return made
    whole = last.size
    start = fitted(each(last.image)[0].image.convert("RGB"), whole, last.resize_mode)
    changed = PILImage.blend(start, made.resize(whole), last.strength or 0)
    if last.mask_image is None:
        return changed
    mask = fitted(last.mask_image.image.convert("L"), whole, last.resize_mode)
    return PILImage.composite(changed, start, mask)


def _picture(recipe: Recipe, size: tuple[int, int]) -> Image:
    """A square on a ground, in colours that the recipe decides."""
    from PIL import Image as PILImage

    digits = bytes.fromhex(recipe.key)
    picture = PILImage.new("RGB", size, tuple(digits[:3]))
    width, height = size
    picture.paste(tuple(digits[3:6]), (width // 4, height // 4, width * 3 // 4, height * 3 // 4))
    return picture
