"""The pictures that recipes are made from, in a store's folder inputs/: each once, by its pixels.

A file is called by the start of the picture's SHA-256, and holds pixels alone. It is written before
the record that needs it, whole or not at all, and never changed. One that is not what its name says
is set aside.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbtool import files
from nbtool.errors import RecipeError, StoreError
from nbtool.imaging import reading
from nbtool.recipes.origins import bound
from nbtool.recipes.picture import Load, Picture, png
from nbtool.recipes.recipe import Recipe
from nbtool.results import records
from nbtool.results.folder import (
    DELETED,
    INPUT,
    INPUTS,
    KEY_DIGITS,
    Folder,
    is_old,
    name_of,
    stamp_of,
)
from nbtool.results.records import DamagedError, UnusableError

if TYPE_CHECKING:
    from PIL.Image import Image

_HASHES = re.compile(rb"[0-9a-f]{64}")


class Inputs:
    """The input pictures of a folder.

    Args:
        folder: The store's. What was deleted from it has its pictures here too.
        made: The pixels of an image of the store, by its key.
    """

    def __init__(self, folder: Folder, made: Callable[[str], Image]) -> None:
        self._of_deleted = folder.path.name == DELETED
        store = folder.path.parent if self._of_deleted else folder.path
        self._folder = Folder(store)
        self._place = Folder(store / INPUTS)
        self._made = made
        self._sound: dict[str, str] = {}  # stamps of files when they were looked at, by digest

    @property
    def path(self) -> Path:
        return self._place.path

    def keep(self, picture: Picture) -> None:
        """Puts a picture there, unless it is; one that is yet to be made has no pixels to keep.

        Raises:
            RecipeError: Its pixels are not to be had.
            StoreError: It could not be written.
        """
        if picture.is_deferred:
            return
        file = self._file(picture.digest)
        stamp = stamp_of(file)
        if stamp and self._sound.get(picture.digest) == stamp:
            return  # a look decodes it, and every image that is made of it asks
        try:
            self._folder.sure(lambda: self._look(picture.digest))
        except (FileNotFoundError, DamagedError):
            data = png(picture.image)
        except UnusableError:  # left as it is, and nothing takes its place
            return
        else:
            self._sound[picture.digest] = stamp
            return
        with self._folder.changing(self.path):
            self.path.mkdir(exist_ok=True)
            files.write(file, data)

    def bound(self, recipe: Recipe, said: Mapping[str, Any] = MappingProxyType({})) -> Recipe:
        """The same recipe, whose pictures have their pixels from here, and from the store's images.

        Args:
            recipe: The recipe.
            said: What `origins_of` said of it.
        """
        found: Recipe = bound(recipe, said, self._places, Recipe.from_record)
        return found

    def _places(self, picture: Picture) -> Iterator[Load]:
        if not picture.is_deferred:
            yield partial(self.load, picture.digest)
        if picture.recipe is not None:
            yield partial(self._made, picture.recipe.key)

    def remove_unused(self, texts: Iterable[bytes]) -> int:
        """Removes what no text names; returns how many bytes that were.

        What is younger than an hour may wait for its record, and stays.

        Raises:
            StoreError: It could not be removed.
        """
        if not self._place.named(INPUT):
            return 0
        used = {found[:KEY_DIGITS].decode() for text in texts for found in _HASHES.findall(text)}
        freed = 0
        with self._folder.changing(self.path):
            for entry in self._place.named(INPUT):
                if name_of(entry) not in used and is_old(entry):
                    with contextlib.suppress(FileNotFoundError):
                        size = entry.stat(follow_symlinks=False).st_size
                        os.unlink(entry)
                        freed += size
        return freed

    def load(self, digest: str) -> Image:
        """The pixels of a picture.

        Raises:
            StoreError: They are not there, or cannot be used; what is damaged is set aside.
        """
        try:
            return self._folder.sure(lambda: self._look(digest))
        except FileNotFoundError:
            raise StoreError(f"{INPUTS}/{self._file(digest).name} is gone from the store") from None
        except UnusableError as error:
            raise StoreError(f"{INPUTS}/{self._file(digest).name}: {error}") from None

    def problems(self) -> list[str]:
        """What is wrong with the pictures there; what is damaged is set aside."""
        problems = []
        for entry in self._place.named(INPUT):
            try:
                self._folder.sure(lambda file=Path(entry): self._pixels(file))  # type: ignore[misc]
            except FileNotFoundError:
                continue
            except UnusableError as error:
                problems.append(f"{INPUTS}/{entry.name}: {error}")
        return problems

    def size(self) -> int:
        """The bytes of all of them; what was deleted has none of its own."""
        size = 0
        if self._of_deleted:
            return size
        with self._folder.explained("read"):
            for entry in self._place.named(INPUT):
                with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                    size += entry.stat(follow_symlinks=False).st_size
        return size

    def _file(self, digest: str) -> Path:
        return self.path / f"{digest[:KEY_DIGITS]}.png"

    def _look(self, digest: str) -> Image:
        image = self._pixels(self._file(digest))
        if reading.digest(image) != digest:
            raise UnusableError("it is another picture whose hash begins alike")
        return image

    def _pixels(self, file: Path) -> Image:
        """The pixels of a file, if they are what its name says."""
        data = records.read(file, "it")
        try:
            image = reading.read(data).image
        except RecipeError:
            raise DamagedError("it is no picture that can be read", {file: data}) from None
        if not reading.digest(image).startswith(file.stem):
            raise DamagedError("it is not the picture its name stands for", {file: data})
        return image
