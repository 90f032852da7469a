"""The picture of a panel, as large as there is room for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import traitlets

from nbtool.display import faces, script, viewer
from nbtool.display.details import whole
from nbtool.display.widget import Widget
from nbtool.panel.gallery import MAX_CAPTION, webp
from nbtool.text import ellipsized

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.recipes.recipe import Recipe
    from nbtool.results.image import GeneratedImage

HERE = Path(__file__).parent
T = TypeVar("T")


class Stage(Widget):
    """One picture, large; a click enlarges it. A new one takes its place without a flash."""

    _esm = script.module(
        viewer.enlarged_module(),
        *((HERE / f"{part}.js").read_text("utf-8") for part in ("picture_actions", "stage")),
    )
    _css = viewer.enlarged_style()
    key = traitlets.Unicode().tag(sync=True)  # of the image that all around it is about, or ""
    picture = traitlets.Bytes().tag(sync=True)
    size = traitlets.List([0, 0]).tag(sync=True)  # in pixels; of an unfinished one when it is done
    alt = traitlets.Unicode().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)  # what the enlarged view tells of it
    before = traitlets.Bytes().tag(sync=True)  # what it was made from, where there is such
    beside = traitlets.List(["", ""]).tag(sync=True)  # the keys of the images before and after it
    count = traitlets.Unicode().tag(sync=True)  # "3 of 24"
    starred = traitlets.Bool().tag(sync=True)
    unfinished = traitlets.Bool().tag(sync=True)
    empty = traitlets.Unicode().tag(sync=True)

    def on_look(self, action: Callable[[str], None]) -> None:
        """What happens when somebody begins to use what is around it: told the image's key."""
        self._on("look", str, action)

    def on_show(self, action: Callable[[str], None]) -> None:
        """What happens when somebody asks for an image beside it: told that one's key."""
        self._on("show", str, action)

    def on_ask(self, action: Callable[[dict[str, Any]], None]) -> None:
        """What happens when something is to be done with an image: told what, as the gallery is."""
        self._on("ask", dict, action)

    def show(self, image: GeneratedImage | None) -> None:
        there = image is not None and faces.picture(image) is not None
        with self.hold_sync():
            self.unfinished = False
            self.picture = image.png if image and there else b""
            self.size = list(image.image.size) if image and there else [0, 0]
            self.alt = ellipsized(image.caption, MAX_CAPTION) if image else ""
            self.about, self.before = {}, b""
            if image and there:
                self.about, pictures = whole(image, f"{image.recipe.key}.png")
                self.before = pictures[1] if len(pictures) > 1 else b""

    def preview(self, recipe: Recipe, picture: Image) -> None:
        with self.hold_sync():
            self.unfinished = True
            self.picture = webp(picture)
            self.size = [recipe.width or picture.width, recipe.height or picture.height]
            self.alt = f"In the making: {ellipsized(str(recipe), MAX_CAPTION)}"

    def _on(self, name: str, kind: type[T], action: Callable[[T], None]) -> None:
        def handle(_: object, content: Any, __: object) -> None:
            if isinstance(content, dict) and isinstance(said := content.get(name), kind):
                action(said)

        self.on_msg(handle)
