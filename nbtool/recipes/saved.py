"""A picture that nbtool saved, and the recipe that made it, in the file or in what was opened of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtool import files, metadata
from nbtool.errors import MetadataError, log
from nbtool.imaging import reading
from nbtool.metadata.carried import Carried
from nbtool.recipes.picture import Load, Picture
from nbtool.recipes.recipe import Recipe, beside
from nbtool.silence import quiet_pillow

if TYPE_CHECKING:
    from PIL.Image import Image


def recipe_of(source: Any, found: reading.Read, digest: str) -> Recipe | None:
    """The recipe that made a picture, if nbtool saved it and its pixels are still the same.

    Another program may have changed the pixels and kept the text, or have put it into another
    picture: then it says nothing of this one.

    Args:
        source: What holds the picture: a path, a file's bytes, a PIL image or an array.
        found: What was read of it.
        digest: Of its pixels.
    """
    if found.opened is None:
        return None
    try:
        with quiet_pillow():
            said = metadata.said_by(found.opened, "the picture")
        if said.get(metadata.PIXELS) != digest:
            return None
        carried = metadata.carried_by(getattr(found.opened, "private_chunks", ()))
        places = partial(_places, held=frozenset(carried.pictures), **_where(source, carried))
        return Recipe.from_said(said, "the picture", carried.origins, places)
    except metadata.ForeignError:
        return None
    except Exception as error:  # what others have written there breaks in many ways
        log("a picture whose text is of no use", error)
        return None


def _where(source: Any, carried: Carried) -> dict[str, Any]:
    """How to have again what a picture carries, and its file; what lies there is not kept."""
    if isinstance(source, (str, os.PathLike)):
        path = files.absolute(source)
        return {"again": lambda: metadata.read_whole(path)[1], "path": path}
    name = getattr(source, "filename", "")
    return {"again": lambda: carried, "path": Path(os.fsdecode(name)) if name else None}


def _places(
    picture: Picture, held: frozenset[str], again: Callable[[], Carried], path: Path | None
) -> Iterator[Load]:
    """Where the pixels are of a picture that this one was made from."""
    if picture.digest in held:
        yield partial(_held, again, picture.digest)
    if path is not None and picture.digest:
        yield lambda: reading.read(beside(path, picture.digest)).image


def _held(again: Callable[[], Carried], digest: str) -> Image:
    data = again().pictures.get(digest)
    if data is None:
        raise MetadataError("the file that carried it is another now")
    return reading.read(data).image
