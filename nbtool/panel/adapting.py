"""The LoRAs of a form: a row for each, and a field by which others are added."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbtool.catalogue import loras
from nbtool.catalogue.lora_files import LoraFile
from nbtool.errors import NbtoolError, RecipeError
from nbtool.panel.background import Latest
from nbtool.panel.entry import Entry
from nbtool.panel.notice import AtFieldError, words
from nbtool.panel.telling import Telling
from nbtool.recipes.loras import Lora, Loras, weights
from nbtool.recipes.recipe import Recipe
from nbtool.text import printable

if TYPE_CHECKING:
    from nbtool.engines.base import Engine

STEP = 0.05
SLIDES = [-1.0, 2.0]  # any other weight can be typed
MAX_OFFERED = 8  # files of a folder
HINT = "a name, file or hub id"

Told = tuple[LoraFile | None, str]  # what a file says of its LoRA, and what is wrong with that


class LoraRow:
    """A LoRA and its weights.

    Args:
        lora: As a recipe has it.
        changed: Called when another weight is typed.
        remove: Called with the row that is to go.
        say: Given a word for the prompt.

    Attributes:
        fields: For its weights.
    """

    def __init__(
        self,
        lora: Lora,
        changed: Callable[[], None],
        remove: Callable[[LoraRow], None],
        say: Callable[[str], None],
    ) -> None:
        self.lora = lora
        self._say = say
        self._fault = ""
        name = printable(lora.name)
        self.weight = Entry(
            description=f"{name}: weight",
            tooltip="0 does nothing, 1 is as it was trained",
            step=STEP,
            slides=SLIDES,
            value=lora.weight,
        )
        self.text = Entry(
            description=f"{name}: text encoder",
            tooltip="The weight for the text encoder; empty: the same",
            placeholder="the same",
            step=STEP,
            value="" if lora.text_weight is None else lora.text_weight,
        )
        self.remove = ipywidgets.Button(description="Remove", tooltip=f"Take {name} away")
        self.remove.on_click(lambda _: remove(self))
        self._line = ipywidgets.HBox([self.weight, self.remove])
        self._line.add_class("nbtool-row")
        self._words = ipywidgets.Box()
        self._words.add_class("nbtool-offers")
        self.widget = ipywidgets.VBox()
        self.widget.add_class("nbtool-lora")
        self.fields = [self.weight, self.text]
        self._show(text=lora.text_weight is not None)
        self._judge()
        for field in self.fields:
            field.observe(lambda _: self._judge(), "value")
            field.observe(lambda _: changed(), "value")

    @property
    def value(self) -> Lora:
        """The LoRA with the weights that are typed.

        Raises:
            RecipeError: They are none.
        """
        own = self.text.value
        pair = self.weight.value, None if own == "" else own
        return self.lora.weighing(*weights(self.lora.name, pair))

    def tell(self, said: LoraFile | None, fault: str) -> bool:
        """Shows what its file says; returns whether something else is wrong than before."""
        before, self._fault = self._fault, fault
        if said:
            self._words.children = [self._button(word) for word in said.words]
            self._show(text=said.text or self.lora.text_weight is not None)
        self._judge()
        return before != fault

    def _show(self, *, text: bool) -> None:
        self.widget.children = [self._line, *([self.text] if text else []), self._words]

    def _judge(self) -> None:
        name = self.lora.name
        self.text.error = "" if self.text.value == "" else _wrong(name, self.text.value)
        self.weight.error = _wrong(name, self.weight.value) or self._fault

    def _button(self, word: str) -> Any:
        button = ipywidgets.Button(
            description=printable(word), tooltip="It was trained with it: add it to the prompt"
        )
        button.on_click(lambda _: self._say(printable(word)))
        return button


class Adapting:
    """The LoRAs of a form. They may be set from any thread.

    Args:
        say: Given a word that a LoRA was trained with, for the prompt.

    Attributes:
        rows: Of the LoRAs that there are.
        known: All that there were, by what they are called and were given as.
        source: The field for another one.
        fields: All there are now.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._telling = Telling.current()
        self._heard: list[Callable[..., None]] = []
        self._engine: Engine | None = None
        self.rows: list[LoraRow] = []
        self.known: dict[str, Lora] = {}
        self.source = Entry(description="Add a LoRA", placeholder=HINT)
        self.add = ipywidgets.Button(description="Add", tooltip="Add this LoRA")
        self.fields = [self.source]
        self._finding = Latest(self._miss)
        self._looking = Latest(self._miss)
        line = ipywidgets.HBox([self.source, self.add])
        line.add_class("nbtool-row")
        self._rows = ipywidgets.VBox()
        self.widgets = (self._rows, line)
        self.source.observe(lambda _: self._retyped(), "value")
        self.add.on_click(lambda _: self._find())
        self.offer()

    @property
    def value(self) -> Loras | None:
        """What a recipe has of them.

        Raises:
            RecipeError: A weight is none.
        """
        return Loras(row.value for row in self.rows) or None

    @property
    def in_words(self) -> str:
        """Their names and weights."""
        value = self.value
        return value.in_words if value else "none"

    @property
    def first_wrong(self) -> Entry:
        """The first field that is not right; one that is where all are."""
        return next((field for field in self.fields if field.error), self.source)

    def on_change(self, action: Callable[..., None]) -> None:
        """What is done with a change, as of a widget's trait, when there are others."""
        self._heard.append(action)

    def take(self, value: Loras | None) -> None:
        """Shows these in place of those that there are."""
        self.rows = [self._row(lora) for lora in value or ()]
        self._show()

    def suit(self, engine: Engine) -> None:
        """The engine that is to make images with them."""
        self._engine = engine
        self._look()

    def offer(self) -> None:
        """Offers the LoRAs that have names now."""
        self.source.options = loras.names()

    def require(self) -> None:
        """Leads to the field for another one, where that was typed and is not added.

        Raises:
            AtFieldError: It was.
        """
        self._look()  # what was wrong with a file may be right by now
        if text := self.source.value.strip():
            self.source.error = self.source.error or f"press Add to use {text}, or empty the field"
            self.source.lead()
            raise AtFieldError(self.source.error)

    def join(self, timeout: float | None = None) -> None:
        """Waits for whatever is under way, or about `timeout` seconds."""
        for work in (self._finding, self._looking):
            work.join(timeout)

    def _retyped(self) -> None:
        self._finding.forget()
        self.offer()
        self.source.hint = self.source.error = ""
        self.source.offers = []

    def _find(self) -> None:
        """Adds what is typed, once it is found: it may have to be downloaded first."""
        text = self.source.value.strip()
        self._retyped()
        if not text:
            self.source.lead()
            return
        self.source.hint = f"Looking for {text} …"

        def find() -> Callable[[], None]:
            try:
                if files := loras.several(text):
                    return partial(self._choose, text, list(map(str, files)))
                return partial(self._found, text, Loras.found(text))
            except NbtoolError as error:
                return partial(self._miss, error)

        self._finding(find)

    def _found(self, text: str, lora: Lora) -> None:
        self.known[text] = lora
        if any(row.lora.key == lora.key for row in self.rows):
            self.source.hint, self.source.error = "", f"{printable(lora.name)} is there already"
            return
        self.rows.append(self._row(lora))
        self.source.value = ""
        self._show()

    def _choose(self, text: str, files: list[str]) -> None:
        more = " such as these" if len(files) > MAX_OFFERED else ""
        self.source.hint = ""
        self.source.error = f"{text} holds {len(files)} LoRAs; add one of them{more}"
        self.source.offers = files[:MAX_OFFERED]

    def _miss(self, error: BaseException) -> None:
        self.source.hint, self.source.error = "", words(error)

    def _row(self, lora: Lora) -> LoraRow:
        self.known[lora.name] = lora.weighing(1.0)
        with self._telling.holding():
            return LoraRow(lora, self._changed, self._remove, self._say)

    def _remove(self, row: LoraRow) -> None:
        place = self.rows.index(row)
        self.rows.remove(row)
        (self.rows[place].weight if self.rows[place:] else self.source).lead()
        self._show()

    def _show(self) -> None:
        self.fields[:] = [*(field for row in self.rows for field in row.fields), self.source]
        self._rows.children = [row.widget for row in self.rows]
        self._changed()
        self._look()

    def _changed(self) -> None:
        for action in self._heard:
            action({"owner": self})

    def _look(self) -> None:
        """Reads what the files say of their LoRAs, and whether the model takes them."""
        rows, engine = list(self.rows), self._engine
        if not rows:
            self._looking.forget()
            return

        def look() -> Callable[[], None]:
            told = [_told(row.lora, engine) for row in rows]

            def tell() -> None:
                with self._telling.holding():
                    other = [row.tell(*one) for row, one in zip(rows, told, strict=True)]
                if any(other):
                    self._changed()

            return tell

        self._looking(look)


def fault(lora: Lora, engine: Engine | None) -> str:
    """Why a LoRA is of no use, or not to this engine; "" if it is."""
    try:
        loras.facts(lora)
        if engine:
            engine.check(Recipe(**engine.defaults(), loras=Loras([lora.weighing(1.0)])))
    except NbtoolError as error:
        return words(error)
    return ""


def _told(lora: Lora, engine: Engine | None) -> Told:
    try:
        return loras.facts(lora), fault(lora, engine)
    except NbtoolError as error:
        return None, words(error)


def _wrong(name: str, weight: Any) -> str:
    try:
        weights(name, weight)
    except RecipeError as error:
        return words(error)
    return ""
