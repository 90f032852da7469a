"""A grid written to a file; the suffix says as what."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nbtool import files
from nbtool._version import __version__
from nbtool.display import faces
from nbtool.errors import RecipeError
from nbtool.results.image import FORMATS, GeneratedImage

if TYPE_CHECKING:
    from nbtool.results.labelled import Labelled

Writer = Callable[["Labelled", IO[bytes], str], None]

_QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 92, "subsampling": 0},
    "WEBP": {"quality": 92},
}


def save(grid: Labelled, path: str | os.PathLike[str]) -> Path:
    """Writes the grid and returns the path; an existing file is replaced once all is written.

    .png, .jpg, .jpeg, .webp: the contact sheet. .html: the page. .pdf, .svg: the figure. .zip:
    every image as a PNG file, and manifest.json. `~` is the home folder.

    Raises:
        RecipeError: The suffix is none of these.
        StoreError: The file cannot be written.
    """
    path = files.expanded(path)
    write = _writer(path)
    with files.explained(f"write {path}"), files.writing(files.target(path)) as file:
        write(grid, file, path.suffix.lower())
    return path


def check(path: Path) -> None:
    """Tells before there is anything to save whether it could be saved there.

    Raises:
        RecipeError: Grids are not saved as files of this suffix.
        StoreError: The file cannot be written.
    """
    _writer(path)
    files.check(path)


def _writer(path: Path) -> Writer:
    if write := WRITERS.get(path.suffix.lower()):
        return write
    raise RecipeError(f"a grid is saved as {', '.join(WRITERS)}; got {path.name!r}")


def _write_sheet(grid: Labelled, file: IO[bytes], suffix: str) -> None:
    from nbtool.display.sheet import contact_sheet

    kind = FORMATS[suffix]
    contact_sheet(grid).save(file, kind, **_QUALITY.get(kind, {}))


def _write_page(grid: Labelled, file: IO[bytes], _: str) -> None:
    from nbtool.display.page import page

    file.write(page(grid).encode("utf-8"))


def _write_figure(grid: Labelled, file: IO[bytes], suffix: str) -> None:
    from nbtool.display.figure import figure, save_figure

    save_figure(figure(grid), file, format=suffix[1:])


def _write_zip(grid: Labelled, file: IO[bytes], _: str) -> None:
    """Images one after the other, uncompressed since PNG is; the manifest last."""
    names: set[str] = set()
    manifest: dict[str, Any] = {
        "schema": 1,
        "nbtool": __version__,
        "title": grid.title,
        "axes": [{"name": name, "labels": labels} for name, labels in grid.axes.items()],
        "images": [],
        "failed": [],
        "missing": [],
    }
    with zipfile.ZipFile(file, "w") as archive:
        for index in grid.indices():
            cell = grid.cell(index)
            labels = grid.labels(index)
            if isinstance(cell, GeneratedImage):
                name = _unique(faces.file_stem(grid.texts(index)), names) + ".png"
                archive.writestr(_entry(name), cell.png)
                made = {"recipe": cell.recipe.to_dict(), "provenance": cell.provenance.to_dict()}
                manifest["images"].append({"labels": labels, "file": name} | made)
            elif cell is not None:
                manifest["failed"].append({"labels": labels, "error": str(cell)})
            else:
                manifest["missing"].append({"labels": labels})
        text = json.dumps(manifest, indent=2, ensure_ascii=True, default=str)
        archive.writestr(_entry("manifest.json"), text, zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    """A member with one date for all, so that equal grids give equal files."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o644 << 16
    return entry


def _unique(stem: str, names: set[str]) -> str:
    """The stem, with a number where a file system that ignores case has it already."""
    name, number = stem, 1
    while name.lower() in names:
        number += 1
        name = f"{stem}-{number}"
    names.add(name.lower())
    return name


WRITERS: dict[str, Writer] = {
    **dict.fromkeys(FORMATS, _write_sheet),
    ".html": _write_page,
    ".pdf": _write_figure,
    ".svg": _write_figure,
    ".zip": _write_zip,
}
