"""The images of a panel: thumbnails, newest first, and the one that is looked at."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from nbtool.display import faces
from nbtool.results.image import GeneratedImage
from nbtool.text import ellipsized

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from PIL.Image import Image

    from nbtool.recipes.recipe import Recipe

NEWEST = 24  # images taken from the store on opening
KEPT = 120  # thumbnails in the gallery at most
MAKING = 12  # images in the making that are shown at once
THUMBNAIL = 160  # pixels on the longer side
MAX_CAPTION = 300  # characters
HERE = Path(__file__).parent


class Gallery(anywidget.AnyWidget):
    """Thumbnails as buttons. An image in the making keeps its place when it is finished."""

    _esm = (HERE / "gallery.js").read_text(encoding="utf-8")
    items = traitlets.List(traitlets.Dict()).tag(sync=True)
    pictures = traitlets.Dict().tag(sync=True)  # by id, of finished images
    previews = traitlets.Dict().tag(sync=True)  # by id, of images in the making
    selected = traitlets.Unicode().tag(sync=True)  # an id, or ""

    def __init__(self) -> None:
        super().__init__()
        self.images: dict[str, GeneratedImage] = {}  # newest first
        self._making: Mapping[str, tuple[Recipe, Image | None]] = {}
        self._updating = threading.RLock()  # jobs of both tabs may end at once
        self._keys: list[str] = []  # of these and of what is in the making, as shown
        self._items: dict[str, dict[str, Any]] = {}  # of the finished ones

    @property
    def image(self) -> GeneratedImage | None:
        """The image that is selected."""
        return self.images.get(self.selected)

    def beside(self, key: str) -> tuple[str, str, str]:
        """The keys of the images before and after one, "" where there is none, and its place."""
        keys = list(self.images)
        if key not in keys:
            return "", "", ""
        at = keys.index(key)
        before, after = keys[at - 1] if at else "", keys[at + 1] if at + 1 < len(keys) else ""
        return before, after, f"{at + 1} of {len(keys)}"

    def update(
        self,
        fresh: Iterable[GeneratedImage] = (),
        making: Mapping[str, tuple[Recipe, Image | None]] | None = None,
        *,
        older: bool = False,
    ) -> None:
        """Adds images, and shows those in the making by their key with what there is of them.

        Args:
            fresh: In the order in which they were finished.
            making: All that are in the making now; None: as before.
            older: The images are older than those already here; the newest comes first.
        """
        with self._updating:
            self._making = self._making if making is None else making
            self._update(fresh, self._making, older=older)

    def _update(
        self,
        fresh: Iterable[GeneratedImage],
        making: Mapping[str, tuple[Recipe, Image | None]],
        *,
        older: bool,
    ) -> None:
        making = {key: value for key, value in making.items() if key not in self.images}
        here = self.images
        added = {image.recipe.key: image for image in fresh}
        # One whose file was lost, and that was made again, has another.
        added = {k: i for k, i in added.items() if k not in here or i.path != here[k].path}
        # Before anything is changed: files are read for it.
        copies = {key: small_copy(image) for key, image in added.items()}
        items = {key: _item(key, image) for key, image in added.items()}
        self._order(list(added), list(making), older=older)
        images = {**self.images, **added}
        self.images = {key: images[key] for key in self._keys if key in images}
        pictures = {k: v for k, v in self.pictures.items() if k in self.images}
        pictures |= {k: copy for k, copy in copies.items() if k in self.images}
        known = {**self._items, **items}
        self._items = {key: known[key] for key in self.images}
        begun = {key: _item(key, recipe) for key, (recipe, _) in making.items()}
        described = [self._items.get(key) or begun[key] for key in self._keys]
        self.previews = {key: webp(picture) for key, (_, picture) in making.items() if picture}
        if added or pictures.keys() != self.pictures.keys():
            self.pictures = pictures
        if described != self.items:
            self.items = described
        if self.selected and self.selected not in self._keys:
            self.selected = ""

    def refresh(self, image: GeneratedImage) -> None:
        """Shows an image's mark as it is now."""
        key = image.recipe.key
        if key in self._items:
            self._items[key] = _item(key, image)
            self.items = [self._items.get(item["id"], item) for item in self.items]

    def _order(self, added: list[str], making: list[str], *, older: bool) -> None:
        """Decides which are shown, and where; those that stay never change places."""
        finished = {*self.images, *added}
        before = [key for key in self._keys if key in finished or key in making]
        room = max(0, MAKING - sum(key not in finished for key in before))
        begun = [key for key in making if key not in before][:room]
        new = [key for key in added if key not in before]
        ordered = [*before, *new] if older else [*begun[::-1], *new[::-1], *before]
        self._keys = ordered[:KEPT]
        if self.selected in ordered[KEPT:]:  # somebody looks at it
            self._keys[-1] = self.selected


def small_copy(image: GeneratedImage) -> bytes:
    """A small WebP copy; a grey one where the file is gone or damaged."""
    from PIL import Image as PILImage

    picture = faces.picture(image) or PILImage.new("RGB", (16, 16), (128, 128, 128))
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return webp(picture)


def webp(picture: Image) -> bytes:
    """A picture as a WebP file."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()


def _caption(image: GeneratedImage) -> str:
    return ellipsized(image.caption, MAX_CAPTION)


def _item(key: str, thing: GeneratedImage | Recipe) -> dict[str, Any]:
    if isinstance(thing, GeneratedImage):
        marks = {"caption": _caption(thing), "starred": thing.starred}
        return {"id": key, "making": False, **marks}
    caption = f"In the making: {ellipsized(str(thing), MAX_CAPTION)}"
    return {"id": key, "caption": caption, "starred": False, "making": True}
