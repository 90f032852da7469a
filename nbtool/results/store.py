"""A folder of plain PNG and JSON files, readable with nbtool gone.

    nbtool-images/
      nbtool-store.json                  the schema number
      <key>-<hash>.png                   one image, its recipe inside
      <key>.json                         recipe, provenance and the PNG's SHA-256
      <key>.mark.json                    what people made of it: a star, a note
      damaged/                           what could not be read, set aside
      inputs/ grids/ measures/ workflows/ tickets/ deleted/ presets.json
                                         what other versions keep there; see docs/store.md

Whatever else lies there is left untouched: it is never deleted and never called damaged.

The PNG is written first, the JSON last: the JSON is the commit mark. `<key>` is the start of the
recipe's key, `<hash>` the start of the PNG's own SHA-256, so that two notebooks which make the
same image at the same time never mix their files: the last JSON wins and names its own PNG.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import json
import os
import re
import uuid
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtool import files, metadata
from nbtool.environment import FOLDER
from nbtool.errors import MetadataError, RecipeError, StoreError
from nbtool.recipes.parameters import PARAMETERS
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import GeneratedImage, Mark, encoded

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA = 1
MARKER = "nbtool-store.json"
DAMAGED = "damaged"
# What there may be beside the images, or will be; docs/store.md says what each is for.
INPUTS, GRIDS, MEASURES = "inputs", "grids", "measures"
WORKFLOWS, TICKETS, DELETED = "workflows", "tickets", "deleted"
PRESETS = "presets.json"
KEY_DIGITS = 32  # of a SHA-256's 64, in file names
ABANDONED = 3600  # seconds after which an unfinished file has no writer any more
_COMMITTED = re.compile(rf"([0-9a-f]{{{KEY_DIGITS}}})\.json")
_PICTURE = re.compile(rf"([0-9a-f]{{{KEY_DIGITS}}})-[0-9a-f]{{8}}\.png")
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{32}\.partial")
_MARK = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}\.mark\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_NOTE = 20_000  # characters


class _DamagedError(Exception):
    """One stored image cannot be used; the message says why."""


class _NewerError(_DamagedError):
    """Because a newer nbtool wrote it."""


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
        path: The folder. It is made when the first image is; the folder it lies in must exist.
    """

    def __init__(self, path: str | Path = FOLDER) -> None:
        self.path = Path(path).absolute()

    def prepare(self) -> None:
        """Makes sure that images can be written, before any is made.

        Raises:
            StoreError: The folder cannot be made or written, or a newer nbtool made it.
        """
        if not self.path.parent.is_dir():
            raise StoreError(
                f"cannot keep images in {self.path}: there is no folder {self.path.parent}; "
                f"make it (or mount the drive) first, or name another store"
            )
        with self._explained("write in"):
            self.path.mkdir(exist_ok=True)
        if (schema := self._schema()) > SCHEMA:
            raise StoreError(
                f"{self.path} was written by a newer nbtool (schema {schema}, known: {SCHEMA}); "
                f"it can be read but not added to; update nbtool or name another store"
            )
        with self._explained("write in"):
            self._sweep()
        if not (self.path / MARKER).exists():
            self._write(self.path / MARKER, json.dumps({"schema": SCHEMA}).encode())
        else:
            self._write(self.path / f".probe-{uuid.uuid4().hex}", b"", keep=False)

    def put(self, image: Image, recipe: Recipe, provenance: Provenance) -> GeneratedImage:
        """Writes an image and returns it as stored.

        Raises:
            StoreError: It could not be written. Its `unsaved` holds the image that is not on disk.
        """
        png = encoded(image, recipe, provenance)
        digest = hashlib.sha256(png).hexdigest()
        record = {
            "schema": SCHEMA,
            "key": recipe.key,
            "recipe": recipe.to_dict(),
            "provenance": provenance.to_dict(),
            "png_sha256": digest,
        }
        text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
        path = self._picture(recipe.key, digest)
        try:
            self._write(path, png)
            self._write(self._record(recipe.key), text.encode("ascii"))
        except StoreError as error:
            error.unsaved = GeneratedImage(recipe, provenance, png=png)
            raise
        return GeneratedImage(recipe, provenance, path=path, store=self)

    def mark(self, key: str) -> Mark:
        """The star and the note of an image; those of one that has neither are empty."""
        try:
            return _read_mark(self._mark(key))[1]
        except (OSError, ValueError, KeyError):
            return Mark()

    def set_mark(self, key: str, *, starred: bool | None = None, note: str | None = None) -> Mark:
        """Stars an image or takes the star away, and notes something; what is None stays.

        Raises:
            StoreError: There is no such image, or it could not be written.
        """
        if not _SHA256.fullmatch(key) or not self.has(key):
            raise StoreError(f"{self.path} holds no image with the key {key!r}")
        before = self.mark(key)
        mark = Mark(
            before.starred if starred is None else bool(starred),
            before.note if note is None else str(note)[:MAX_NOTE],
        )
        if mark == Mark():
            with self._explained("write in"):
                self._mark(key).unlink(missing_ok=True)
        elif mark != before:
            record = {"schema": SCHEMA, "key": key, **mark._asdict()}
            text = json.dumps(record, sort_keys=True, indent=1, ensure_ascii=True)
            self._write(self._mark(key), text.encode("ascii"))
        return mark

    def marks(self) -> dict[str, Mark]:
        """Every mark by the key of its image."""
        marks: dict[str, Mark] = {}
        for entry in self._entries():
            if _MARK.fullmatch(entry.name):
                with contextlib.suppress(OSError, ValueError, KeyError):
                    key, mark = _read_mark(Path(entry))
                    marks[key] = mark
        return marks

    @property
    def starred(self) -> list[GeneratedImage]:
        """The starred images, oldest first."""
        marked = (self.get(key) for key, mark in self.marks().items() if mark.starred)
        return sorted(filter(None, marked), key=lambda image: image.provenance.created)

    def get(self, key: str) -> GeneratedImage | None:
        """The image of a key, verified against its hash; None when there is none.

        A damaged one is set aside, named in a warning, and counts as not there.
        """
        return self._get(key[:KEY_DIGITS]) if _SHA256.fullmatch(key) else None

    def has(self, key: str) -> bool:
        """True when an image of this key was committed; `get` would verify it too."""
        path = self._record(key)
        return path.is_file() and not path.is_symlink()

    def listing(self) -> Listing:
        """What `has` says of every key, found out at once."""
        committed = self._committed()
        return Listing(_name(entry) for entry in committed if entry.is_file(follow_symlinks=False))

    def latest(self, count: int) -> list[GeneratedImage]:
        """The last few images, newest first, without verifying the others."""
        dated = sorted(((files.modified(e), _name(e)) for e in self._committed()), reverse=True)
        images = (self._get(name) for _, name in dated)
        return list(itertools.islice((image for image in images if image), count))

    def __getitem__(self, key: str) -> GeneratedImage:
        if image := self.get(key):
            return image
        raise KeyError(f"{self.path} holds no image with the key {key!r}")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def __len__(self) -> int:
        return sum(1 for _ in self._committed())

    def __iter__(self) -> Iterator[GeneratedImage]:
        """The images, oldest first. Damaged ones are set aside and named in a warning."""
        names = [_name(entry) for entry in self._committed()]
        images = [image for name in names if (image := self._get(name))]
        return iter(sorted(images, key=lambda image: image.provenance.created))

    def find(self, **parameters: Any) -> list[GeneratedImage]:
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
        """Verifies every file, sets the damaged ones aside and says what was wrong."""
        problems = []
        named: set[Path | None] = set()
        unread = set()
        for name in [_name(entry) for entry in self._committed()]:
            try:
                named.add(self._load(name).path)
            except FileNotFoundError:
                continue
            except _DamagedError as error:
                problems.append(self._set_aside(name, error))
                unread.add(name)
        for entry in [entry for entry in self._entries() if Path(entry) not in named]:
            match = _PICTURE.fullmatch(entry.name)
            alone = match and match[1] not in unread and not entry.is_symlink()
            if alone and files.age(entry) > ABANDONED:
                where = self._move_aside([Path(entry)])
                problems.append(f"{entry.name}: a PNG without its JSON; {where}")
        return problems

    def __repr__(self) -> str:
        return f"<Store {self.path.name}: {len(self)} images>"

    def _record(self, key: str) -> Path:
        return self.path / f"{key[:KEY_DIGITS]}.json"

    def _mark(self, key: str) -> Path:
        return self.path / f"{key[:KEY_DIGITS]}.mark.json"

    def _picture(self, key: str, digest: str) -> Path:
        return self.path / f"{key[:KEY_DIGITS]}-{digest[:8]}.png"

    def _entries(self) -> Iterator[os.DirEntry[str]]:
        """What lies in the folder, which must not be changed before the last one is taken."""
        if self.path.is_dir():
            with self._explained("read"), os.scandir(self.path) as entries:
                yield from entries

    def _committed(self) -> Iterator[os.DirEntry[str]]:
        """The JSON files that are commit marks."""
        for entry in self._entries():
            if _COMMITTED.fullmatch(entry.name) and not entry.is_symlink():
                yield entry

    def _schema(self) -> int:
        try:
            schema = metadata.strict_json(files.read(self.path / MARKER).decode("ascii"))["schema"]
        except (OSError, ValueError, KeyError):
            return SCHEMA
        return schema if isinstance(schema, int) else SCHEMA

    def _get(self, name: str) -> GeneratedImage | None:
        try:
            return self._load(name)
        except FileNotFoundError:
            return None  # never made, or removed by another notebook meanwhile
        except _DamagedError as error:
            warnings.warn(self._set_aside(name, error), stacklevel=3)
            return None

    def _load(self, name: str) -> GeneratedImage:
        try:
            record = _parse(files.read(self.path / f"{name}.json"))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _DamagedError(f"its JSON cannot be read ({error.strerror})") from None
        schema = record.get("schema")
        newer = isinstance(schema, int) and schema > SCHEMA
        try:
            return self._image(name, record, newer=newer)
        except _DamagedError as error:
            raise (_NewerError(error) if newer else error) from None

    def _image(self, name: str, record: Mapping[str, Any], *, newer: bool) -> GeneratedImage:
        try:
            parameters = record["recipe"].items()
            recipe = Recipe(**{k: v for k, v in parameters if not newer or k in PARAMETERS})
            provenance = Provenance.from_dict(record["provenance"])
            digest = record["png_sha256"]
            if not _SHA256.fullmatch(digest) or not isinstance(record["schema"], int):
                raise _DamagedError("its JSON cannot be used (no hash or no schema number)")
            path = self._picture(name, digest)
            intact = hashlib.sha256(files.read(path)).hexdigest() == digest
        except FileNotFoundError:
            raise _DamagedError("its PNG is missing") from None
        except (KeyError, TypeError, AttributeError, RecipeError, OSError) as error:
            raise _DamagedError(f"its JSON cannot be used ({error})") from None
        if not intact:
            raise _DamagedError("its PNG does not match its hash")
        if not newer and recipe.key[:KEY_DIGITS] != name:
            raise _DamagedError("its recipe is not the one its name stands for")
        return GeneratedImage(recipe, provenance, path=path, store=self)

    def _set_aside(self, name: str, error: _DamagedError) -> str:
        """Moves the files of an image away; returns what was wrong and where they are now."""
        if isinstance(error, _NewerError) or self._schema() > SCHEMA:
            return f"{name}: {error}; left in {self.path}, since a newer nbtool wrote it"
        damaged = [
            Path(entry)
            for entry in self._entries()
            if entry.name.startswith(name) and _is_of_an_image(entry.name)
        ]
        return f"{name}: {error}; {self._move_aside(damaged)}"

    def _move_aside(self, paths: Iterable[Path]) -> str:
        """Moves files to damaged/ if that can be done; returns where they are now."""
        folder = self.path / DAMAGED
        try:
            folder.mkdir(exist_ok=True)
            if folder.is_symlink():
                raise NotADirectoryError(errno.ENOTDIR, f"{DAMAGED} is a link")
            for path in paths:
                if not path.is_symlink():
                    with contextlib.suppress(FileNotFoundError):
                        os.replace(path, folder / path.name)
        except OSError as error:
            return f"left in {self.path} ({error.strerror})"
        return f"moved to {DAMAGED}/ in {self.path}"

    def _sweep(self) -> None:
        """Removes what a killed writer left half done."""
        for entry in [entry for entry in self._entries() if _PARTIAL.fullmatch(entry.name)]:
            if not entry.is_dir(follow_symlinks=False) and files.age(entry) > ABANDONED:
                Path(entry).unlink(missing_ok=True)

    def _write(self, path: Path, data: bytes, *, keep: bool = True) -> None:
        with self._explained("write in"):
            files.write(path, data, keep=keep)

    def _explained(self, action: str) -> AbstractContextManager[None]:
        return files.explained(f"{action} {self.path}", "what was stored before is kept")


def _parse(data: bytes) -> dict[str, Any]:
    try:
        return metadata.strict_json(data.decode("ascii"))
    except (UnicodeDecodeError, MetadataError) as error:
        raise _DamagedError(f"its JSON cannot be read ({error})") from None


def _read_mark(path: Path) -> tuple[str, Mark]:
    """An image's key and its mark."""
    record = metadata.strict_json(files.read(path).decode("ascii"))
    return record["key"], Mark(record.get("starred") is True, str(record.get("note", "")))


def _is_of_an_image(name: str) -> bool:
    return bool(_COMMITTED.fullmatch(name) or _PICTURE.fullmatch(name))


def _name(mark: os.DirEntry[str]) -> str:
    return mark.name[:KEY_DIGITS]
