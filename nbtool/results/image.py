"""One generated image: pixels, recipe and provenance together."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nbtool import files, metadata
from nbtool._version import __version__
from nbtool.errors import GenerationError, RecipeError, StoreError
from nbtool.recipes.parameters import READ, infotext_terms
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class Mark(NamedTuple):
    """What people made of an image; kept beside it, never part of its recipe."""

    starred: bool = False
    note: str = ""


class Marks(Protocol):
    """Where stars and notes are kept, by the key of an image; a Store is such a place."""

    def mark(self, key: str) -> Mark:
        """The star and the note of an image; those of one that has neither are empty."""

    def set_mark(self, key: str, *, starred: bool | None = None, note: str | None = None) -> Mark:
        """Stars an image or takes the star away, and notes something; what is None stays."""


class GeneratedImage:
    """One generated image. Shows itself as the picture.

    A stored image holds no pixels: they are read from `path` when asked for. `generate`, set on
    images that come from a generator, makes the images of `vary`. `store` is where its star and
    its note are kept.
    """

    def __init__(
        self,
        recipe: Recipe,
        provenance: Provenance,
        *,
        png: bytes | None = None,
        path: Path | None = None,
        generate: Callable[[Recipe], GeneratedImage] | None = None,
        store: Marks | None = None,
    ) -> None:
        self.recipe = recipe.with_past(provenance.widths)
        self.provenance = provenance
        self.path = path
        self._png = png
        self.generate = generate
        self.store = store

    @property
    def png(self) -> bytes:
        """The PNG file's bytes, recipe included."""
        if self._png is not None:
            return self._png
        assert self.path is not None
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"{self.path} is gone or cannot be read ({error.strerror}); "
                f"generate its recipe again to have it back"
            ) from None

    @property
    def image(self) -> Image:
        """The pixels, as a PIL image in RGB."""
        from PIL import Image as PILImage

        return PILImage.open(io.BytesIO(self.png)).convert("RGB")

    @property
    def seed(self) -> int:
        """The seed it was made with, drawn or given."""
        assert self.recipe.seed is not None
        return self.recipe.seed

    @property
    def digest(self) -> str:
        """A short perceptual digest; see `nbtool.results.digest.digest`."""
        from nbtool.results.digest import digest

        return digest(self.image)

    @property
    def starred(self) -> bool:
        """Whether it is starred. Kept in the store; may be set."""
        return self.store is not None and self.store.mark(self.recipe.key).starred

    @starred.setter
    def starred(self, starred: bool) -> None:
        self._kept_in().set_mark(self.recipe.key, starred=starred)

    @property
    def note(self) -> str:
        """What somebody wrote about it. Kept in the store; may be set."""
        return self.store.mark(self.recipe.key).note if self.store is not None else ""

    @note.setter
    def note(self, note: str) -> None:
        self._kept_in().set_mark(self.recipe.key, note=note)

    def save(self, path: str | Path) -> Path:
        """Writes a .png, .jpg or .webp file that carries the recipe; returns its path.

        Raises:
            RecipeError: The suffix is none of these.
            StoreError: The file cannot be written.
        """
        path = Path(path)
        format = FORMATS.get(path.suffix.lower())
        if format is None:
            raise RecipeError(f"an image is saved as .png, .jpg or .webp, got {path.name!r}")
        data = self.png
        if format != "PNG":
            data = encoded(self.image, self.recipe, self.provenance, format=format)
        with files.explained(f"write {path}"):
            files.write(path, data)
        return path

    def vary(self, **changes: Any) -> GeneratedImage:
        """A new image of the same recipe with some parameters changed."""
        if self.generate is None:
            raise GenerationError(
                "this image was read from a store, without a generator; use gen = "
                f"nbtool.Generator({self.recipe.model!r}) and gen(image.recipe.replace(…))"
            )
        return self.generate(self.recipe.replace(**changes))

    @property
    def caption(self) -> str:
        """The prompt and the settings on one line."""
        return " · ".join([str(self.recipe), *settings(self.recipe)])

    def _kept_in(self) -> Marks:
        if self.store is None:
            raise StoreError(
                "this image is not in a store: it could not be written when it was made"
            )
        return self.store

    def __repr__(self) -> str:
        return f"<GeneratedImage: {self.caption}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/plain": repr(self), "image/png": self.png}


def encoded(image: Image, recipe: Recipe, provenance: Provenance, *, format: str = "PNG") -> bytes:
    """The image as a file's bytes, with all that is known of it inside.

    Raises:
        MetadataError: The recipe is too long for a JPEG.
    """
    given = recipe.to_dict()
    return metadata.encode(
        image, given, provenance.to_dict(), __version__,
        terms=infotext_terms(given, provenance.pipeline), format=format,
    )  # fmt: skip


def settings(recipe: Recipe) -> list[str]:
    """What a recipe sets besides its prompt, in words; what it leaves open is left out."""
    given = recipe.to_dict()
    parts = []
    for row in READ:
        if row.words:
            with contextlib.suppress(KeyError):
                parts.append(printable(row.words.format_map(given)))
    return parts
