"""What was taken out of a store: it lies in deleted/, until it is put back or that is emptied.

The record goes first and comes back last: it is the commit mark here as there. What a process that
was killed left half moved is moved to the end at the next look.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from nbtool.errors import StoreError
from nbtool.results import records
from nbtool.results.folder import (
    DELETED,
    GRID,
    GRIDS,
    KEY_DIGITS,
    MARK,
    OLDER_GRID,
    PICTURE,
    RECORD,
    Folder,
    move,
    name_of,
)
from nbtool.results.records import SHA256, UnusableError


class Deleted:
    """The deleted images of a folder; Store says what each of these does."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._place = Folder(folder.path / DELETED)

    @property
    def path(self) -> Path:
        return self._place.path

    def delete(self, key: str) -> None:
        self._folder.refuse_deleted()
        with self._changing(key):
            # It may be half moved already.
            if not _is_in(self._folder, key) and not _is_in(self._place, key):
                raise StoreError(f"{self._folder.path} holds no image with the key {key!r}")
            path, digest = self._folder.record(key), ""
            with contextlib.suppress(FileNotFoundError):  # another notebook was first
                record = self._folder.sure(lambda: records.record(path))
                digest = record.png_sha256
                if not self._folder.mark(key).exists():  # one there is of an image before it
                    self._place.mark(key).unlink(missing_ok=True)
                if not self._folder.moved({path: record.data}, self.path):
                    raise StoreError(f"{path.stem} is not deleted: it was made anew; look again")
            with contextlib.suppress(FileNotFoundError):  # another notebook removed it for good
                self._finish(path.stem, digest)

    def restore(self, key: str) -> None:
        with self._changing(key):
            there = _is_in(self._folder, key)
            if not _is_in(self._place, key):
                if there:
                    return
                raise StoreError(f"no image with the key {key!r} lies in {self.path}")
            if there:
                raise StoreError(
                    f"{key[:KEY_DIGITS]} was made anew since it was deleted, and is left as it is"
                )
            path = self._place.record(key)
            digest = self._place.sure(lambda: records.record(path)).png_sha256
            back = self._folder.picture(key, digest)

            def take() -> bool:
                if not self._folder.mark(key).exists():
                    move(self._place.mark(key), self._folder.mark(key))
                return move(self._place.picture(key, digest), back)

            if not take() and not back.exists():
                raise StoreError(f"{path.stem} is not restored: its PNG is gone from {self.path}")
            move(path, self._folder.record(key))
            take()  # what another's finish() took for half deleted meanwhile

    def finish(self) -> None:
        """Moves to the end what was half moved when a process was killed."""
        deleted = {name_of(entry) for entry in self._place.named(RECORD)}
        if not deleted:
            return
        left = {name_of(entry) for p in (PICTURE, MARK) for entry in self._folder.named(p)}
        there = {name_of(entry) for entry in self._folder.named(RECORD)}
        for name in (deleted & left) - there:
            # What is gone from there, another notebook has put back or removed meanwhile.
            with self._changing(name), contextlib.suppress(FileNotFoundError):
                self._finish(name)

    def empty(self) -> int:
        """Removes what lies there, as far as it is known; returns how many bytes that were."""
        self.finish()
        freed = 0
        with self._changing(DELETED, self.path / GRIDS):
            # First the records: a picture alone is removed next time, a record alone would be damage.
            grids = Folder(self.path / GRIDS)
            for folder, pattern in (
                *product([self._place], [RECORD, MARK, PICTURE]),
                (grids, GRID),
                (grids, OLDER_GRID),
            ):
                for entry in folder.named(pattern):
                    with contextlib.suppress(FileNotFoundError):
                        size = entry.stat(follow_symlinks=False).st_size
                        os.unlink(entry)
                        freed += size
        return freed

    def _finish(self, name: str, digest: str = "") -> None:
        """Moves what belongs to a record that was moved, and to no new one."""
        record = self._folder.record(name)
        if not digest:
            digest = self._place.sure(lambda: records.record(self._place.record(name))).png_sha256
        for path in (self._folder.picture(name, digest), self._folder.mark(name)):
            with contextlib.suppress(FileNotFoundError):
                self._folder.moved({path: records.read(path, path.name), record: None}, self.path)

    @contextlib.contextmanager
    def _changing(self, what: str, *within: Path) -> Iterator[None]:
        with self._folder.changing(self.path, *within):
            try:
                yield
            except UnusableError as error:
                raise StoreError(f"{what[:KEY_DIGITS]}: {error}") from None


def _is_in(folder: Folder, key: object) -> bool:
    return isinstance(key, str) and bool(SHA256.fullmatch(key)) and folder.has(key)
