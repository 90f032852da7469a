"""The small JSON files of a store, and what can be the matter with one.

A file that is not there raises FileNotFoundError. One that is there is used, or it is

- unusable: it cannot be read now, or is a link, or only a newer nbtool can tell what it says. It
  stays where it is, and nothing takes its place.
- damaged: what it holds is not what was written. It is set aside.

The schema number is the least that a reader must know. What is unknown is the word of a newer
nbtool, never damage, and is kept as it stands when a file is written again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nbtool import files, metadata
from nbtool.errors import MetadataError, RecipeError, StoreError
from nbtool.recipes.parameters import PARAMETERS
from nbtool.recipes.provenance import KINDS, Provenance
from nbtool.recipes.recipe import Recipe, key_of
from nbtool.text import shown

SCHEMA = 1
NOT_FOLLOWED = "which a store does not follow; put the file itself there"
NEWER = "a newer nbtool wrote it; update nbtool"
SHA256 = re.compile(r"[0-9a-f]{64}")
FIELDS = frozenset({"schema", "key", "recipe", "provenance", "png_sha256", "inputs"})
_WRONG = (KeyError, TypeError, AttributeError, RecipeError)  # what a field that is wrong raises


def check_key(key: object) -> None:
    """Refuses what can be the key of no image.

    Raises:
        StoreError: It is no text.
    """
    if not isinstance(key, str):
        raise StoreError(
            f"a store is asked by an image's key, such as image.recipe.key, got {shown(key)}"
        )


class UnusableError(Exception):
    """A stored file cannot be used, and is left as it is; the message says why."""


class LinkedError(UnusableError):
    """Because it is a symbolic link."""


class DamagedError(UnusableError):
    """A stored file is not what was written; the message says how.

    Attributes:
        seen: The files to be set aside, and what they held; None of one that was missed.
    """

    def __init__(self, reason: str, seen: Mapping[Path, bytes | None]) -> None:
        super().__init__(reason)
        self.seen = dict(seen)


class Record(NamedTuple):
    """What a store says of an image."""

    recipe: Recipe
    provenance: Provenance
    png_sha256: str
    schema: int
    data: bytes  # the file's
    inputs: Mapping[str, Any] = {}  # what is known of the pictures it was made from, by hash


def read(path: Path, what: str = "its JSON") -> bytes:
    """A file's bytes. A drive that stumbles is asked once more.

    Raises:
        FileNotFoundError: It is not there.
        UnusableError: It cannot be read.
    """
    with contextlib.suppress(OSError):
        return files.read(path)
    try:
        return files.read(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(*error.args) from None
    except OSError as error:
        raise (_linked(what) if error.errno == errno.ELOOP else _unreadable(what, error)) from None


def size(path: Path, what: str) -> int:
    """A file's size, without a look into it; 0 where it is not there.

    Raises:
        UnusableError: It is a link, or cannot be looked at.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise _unreadable(what, error) from None
    if stat.S_ISLNK(found.st_mode):
        raise _linked(what)
    return found.st_size


def _linked(what: str) -> LinkedError:
    return LinkedError(f"{what} is a symbolic link, {NOT_FOLLOWED}")


def _unreadable(what: str, error: OSError) -> UnusableError:
    reason = f"{what} cannot be read now ({files.why(error)}) and is left as it is; try again"
    return UnusableError(reason)


def fields(path: Path, data: bytes) -> dict[str, Any]:
    """What the bytes of a JSON file say.

    Raises:
        DamagedError: They are no JSON.
    """
    try:
        return metadata.strict_json(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, MetadataError) as error:
        raise DamagedError(f"its JSON cannot be read ({error})", {path: data}) from None


def text(said: Mapping[str, Any]) -> bytes:
    """The bytes of a JSON file."""
    text = json.dumps(said, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii")


def record(path: Path) -> Record:
    """What a store says of an image, as far as this version knows it.

    Raises:
        FileNotFoundError: It is not there.
        DamagedError: It is not what was written.
        UnusableError: It cannot be read now, or by a newer nbtool only.
    """
    data = read(path)
    said = fields(path, data)
    newer = _is_newer(said)
    try:
        found = _understood(said, data)
        if newer and found.recipe.seed is None:
            raise RecipeError("without a seed")
    except _WRONG as error:
        if newer or _is_whole(path, said):
            reason = str(error).partition(";")[0]  # without what one could have meant
            raise UnusableError(f"{NEWER} ({reason})") from None
        raise DamagedError(f"its JSON cannot be used ({error})", {path: data}) from None
    if not newer and not found.recipe.key.startswith(path.stem):
        raise DamagedError("its recipe is not the one its name stands for", {path: data})
    return found


def needs_newer(said: Mapping[str, Any]) -> bool:
    """Whether a file asks for a reader that knows more."""
    schema = said.get("schema", SCHEMA)
    return not isinstance(schema, int) or schema > SCHEMA


def unknown(said: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """What this version does not know."""
    return {name: value for name, value in said.items() if name not in known}


def _is_newer(said: Mapping[str, Any]) -> bool:
    recipe, provenance = said.get("recipe"), said.get("provenance")
    return (
        needs_newer(said)
        or bool(unknown(said, FIELDS))
        or (isinstance(recipe, dict) and bool(unknown(recipe, PARAMETERS)))
        or (isinstance(provenance, dict) and bool(unknown(provenance, KINDS)))
    )


def _understood(said: Mapping[str, Any], data: bytes) -> Record:
    """The record, of fields that may be anything."""
    recipe = Recipe.from_record(said["recipe"])
    provenance = Provenance.from_dict(said["provenance"])
    digest, schema = said["png_sha256"], said["schema"]
    if not SHA256.fullmatch(digest):
        raise RecipeError("no hash")
    if not isinstance(schema, int):
        raise RecipeError(f"the schema number {shown(schema)}")
    inputs = said.get("inputs", {})
    if not isinstance(inputs, dict):
        raise RecipeError("no inputs")
    return Record(recipe, provenance, digest, schema, data, inputs)


def _is_whole(path: Path, said: Mapping[str, Any]) -> bool:
    """Whether the recipe is what was written, and the image known by its hash.

    Then what is not understood is a newer one's, a scheduler for example that is unheard of here.
    """
    recipe, digest = said.get("recipe"), said.get("png_sha256")
    named = isinstance(recipe, dict) and key_of(recipe).startswith(path.stem)
    return named and isinstance(digest, str) and bool(SHA256.fullmatch(digest))
