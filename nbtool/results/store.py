"""A folder of plain PNG and JSON files, readable with nbtool gone.

    nbtool-images/
      nbtool-store.json                  the schema number
      <key>-<hash>.png                   one image, its recipe inside
      <key>.json                         recipe, provenance and the PNG's SHA-256
      <key>.mark.json                    what people made of it: a star, a note
      damaged/                           what is not what was written, set aside
      presets.json                       named additions to prompts, and settings
      inputs/ grids/ measures/ workflows/ tickets/ deleted/
                                         what other versions keep there; see docs/store.md

Whatever else lies there is left untouched: it is never deleted and never called damaged. Neither
is what cannot be read now, or by a newer nbtool only; records.py has the rule.

The PNG is written first, the JSON last: the JSON is the commit mark. `<key>` is the start of the
recipe's key, `<hash>` the start of the PNG's own SHA-256, so that two notebooks which make the
same image at the same time never mix their files: the last JSON wins and names its own PNG.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtool import files
from nbtool.environment import default_folder
from nbtool.errors import StoreError
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.results import records
from nbtool.results.folder import KEY_DIGITS, PICTURE, RECORD, Folder, is_old, name_of
from nbtool.results.image import GeneratedImage, Mark, as_written, encoded
from nbtool.results.marks import KeptMarks
from nbtool.results.presets import Presets
from nbtool.results.records import (
    NEWER,
    SCHEMA,
    SHA256,
    DamagedError,
    LinkedError,
    Record,
    UnusableError,
)
from nbtool.text import warn

if TYPE_CHECKING:
    from PIL.Image import Image

UNKNOWN = (
    "\N{REPLACEMENT CHARACTER}"  # in place of a time, later than any: it is looked at, and named
)
MAX_TOLD = 10  # images that a listing names because they cannot be used


class Listing:
    """The images that a store held at one moment: `key in listing` asks no disk."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def __contains__(self, key: str) -> bool:
        return key[:KEY_DIGITS] in self._names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listing) and self._names == other._names

    def __hash__(self) -> int:
        return hash(self._names)


class Store:
    """A folder of images with their recipes.

    Args:
        path: The folder; `~` is the home folder. None: the variable NBTOOL_STORE, or else
            "nbtool-images". It is made when the first image is; the folder it
            lies in must exist.

    Raises:
        StoreError: It is relative to a working folder that is gone.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._folder = Folder(path or default_folder())
        self._marks = KeptMarks(self._folder)
        self._times: dict[str, tuple[object, str]] = {}  # of records, and their files' stamps

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def presets(self) -> Presets:
        """The presets of the store by their names; they may be set, renamed and deleted."""
        return Presets(self._folder)

    def prepare(self) -> None:
        """Makes sure that images can be written, before any is made.

        Raises:
            StoreError: The folder cannot be made or written, or a newer nbtool made it.
        """
        self._folder.prepare()

    def put(self, image: Image, recipe: Recipe, provenance: Provenance) -> GeneratedImage:
        """Writes an image and returns it as stored.

        Raises:
            StoreError: It could not be written, or what is there in its place must stay. Its
                `unsaved` holds the image that is not on disk.
        """
        png = encoded(image, recipe, provenance)
        digest = hashlib.sha256(png).hexdigest()
        path = self._folder.picture(recipe.key, digest)
        record = {
            "schema": SCHEMA,
            "key": recipe.key,
            "recipe": recipe.to_dict(),
            "provenance": provenance.to_dict(),
            "png_sha256": digest,
        }
        try:
            record = self._added(recipe.key) | record
            with self._folder.explained("write in"):
                files.write(path, png)
                files.write(self._folder.record(recipe.key), records.text(record))
        except StoreError as error:
            error.unsaved = GeneratedImage(recipe, provenance, png=png)
            raise
        return GeneratedImage(recipe, provenance, path=path, png_sha256=digest, store=self)

    def mark(self, key: str) -> Mark:
        """The star and the note of an image; those of one that has neither are empty.

        One that cannot be read is named in a warning, and taken for empty.
        """
        return self._marks.mark(key)

    def set_mark(self, key: str, *, starred: bool | None = None, note: str | None = None) -> Mark:
        """Stars an image or takes the star away, and notes something; what is None stays.

        Raises:
            StoreError: There is no such image; what it has cannot be read now, or is a newer
                nbtool's; or it could not be written.
        """
        return self._marks.set_mark(key, starred=starred, note=note)

    def marks(self) -> dict[str, Mark]:
        """Every mark by the key of its image. Those that cannot be read are named in a warning."""
        return self._marks.all()

    @property
    def starred(self) -> list[GeneratedImage]:
        """The starred images, oldest first."""
        names = [key[:KEY_DIGITS] for key, mark in self.marks().items() if mark.starred]
        return sorted(self._usable(names), key=_age)

    def get(self, key: str) -> GeneratedImage | None:
        """The image of a key, verified against its hash; None when there is none.

        A damaged one is set aside, one that cannot be read now is left as it is; either is named
        in a warning, and counts as not there.
        """
        if not SHA256.fullmatch(key):
            return None
        try:
            return self._load(key[:KEY_DIGITS], verify=True)
        except FileNotFoundError:
            return None
        except UnusableError as error:
            warn(f"{key[:KEY_DIGITS]}: {error}", stacklevel=2)
            return None

    def has(self, key: str) -> bool:
        """True when an image of this key was committed; `get` would verify it too.

        Raises:
            StoreError: The folder cannot be read now.
        """
        return self._folder.has(key)

    def listing(self) -> Listing:
        """What `has` says of every key, found out at once."""
        return Listing(map(name_of, self._folder.named(RECORD)))

    def latest(self, count: int) -> list[GeneratedImage]:
        """The images that were made last, newest first, without a look at their pixels."""
        dated = sorted(
            ((self._created(e), name_of(e)) for e in self._folder.named(RECORD)), reverse=True
        )
        return list(itertools.islice(self._usable(name for _, name in dated), count))

    def __getitem__(self, key: str) -> GeneratedImage:
        """The image of a key, verified against its hash.

        Raises:
            KeyError: There is none; a damaged one is set aside and named in a warning.
            StoreError: There is one that cannot be used now, and is left as it is.
        """
        if not isinstance(key, str):
            raise KeyError(f"a store is asked by key, got {key!r}; list(store) has positions")
        name = key[:KEY_DIGITS]
        try:
            image = self._load(name, verify=True) if SHA256.fullmatch(key) else None
        except FileNotFoundError:
            image = None
        except DamagedError as error:
            warn(f"{name}: {error}", stacklevel=2)
            image = None
        except UnusableError as error:
            raise StoreError(f"{name}: {error}") from None
        if image is None:
            raise KeyError(f"{self.path} holds no image with the key {key!r}")
        if image.recipe.key != key:
            unknown = ", ".join(image.recipe.unknown) or "it is another"
            raise StoreError(f"{name}: {NEWER} (of its recipe: {unknown})")
        return image

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __len__(self) -> int:
        return len(self._folder.named(RECORD))

    def __iter__(self) -> Iterator[GeneratedImage]:
        """The images, oldest first, without a look at their pixels.

        Damaged ones are set aside, others that cannot be used left; they are named in warnings.
        """
        if links := self._folder.links():
            warn(f"{self.path}: {links}", stacklevel=2)
        return iter(sorted(self._usable(map(name_of, self._folder.named(RECORD))), key=_age))

    def find(self, /, **parameters: Any) -> list[GeneratedImage]:
        """The images whose recipe has these values, oldest first; of a prompt, a part is enough.

        Raises:
            RecipeError: There is no such parameter, or no recipe can have such a value.
        """
        asked = Recipe(**parameters)

        def matches(image: GeneratedImage) -> bool:
            for name in parameters:
                value, wanted = getattr(image.recipe, name), getattr(asked, name)
                in_text = name in ("prompt", "negative_prompt") and wanted.lower() in value.lower()
                if not in_text and value != wanted:
                    return False
            return True

        return [image for image in self if matches(image)]

    def check(self) -> list[str]:
        """Verifies every file and says what is wrong. What is damaged is set aside."""
        pictures = self._folder.named(PICTURE)  # first: one whose JSON comes meanwhile is not alone
        problems = [f"{self.path}: {links}"] if (links := self._folder.links()) else []
        named: set[Path | None] = set()
        unread = set()
        for name in map(name_of, self._folder.named(RECORD)):
            try:
                named.add(self._load(name, verify=True).path)
            except FileNotFoundError:
                continue
            except UnusableError as error:
                problems.append(f"{name}: {error}")
                unread.add(name)
        problems += self._marks.problems()
        for entry in pictures:
            if Path(entry) in named or name_of(entry) in unread or not is_old(entry):
                continue
            try:
                self._folder.sure(partial(self._miss_record, Path(entry)))
            except FileNotFoundError:
                continue
            except UnusableError as error:
                problems.append(f"{entry.name}: {error}")
        return problems

    def __repr__(self) -> str:
        try:
            holds = ", ".join(filter(None, [f"{len(self)} images", self._folder.links()]))
        except StoreError as error:
            holds = str(error)
        return f"<Store {self.path.name}: {holds}>"

    def _created(self, entry: os.DirEntry[str]) -> str:
        """When an image was made, as its record has it; read again only where that was replaced."""
        try:
            now = entry.stat(follow_symlinks=False)
            stamp = now.st_ino, now.st_mtime_ns, now.st_size
        except OSError:
            stamp = None
        before, created = self._times.get(name_of(entry), (None, ""))
        if stamp is None or stamp != before:
            try:
                created = records.record(Path(entry)).provenance.created
            except (FileNotFoundError, UnusableError):
                return UNKNOWN
            self._times[name_of(entry)] = stamp, created
        return created

    def _usable(self, names: Iterable[str]) -> Iterator[GeneratedImage]:
        """The images of these names; of those that cannot be used, warnings name the first."""
        unusable = 0
        for name in names:
            try:
                yield self._load(name, verify=False)
            except FileNotFoundError:
                continue  # removed by another notebook meanwhile
            except UnusableError as error:
                unusable += 1
                if unusable <= MAX_TOLD:
                    warn(f"{name}: {error}", stacklevel=3)
                elif unusable == MAX_TOLD + 1:
                    warn(
                        f"{self.path}: more images cannot be used; check() says which",
                        stacklevel=3,
                    )

    def _load(self, name: str, *, verify: bool) -> GeneratedImage:
        return self._folder.sure(lambda: self._look(name, verify=verify))

    def _look(self, name: str, *, verify: bool) -> GeneratedImage:
        """An image as it is found; `verify` reads its PNG too."""
        file = self._folder.record(name)
        try:
            record = records.record(file)
        except DamagedError as error:
            raise DamagedError(str(error), self._folder.pictures_of(file) | error.seen) from None
        path = self._folder.picture(name, record.png_sha256)
        if verify or not records.size(path, "its PNG"):
            try:
                self._verify(path, record)
            except DamagedError as error:
                if record.schema > SCHEMA:
                    raise UnusableError(f"{NEWER} ({error})") from None
                raise
        return GeneratedImage(
            record.recipe,
            record.provenance,
            path=path,
            png_sha256=record.png_sha256,
            store=self,
        )

    def _verify(self, path: Path, record: Record) -> None:
        file = self._folder.record(path.name)
        try:
            data = records.read(path, "its PNG")
        except FileNotFoundError:
            raise DamagedError("its PNG is missing", {file: record.data, path: None}) from None
        if as_written(data, record.png_sha256, record.recipe, record.provenance) is None:
            seen = {path: data, file: record.data}
            raise DamagedError("its PNG does not match its hash", seen)

    def _miss_record(self, path: Path) -> None:
        """Says of a PNG that no JSON names it."""
        record = self._folder.record(path.name)
        missed = {} if self._folder.has(path.name) else {record: None}
        raise DamagedError("a PNG without its JSON", {path: records.read(path, "it"), **missed})

    def _added(self, key: str) -> dict[str, Any]:
        """What a newer nbtool put into a record that is about to be written again."""
        path = self._folder.record(key)
        try:
            said = records.fields(path, records.read(path))
        except (FileNotFoundError, DamagedError, LinkedError):
            return {}
        except UnusableError as error:
            raise StoreError(f"{path.name}: {error}") from None
        if records.needs_newer(said):
            raise StoreError(f"{path.name} is not changed: {NEWER}")
        return records.unknown(said, records.FIELDS)


def _age(image: GeneratedImage) -> tuple[str, str]:
    return image.provenance.created, image.recipe.key
