"""One self-contained offline HTML page on which a grid can be explored."""

from __future__ import annotations

import base64
import html
import io
import itertools
import json
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtool._version import __version__
from nbtool.display import faces, viewer
from nbtool.display.before import TYPE, before
from nbtool.display.details import details, request
from nbtool.display.heads import Heads
from nbtool.display.layout import Layout, arrange
from nbtool.errors import StoreError
from nbtool.results.image import GeneratedImage
from nbtool.results.names import Names, Pattern
from nbtool.text import ellipsized, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image

    from nbtool.recipes.axis import Axis
    from nbtool.results.labelled import Labelled

MAX_STORED = 150_000_000  # bytes of PNG; above, the page holds reduced copies
MAX_NOT_MADE = 1000  # cells without an image of which the page says what was asked for
MAX_PAGE = 350_000_000  # bytes of images; beyond, browsers refuse the text they become
COPIES = "The images on this page are WebP copies, to keep the page small."
NOTE = "The images on this page are WebP copies without recipes inside, to keep the page small."

TEMPLATE = Path(__file__).with_name("page.html")

Source = tuple[str, bytes]  # format and file


def page(
    grid: Labelled,
    names: Pattern | None = None,
    *,
    metadata: bool = True,
    inputs: bool = False,
) -> str:
    """The page's HTML. It holds the stored PNG files as they are, so recipes stay inside.

    If they are too large together, it holds WebP copies of the same size and says so.

    Args:
        grid: The grid.
        names: What its images are called where they are saved; None: by the axes' labels.
        metadata: False leaves out what is not seen, prompt and settings too.
        inputs: Whether the images carry the pictures that they were made from.

    Raises:
        StoreError: Even those are too large for one page.
    """
    data = viewer_data(grid, names, metadata=metadata, inputs=inputs)
    title = printable(ellipsized(data["title"], 120)) or "Images"
    generator = f'<meta name="generator" content="nbtool {html.escape(__version__)}">'
    parts = {
        "TITLE": html.escape(f"{title} – nbtool" if metadata else title),
        "GENERATOR": generator if metadata else "",
        "STYLE": viewer.style(),
        "SCRIPT": viewer.page_module(),
        "DATA": json_for_script(data),
    }
    # In one pass: what is put in is not searched again.
    return re.sub(r"@@([A-Z]+)@@", lambda match: parts[match[1]], TEMPLATE.read_text("utf-8"))


def viewer_data(
    grid: Labelled,
    names: Pattern | None = None,
    *,
    metadata: bool = True,
    inputs: bool = False,
) -> dict[str, Any]:
    """What the viewer's host.js takes: axes, a cell for each index, the images once each.

    A cell is the number of its image, the reason why it failed, or None if it was not made.
    """
    layout = arrange(grid.axes, swept=grid.swept)
    pattern = names or Pattern.of_axes(grid.axes)
    collected = partial(_collected, grid, pattern, metadata=metadata)
    try:
        stored = _carrying if inputs else _stored
        images, where = collected(stored if metadata else _bare, MAX_STORED)
        note = ""
    except _TooLargeError:
        try:
            images, where = collected(_reduced, MAX_PAGE)
            note = NOTE if metadata else COPIES
        except _TooLargeError:
            large = f"{len(grid):,} images are too large for one page; save"
            raise StoreError(
                f"{large} a part of the grid, such as grid.isel({next(iter(grid.axes))}=range(4)), "
                f"or all of it as .zip",
                in_shell=f"{large} them as a folder/ or as .zip",
            ) from None
    heads = Heads(grid) if inputs and metadata else None
    data = described(grid, layout, faces.largest(grid), heads) | {
        "summary": " · ".join(faces.summary(grid) if metadata else faces.counts(grid)),
        "note": note,
        "stars": starred(grid),
        "arrangement": grid.arrangement,
        "cells": where,
        "requests": {},
        "images": images,
        "sources": _sources(grid, images, where) if inputs and metadata else [],
    }
    if not metadata:
        return data | {"title": "Images", "version": ""}
    return data | {"requests": _requests(grid, where)}


def _requests(grid: Labelled, where: Sequence[int | str | None]) -> dict[int, dict[str, Any]]:
    """What was asked for in the cells that have no image, by number."""
    failed = {n for n, found in enumerate(where) if isinstance(found, str)}
    not_made = (n for n, found in enumerate(where) if found is None)
    wanted = failed.union(itertools.islice(not_made, MAX_NOT_MADE))
    return {n: request(grid.recipe(i)) for n, i in enumerate(grid.indices()) if n in wanted}


def described(
    grid: Labelled, layout: Layout, size: tuple[int, int], heads: Heads | None
) -> dict[str, Any]:
    """What the viewer has to know of a grid whatever is in it: title, axes and their places.

    Args:
        grid: The grid.
        layout: Its axes' places.
        size: That every picture fits into.
        heads: The pictures that stand at labels; None: nobody is to see them.
    """
    names = list(grid.axes)
    return {
        "version": __version__,
        "title": grid.title,
        "note": "",
        "axes": [_axis(axis, heads) for axis in grid.swept],
        "rows": names.index(layout.rows) if layout.rows is not None else None,
        "cols": names.index(layout.cols) if layout.cols is not None else None,
        "size": size,
    }


def _axis(axis: Axis, heads: Heads | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": printable(axis.name),
        "called": axis.called,
        "labels": list(axis.texts),
    }
    if heads and axis.name in heads:
        told["pictures"] = [_small(heads.at(axis.name, i)) for i in range(len(axis))]
    # Where the label alone does not say which number is what.
    return told | ({"captions": list(axis.captions)} if len(axis.parameters) > 1 else {})


def _small(picture: Image | None) -> str | None:
    if picture is None:
        return None
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return _address(TYPE, buffer.getvalue())


def starred(grid: Labelled) -> list[int]:
    """The starred cells, by number with the last axis fastest."""
    cells_in_order = enumerate(map(grid.cell, grid.indices()))
    return [n for n, cell in cells_in_order if isinstance(cell, GeneratedImage) and cell.starred]


def json_for_script(data: object) -> str:
    """JSON in ASCII that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate({ord(c): f"\\u{ord(c):04x}" for c in "<>&"})


class _TooLargeError(Exception):
    pass


def _collected(
    grid: Labelled, pattern: Pattern, encode: Callable[[GeneratedImage], Source], limit: int, *,
    metadata: bool,
) -> tuple[list[dict[str, Any]], list[int | str | None]]:  # fmt: skip
    images: list[dict[str, Any]] = []
    where: list[int | str | None] = []
    numbers: dict[str, int] = {}
    names = Names()
    size = 0
    for index in grid.indices():
        cell = grid.cell(index)
        if not isinstance(cell, GeneratedImage):
            why = faces.reason(cell) if metadata else str(faces.FAILED)
            where.append(None if cell is None else why)
            continue
        key = cell.recipe.key
        if key not in numbers:
            try:
                kind, data = encode(cell)
            except (OSError, SyntaxError, ValueError):
                where.append(faces.reason(cell) if metadata else str(faces.FAILED))
                continue
            size += len(data)
            if size > limit:
                raise _TooLargeError
            numbers[key] = len(images)
            words = grid.words | grid.texts(index)
            stem = pattern.stem_of(cell, words, index=len(images) + 1, of=len(grid))
            file = names.give(stem, f".{kind}")
            src = _address(f"image/{kind}", data)
            images.append(details(cell, file, metadata=metadata) | {"src": src})
        where.append(numbers[key])
    return images, where


def _sources(
    grid: Labelled, images: list[dict[str, Any]], where: list[int | str | None]
) -> list[str]:
    """What the images were made from, once each; every image is told which of them is its own."""
    sources: dict[bytes, int] = {}
    for index, number in zip(grid.indices(), where, strict=True):
        cell = grid.cell(index)
        if not isinstance(cell, GeneratedImage) or not isinstance(number, int):
            continue
        if "source" not in images[number] and (seen := before(cell)):
            source = sources.setdefault(seen.file, len(sources))
            images[number] |= {"source": source, "before": seen.words}
    return [_address(TYPE, file) for file in sources]


def _address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _stored(cell: GeneratedImage) -> Source:
    return "png", cell.png


def _carrying(cell: GeneratedImage) -> Source:
    return "png", cell.packed("PNG", metadata=True, inputs=True)[0]


def _bare(cell: GeneratedImage) -> Source:
    return "png", cell.encoded("PNG", metadata=False)


def _reduced(cell: GeneratedImage) -> Source:
    buffer = io.BytesIO()
    cell.image.save(buffer, "WEBP", quality=90)
    return "webp", buffer.getvalue()
