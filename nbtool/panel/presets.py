"""The preset of a panel: chosen by the prompt, kept from the fields as they stand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Protocol

import ipywidgets

from nbtool.errors import RecipeError, StoreError
from nbtool.panel import braces
from nbtool.panel.background import Latest
from nbtool.panel.entry import Entry
from nbtool.panel.flaw import Flaw
from nbtool.panel.maker import Maker
from nbtool.panel.notice import AtFieldError, Notice
from nbtool.recipes.axes import PRESET
from nbtool.recipes.parameters import ROWS, called
from nbtool.recipes.preset import SETTINGS, TEXTS, Preset
from nbtool.results.presets import Presets, check_name
from nbtool.text import digits

NONE = ""


class Shared(Protocol):
    """What a preset needs of the panel's session."""

    settings: Any

    @property
    def generator(self) -> Maker:
        """Whose store has the presets."""

    def on_change(self, action: Callable[..., None]) -> None:
        """What is done when the form says something else."""


class PresetChoice:
    """A drop-down with the presets of the store, and a form to keep, rename and delete them.

    A preset that is chosen fills in its settings, where one sees and may change them; what it adds
    to the prompts is said, and is there when an image is made. Taken back, it gives fields that
    were not touched since what they had before. While the presets cannot be read, those that could
    be before are there as they were.

    Attributes:
        description: The label of the drop-down.
        field: The drop-down.
        flaw: Says what is wrong with it.
        known: The presets there are, by name.
    """

    description = called(PRESET)

    def __init__(self) -> None:
        self.field = ipywidgets.Dropdown(
            description=self.description,
            options=[("none", NONE)],
            tooltip="preset: what is added to the prompts, with settings, under a name",
        )
        self.known: dict[str, Preset] = {}
        self._session: Shared | None = None
        self._filled: dict[str, tuple[Any, Any]] = {}  # what fields had before, and were given
        self._asked: tuple[object, ...] = ()  # what is done if it is asked for once more
        self._problems: list[str] = []  # with the presets of the store
        self._offering = False  # the list is changed, nobody chooses
        self._offered: Callable[[], None] = lambda: None
        self.edit = ipywidgets.ToggleButton(
            description="Edit presets", tooltip="Keep these settings, rename, delete"
        )
        self.name = Entry(description="Preset name", placeholder="ink")
        self.prompt = Entry(
            description="Adds to the prompt",
            placeholder="{prompt}, ink drawing",
            hint="{prompt} is where the prompt goes; without it, the prompt goes first",
        )
        self.negative = Entry(description="Adds to the negative prompt")
        self.save = ipywidgets.Button(description="Save preset", tooltip="Keep it in the store")
        self.rename = ipywidgets.Button(
            description="Rename preset", tooltip="Give it the name above"
        )
        self.delete = ipywidgets.Button(
            description="Delete preset", tooltip="Take it out of the store"
        )
        self.ticks = {name: _tick() for name in SETTINGS}
        self.notice = Notice()
        self.flaw = Flaw()
        self.flaw.on_look(self.look)
        self.widget, self._editor = self._arranged()
        self.field.observe(self.notice.guarded(self._choose), "value")
        self.edit.observe(self.notice.guarded(self._open), "value")
        self.name.observe(lambda _: setattr(self.name, "error", ""), "value")
        for button, action in (
            (self.save, self._save),
            (self.rename, self._rename),
            (self.delete, self._delete),
        ):
            button.on_click(self.notice.guarded(action))

    def attach(self, session: Shared) -> None:
        """Offers the presets of a session's store."""
        self._session = session
        self._looking = Latest(self.notice.fail)
        session.on_change(self._label)
        self.look()

    def on_offered(self, action: Callable[[], None]) -> None:
        """What is done when there are other presets than before."""
        self._offered = action

    @property
    def chosen(self) -> Preset | None:
        """The preset that is chosen; its settings are in the form."""
        return self.known.get(self.field.value)

    @property
    def asked(self) -> dict[str, Any]:
        """What is asked of a generator beside the form's parameters."""
        return {PRESET: self.chosen} if self.chosen else {}

    @property
    def error(self) -> str:
        """What keeps the preset from use: words in braces that only a sweep fills."""
        if not self.chosen:
            return ""
        texts = (self.chosen.around(name, "") for name in TEXTS)
        said = braces.alone(braces.unfilled(texts))
        return f"in the preset {self.field.value}, {said}" if said else ""

    def judge(self) -> None:
        """Says at the drop-down what is wrong with it."""
        self.flaw.error = "\n".join(filter(None, [self.error, *self._problems]))

    def lead(self) -> None:
        """Takes whoever works in the panel to the drop-down."""
        self.flaw.lead()

    def clear(self) -> None:
        """Chooses none, and leaves the form as it is."""
        self._filled.clear()
        self.field.value = NONE

    def refill(self, names: Collection[str]) -> None:
        """Fills in the settings of the preset once more where fields were given other values."""
        settings = self.chosen.settings if self.chosen else {}
        for name in settings.keys() & {*names}:
            self._give(name, settings[name])

    def look(self) -> None:
        """Offers what the store has now; looks in the background."""
        presets = self._presets

        def look() -> Callable[[], None]:
            usable, problems = _looked(presets)
            return lambda: self._offer(usable, problems, self.field.value)

        self._looking(look)

    def join(self, timeout: float | None = None) -> None:
        """Waits for whatever is under way, or `timeout` seconds."""
        self._looking.join(timeout)

    @property
    def _of(self) -> Shared:
        assert self._session is not None
        return self._session

    @property
    def _presets(self) -> Presets:
        return self._of.generator.store.presets

    def _offer(self, known: Mapping[str, Preset], problems: list[str], chosen: str) -> None:
        """Offers these; what was typed since one was chosen stays, in the form and the editor."""
        before, all_before = self.chosen, self.known
        self.known = known = {**(all_before if problems else {}), **known}
        self._problems = problems
        options = [("none", NONE), *((name, name) for name in known)]
        self._offering = True  # other options choose the first of them for a moment
        try:
            if known.get(chosen) != before:
                self.field.value = NONE  # so that all who go by the preset hear of the change
            if options != list(self.field.options):
                self.field.options = options
            self.field.value = chosen if chosen in known else NONE
        finally:
            self._offering = False
        if self.chosen != before:
            self._fill_in(but=self._touched())
        if self.known != all_before:
            self._offered()
        self.judge()

    def _choose(self) -> None:
        if self._offering:
            return
        self._fill_in()
        if self.edit.value:
            self._show()

    def _fill_in(self, but: Collection[str] = ()) -> None:
        """Fills in the settings of the preset, after taking back those of the last."""
        fields, touched = self._of.settings.fields, self._touched()
        for name, (before, _) in self._filled.items():
            if name not in touched:
                fields[name].widget.value = before
        self._filled.clear()
        for name, value in (self.chosen.settings if self.chosen else {}).items():
            if name not in but:
                self._give(name, value)
        self._say_what_it_adds()

    def _touched(self) -> set[str]:
        """The settings that were changed since the preset gave them."""
        fields = self._of.settings.fields
        return {n for n, (_, given) in self._filled.items() if fields[n].widget.value != given}

    def _give(self, name: str, value: Any) -> None:
        field = self._of.settings.fields[name]
        before = field.widget.value
        field.value = value
        self._filled[name] = before, field.widget.value

    def _say_what_it_adds(self) -> None:
        preset = self.chosen
        texts = [("adds", preset.prompt), ("against", preset.negative_prompt)] if preset else []
        parts = [f"{verb}: {text}" for verb, text in texts if text]
        given = preset.settings if preset else {}
        if given:
            parts.append("sets " + ", ".join(_words(n, value) for n, value in given.items()))
        self.notice.say(" · ".join(parts))

    def _open(self) -> None:
        self._editor.layout.display = "flex" if self.edit.value else "none"
        self._asked, self.name.error = (), ""
        self._say_what_it_adds()
        if self.edit.value:
            self._show()
            self.look()

    def _show(self) -> None:
        """Shows in the form below what is chosen, or what might be kept."""
        settings, preset = self._of.settings, self.chosen
        self.name.value = self.field.value
        self.prompt.value = preset.prompt if preset else ""
        self.negative.value = preset.negative_prompt if preset else settings.negative.value
        own = {name: ROWS[name].rest for name in SETTINGS} | self._of.generator.engine.settings()
        for name, tick in self.ticks.items():
            value = _value(settings.fields[name])
            tick.value = name in preset.settings if preset else value not in (None, own[name])
        self._label()

    def _label(self, *_: Any) -> None:
        """Says beside each tick what the form has."""
        for name, tick in self.ticks.items():
            value = _value(self._of.settings.fields[name])
            tick.description = _words(name, value if value is not None else "not set")
            tick.disabled = value is None

    def _save(self) -> None:
        name = self.name.value.strip()
        with self._at_name():
            if not name:
                raise RecipeError("give the preset a name")
            check_name(name)
        fields = self._of.settings.fields
        for setting, tick in self.ticks.items():
            if tick.value and (error := fields[setting].error):
                fields[setting].widget.lead()
                raise RecipeError(error)
        kept = [n for n, tick in self.ticks.items() if tick.value and not tick.disabled]
        preset = Preset(
            prompt=self.prompt.value.strip(),
            negative_prompt=self.negative.value.strip(),
            **{n: fields[n].value for n in kept},
        )
        if name in self._presets and name != self.field.value:
            self._make_sure(
                f"There is a preset {name!r}; a second press replaces it.", "save", name, preset
            )
        self._presets[name] = preset
        before = {n: value for n, (value, _) in self._filled.items()}
        self._done(f"{name} is kept in {self._presets.path.name} of the store.", name)
        self._hand_over(kept, before)

    def _rename(self) -> None:
        name = self._selected()
        new = self.name.value.strip()
        with self._there(name), self._at_name():
            self._presets.rename(name, new)
        self._done(f"{name} is called {new} now.", new)

    def _delete(self) -> None:
        name = self._selected()
        self._make_sure(f"A second press deletes {name!r}.", "delete", name)
        with self._there(name):
            del self._presets[name]
        self._done(f"{name} is deleted.", NONE)

    def _selected(self) -> str:
        name: str = self.field.value
        if not name:
            self.lead()
            raise RecipeError("choose a preset first")
        return name

    def _hand_over(self, names: Collection[str], before: Mapping[str, Any]) -> None:
        """What was saved from the form is the preset's now, which is chosen.

        Args:
            names: The settings that it has.
            before: What fields had that the preset before it filled in.
        """
        fields = self._of.settings.fields
        given = {name: fields[name].widget.value for name in names}
        self._filled = {name: (before.get(name, value), value) for name, value in given.items()}
        negative = fields["negative_prompt"].widget
        if self.negative.value.strip() and self.negative.value.strip() == negative.value.strip():
            self._give("negative_prompt", "")

    @contextlib.contextmanager
    def _at_name(self) -> Iterator[None]:
        """Says what is wrong with the name at its field, and leads there."""
        try:
            yield
        except RecipeError as error:
            self.name.error = str(error)
            self.name.lead()
            raise AtFieldError(self.name.error) from None

    @contextlib.contextmanager
    def _there(self, name: str) -> Iterator[None]:
        """Says of a preset that another took away that it is gone, and looks what there is."""
        try:
            yield
        except KeyError:
            self._offer(*_looked(self._presets), self.field.value)
            raise RecipeError(f"the preset {name!r} is not in the store any more") from None

    def _make_sure(self, words: str, *what: object) -> None:
        """Goes on only where the same was asked for just before.

        Args:
            words: What happens then.
            *what: All that it is about.

        Raises:
            RecipeError: It was not asked for before.
        """
        asked, self._asked = self._asked, (*what, self.field.value)
        if asked != self._asked:
            raise RecipeError(words)

    def _done(self, words: str, chosen: str) -> None:
        self._asked = ()
        self._offer(*_looked(self._presets), chosen)
        self.notice.say(words)

    def _arranged(self) -> tuple[Any, Any]:
        ticks = ipywidgets.Box(list(self.ticks.values()))
        ticks.add_class("nbtool-ticks")
        rows = [ipywidgets.HBox(row) for row in ([self.save, self.rename, self.delete],)]
        line = ipywidgets.HBox([self.field, self.edit])
        for row in (*rows, line):
            row.add_class("nbtool-row")
        says = ipywidgets.Label("With these settings, as the form has them:")
        editor = ipywidgets.VBox([self.name, self.prompt, self.negative, says, ticks, *rows])
        editor.add_class("nbtool-preset-editor")
        editor.layout = ipywidgets.Layout(display="none")  # its own
        whole = ipywidgets.VBox([line, self.flaw, self.notice.widget, editor])
        whole.add_class("nbtool-preset")
        return whole, editor


def _looked(presets: Presets) -> tuple[dict[str, Preset], list[str]]:
    """The presets that can be used, and what is wrong with the others."""
    try:
        return presets.looked()
    except StoreError as error:
        return {}, [str(error)]


def _tick() -> Any:
    return ipywidgets.Checkbox(indent=False)


def _value(field: Any) -> Any:
    """What a field says; None where that is nothing, or not right."""
    try:
        return field.value
    except RecipeError:
        return None


def _words(name: str, value: Any) -> str:
    text = digits(value) if isinstance(value, float) else str(value)
    return f"{ROWS[name].label} {text}"
