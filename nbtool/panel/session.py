"""What the tabs of a panel share: the generator, the form, and where errors are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nbtool.panel.background import Latest
from nbtool.panel.controls import Settings
from nbtool.panel.notice import Notice
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from nbtool.panel.maker import Maker


class Session:
    """A generator that can be exchanged for one of another model, with the form for it."""

    def __init__(self, generator: Maker) -> None:
        self.generator = generator
        self.notice = Notice()
        self.notice.widget.add_class("nbtool-news")
        self.settings = Settings()
        self._switching = Latest(self._refused)
        self._showing = False  # the model is shown, not asked for
        self._name = ""  # of the model, as recipes have it
        self.settings.exact.value = generator.exact
        self._switching(lambda: self._settle(generator, None))
        self.settings.on_change(self._answered)
        self.settings.model.observe(self.notice.guarded(self._model_asked), "value")
        self.settings.exact.observe(self.notice.guarded(self._exact_asked), "value")

    @property
    def model(self) -> str:
        """The name of the generator's model, as recipes have it."""
        return self._name

    def join(self, timeout: float | None = None) -> None:
        self._switching.join(timeout)

    def with_model_of(self, recipe: Recipe, action: Callable[[], None]) -> None:
        """Does something once the panel has the model of a recipe."""
        recipe.require_known()
        if recipe.model in (None, self._name):
            action()
        else:
            self.switch(str(recipe.model), action)

    def switch(self, model: str, action: Callable[[], None] | None = None) -> None:
        """Another model, in the background: its files may have to be downloaded first."""
        self.notice.say(f"Getting the model {model} …")
        before = self.generator
        exact = self.settings.exact.value

        def get() -> None:
            self._settle(before.with_model(model).with_exact(exact), action)

        self._switching(get)

    def _settle(self, generator: Maker, action: Callable[[], None] | None) -> None:
        """Called in the background; touches only traits."""
        own = generator.engine.defaults()
        self.generator = generator
        self._name = str(own["model"])
        self.settings.offer_sizes(own["width"], own["height"])
        self.settings.fill({**own, **generator.defaults})
        if (seed := generator.defaults.get("seed")) is not None:
            self.settings.lock(seed)
        self._show_model()
        self.notice.clear()
        if action:
            action()

    def _refused(self, error: BaseException) -> None:
        self.notice.fail(error)
        self._show_model()

    def _answered(self, _: object) -> None:
        """What was wrong with the form is said anew where it still is."""
        if self.notice.alarming:
            self.notice.clear()

    def _show_model(self) -> None:
        self._showing = True
        self.settings.model.value = self._name
        self._showing = False

    def _model_asked(self) -> None:
        model = self.settings.model.value.strip()
        if model and model != self._name and not self._showing:
            self.switch(model)

    def _exact_asked(self) -> None:
        self.generator = self.generator.with_exact(self.settings.exact.value)
