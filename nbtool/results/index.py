"""What a store's records say in short, remembered: ten thousand images are not read for each look.

In memory, and where many are new in a file beside the records. What is remembered of a record holds
while its file is the same one; the index that is lost, old or nonsense is made again.
"""

from __future__ import annotations

import gzip
import json
import weakref
import zlib
from pathlib import Path
from typing import NamedTuple

from nbtool import files
from nbtool.results import records
from nbtool.results.folder import INDEX, RECORD, Folder, name_of, stamp_of
from nbtool.results.records import UnusableError

MANY = 500  # records that are rather remembered in a file than read again by the next process


class Entry(NamedTuple):
    """What is remembered of an image: what a search asks for."""

    stamp: str  # of its record's file
    created: str
    recipe: str  # as JSON


class Index:
    """The entries of a folder's images."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._entries: dict[str, Entry] = {}
        self._is_read = False  # the file
        self._unkept = 0  # entries that it lacks

    @classmethod
    def of(cls, folder: Folder) -> Index:
        """The one of all stores of this folder in this process."""
        return _KNOWN.setdefault(str(folder.path), cls(folder))

    def look(self, *, trusting: bool = False) -> tuple[dict[str, Entry], list[str]]:
        """The entry of each image by the start of its key, and those whose records are unusable.

        Args:
            trusting: Records that are known are not looked at: one that was written over is found
                by the next look.
        """
        found = self._folder.named(RECORD)
        if not self._is_read and len(found) >= MANY:
            self._entries = self._read() | self._entries
            self._is_read = True
        entries, unusable = {}, []
        for file in found:
            name = name_of(file)
            entry = self._entries.get(name)
            if trusting and entry:
                entries[name] = entry
                continue
            stamp = stamp_of(file)
            if entry is None or not stamp or entry.stamp != stamp:
                try:
                    record = records.record(Path(file))
                except FileNotFoundError:  # removed by another notebook meanwhile
                    continue
                except UnusableError:
                    unusable.append(name)
                    continue
                self._unkept += 1
                entry = Entry(stamp, record.provenance.created, record.recipe.to_json())
            entries[name] = entry
        self._entries = entries
        if self._unkept >= MANY:
            self._keep()
            self._unkept = 0
        return entries, unusable

    def forget(self) -> None:
        """Removes the file: it may say what is gone. The next look keeps what is there.

        Raises:
            OSError: It could not be removed.
        """
        (self._folder.path / INDEX).unlink(missing_ok=True)
        self._unkept = len(self._entries)

    def _read(self) -> dict[str, Entry]:
        try:
            text = gzip.decompress(files.read(self._folder.path / INDEX))
            return {name: Entry(*entry) for name, entry in json.loads(text).items()}
        except (OSError, EOFError, zlib.error, ValueError, TypeError, AttributeError):
            return {}

    def _keep(self) -> None:
        if self._folder.may_be_written:
            text = json.dumps(self._entries, separators=(",", ":"))
            files.keep(self._folder.path / INDEX, gzip.compress(text.encode("ascii"), 1, mtime=0))


_KNOWN: weakref.WeakValueDictionary[str, Index] = weakref.WeakValueDictionary()
