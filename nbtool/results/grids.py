"""The grids of a store that have a name, each a JSON file in its folder grids/.

A file is called by the hash of the grid's name, which may be any text. Files are read by the rules
of records.py: what a newer nbtool wrote is kept, what is not what was written is set aside.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import itertools
import os
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from nbtool import files
from nbtool.errors import GenerationError, RecipeError, StoreError
from nbtool.recipes.parameters import extent
from nbtool.results import grid_records, records
from nbtool.results.folder import (
    DELETED,
    GRID,
    GRIDS,
    KEY_DIGITS,
    OLDER_GRID,
    RECORD,
    Folder,
    move,
    name_of,
    stamp_of,
)
from nbtool.results.grid_records import FIELDS, Summary, is_same
from nbtool.results.image import GeneratedImage
from nbtool.results.labelled import Cell, Labelled
from nbtool.results.origin import Origin
from nbtool.results.records import NEWER, DamagedError, LinkedError, UnusableError
from nbtool.text import count, ellipsized, printable, shown, table, warn

T = TypeVar("T")

HEADINGS = ("name", "axes", "images", "prompt", "kept")
_WRONG = (KeyError, TypeError, AttributeError, RecipeError)  # what a field that is wrong raises

_face: list[type[Labelled]] = [Labelled]


def open_as(face: type[Labelled]) -> None:
    """Decides as what a kept grid is opened."""
    _face[:] = [face]


class SavedGrids(Mapping[str, Labelled]):
    """The grids of a store by their names, oldest first. Shows itself as a table.

        grid.name = "stars"
        store.grids["stars"].view()         # also after a restart
        store.grids["stars"].name = "suns"
        del store.grids["suns"]; store.grids.restore("suns")

    A grid is opened when it is asked for. What is in the store then is in it; what is not, is
    missing.
    """

    def __init__(self, folder: Folder, load: Callable[[str], GeneratedImage]) -> None:
        self._folder = folder
        self._load = load
        self._path = folder.path / GRIDS
        self._deleted = folder.path / DELETED / GRIDS
        self._remembered: dict[str, tuple[str, Summary]] = {}  # by file, with its stamp

    def __getitem__(self, name: str) -> Any:
        """The grid of a name, as it is in the store now.

        Raises:
            KeyError: There is none; a damaged one is set aside and named in a warning.
            StoreError: There is one that cannot be used now, and is left as it is.
        """
        try:
            said = self._read(self._file(name))
            sweep = _understood(said, grid_records.sweep_of)
        except FileNotFoundError:
            raise self._unknown(name) from None
        except DamagedError as error:
            warn(f"the grid {shown(name)}: {error}", stacklevel=2)
            raise self._unknown(name) from None
        except UnusableError as error:
            raise StoreError(f"the grid {shown(name)}: {error}") from None
        indices = itertools.product(*map(range, sweep.shape))
        cells = zip(indices, self._cells(said["images"], said.get("failed") or {}), strict=True)
        made = {index: cell for index, cell in cells if cell is not None}
        generator = said.get("generator") or {}
        origin = Origin(self, generator, sweep.words, sweep.drawn, sweep.fixed, said)
        return _face[0](sweep.base, sweep.axes, made, origin)

    def __iter__(self) -> Iterator[str]:
        return (summary.name for summary in self.summaries())

    def __len__(self) -> int:
        return len(self.summaries())

    def __contains__(self, name: object) -> bool:
        with self._folder.explained("read"):
            return isinstance(name, str) and self._file(name).exists()

    def __delitem__(self, name: str) -> None:
        """Takes a grid out of the list; its images stay, and `restore` puts it back.

        Of several of one name that are deleted one after the other, all are kept.

        Raises:
            KeyError: There is none.
            StoreError: It could not be moved, or a newer nbtool made the store.
        """
        self._folder.refuse_deleted()
        file = self._file(name)
        if name not in self:
            raise self._unknown(name)
        deleted = self._deleted / file.name
        with self._folder.changing(self._path, self._deleted.parent, self._deleted):
            self._deleted.mkdir(parents=True, exist_ok=True)
            move(deleted, self._older(deleted, 1 + max(self._numbers(deleted), default=0)))
            if not move(file, deleted):  # another notebook was first
                self._bring_up(deleted)
                raise self._unknown(name)

    def restore(self, name: str) -> Any:
        """Puts a deleted grid back, and returns it; one that is there too.

        Of several that had the name, the one that was deleted last; the one before it is next.

        Raises:
            KeyError: There is none.
            StoreError: Another grid has its name now, or it could not be moved.
        """
        with self._folder.changing(self._path, self._deleted.parent, self._deleted):
            deleted = self._deleted / self._file(name).name
            self._bring_up(deleted)  # a process that was killed may have left it so
            if deleted.exists():
                if name in self:
                    raise self._taken(name)
                self._path.mkdir(exist_ok=True)
                move(deleted, self._file(name))
                self._bring_up(deleted)
            elif name not in self:
                raise KeyError(f"no grid {shown(name)} lies in {self._deleted}")
        return self[name]

    def summaries(self) -> list[Summary]:
        """What there is to say of each without opening it, oldest first.

        Those that cannot be used are named in warnings.

        Raises:
            StoreError: The folder cannot be read.
        """
        remembered = {}
        for entry in Folder(self._path).named(GRID):
            stamp = stamp_of(entry)
            known = self._remembered.get(entry.name)
            if known is None or not stamp or known[0] != stamp:
                try:
                    said = self._read(self._path / entry.name)
                    known = stamp, _understood(said, grid_records.summary_of)
                except FileNotFoundError:
                    continue
                except UnusableError as error:
                    warn(f"{GRIDS}/{entry.name}: {error}", stacklevel=3)
                    continue
            remembered[entry.name] = known
        self._remembered = remembered
        summaries = [summary for _, summary in remembered.values()]
        return sorted(summaries, key=lambda summary: (summary.created, summary.name))

    def records(self) -> list[dict[str, Any]]:
        """A flat dict for each grid: name, axes, cells' images and those there, prompt, date."""
        there = {name_of(entry) for entry in self._folder.named(RECORD)}
        return [
            {
                "name": summary.name,
                "axes": dict(summary.axes),
                "images": len(summary.images),
                "there": sum(key[:KEY_DIGITS] in there for key in summary.images),
                "prompt": summary.prompt,
                "created": summary.created,
            }
            for summary in self.summaries()
        ]

    def keep(self, grid: Labelled, name: str) -> dict[str, Any]:
        """Keeps a grid by a name; `grid.name = name` does that.

        Raises:
            StoreError: Another grid has this name, or it could not be written.
        """
        if not isinstance(name, str) or not name.strip():
            raise StoreError(f"a grid's name is a text that is not empty, got {shown(name)}")
        said, before = grid_records.said_of(grid) | {"name": name}, grid.name
        there = self._to_change(name)
        if there and not is_same(there, said):
            raise self._taken(name)
        said = said | there | {"failed": said["failed"]}
        if records.needs_newer(said):
            raise StoreError(f"the grid {shown(name)} is not changed: {NEWER}")
        self._folder.prepare()
        with self._folder.changing(self._path):
            self._path.mkdir(exist_ok=True)
            files.write(self._file(name), records.text(said))
            if before is not None and self._file(before) != self._file(name):
                self._remove(before, said)
        return said

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        if not (rows := self._rows()):
            return {"text/plain": f'no grid in {self._folder.path} has a name; grid.name = "…"'}
        return dict(table(HEADINGS, rows))

    def __repr__(self) -> str:
        text: str = self._repr_mimebundle_()["text/plain"]
        return text

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                ellipsized(record["name"], 40),
                extent(record["axes"]),
                f"{record['there']:,} of {count(record['images'], 'image')}",
                ellipsized(record["prompt"], 60),
                _day(record["created"]),
            )
            for record in self.records()
        ]

    def _cells(self, keys: list[str], failed: Mapping[str, str]) -> Iterator[Cell | None]:
        """What stands in each cell; a key that stands in several is looked up once."""
        there = {name_of(entry) for entry in self._folder.named(RECORD)}
        cells: dict[str, Cell | None] = {}
        for key in keys:
            if key not in cells:
                cells[key] = self._cell(key) if key[:KEY_DIGITS] in there else None
                if cells[key] is None and key in failed:
                    cells[key] = GenerationError(failed[key])
            yield cells[key]

    def _cell(self, key: str) -> Cell | None:
        try:
            return self._load(key[:KEY_DIGITS])
        except FileNotFoundError:
            return None
        except UnusableError as error:
            return GenerationError(f"{key[:KEY_DIGITS]}: {error}")

    def _numbers(self, deleted: Path) -> list[int]:
        """Those of the grids of one name that were deleted before the last; the oldest has 1."""
        found = (OLDER_GRID.fullmatch(e.name) for e in Folder(self._deleted).named(OLDER_GRID))
        return [int(match[2]) for match in found if match and match[1] == deleted.stem]

    def _older(self, deleted: Path, number: int) -> Path:
        return deleted.with_name(f"{deleted.stem}-{number}.json")

    def _bring_up(self, deleted: Path) -> None:
        """Makes the one before the last that was deleted the last, where that one is gone."""
        if not deleted.exists() and (numbers := self._numbers(deleted)):
            move(self._older(deleted, max(numbers)), deleted)

    def _file(self, name: object) -> Path:
        if not isinstance(name, str):
            raise self._unknown(name)
        letters = unicodedata.normalize("NFC", name).encode("utf-8", "surrogatepass")
        return self._path / f"{hashlib.sha256(letters).hexdigest()[:KEY_DIGITS]}.json"

    def _read(self, path: Path) -> dict[str, Any]:
        """What a file says.

        Raises:
            FileNotFoundError: It is not there.
            DamagedError: It is not what was written, and was set aside if that can be done.
            UnusableError: It cannot be used, and is left as it is.
        """
        return self._folder.sure(lambda: self._look(path))

    def _look(self, path: Path) -> dict[str, Any]:
        if os.path.islink(self._path):
            raise LinkedError(f"its folder is a symbolic link, {records.NOT_FOLLOWED}")
        data = records.read(path)
        said = records.fields(path, data)
        name = said.get("name")
        if isinstance(name, str) and self._file(name) == path:
            return said
        if records.needs_newer(said) or records.unknown(said, FIELDS):
            raise UnusableError(NEWER)
        raise DamagedError("its JSON cannot be used (it names no grid)", {path: data})

    def _to_change(self, name: str) -> dict[str, Any]:
        """What is kept by a name, none of which may be lost; nothing where there is none."""
        try:
            return self._read(self._file(name))
        except FileNotFoundError:
            return {}
        except UnusableError as error:
            if not isinstance(error, DamagedError) or name in self:
                raise StoreError(f"the grid {shown(name)} is not changed: {error}") from None
            warn(f"the grid {shown(name)}: {error}", stacklevel=4)
            return {}

    def _remove(self, name: str, said: Mapping[str, Any]) -> None:
        """Removes what a grid was kept by before, if it still is that grid."""
        with contextlib.suppress(FileNotFoundError, UnusableError):
            if is_same(self._read(self._file(name)), said):
                self._file(name).unlink()

    def _unknown(self, name: object) -> KeyError:
        known = ", ".join(map(shown, self))
        return KeyError(f"{self._folder.path} has no grid {shown(name)}; it has: {known or 'none'}")

    def _taken(self, name: str) -> StoreError:
        return StoreError(
            f"another grid in {self._folder.path} has the name {shown(name)}; take another, or "
            f"del store.grids[{shown(name)}] first"
        )


def _understood(said: Mapping[str, Any], take: Callable[[Mapping[str, Any]], T]) -> T:
    """What is taken of a file that is whole: what is wrong with it, a newer nbtool has written."""
    try:
        return take(said)
    except _WRONG as error:
        reason = str(error).partition(";")[0]
        raise UnusableError(f"{NEWER} ({reason})") from None


def _day(created: str) -> str:
    """A time as records have it, as the clock here has it."""
    try:
        return f"{dt.datetime.fromisoformat(created).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return printable(created)
