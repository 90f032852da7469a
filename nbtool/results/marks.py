"""Stars and notes, kept in a store's folder beside the images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nbtool import files
from nbtool.errors import StoreError
from nbtool.results import records
from nbtool.results.folder import KEY_DIGITS, MARK, Folder, stamp_of
from nbtool.results.image import Mark
from nbtool.results.records import NEWER, SCHEMA, SHA256, DamagedError, UnusableError
from nbtool.text import warn

MAX_NOTE = 20_000  # characters
FIELDS = frozenset({"schema", "key", *Mark._fields})


class KeptMarks:
    """The marks in a folder; Store says what each of these does."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._remembered: dict[str, tuple[str, str, Mark]] = {}  # by file: its stamp, the key

    def mark(self, key: str) -> Mark:
        if not SHA256.fullmatch(key):
            return Mark()
        path = self._folder.mark(key)
        try:
            return self._read(path)[0]
        except FileNotFoundError:
            return Mark()
        except UnusableError as error:
            warn(f"{path.name}: {error}", stacklevel=3)
            return Mark()

    def set_mark(self, key: str, *, starred: bool | None, note: str | None) -> Mark:
        if not SHA256.fullmatch(key) or not self._folder.has(key):
            raise StoreError(f"{self._folder.path} holds no image with the key {key!r}")
        path = self._folder.mark(key)
        before, said = self._to_change(path)
        mark = Mark(
            before.starred if starred is None else bool(starred),
            before.note if note is None else str(note)[:MAX_NOTE],
        )
        with self._folder.explained("write in"):
            if mark == Mark() and not records.unknown(said, FIELDS):
                path.unlink(missing_ok=True)
            elif mark != before:
                new = {"schema": SCHEMA, "key": key, **said, **mark._asdict()}
                files.write(path, records.text(new))
        return mark

    def all(self) -> dict[str, Mark]:
        """Every mark by the key of its image."""
        remembered = {}
        for entry in self._folder.named(MARK):
            stamp = stamp_of(entry)
            known = self._remembered.get(entry.name)
            if known is None or not stamp or known[0] != stamp:
                try:
                    mark, said = self._read(Path(entry))
                except FileNotFoundError:
                    continue
                except UnusableError as error:
                    warn(f"{entry.name}: {error}", stacklevel=3)
                    continue
                known = stamp, said["key"], mark
            remembered[entry.name] = known
        self._remembered = remembered
        return {key: mark for _, key, mark in remembered.values()}

    def problems(self) -> list[str]:
        """What is wrong with which; what is damaged is set aside."""
        problems = []
        for entry in self._folder.named(MARK):
            try:
                self._read(Path(entry))
            except FileNotFoundError:
                continue
            except UnusableError as error:
                problems.append(f"{entry.name}: {error}")
        return problems

    def _read(self, path: Path) -> tuple[Mark, dict[str, Any]]:
        return self._folder.sure(lambda: _mark_in(path))

    def _to_change(self, path: Path) -> tuple[Mark, dict[str, Any]]:
        """What there is, none of which may be lost."""
        try:
            mark, said = self._read(path)
        except FileNotFoundError:
            return Mark(), {}
        except UnusableError as error:
            if not isinstance(error, DamagedError) or os.path.lexists(path):
                raise StoreError(f"{path.name} is not changed: {error}") from None
            warn(f"{path.name}: {error}", stacklevel=4)
            return Mark(), {}
        if records.needs_newer(said):
            raise StoreError(f"{path.name} is not changed: {NEWER}")
        return mark, said


def _mark_in(path: Path) -> tuple[Mark, dict[str, Any]]:
    """What people made of an image, and all that the file says.

    Raises:
        FileNotFoundError: It is not there.
        DamagedError: It is not what was written.
        UnusableError: It cannot be read now, or by a newer nbtool only.
    """
    data = records.read(path)
    said = records.fields(path, data)
    key, mark = said.get("key"), Mark(said.get("starred", False), said.get("note", ""))
    named = (
        isinstance(key, str) and SHA256.fullmatch(key) and path.name.startswith(key[:KEY_DIGITS])
    )
    if named and isinstance(mark.starred, bool) and isinstance(mark.note, str):
        return mark, said
    if named or records.needs_newer(said) or records.unknown(said, FIELDS):
        raise UnusableError(NEWER)
    raise DamagedError("its JSON cannot be used (it names no image)", {path: data})
