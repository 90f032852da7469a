"""One image looked at closely: its recipe, and what can be done with it."""

from __future__ import annotations

import html
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbtool import files
from nbtool.display.details import as_python
from nbtool.errors import StoreError
from nbtool.panel.fold import Fold
from nbtool.panel.mark import Mark
from nbtool.panel.stage import Stage
from nbtool.recipes.checks import TEXT
from nbtool.recipes.parameters import ROWS
from nbtool.results.names import Names, suggested
from nbtool.text import digits, duration, printable

if TYPE_CHECKING:
    from nbtool.panel.gallery import Gallery
    from nbtool.panel.notice import Notice
    from nbtool.recipes.recipe import Recipe
    from nbtool.results.image import GeneratedImage, Home
SIZE = ("width", "height")  # shown as one
EMPTY = {
    False: "Write what to draw and press Generate. Your images appear here.",
    True: "The first image is on its way.",
}
STARS = {False: "☆ Star", True: "★ Starred"}
WIDE = {row.label for row in ROWS.values() if row.kind == TEXT and not row.network}


class Detail:
    """The picture, its recipe in words, and buttons. What they do is given by the panel.

    Args:
        gallery: Whose selected image is shown.
        store: Has the images that left the gallery too.
        notice: Where it says what was done, and what went wrong.
        copy: Puts a text on the clipboard.
    """

    def __init__(
        self, gallery: Gallery, store: Home, notice: Notice, copy: Callable[[str], None]
    ) -> None:
        self._gallery = gallery
        self._store = store
        self._notice = notice
        self._copy = copy
        self._showing = threading.RLock()  # a run and somebody's choice may show at once
        self.stage = Stage(empty=EMPTY[False])
        self.stage.on_show(self._turn)
        self.stage.on_ask(gallery.ask)
        self.recipe = ipywidgets.HTML()
        self.recipe.add_class("nbtool-recipe")
        self.use = _button("Use these settings", "Put this recipe into the form")
        self.start = _button("Start from this", "Make images from this one: Picture, in the form")
        self.vary = _button("Vary the seed", "Four more images of this recipe with new seeds")
        self.sweep = _button("Sweep around this", "Fill the Sweep tab with values around these")
        self.python = _button("Copy as Python code", "Copy code that makes this image again")
        self.star = Mark(False, STARS[False], "Keep it in mind", self._mark_star)
        self.note = Mark("", "Note", "A note to keep", self._mark_note)
        self.file = ipywidgets.Text(description="Save as", continuous_update=True)
        self.bare = ipywidgets.Checkbox(
            description="without metadata", indent=False,
            tooltip="Pixels alone, for others: neither recipe nor prompt nor seed is in the file",
        )  # fmt: skip
        self.save = _button("Save", "Write the file")
        self.python.on_click(notice.click(self._copy_python))
        self.save.on_click(notice.click(self._save))
        self.bare.observe(notice.guarded(self._rename), "value")
        self._tools = self._arranged()
        self.widget = ipywidgets.VBox([self.stage, self._tools])
        self.widget.add_class("nbtool-detail")
        gallery.observe(notice.guarded(self.show), "selected")
        gallery.observe(notice.guarded(self.place), ["recent", "stored"])
        self.show()

    @property
    def image(self) -> GeneratedImage | None:
        return self._gallery.image

    def on(self, button: Any, action: Callable[[Recipe], None]) -> None:
        """What a button does with the recipe of the image."""
        self.on_image(button, lambda image: action(image.recipe))

    def on_image(self, button: Any, action: Callable[[GeneratedImage], None]) -> None:
        """What a button does with the image."""

        def act() -> None:
            if self.image:
                action(self.image)

        button.on_click(self._notice.click(act))

    def show(self) -> None:
        """Shows the image that is selected in the gallery; the picture and its key at once."""
        with self._showing, self.stage.hold_sync():
            image = self.image
            self.stage.show(image)
            self._tools.layout.visibility = "visible" if image else "hidden"
            self.recipe.value = _words(image) if image else ""
            self.show_marks()
            if image:
                self.file.value = suggested(image, metadata=not self.bare.value)
                self.fold.summary = image.caption
            self.place()
            self.stage.key = image.recipe.key if image else ""

    def show_marks(self) -> None:
        """Shows the star and the note of that image as they are now."""
        if image := self.image:
            self._show_star(image)
            self.note.show(image.recipe.key, image.note)

    def wait(self, running: bool) -> None:
        """Says in the place of the picture whether one is on its way."""
        self.stage.empty = EMPTY[running]

    def place(self) -> None:
        """Tells where in the gallery the image is: others may have come."""
        with self._showing:
            *beside, count = self._gallery.beside(self._gallery.selected)
            self.stage.beside, self.stage.count = beside, count

    def _turn(self, key: str) -> None:
        if key in self._gallery.images:
            self._gallery.selected = key

    def _mark_star(self, key: str, starred: bool) -> None:
        def mark() -> None:
            try:
                self._keep(key, "starred", starred)
            finally:
                if image := self._gallery.images.get(key):
                    self._gallery.refresh(image)
                    if key == self.star.key:
                        self._show_star(image)

        self._notice.click(mark)()

    def _show_star(self, image: GeneratedImage) -> None:
        self.star.show(image.recipe.key, image.starred)
        self.star.description = STARS[image.starred]
        self.stage.starred = image.starred

    def _mark_note(self, key: str, note: str) -> None:
        def mark() -> None:
            self._keep(key, "note", note)
            if key == self.note.key:
                self.note.show(key, note)

        self._notice.click(mark)()

    def _keep(self, key: str, name: str, value: Any) -> None:
        try:
            if image := self._gallery.images.get(key):
                setattr(image, name, value)
            else:
                self._store.set_mark(key, **{name: value})
        except StoreError as error:
            raise StoreError(f"{name}={value!r} is not kept: {error}") from error

    def _copy_python(self) -> None:
        if self.image:
            self._copy(as_python(self.image.recipe))
            self._notice.say("The code is on the clipboard.")

    def _rename(self) -> None:
        """Suggests another name, where that for the other kind of file stands there as suggested."""
        told = not self.bare.value
        if self.image and self.file.value == suggested(self.image, metadata=not told):
            self.file.value = suggested(self.image, metadata=told)

    def _save(self) -> None:
        if not self.image:
            return
        path = files.expanded(self.file.value.strip())
        told = not self.bare.value
        with files.explained(f"write {path}"):
            if path.exists():
                if told or self.file.value != suggested(self.image, metadata=False):
                    raise StoreError(f"{path} is there already; give another name")
                path = path.with_name(Names(os.listdir(path.parent)).give(path.stem, path.suffix))
        saved = files.absolute(self.image.save(path, metadata=told))
        self._notice.say(f"Saved as {saved}{', without metadata' if self.bare.value else ''}")

    def _arranged(self) -> Any:
        use = _row(self.star, self.use, self.start, self.vary, self.sweep, self.note)
        self.fold = Fold(
            "This image", self.recipe, _row(self.file, self.bare, self.save, self.python)
        )
        tools = ipywidgets.VBox([use, self.fold.widget], layout=ipywidgets.Layout())  # its own
        tools.add_class("nbtool-tools")
        return tools


def _row(*children: Any) -> Any:
    row = ipywidgets.HBox(children)
    row.add_class("nbtool-row")
    return row


def _button(label: str, tooltip: str) -> Any:
    return ipywidgets.Button(description=label, tooltip=tooltip)


def _words(image: GeneratedImage) -> str:
    """The recipe as a list of terms; everything in it stays text."""
    recipe = image.recipe.in_words()
    rows = [
        (row.label, recipe[name])
        for name, row in ROWS.items()
        if row.label and name in recipe and name not in SIZE
    ]
    if recipe.keys() >= set(SIZE):
        rows.insert(-1, ("Size", f"{recipe['width']} × {recipe['height']}"))
    if image.provenance.seconds:
        rows.append(("Took", duration(image.provenance.seconds)))
    return f"<dl>{''.join(_term(label, value) for label, value in rows)}</dl>"


def _term(label: str, value: object) -> str:
    wide = ' class="nbtool-wide"' if label in WIDE else ""
    text = html.escape(printable(digits(value) if isinstance(value, float) else str(value)))
    return f"<dt>{html.escape(label)}</dt><dd{wide}>{text}</dd>"
