"""Every error nbtool raises on purpose.

    NbtoolError
    ├── RecipeError          a parameter is unknown, out of range or of the wrong kind
    │   └── AxisError        the axes of a sweep do not make sense
    ├── MetadataError        a file holds no recipe that can be read
    ├── ModelError           a model cannot be found or loaded
    ├── StoreError           images cannot be written or read back
    └── GenerationError      an image could not be made
        └── Cancelled        because the job was cancelled first

Messages name what went wrong, the value, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class NbtoolError(Exception):
    """The root of every error nbtool raises on purpose."""


class RecipeError(NbtoolError, ValueError):
    """A parameter is unknown, out of range or of the wrong kind."""


class AxisError(RecipeError):
    """The axes of a sweep do not make sense."""


class MetadataError(NbtoolError, ValueError):
    """A file holds no recipe that can be read."""


class ModelError(NbtoolError):
    """A model cannot be found or loaded."""


class StoreError(NbtoolError, OSError):
    """Images cannot be written or read back.

    Attributes:
        unsaved: The GeneratedImage that could not be written; set only then.
        grid: All that was made, that image included, as a Grid; set when it stopped one.
    """

    unsaved: Any
    grid: Any


class GenerationError(NbtoolError, RuntimeError):
    """An image could not be made."""


class Cancelled(GenerationError):  # noqa: N818 - it names what happened
    """The job was cancelled before this image was made."""


def unknown_name(name: str, known: Iterable[str], kind: str) -> str:
    """The message for a name that does not exist, with the nearest one that does."""
    known = sorted(known)
    having = [one for one in known if len(name) > 2 and name in one]
    near = having if len(having) == 1 else difflib.get_close_matches(name, known, n=1) or having
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f"unknown {kind} {name!r}; {hint}"
