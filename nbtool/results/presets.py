"""The presets of a store, in its file presets.json, which is made to be read and written by hand.

    {"schema": 1, "presets": {"ink": {"prompt": "{prompt}, ink drawing", "guidance_scale": 4}}}

What is wrong with one is said when that one is asked for; the others work. The file is never set
aside, and what a newer nbtool wrote in it is kept.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from nbtool import files
from nbtool.errors import RecipeError, StoreError
from nbtool.recipes.labels import named
from nbtool.recipes.preset import SETTINGS, TEXTS, Preset, is_none
from nbtool.results import given_names, records
from nbtool.results.alone import alone_in
from nbtool.results.folder import PRESETS, Folder
from nbtool.results.records import NEWER, SCHEMA, DamagedError, UnusableError
from nbtool.text import card, card_text, count, ellipsized, printable, shown, warn

MAX_LISTED = 80  # characters of a preset in a list

_writing = threading.Lock()


class Presets(MutableMapping[str, Preset]):
    """The presets of a store by their names, in the order of its file. Shows itself as a list.

        store.presets["ink"] = nbtool.Preset(prompt="{prompt}, ink drawing", guidance_scale=4)
        store.presets.rename("ink", "pen")
        del store.presets["pen"]

    Every look reads `presets.json` in the store's folder; every change writes it whole. Iteration
    leaves out what cannot be used and names it in a warning.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        """The file, there or yet to be made."""
        return self._folder.path / PRESETS

    def __getitem__(self, name: str) -> Preset:
        """The preset of a name.

        Raises:
            KeyError: There is none.
            StoreError: It cannot be used; the message says what is wrong, and where.
        """
        said, mistake = self._read()
        presets = _presets_in(said)
        found = named(name, presets) if isinstance(name, str) else None
        if found is None and mistake:
            raise StoreError(mistake)
        if found is None:
            raise KeyError(f"{self.path} has no preset {name!r}")
        return self._understood(found, presets[found])

    def __setitem__(self, name: str, preset: Preset) -> None:
        """Keeps a preset, in place of the one of that name.

        Raises:
            RecipeError: It is no preset, or has no such name.
            StoreError: It cannot be written, or what is there must stay.
        """
        if not isinstance(preset, Preset):
            raise RecipeError(f"a nbtool.Preset is kept, got {shown(preset)}")
        check_name(name)
        with self._changing() as said:
            presets = _presets_in(said)
            name = named(name, presets) or name
            before = presets.get(name)
            unknown = records.unknown(before, _KNOWN) if isinstance(before, dict) else {}
            if unknown:  # kept beside the new ones they would make it unusable as before
                raise StoreError(
                    f"the preset {printable(name)!r} is not changed: it has "
                    f"{', '.join(map(shown, unknown))}, which this nbtool does not know; update "
                    f"nbtool, or delete the preset first"
                )
            self._write(said, {**presets, name: preset.to_dict()})

    def __delitem__(self, name: str) -> None:
        """Takes a preset away, one that cannot be used too.

        Raises:
            KeyError: There is none.
            StoreError: It cannot be written, or what is there must stay.
        """
        with self._changing() as said:
            presets = _presets_in(said)
            found = self._found(name, presets)
            self._write(said, {n: preset for n, preset in presets.items() if n != found})

    def rename(self, name: str, new: str) -> None:
        """Gives a preset another name; its place and what it holds stay.

        Raises:
            KeyError: There is none.
            RecipeError: There is one with the new name already, or it is no name.
            StoreError: It cannot be written, or what is there must stay.
        """
        check_name(new)
        with self._changing() as said:
            presets = _presets_in(said)
            found, taken = self._found(name, presets), named(new, presets)
            if taken not in (None, found):
                raise RecipeError(f"there is a preset {new!r} already; take another name")
            self._write(said, {new if n == found else n: one for n, one in presets.items()})

    def __iter__(self) -> Iterator[str]:
        usable, problems = self.looked()
        for problem in problems:
            warn(problem, stacklevel=2)
        return iter(usable)

    def __len__(self) -> int:
        return len(self.looked()[0])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and named(name, _presets_in(self._read()[0])) is not None

    def names(self) -> list[str]:
        """All names, of what cannot be used too.

        Raises:
            StoreError: The file cannot be read.
        """
        return list(_presets_in(self._read()[0]))

    def looked(self) -> tuple[dict[str, Preset], list[str]]:
        """What can be used, and what is wrong with the others.

        Raises:
            StoreError: The file cannot be read.
        """
        said, mistake = self._read()
        usable, problems = {}, [mistake] if mistake else []
        for name, entry in _presets_in(said).items():
            try:
                usable[name] = self._understood(name, entry)
            except StoreError as error:
                problems.append(str(error))
        return usable, problems

    def __repr__(self) -> str:
        try:
            return card_text(self._rows())
        except StoreError as error:
            return f"<Presets: {error}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        try:
            return {**card(self._rows())}
        except StoreError as error:
            return {"text/plain": f"<Presets: {error}>"}

    def _rows(self) -> dict[str, str]:
        usable, problems = self.looked()
        rows = {"Presets": f"{count(len(usable), 'preset')} in {self.path}"}
        rows |= {printable(n): ellipsized(_words(one), MAX_LISTED) for n, one in usable.items()}
        return rows | {f"not usable {n}": text for n, text in enumerate(problems, 1)}

    def _found(self, name: object, presets: Mapping[str, Any]) -> str:
        """The name as the file has it.

        Raises:
            KeyError: There is none.
        """
        found = named(name, presets) if isinstance(name, str) else None
        if found is None:
            raise KeyError(f"{self.path} has no preset {shown(name)}")
        return found

    def _understood(self, name: str, said: object) -> Preset:
        try:
            if not isinstance(said, dict):
                raise RecipeError(f"it needs names and values in braces, got {shown(said)}")
            return Preset.from_dict(said)
        except RecipeError as error:
            raise StoreError(
                f"the preset {printable(name)!r} cannot be used: {error} (in {self.path}; mend it "
                f"there, or update nbtool if a newer one wrote it)"
            ) from None

    def _read(self) -> tuple[dict[str, Any], str]:
        """What the file says, as far as it can be made out, and what is wrong with it as a whole.

        Raises:
            StoreError: It cannot be read now.
        """
        try:
            return records.fields(self.path, records.read(self.path, "it")), ""
        except FileNotFoundError:
            return {}, ""
        except DamagedError as error:
            text = (error.seen[self.path] or b"").decode("utf-8-sig", "replace")
            return {"presets": _made_out(text)}, f"{self.path}: {error}; mend it there"
        except UnusableError as error:
            raise StoreError(f"{self.path}: {error}") from None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """What the file says, none of which may be lost; nobody else writes it inside."""
        self._folder.prepare()
        with _writing, self._folder.explained("write in"), alone_in(self._folder.path):
            yield self._to_change()

    def _to_change(self) -> dict[str, Any]:
        said, mistake = self._read()
        if records.needs_newer(said):
            mistake = f"{self.path}: {NEWER}"
        if not isinstance(said.get("presets", {}), dict):
            mistake = (
                f'{self.path}: "presets" needs names in braces, got {shown(said["presets"])}; '
                f"mend it there"
            )
        if mistake:
            raise StoreError(f"nothing is changed: {mistake}")
        return said

    def _write(self, said: Mapping[str, Any], presets: Mapping[str, Any]) -> None:
        new = {"schema": SCHEMA, **said, "presets": presets}
        text = json.dumps(new, indent=2, ensure_ascii=False, allow_nan=False)
        with self._folder.explained("write in"):
            # A lone surrogate, which UTF-8 lacks, becomes its escape in JSON.
            files.write(self.path, f"{text}\n".encode("utf-8", "backslashreplace"))


_PRESETS = re.compile(r'"presets"\s*:\s*\{')
_ENTRY = re.compile(r'("(?:[^"\\\n]|\\.)*")\s*:\s*(?=\{)')  # what is in braces in one has none
_KNOWN = frozenset({*TEXTS, *SETTINGS})


def check_name(name: object) -> None:
    """Refuses what cannot be chosen among several.

    Raises:
        RecipeError: It is no such name.
    """
    given_names.check_name(name, "preset")
    assert isinstance(name, str)
    if is_none(name):
        raise RecipeError(f"a preset cannot be named {name!r}, which stands for none")
    if "|" in name:
        raise RecipeError(f"a preset's name has no |, which stands between several; got {name!r}")


def _presets_in(said: Mapping[str, Any]) -> dict[str, Any]:
    presets = said.get("presets", {})
    return presets if isinstance(presets, dict) else {}


def _made_out(text: str) -> dict[str, Any]:
    """The presets in a text with a mistake somewhere: those that are whole."""
    found: dict[str, Any] = {}
    decoder = json.JSONDecoder()
    start = _PRESETS.search(text)
    place = start.end() if start else len(text)
    while entry := _ENTRY.search(text, place):
        place = entry.end()
        with contextlib.suppress(ValueError, RecursionError):
            name = json.loads(entry[1])
            found[name], place = decoder.raw_decode(text, place)
    return found


def _words(preset: Preset) -> str:
    said = preset.to_dict()
    prompt = said.pop("prompt", "")
    return " · ".join([*filter(None, [prompt]), *(f"{n}={value!r}" for n, value in said.items())])
