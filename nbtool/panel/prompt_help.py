"""What stands below the prompt: how much of it is read, and what comes of a picture that is dropped."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import traitlets

from nbtool import files
from nbtool.display import script
from nbtool.display.widget import Widget
from nbtool.engines.base import Counting, Reading
from nbtool.errors import MetadataError, RecipeError, log
from nbtool.imaging import reading
from nbtool.metadata.files import MAX_FILE
from nbtool.panel.background import Latest
from nbtool.recipes import templates
from nbtool.recipes.picture import Picture
from nbtool.recipes.recipe import Recipe
from nbtool.text import count, ellipsized, printable

if TYPE_CHECKING:
    from nbtool.panel.session import Session

MAX_CUT = 2_000  # characters of what is not read
HERE = Path(__file__).parent

Read = Callable[[str], Reading | None]


class PromptHelp(Widget):
    """Counts tokens as the prompt is typed, and takes pictures that are dropped or pasted.

    The browser sends a file piece by piece, as it is asked for it: a message has its limits.

    Args:
        session: Whose settings it is about.

    Attributes:
        counted: How many tokens the prompts have, in words.
        cut: What of them is not read.
        asked: The name of a picture of which is asked what to do with it, or "".
    """

    _esm = script.module((HERE / "prompt_help.js").read_text(encoding="utf-8"))
    _css = (HERE / "prompt_help.css").read_text(encoding="utf-8")
    counted = traitlets.Unicode().tag(sync=True)
    cut = traitlets.Unicode().tag(sync=True)
    asked = traitlets.Unicode().tag(sync=True)

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._words: Mapping[str, Sequence[str]] = {}  # that fill braces
        self._typed: str | None = None  # the prompt while it is being typed
        self._counting = Latest(self._unknown)
        self._reading = Latest(session.notice.fail)
        self._coming: tuple[str, str, int] | None = None  # id, name and size of a file
        self._is_start = False  # it is to be started from, whatever is in it
        self._first = ""  # that there were others
        self._held: tuple[Recipe, Picture] | None = None  # what is asked about
        self._pieces = io.BytesIO()
        session.on_change(session.notice.guarded(self._changed))
        self.on_msg(self._said)

    def count(self) -> None:
        """Says how many tokens the prompts have, in the background."""
        settings, engine = self._session.settings, self._session.generator.engine
        prompt = settings.prompt.value if self._typed is None else self._typed
        texts = {"prompt": prompt, "negative_prompt": settings.negative.value}
        preset = settings.preset.chosen
        texts = {n: preset.around(n, text) if preset else text for n, text in texts.items()}
        words = self._words

        def count_tokens() -> Callable[[], None]:
            found: dict[str, Reading] = {}
            if isinstance(engine, Counting):
                for name, text in texts.items():
                    whole = _longest(text, words, engine.reading)
                    if whole and (reading := engine.reading(whole)):
                        found[name] = reading
            return lambda: self._show(found)

        self._counting(count_tokens)

    def fill_with(self, words: Mapping[str, Sequence[str]]) -> None:
        """Counts the longest of these words where they stand in braces."""
        if words != self._words:
            self._words = words
            self.count()

    def join(self, timeout: float | None = None) -> None:
        """Waits for whatever is under way, or about `timeout` seconds."""
        for work in (self._reading, self._counting):
            work.join(timeout)

    def take(self, recipe: Recipe, words: str) -> None:
        """Puts the settings of a picture into the form, and its seed, with its model.

        Args:
            recipe: The picture's.
            words: What is said then.
        """
        session = self._session

        def fill() -> None:
            session.settings.take(recipe)
            session.notice.say(words)

        session.with_model_of(recipe, fill)

    def start(self, picture: Any, words: str) -> None:
        """Starts from a picture, and shows it.

        Args:
            picture: What `nbtool.Picture` takes.
            words: What is said then.

        Raises:
            RecipeError: It cannot be read.
        """
        settings = self._session.settings
        settings.starting.start(picture)
        settings.picture.unfold()
        self._session.notice.say(words)

    def _show(self, found: Mapping[str, Reading]) -> None:
        labels = {"prompt": "", "negative_prompt": "negative prompt: "}
        with self.hold_sync():
            self.counted = " · ".join(labels[n] + _tokens(one) for n, one in found.items())
            self.cut = " ".join(
                f"The model does not read the end of the {name.replace('_', ' ')}: "
                f"“{ellipsized(one.beyond, MAX_CUT)}”"
                for name, one in found.items()
                if one.beyond
            )

    def _unknown(self, error: BaseException) -> None:
        log("tokens cannot be counted", error)
        self._show({})

    def _changed(self) -> None:
        self._typed = None
        self.count()

    def _said(self, _: object, content: Any, buffers: Any) -> None:
        acts: dict[str, Callable[[Any], None]] = {
            "typed": self._type,
            "picture": self._begin,
            "answer": self._answer,
            "piece": partial(self._go_on, buffers),
        }
        for name in acts.keys() & content.keys():
            self._session.notice.guarded(partial(acts[name], content[name]))()

    def _type(self, text: str) -> None:
        self._typed = str(text)
        self.count()

    def _begin(self, picture: Mapping[str, Any]) -> None:
        """A file was dropped, or chosen, or pasted."""
        self._coming, self._held, self.asked = None, None, ""
        self._is_start = picture.get("start") is True
        name, size = printable(str(picture["name"])), int(picture["size"])
        if size > MAX_FILE:
            raise MetadataError(
                f"{name} has {files.size(size)}; pictures of up to {files.size(MAX_FILE)} are read"
            )
        others = int(picture["others"])
        self._first = f" It was the first of {count(others + 1, 'file')}." if others else ""
        self._session.notice.say(f"Reading {name} …")
        self._coming, self._pieces = (str(picture["id"]), name, size), io.BytesIO()
        self._go_on([], picture)

    def _go_on(self, buffers: Sequence[Any], piece: Mapping[str, Any]) -> None:
        """A piece of a file came; asks for the next, or reads what is whole."""
        if not self._coming or self._coming[0] != piece["id"]:
            return
        gone = bool(buffers) and not sum(self._pieces.write(buffer) for buffer in buffers)
        _, name, size = self._coming
        if (there := self._pieces.tell()) < size and not gone:
            self.send({"want": piece["id"], "from": there})
            return
        data, self._coming, self._pieces = self._pieces.getvalue(), None, io.BytesIO()

        first, is_start = self._first, self._is_start

        def read() -> Callable[[], None]:
            recipe, picture = _taken(data, name)
            if recipe and not is_start:
                return lambda: self._ask(recipe, picture, name)
            return lambda: self.start(picture, f"Images start from {name} now.{first}")

        self._reading(read)

    def _ask(self, recipe: Recipe, picture: Picture, name: str) -> None:
        """Asks what to do with a picture that nbtool made."""
        self._session.notice.clear()
        self._held, self.asked = (recipe, picture), name

    def _answer(self, wanted: str) -> None:
        held, name, self._held, self.asked = self._held, self.asked, None, ""
        if held and wanted == "settings":
            self.take(held[0], f"The settings of {name} are here.{self._first}")
        elif held and wanted == "start":
            self.start(held[1], f"Images start from {name} now.{self._first}")


def _taken(data: bytes, name: str) -> tuple[Recipe | None, Picture]:
    """The recipe in a file, if there is one that can be read, and its picture.

    Raises:
        RecipeError: It is no picture.
    """
    stem = name.rpartition(".")[0] or name
    try:
        picture = Picture(data, stem)
    except RecipeError as error:
        raise RecipeError(str(error).replace(reading.BYTES, name, 1)) from None
    try:
        recipe = Recipe.from_image(data, name)
    except MetadataError as error:
        log("a picture without settings of ours", error)
        return None, picture
    return recipe, picture


def _tokens(reading: Reading) -> str:
    if reading.most is None:
        return count(reading.tokens, "token")
    return f"{reading.tokens:,} of {reading.most:,} tokens"


def _longest(text: str, words: Mapping[str, Sequence[str]], read: Read) -> str:
    """A prompt with the longest of what may fill each of its words."""
    named = [name for name in templates.names(text) if words.get(name)]

    def length(word: str) -> int:
        reading = read(word)
        return reading.tokens if reading else len(word)

    return templates.filled(text, {name: max(words[name], key=length) for name in named})
