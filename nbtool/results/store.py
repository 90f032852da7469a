"""A folder of plain PNG and JSON files, readable with nbtool gone.

    nbtool-images/
      nbtool-store.json                  the schema number
      <key>-<hash>.png                   one image, its recipe inside
      <key>.json                         recipe, provenance and the PNG's SHA-256
      <key>.mark.json                    what people made of it: a star, a note
      damaged/                           what is not what was written, set aside
      grids/                             grids that have a name
      deleted/                           images taken out of the store, to be put back or removed
      presets.json                       named additions to prompts, and settings
      inputs/<hash>.png                  the pictures that images were made from, each once
      measures/ workflows/ tickets/
                                         what other versions keep there; see docs/store.md

Whatever else lies there is left untouched: it is never deleted and never called damaged. Neither
is what cannot be read now, or by a newer nbtool only; records.py has the rule.

The PNG is written first, the JSON last: the JSON is the commit mark. `<key>` is the start of the
recipe's key, `<hash>` the start of the PNG's own SHA-256, so that two notebooks which make the
same image at the same time never mix their files: the last JSON wins and names its own PNG.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtool import files
from nbtool.environment import default_folder
from nbtool.errors import RecipeError, StoreError
from nbtool.recipes.checks import as_integer
from nbtool.recipes.origins import origins_of
from nbtool.recipes.picture import Picture
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.results import records
from nbtool.results.deleted import Deleted
from nbtool.results.folder import (
    DELETED,
    GRID,
    GRIDS,
    KEY_DIGITS,
    PICTURE,
    RECORD,
    Folder,
    is_old,
    name_of,
)
from nbtool.results.found import NEWEST, OLDEST, Found, chosen, models_of
from nbtool.results.grids import SavedGrids
from nbtool.results.image import GeneratedImage, Mark, as_written, encoded
from nbtool.results.index import Index
from nbtool.results.inputs import Inputs
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
from nbtool.text import count, shown, warn

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_TOLD = 10  # images that a listing names because they cannot be used


class Listing:
    """The images that a store held at one moment: `key in listing` asks no disk."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key[:KEY_DIGITS] in self._names

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
        self._index = Index.of(self._folder)
        self._deleted = Deleted(self._folder)
        self._inputs = Inputs(self._folder, self.pixels)
        self._grids = SavedGrids(self._folder, partial(self._load, verify=False))

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
        if inputs := origins_of(recipe):
            record["inputs"] = inputs
        try:
            self._keep_inputs(recipe)
            record = self._added(recipe.key) | record
            with self._folder.explained("write in"):
                files.write(path, png)
                files.write(self._folder.record(recipe.key), records.text(record))
        except StoreError as error:
            error.unsaved = GeneratedImage(recipe, provenance, png=png)
            raise
        recipe = self._inputs.bound(recipe)
        return GeneratedImage(recipe, provenance, path=path, png_sha256=digest, store=self)

    def known(self, recipe: Recipe) -> Recipe:
        """The same recipe, whose pictures have their pixels from this store where it has them."""
        return self._inputs.bound(recipe)

    def keep(self, picture: Picture) -> None:
        """Keeps the pixels of a picture that images are going to be made from.

        Raises:
            RecipeError: They are not to be had any more.
            StoreError: They could not be written.
        """
        self._inputs.keep(picture)

    def _keep_inputs(self, recipe: Recipe) -> None:
        """Keeps the pixels of its pictures; those that are gone stay gone."""
        for picture in recipe.pictures:
            with contextlib.suppress(RecipeError):
                self._inputs.keep(picture)

    def pixels(self, key: str) -> Image:
        """The pixels of an image that others are made from.

        Raises:
            StoreError: It is not there, or cannot be used.
        """
        try:
            return self._load(key[:KEY_DIGITS], verify=True).image
        except (FileNotFoundError, UnusableError) as error:
            raise StoreError(f"the image {key[:KEY_DIGITS]} is not there: {error}") from None

    def mark(self, key: str) -> Mark:
        """The star and the note of an image; those of one that has neither are empty.

        One that cannot be read is named in a warning, and taken for empty.

        Raises:
            StoreError: It is no key.
        """
        records.check_key(key)
        return self._marks.mark(key)

    def set_mark(self, key: str, *, starred: bool | None = None, note: str | None = None) -> Mark:
        """Stars an image or takes the star away, and notes something; what is None stays.

        Raises:
            StoreError: There is no such image; what it has cannot be read now, or is a newer
                nbtool's; or it could not be written.
        """
        records.check_key(key)
        return self._marks.set_mark(key, starred=starred, note=note)

    def marks(self) -> dict[str, Mark]:
        """Every mark by the key of its image. Those that cannot be read are named in a warning."""
        return self._marks.all()

    @property
    def starred(self) -> list[GeneratedImage]:
        """The starred images, oldest first."""
        return list(self.find(starred=True))

    def delete(self, key: str | GeneratedImage) -> None:
        """Takes an image out of the store, with its star and its note; `restore` puts it back.

        It is named by its key, or itself.

        It lies in the folder deleted/ until `empty_deleted`. Asked for again, it is made again.
        What another notebook makes anew in that moment stays. Of several of one recipe that are
        deleted one after the other, the last is kept.

        Raises:
            StoreError: There is no such image, it could not be moved, or is a newer nbtool's.
        """
        self._deleted.delete(key.recipe.key if isinstance(key, GeneratedImage) else key)

    def restore(self, key: str | GeneratedImage) -> GeneratedImage:
        """Puts a deleted image back, with its star and its note, and returns it; one that is there too.

        Raises:
            StoreError: There is none, it was made anew since, or could not be moved.
        """
        key = key.recipe.key if isinstance(key, GeneratedImage) else key
        self._deleted.restore(key)
        return self._one(key[:KEY_DIGITS])

    @property
    def deleted(self) -> Store:
        """What was deleted and can be restored, as a store: to look at, count and search.

            [image.caption for image in store.deleted]
            store.deleted.size                            # bytes

        Raises:
            StoreError: The folder cannot be read.
        """
        self._deleted.finish()
        return Store(self._deleted.path)

    def empty_deleted(self) -> int:
        """Removes what was deleted, for good; returns how many bytes are free again.

        Raises:
            StoreError: It could not be removed.
        """
        freed = self._deleted.empty()
        with self._folder.explained("change"):
            for index in (self._index, Index(Folder(self._deleted.path))):
                index.forget()  # prompts that are in it too
        return freed + self._inputs.remove_unused(self._texts())

    def _texts(self) -> Iterator[bytes]:
        """All that is written of images and grids: what it names is needed."""
        for folder, pattern in (
            (self._folder, RECORD),
            (Folder(self.path / DELETED), RECORD),
            (Folder(self.path / GRIDS), GRID),
        ):
            for entry in folder.named(pattern):
                text = b""  # of one that is gone meanwhile
                with self._folder.explained("read"), contextlib.suppress(FileNotFoundError):
                    text = files.read(Path(entry))
                yield text

    @property
    def grids(self) -> SavedGrids:
        """The grids that have a name, by name; shows itself as a table."""
        return self._grids

    @property
    def size(self) -> int:
        """The bytes of all images with their records and marks, and of the pictures they were made
        from; not of what was deleted.

        Raises:
            StoreError: The folder cannot be read.
        """
        return self._folder.size() + self._inputs.size()

    def get(self, key: str) -> GeneratedImage | None:
        """The image of a key, verified against its hash; None when there is none.

        A damaged one is set aside, one that cannot be read now is left as it is; either is named
        in a warning, and counts as not there.

        Raises:
            StoreError: It is no key.
        """
        records.check_key(key)
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
            StoreError: It is no key, or the folder cannot be read now.
        """
        records.check_key(key)
        return self._folder.has(key)

    def listing(self) -> Listing:
        """What `has` says of every key, found out at once."""
        return Listing(map(name_of, self._folder.named(RECORD)))

    def latest(self, count: int) -> list[GeneratedImage]:
        """The images that were made last, newest first, without a look at their pixels.

        Raises:
            RecipeError: It is no number of images.
            StoreError: The folder cannot be read.
        """
        most = as_integer(count)
        if most is None or most < 0:
            raise RecipeError(f"latest takes how many images, a whole number, got {shown(count)}")
        return list(itertools.islice(self.find(sort=NEWEST), most))

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
        return iter(self.find())

    def find(
        self,
        words: str = "",
        /,
        *,
        starred: bool | None = None,
        since: dt.date | str | None = None,
        sort: str = OLDEST,
        **parameters: Any,
    ) -> Found:
        """The images that were asked for, without a look at their pixels; none: all of them.

            store.find("fox hat", model="sd-v1-5", starred=True, since="today", sort="newest")

        Args:
            words: That are all in the prompt, the negative prompt, the note or the model's name, in
                any order and case; parts of words are enough.
            starred: True: those with a star; False: those without one.
            since: Those made since a day or a time; "today", or as "2026-01-31".
            sort: "oldest" or "newest" first, or by the value of a parameter, such as "seed".
            **parameters: Values that the recipe has; of a prompt, a part is enough.

        Returns:
            A sequence that reads an image's record when the image is taken from it.

        Raises:
            RecipeError: There is no such parameter, no recipe can have such a value, or there is no
                such order or time.
            StoreError: The folder cannot be read.
        """
        entries, unusable = self._index.look()
        list(self._usable(unusable))  # names them
        marks = self.marks() if words or starred is not None else None
        found = chosen(
            entries, marks,
            words=words, starred=starred, since=since, sort=sort, parameters=parameters,
        )  # fmt: skip
        return Found(found, self._one, self._usable)

    def glance(self) -> Found:
        """All images, the newest first, in half the time that `find` takes.

        An image that another program wrote anew in its place is seen as it was, until `find`.

        Raises:
            StoreError: The folder cannot be read.
        """
        entries, _ = self._index.look(trusting=True)
        newest = chosen(
            entries, None,
            words="", starred=None, since=None, sort=NEWEST, parameters={},
        )  # fmt: skip
        return Found(newest, self._one, self._usable)

    @property
    def models(self) -> list[str]:
        """The names of the models that made its images, sorted.

        Raises:
            StoreError: The folder cannot be read.
        """
        return models_of(self._index.look()[0].values())

    def check(self) -> list[str]:
        """Verifies every file and says what is wrong. What is damaged is set aside."""
        pictures = self._folder.named(PICTURE)  # first: one whose JSON comes meanwhile is not alone
        problems = [f"{self.path}: {links}"] if (links := self._folder.links()) else []
        try:
            self._deleted.finish()
        except StoreError as error:
            problems.append(str(error))
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
        problems += self._marks.problems() + self._inputs.problems()
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
            holds = ", ".join(filter(None, [count(len(self), "image"), self._folder.links()]))
        except StoreError as error:
            holds = str(error)
        return f"<Store {self.path.name}: {holds}>"

    def _one(self, name: str) -> GeneratedImage:
        """The image of a name that was there before."""
        try:
            return self._load(name, verify=False)
        except FileNotFoundError:
            raise StoreError(f"{name} is not in {self.path} any more; look again") from None
        except UnusableError as error:
            raise StoreError(f"{name}: {error}") from None

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
            self._inputs.bound(record.recipe, record.inputs),
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
