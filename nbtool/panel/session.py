"""What the tabs of a panel share: the generator, the form, and where errors are shown."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nbtool import catalogue
from nbtool.errors import NbtoolError
from nbtool.panel.background import Latest
from nbtool.panel.controls import Settings
from nbtool.panel.notice import Notice, words
from nbtool.recipes.parameters import AT_REST
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from nbtool.panel.maker import Maker


class Session:
    """A generator that can be exchanged for one of another model, with the form for it.

    Each tab says what concerns it in a notice of its own; what concerns the model is said in both.

    Those of other models are made from the first, so that none loses what it was given. Until a
    model is there, the first is tried again by whatever needs one.
    """

    def __init__(self, generator: Maker, notice: Notice) -> None:
        self._first = self._maker = generator
        self.notice = notice
        self.sweep_notice = Notice()
        self._notices = self.notice, self.sweep_notice
        for one in self._notices:
            one.widget.add_class("nbtool-news")
        self.settings = Settings()
        self._switching = Latest(self._stay)
        self._lock = threading.Lock()  # of the three below; nothing else is done meanwhile
        self._under_way = True  # a model is being got
        self._then: list[Callable[[], None]] = []  # what waits for it
        self._missing = ""  # a model that was typed and could not be had; no other is used instead
        self._changed: list[Callable[..., None]] = []  # what goes by the model
        self._showing = False  # the model is shown, not asked for
        self._typed: set[Any] = set()  # what was filled in before there was a model
        self.is_open = False  # there is a model
        self.settings.exact.value = generator.exact
        self._get(lambda: generator)
        self.settings.on_change(self._filled_in)
        self.settings.model.observe(self.notice.guarded(self._model_asked), "value")
        self.settings.exact.observe(self.notice.guarded(self._exact_asked), "value")

    @property
    def generator(self) -> Maker:
        """That of the chosen model, exact where that is ticked."""
        return self._maker.with_exact(self.settings.exact.value)

    @property
    def model(self) -> str:
        """The name of the generator's model, as recipes have it."""
        return self._maker.engine.name

    def on_change(self, action: Callable[..., None]) -> None:
        """What is done when the form says something else, or there is another model."""
        self.settings.on_change(action)
        self._changed.append(action)

    def join(self, timeout: float | None = None) -> None:
        self._switching.join(timeout)

    def with_model_of(self, recipe: Recipe, action: Callable[[], None]) -> None:
        """Does something once the panel has the model of a recipe."""
        recipe.require_known()
        self.switch(recipe.model or self.model, action)

    def once_there(self, action: Callable[[], None]) -> None:
        """Does something with the model that the field names, once it is there."""
        with self._lock:
            if self._under_way:
                self._then.append(action)
                return
            missing = self._missing
        if self.is_open and not missing:
            action()
        else:
            self.switch(missing or self.model, action, typed=bool(missing))

    def switch(
        self, model: str, action: Callable[[], None] | None = None, *, typed: bool = False
    ) -> None:
        """Another model, in the background: its files may have to be downloaded first.

        One that was asked for before and is not there yet is dropped, and what waits for it. If it
        is not to be had, what was typed stays, with what is wrong with it.
        """
        self._switching.forget()
        is_here = self.is_open and model == self.model
        with self._lock:
            self._under_way = not is_here
            self._then = [action] if action else []
        for notice in self._notices:
            notice.say("" if is_here else f"Getting the model {model} …")
        if is_here:
            self._show_model()
            self._tell_changed()
            self._arrive()
            return
        self._get(lambda: self._first.with_model(model), typed=model if typed else "")

    def _get(self, make: Callable[[], Maker], typed: str = "") -> None:
        def get() -> Callable[[], None]:
            try:
                maker = make()
                own = maker.engine.defaults()
            except Exception as error:
                return partial(self._miss, typed, error) if typed else partial(self._stay, error)
            return lambda: self._settle(maker, own)

        self._switching(get)

    def _settle(self, maker: Maker, own: Mapping[str, Any]) -> None:
        """Called in the background; touches only traits."""
        self.settings.offer_sizes(own["width"], own["height"])
        was_open, self._maker, self.is_open = self.is_open, maker, True
        defaults = self._first.defaults
        left = {name: value for name, value in defaults.items() if name not in maker.defaults}
        values = {n: AT_REST[n] for n in left} | {**own, **maker.defaults}
        self.settings.fill(values, but=self._typed)
        if was_open:
            self.settings.preset.refill(values)
        self._typed.clear()
        self.settings.starting.suit(maker.engine)
        self.settings.loras.suit(maker.engine)
        self._show_model()
        if left:
            given = ", ".join(f"{name}={value!r}" for name, value in left.items())
            for notice in self._notices:
                notice.say(f"{self.model} does not take {given}: left out.")
        else:
            self._clear_calm()
        self.notice.guarded(self._exact_asked)()
        self._tell_changed()
        self._arrive()

    def _stay(self, error: BaseException) -> None:
        """A model cannot be had: called in the background; touches only traits."""
        with self._lock:
            self._under_way, self._then = False, []
        kept = "The panel stays with {}." if self.is_open else "Generate tries to open {} again."
        for notice in self._notices:
            notice.fail(error, kept.format(self.model))
        self._show_model()

    def _miss(self, model: str, error: BaseException) -> None:
        """A model that was typed cannot be had; as `_stay`."""
        with self._lock:
            waiting, self._under_way, self._then = bool(self._then), False, []
            self._missing = model
        field = self.settings.model
        here = [self.model] if self.is_open else []
        names = catalogue.names()
        near = [] if model in names else difflib.get_close_matches(model, names, n=1)
        field.error = words(error)
        field.offers = list(dict.fromkeys([*near, *here]))
        self._clear_calm()
        self._tell_changed()
        if waiting:
            field.lead()

    def _arrive(self) -> None:
        """The model is there: does what waited for it."""
        with self._lock:
            self._under_way = False
            waiting, self._then = self._then, []
        for action in waiting:
            self.notice.guarded(action)()

    def answered(self) -> None:
        """What was wrong with what is asked for is said anew where it still is."""
        for notice in self._notices:
            if notice.refusing:
                notice.clear()

    def _clear_calm(self) -> None:
        """It is not on its way any more; what went wrong is still said."""
        for notice in self._notices:
            if not notice.alarming:
                notice.clear()

    def _tell_changed(self) -> None:
        for action in self._changed:
            action()

    def _filled_in(self, change: Any) -> None:
        if not self.is_open:
            self._typed.add(change["owner"])
        self.answered()

    def _show_model(self) -> None:
        self._showing, self._missing = True, ""
        field = self.settings.model
        field.value, field.error, field.offers = self.model if self.is_open else "", "", []
        self._showing = False

    def _model_asked(self) -> None:
        if not self._showing:
            self.switch(self.settings.model.value.strip() or self.model, typed=True)

    def _exact_asked(self) -> None:
        try:
            self._maker.with_exact(self.settings.exact.value)
        except NbtoolError:
            self.settings.exact.value = self._maker.exact
            raise
