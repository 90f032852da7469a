"""What images start from: a picture in the form, the mask that is painted on it, how far it may change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
from PIL import Image as PILImage

from nbtool.engines.base import Fitting
from nbtool.errors import NbtoolError
from nbtool.painter.painter import NOTHING, Painter
from nbtool.panel.notice import Notice, words
from nbtool.recipes.picture import Picture, Pictures
from nbtool.recipes.recipe import Recipe
from nbtool.text import count

if TYPE_CHECKING:
    from nbtool.engines.base import Engine

OF_PICTURES = ("strength", "resize_mode")  # that mean nothing without a picture
OF_MASKS = ("mask_blur", "mask_padding")  # nor without a mask
NEEDED = dict.fromkeys(("mask_image", *OF_PICTURES), "image") | dict.fromkeys(
    OF_MASKS, "mask_image"
)
NONE = "Images are made from words alone. Drop or paste a picture here, or choose one."
SEVERAL = "Images are made from {}: they are seen where they came from."
MASK = "mask"


class Starting:
    """A picture and a mask on it, or none. It may be set from any thread.

    Args:
        fields: The widgets of OF_PICTURES and OF_MASKS, in this order.

    Attributes:
        known: All pictures that were started from here, and their masks, by parameter and name.
        resize: Told the width and height that suit the picture.
    """

    def __init__(self, fields: Sequence[Any]) -> None:
        self.known: dict[str, dict[str, Picture]] = {"image": {}, "mask_image": {}}
        self.resize: Callable[[int, int], None] = lambda *_: None
        self._fits: Callable[[Recipe], Mapping[str, Any]] = lambda _: {}
        self._heard: list[Callable[..., None]] = []
        self._busy = threading.RLock()
        self._value: Picture | Pictures | None = None
        self._mask: Picture | None = None  # as it was given, until it is painted on
        self._handing = False  # something is being handed to the painter
        self.painter = Painter(NOTHING)
        self.notice = Notice()
        self.choose = ipywidgets.Button(
            description="Choose a picture…", tooltip="A file to start from"
        )
        self.choose.add_class("nbtool-choose")  # the browser opens its dialog
        self.remove = ipywidgets.Button(
            description="Remove it", tooltip="Make images from words alone again"
        )
        self.remove.on_click(lambda _: self.clear())
        buttons, self._fields = ipywidgets.HBox([self.choose, self.remove]), ipywidgets.HBox(fields)
        for part in (self.painter, self._fields):
            part.layout = ipywidgets.Layout()  # its own: it is hidden
        for row in (buttons, self._fields):
            row.add_class("nbtool-row")
        self.widgets = (self.notice.widget, buttons, self.painter, self._fields)
        self.painter.observe(self._edited, ["picture", "mask"])
        self._show()

    @property
    def values(self) -> dict[str, Any]:
        """The picture and the mask as a recipe has them; None where there is none."""
        return {"image": self._value, "mask_image": self._mask}

    def idle(self, varied: Collection[str] = ()) -> frozenset[str]:
        """The parameters that mean nothing now, where these are varied."""
        if self._value is None:
            return frozenset(OF_PICTURES + OF_MASKS)
        masked = self._mask is not None or "mask_image" in varied
        return frozenset(() if masked else OF_MASKS)

    def lacking(self, name: str, varied: Collection[str]) -> str:
        """The parameter that another needs, where it is neither here nor varied; else ""."""
        needed = NEEDED.get(name, "")
        is_here = needed in varied or self.values.get(needed) is not None
        return "" if is_here else needed

    @property
    def summary(self) -> str:
        """What there is, in few words."""
        if self._value is None:
            return "none"
        painted = "" if self._mask is None else ", where the mask is painted"
        return f"{_called(self._value)}{painted}"

    def on_change(self, action: Callable[..., None]) -> None:
        """What is done with a change, as of a widget's trait, when there is another picture or mask."""
        self._heard.append(action)

    def suit(self, engine: Engine) -> None:
        """The engine whose images have a size that suits the picture."""
        self._fits = engine.fits if isinstance(engine, Fitting) else lambda _: {}
        self._suit()

    def start(self, value: Any, mask: Picture | None = None) -> None:
        """Starts from a picture, or from several.

        Args:
            value: What `nbtool.Picture` takes, or `Pictures`.
            mask: Where it is made anew; one of another size is resized, as images are made with it.

        Raises:
            RecipeError: It cannot be read, or is too large; all is as it was.
        """
        with self._busy:
            if isinstance(value, Pictures):
                mask = None
            else:
                value = Picture(value)
                self._hand_over(value, mask)
            self._value, self._mask = value, mask
        self._changed()

    def clear(self) -> None:
        """Images are made from words alone."""
        with self._busy:
            self._value = self._mask = None
        self._changed()

    def take(self, values: Mapping[str, Any]) -> None:
        """Takes the picture and the mask of a recipe; says so where their pixels are gone."""
        value, mask = values.get("image"), values.get("mask_image")
        if value is None:
            self.clear()
            return
        try:
            self.start(value, mask)
        except NbtoolError as error:
            self.clear()
            self.notice.alarm(words(error))

    def _hand_over(self, picture: Picture, mask: Picture | None) -> None:
        """Shows them in the painter."""
        pixels = None if mask is None else mask.image.convert("L")
        self._handing = True
        try:
            self.painter.picture = picture
            if pixels is not None:
                if pixels.size != picture.size:
                    pixels = pixels.resize(picture.size, PILImage.Resampling.LANCZOS)
                self.painter.mask = pixels
        finally:
            self._handing = False

    def _edited(self, change: Any) -> None:
        """In the painter: another mask, or more around the picture."""
        with self._busy:
            if self._handing or not isinstance(self._value, Picture):
                return
            self._value, painted = self.painter.picture, self.painter.mask
            self._mask = Picture(painted, name=MASK) if painted.getbbox() else None
        self._changed(resized=change["name"] == "picture")

    def _suit(self) -> None:
        if self._value is None:
            return
        try:
            fits = self._fits(Recipe(**self.values))
        except NbtoolError:  # such a model makes nothing of it, which is said where it is asked to
            return
        if "width" in fits and "height" in fits:
            self.resize(fits["width"], fits["height"])

    def _changed(self, *, resized: bool = True) -> None:
        if resized:
            self._suit()
        self._show()
        for name, value in self.values.items():
            if isinstance(value, Picture):
                self.known[name][_name(value)] = value
        for action in self._heard:
            action({"owner": self})

    def _show(self) -> None:
        value = self._value
        self.notice.say(
            NONE if value is None else "" if isinstance(value, Picture) else
            SEVERAL.format(_called(value))
        )  # fmt: skip
        self.remove.disabled = value is None
        for part, shown in (
            (self.painter, isinstance(value, Picture)),
            (self._fields, value is not None),
        ):
            part.layout.display = None if shown else "none"


def _name(picture: Picture) -> str:
    return (picture.name or picture.key[:8]).replace("|", "¦")


def _called(value: Picture | Pictures) -> str:
    if isinstance(value, Picture):
        return _name(value)
    return f"{count(len(value), 'picture')}: {', '.join(map(_name, value))}"
