"""One generated image: pixels, recipe and provenance together."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nbtool import files
from nbtool import metadata as texts
from nbtool._version import __version__
from nbtool.errors import GenerationError, RecipeError, StoreError
from nbtool.imaging import reading
from nbtool.recipes.origins import behind, origins_of
from nbtool.recipes.parameters import READ, infotext_terms
from nbtool.recipes.picture import Picture
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe, beside, second_pass
from nbtool.recipes.refining import refine
from nbtool.results import records
from nbtool.results.carrying import packed
from nbtool.results.folder import DELETED
from nbtool.silence import mild
from nbtool.text import count, digits, printable, shown, warn

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class Mark(NamedTuple):
    """What people made of an image; kept beside it, never part of its recipe."""

    starred: bool = False
    note: str = ""


class Home(Protocol):
    """Where images are kept, and their stars and notes, by key; a Store is such a place."""

    def mark(self, key: str) -> Mark:
        """The star and the note of an image; those of one that has neither are empty."""

    def set_mark(self, key: str, *, starred: bool | None = None, note: str | None = None) -> Mark:
        """Stars an image or takes the star away, and notes something; what is None stays."""

    def delete(self, key: str) -> None:
        """Takes an image out of it, with its star and its note."""


class GeneratedImage:
    """One generated image. Shows itself as the picture.

    A stored image holds no pixels: they are read from `path` when asked for, and compared with
    their hash. `generate`, set on images that come from a generator, makes the images of `vary`.
    `store` is where it is kept, and its star and its note.
    """

    def __init__(
        self,
        recipe: Recipe,
        provenance: Provenance,
        *,
        png: bytes | None = None,
        path: Path | None = None,
        png_sha256: str = "",
        generate: Callable[[Recipe], GeneratedImage] | None = None,
        store: Home | None = None,
    ) -> None:
        self.recipe = recipe.with_past(provenance.widths)
        self.provenance = provenance
        self.path = path
        self._png = png
        self._png_sha256 = png_sha256
        self.generate = generate
        self.store = store

    @property
    def png(self) -> bytes:
        """The PNG file's bytes, recipe included.

        Raises:
            StoreError: They cannot be read back.
        """
        if self._png is not None:
            return self._png
        assert self.path is not None
        again = "generate its recipe again to have it back"
        try:
            try:
                data = records.read(self.path, str(self.path))
            except FileNotFoundError:  # it may be deleted, and not for good yet
                data = records.read(self.path.parent / DELETED / self.path.name, str(self.path))
        except FileNotFoundError as error:
            reason = f"{self.path} is gone or cannot be read ({error.strerror}): deleted or moved"
            raise StoreError(f"{reason}; {again}") from None
        except records.UnusableError as error:
            raise StoreError(str(error)) from None
        png = as_written(data, self._png_sha256, self.recipe, self.provenance)
        if png is None:
            raise StoreError(f"{self.path} does not match its hash; {again}")
        return png

    @property
    @mild()
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

    def delete(self) -> None:
        """Takes it out of its store, with its star and its note; see `Store.delete`.

        It goes on showing itself until what was deleted there is removed for good.

        Raises:
            StoreError: It is in no store, or could not be moved.
        """
        self._kept_in().delete(self.recipe.key)

    @mild()
    def save(self, path: str | Path, *, metadata: bool = True, inputs: bool = True) -> Path:
        """Writes a .png, .jpg or .webp file that carries the recipe; returns its path.

        Args:
            path: Where; `~` is the home folder.
            metadata: False writes the same pixels and nothing else: for others, who need not know
                how it was made. nbtool cannot make it again from such a file.
            inputs: False leaves out the pictures that it was made from. A PNG carries them, up to
                16 MB; larger ones, and those of a JPEG or WebP file, are written beside it.

        Raises:
            RecipeError: The suffix is none of these.
            MetadataError: The recipe is too long for a JPEG.
            StoreError: The image cannot be read back, or the file not be written.
        """
        path = files.expanded(path)
        data, left = self.packed(format_of(path), metadata=metadata, inputs=inputs)
        with files.explained(f"write {path}"):
            target = files.target(path)
            for digest, picture in left.items():
                files.write(beside(target, digest), picture)
            files.write(target, data)
        if left:
            names = ", ".join(beside(path, digest).name for digest in left)
            warn(f"{path.name} is made from pictures that lie beside it: {names}", stacklevel=3)
        return path

    def packed(
        self, format: str, *, metadata: bool, inputs: bool
    ) -> tuple[bytes, dict[str, bytes]]:
        """The bytes of a file with the pictures it was made from, and those that lie beside it."""
        if not (metadata and inputs and any(behind(self.recipe))):
            return self.encoded(format, metadata=metadata), {}
        luggage, origins = packed(self.recipe, format), origins_of(self.recipe)
        if format == "PNG":
            said = json.dumps(origins) if origins else ""
            return texts.carrying(self.png, texts.Carried(luggage.inside, said)), luggage.beside
        return self._converted(format, origins), luggage.beside

    def encoded(self, format: str, *, metadata: bool = True) -> bytes:
        """The bytes of a file in a format of Pillow's, with or without its recipe; see `save`."""
        if not metadata:
            return texts.bare(self.png, format)
        return self.png if format == "PNG" else self._converted(format)

    def _converted(self, format: str, origins: Mapping[str, Any] = MappingProxyType({})) -> bytes:
        given, made = self.recipe.to_dict(), self.provenance.to_dict()
        return texts.converted(
            self.png, given, made, format, origins=origins, digest=reading.digest
        )

    def vary(self, /, **changes: Any) -> GeneratedImage:
        """A new image of the same recipe with some parameters changed."""
        return self._generated(self.recipe.replace(**changes))

    def _generated(self, recipe: Recipe) -> GeneratedImage:
        if self.generate is None:
            raise GenerationError(
                f"this image was read from a store, without a generator; use gen = "
                f"{self.recipe.generator} and gen(image.recipe.replace(…))"
            )
        return self.generate(recipe)

    def refine(self, /, **values: Any) -> GeneratedImage:
        """A new image: this one enlarged, and made anew from there; see `nbtool.refine`.

        What is not said of the second pass is as in the first.

            img.refine(scale=1.5, strength=0.4)

        Raises:
            RecipeError: A value is unknown, out of range, or several.
        """
        refined = self.recipe.replace(refine=refine(**values))
        if self.recipe.refine:  # a third pass
            refined = second_pass(self.recipe, refined.refine, Picture(self.recipe))
        return self._generated(refined)

    @property
    def chain(self) -> list[Recipe]:
        """The recipes on the way from words, or from a first picture, to this image; its own is last.

        Earlier images need not be there any more.
        """
        return self.recipe.chain

    @property
    def caption(self) -> str:
        """The prompt and the settings on one line."""
        return " · ".join([str(self.recipe), *settings(self.recipe)])

    def _kept_in(self) -> Home:
        if self.store is None:
            raise StoreError(
                "this image is not in a store: it could not be written when it was made"
            )
        return self.store

    def __repr__(self) -> str:
        return f"<GeneratedImage: {self.caption}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/plain": repr(self), "image/png": self.png}


def format_of(path: Path) -> str:
    """The format that the suffix of an image's file stands for, in Pillow's words.

    Raises:
        RecipeError: Images are not saved as such.
    """
    format = FORMATS.get(path.suffix.lower())
    if format is None:
        raise RecipeError(f"an image is saved as .png, .jpg or .webp, got {path.name!r}")
    return format


def encoded(image: Image, recipe: Recipe, provenance: Provenance) -> bytes:
    """The image as a PNG file's bytes, with all that is known of it inside."""
    return texts.encode(image, **_texts(recipe, provenance))


def as_written(data: bytes, sha256: str, recipe: Recipe, provenance: Provenance) -> bytes | None:
    """The PNG with this hash, of a file's bytes; None where they are not that image.

    What another program has made of it, without its recipe or smaller, still is that image if
    every pixel is as it was: then the very same PNG comes out of it.
    """
    others = texts.restored(data, **_texts(recipe, provenance))
    candidates = itertools.chain([data], others)
    return next((png for png in candidates if hashlib.sha256(png).hexdigest() == sha256), None)


def _texts(recipe: Recipe, provenance: Provenance) -> dict[str, Any]:
    """What an image's file says of it."""
    given = recipe.to_dict()
    return {
        "recipe": given,
        "provenance": provenance.to_dict(),
        "version": str(provenance.versions.get("nbtool", __version__)),
        "terms": infotext_terms(given, provenance.pipeline) | texts.lora_hashes(provenance.hashes),
        "digest": reading.digest,
    }


class _Said:
    """A value in a caption: `{name}` says it, `{name:step}` how many steps."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __format__(self, noun: str) -> str:
        if noun:
            return count(self._value, noun)
        return digits(self._value) if isinstance(self._value, float) else str(self._value)


def settings(recipe: Recipe) -> list[str]:
    """What a recipe sets besides its prompt, in words; what it leaves open is left out."""
    given = {name: _Said(value) for name, value in recipe.in_words().items()}
    parts = []
    for row in READ:
        if row.words:
            with contextlib.suppress(KeyError):
                parts.append(printable(row.words.format_map(given)))
    return parts + [f"{printable(name)} {shown(value)}" for name, value in recipe.unknown.items()]
