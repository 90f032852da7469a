"""A store's folder: what lies there by its name, and what is done with whole files.

Nothing is done to a file that is not known by its name, to a link, or in a folder that a newer
nbtool made.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from nbtool import files
from nbtool.errors import StoreError
from nbtool.results import records
from nbtool.results.records import SCHEMA, DamagedError, LinkedError, UnusableError
from nbtool.text import count

T = TypeVar("T")

MARKER = "nbtool-store.json"
DAMAGED = "damaged"
# What there may be beside the images, or will be; docs/store.md says what each is for.
INPUTS, GRIDS, MEASURES = "inputs", "grids", "measures"
WORKFLOWS, TICKETS, DELETED = "workflows", "tickets", "deleted"
PRESETS = "presets.json"
INDEX = "nbtool-index-1.json.gz"  # its number is that of what it holds: versions keep their own
KEY_DIGITS = 32  # of a SHA-256's 64, in file names
ABANDONED = 3600  # seconds after which an unfinished file has no writer any more
RECORD = re.compile(rf"([0-9a-f]{{{KEY_DIGITS}}})\.json")
PICTURE = re.compile(rf"([0-9a-f]{{{KEY_DIGITS}}})-[0-9a-f]{{8}}\.png")
_PARTIAL = re.compile(r"\..+\.[0-9a-f]{32}\.partial")
GRID = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}\.json")
OLDER_GRID = re.compile(rf"([0-9a-f]{{{KEY_DIGITS}}})-([0-9]+)\.json")  # deleted before another
INPUT = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}\.png")
MARK = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}\.mark\.json")


class Folder:
    """The folder of a store, there or yet to be made.

    Args:
        path: Where; `~` is the home folder.

    Raises:
        StoreError: It is relative to a working folder that is gone.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = files.absolute(path)

    def record(self, key: str) -> Path:
        """The JSON file of an image; the start of its key is enough."""
        return self.path / f"{key[:KEY_DIGITS]}.json"

    def mark(self, key: str) -> Path:
        return self.path / f"{key[:KEY_DIGITS]}.mark.json"

    def picture(self, key: str, digest: str) -> Path:
        return self.path / f"{key[:KEY_DIGITS]}-{digest[:8]}.png"

    def prepare(self) -> None:
        """Makes sure that images can be written, before any is made.

        Raises:
            StoreError: The folder cannot be made or written, or a newer nbtool made it.
        """
        with self.explained("write in"):
            self._refuse_what_is_no_folder()
            if not self.path.parent.is_dir():
                raise StoreError(
                    f"cannot keep images in {self.path}: there is no folder {self.path.parent}; "
                    f"make it (or mount the drive) first, or name another store"
                )
            self.path.mkdir(exist_ok=True)
        try:
            schema = self._schema()
        except UnusableError as error:
            raise StoreError(f"cannot write in {self.path}: {MARKER}: {error}") from None
        if schema > SCHEMA:
            raise StoreError(
                f"{self.path} was written by a newer nbtool (schema {schema}, known: {SCHEMA}); "
                f"it can be read but not added to; update nbtool or name another store"
            )
        self._sweep()
        with self.explained("write in"):
            if (self.path / MARKER).exists():
                files.write(self.path / f".probe-{uuid.uuid4().hex}", b"", keep=False)
            else:
                files.write(self.path / MARKER, json.dumps({"schema": SCHEMA}).encode())

    def _refuse_what_is_no_folder(self) -> None:
        if os.path.lexists(self.path) and not self.path.is_dir():
            is_link = self.path.is_symlink()
            what = (
                f"a link to {os.readlink(self.path)}, which is no folder" if is_link else "a file"
            )
            raise StoreError(
                f"cannot use {self.path}: it is {what}; mount the drive, or name another folder"
            )

    def _entries(self) -> list[os.DirEntry[str]]:
        """What lies in the folder."""
        with self.explained("read"):
            try:
                with os.scandir(self.path) as entries:
                    return list(entries)
            except (FileNotFoundError, NotADirectoryError):
                self._refuse_what_is_no_folder()
                return []

    def named(self, pattern: re.Pattern[str]) -> list[os.DirEntry[str]]:
        """The files with such a name, links not among them."""
        with self.explained("read"):
            return [
                entry
                for entry in self._entries()
                if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            ]

    def size(self) -> int:
        """The bytes of its images, their records and their marks."""
        size = 0
        with self.explained("read"):
            for entry in self._entries():
                if _is_of_an_image(entry.name) or MARK.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                        size += entry.stat(follow_symlinks=False).st_size
        return size

    def has(self, key: str) -> bool:
        """Whether an image of this key was committed."""
        with self.explained("read"):
            try:
                return stat.S_ISREG(os.lstat(self.record(key)).st_mode)
            except (FileNotFoundError, NotADirectoryError):
                return False

    def pictures_of(self, record: Path) -> dict[Path, bytes]:
        """The PNGs that a record can have named: what is younger waits for a JSON of its own."""
        try:
            written = os.stat(record).st_mtime
        except OSError:
            return {}
        return {
            Path(entry): records.read(Path(entry), "its PNG")
            for entry in self.named(PICTURE)
            if name_of(entry) == record.stem and files.modified(entry) <= written
        }

    def links(self) -> str:
        """Why a store of links looks empty; "" where there are none."""
        with self.explained("read"):
            linked = sum(_is_of_an_image(e.name) and e.is_symlink() for e in self._entries())
        return f"{count(linked, 'symbolic link')}, {records.NOT_FOLLOWED}" if linked else ""

    def _schema(self) -> int:
        """The marker's schema number; ours where it says nothing.

        Raises:
            UnusableError: It cannot be read now.
        """
        marker = self.path / MARKER
        try:
            schema = records.fields(marker, records.read(marker, "it")).get("schema")
        except (FileNotFoundError, DamagedError, LinkedError):
            return SCHEMA
        return schema if isinstance(schema, int) else SCHEMA

    def sure(self, look: Callable[[], T]) -> T:
        """What is found in files, once it is sure what is the matter with them.

        Raises:
            FileNotFoundError: They are not there.
            DamagedError: They are not what was written, and were set aside if that can be done.
            UnusableError: They cannot be used, and are left as they are.
        """
        try:
            return look()
        except DamagedError as error:
            found = error
        try:  # what was read wrong, or is being replaced, is another thing at the second look
            return look()
        except DamagedError as error:
            if error.seen != found.seen:
                raise UnusableError("it is being written at this moment") from None
            raise DamagedError(f"{error}; {self.set_aside(error.seen)}", {}) from None

    def set_aside(self, seen: Mapping[Path, bytes | None]) -> str:
        """Moves files to damaged/ if that can be done; returns where they are now.

        Args:
            seen: What they held when they were looked at; None of one that was not there, which
                must be so still.
        """
        try:
            if self._schema() > SCHEMA:
                return f"left in {self.path}, since a newer nbtool wrote it"
            if not self.moved(seen, self.path / DAMAGED):
                return f"left in {self.path}, where it was written this very moment"
        except UnusableError as error:
            return f"left in {self.path} ({error})"
        except OSError as error:
            return f"left in {self.path} ({files.why(error)})"
        return f"moved to {DAMAGED}/ in {self.path}"

    def moved(self, seen: Mapping[Path, bytes | None], folder: Path) -> bool:
        """Moves files to a folder in this one; False: they are not what was seen, and stay.

        Args:
            seen: What they held when they were looked at; None of one that was not there, which
                must be so still.
            folder: Where to; it is made.

        Raises:
            OSError: They could not be moved.
        """
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, f"{folder.name} is a link")
        aside = {path: folder / path.name for path, data in seen.items() if data is not None}
        moved = [path for path in aside if move(path, aside[path])]
        new = [path for path in moved if files.read(aside[path]) != seen[path]]
        new += [path for path in seen.keys() - aside.keys() if os.path.lexists(path)]
        if new:
            for path in moved:
                move(aside[path], path)
        return not new

    def refuse_deleted(self) -> None:
        """Refuses to delete once more what a store has deleted.

        Raises:
            StoreError: This is the deleted/ of a store.
        """
        with self.explained("change"):
            is_deleted = self.path.name == DELETED and (self.path.parent / MARKER).exists()
        if is_deleted:
            raise StoreError(
                f"it is deleted already and lies in {self.path}; store.empty_deleted() of the store "
                f"removes all that lies there for good"
            )

    @property
    def may_be_written(self) -> bool:
        """Whether no newer nbtool made the folder, as far as can be seen."""
        try:
            return self._schema() <= SCHEMA
        except UnusableError:
            return False

    @contextlib.contextmanager
    def changing(self, *within: Path) -> Iterator[None]:
        """Inside of it files are moved, or written in these folders of this one.

        Raises:
            StoreError: It could not be done, one of them is a link, or a newer nbtool made this.
        """
        with self.explained("change"):
            for folder in within:
                if folder.is_symlink():
                    raise StoreError(f"{folder} is a symbolic link, {records.NOT_FOLLOWED}")
            if not self.may_be_written:
                raise StoreError(f"{self.path} is not changed: {records.NEWER}")
            yield

    def _sweep(self) -> None:
        """Removes what a killed writer left half done."""
        for entry in self._entries():
            if _PARTIAL.fullmatch(entry.name) and is_old(entry):
                with contextlib.suppress(OSError):  # a folder, or another's: it does no harm
                    os.unlink(entry)

    @contextlib.contextmanager
    def explained(self, action: str) -> Iterator[None]:
        with files.explained(f"{action} {self.path}", "what was stored before is kept"):
            try:
                yield
            except (FileNotFoundError, NotADirectoryError):
                self._refuse_what_is_no_folder()
                if not self.path.is_dir():
                    raise StoreError(
                        f"cannot {action} {self.path}: the folder is gone; make it again, or mount "
                        f"the drive. What could not be written stays in memory: image.save(…) "
                        f"writes it elsewhere"
                    ) from None
                raise


def move(path: Path, place: Path) -> bool:
    """Whether there was something to move."""
    try:
        os.replace(path, place)
    except FileNotFoundError:
        return False
    return True


def _is_of_an_image(name: str) -> bool:
    return bool(RECORD.fullmatch(name) or PICTURE.fullmatch(name))


def name_of(entry: os.DirEntry[str]) -> str:
    """The start of its image's key."""
    return entry.name[:KEY_DIGITS]


def stamp_of(entry: os.DirEntry[str] | Path) -> str:
    """A text that is another when the file is; "" where it cannot be told."""
    try:
        now = entry.stat(follow_symlinks=False)
    except OSError:
        return ""
    return f"{now.st_ino:x}-{now.st_mtime_ns:x}-{now.st_size:x}"


def is_old(entry: os.DirEntry[str]) -> bool:
    """Whether nobody can be at work on it any more."""
    return files.age(entry) > ABANDONED
