"""Images and grids written to files; the path says as what."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from nbtool import files
from nbtool._version import __version__
from nbtool.errors import RecipeError
from nbtool.recipes.origins import behind
from nbtool.recipes.recipe import beside
from nbtool.results.image import FORMATS, GeneratedImage
from nbtool.results.names import NUMBERED, SUGGESTED, Names, Pattern
from nbtool.text import count, shown, warn

if TYPE_CHECKING:
    from nbtool.results.labelled import Labelled

_QUALITY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 92, "subsampling": 0},
    "WEBP": {"quality": 92},
}
SEVERAL = (".zip",)  # files of images
SEPARATORS = tuple(filter(None, (os.sep, os.altsep)))


class Way(NamedTuple):
    """How something is written.

    Attributes:
        suffix: As what; "" for a folder of images.
        names: What the files of images are called.
        metadata: Whether recipes are inside.
        inputs: Whether the pictures are there too that images were made from.
    """

    suffix: str
    names: Pattern
    metadata: bool
    inputs: bool = False


Named = tuple[GeneratedImage, dict[str, str]]  # with what fills its name besides its recipe
Writer = Callable[["Labelled", IO[bytes], Way], None]


def save(
    grid: Labelled,
    path: str | os.PathLike[str],
    *,
    names: str | None = None,
    metadata: bool = True,
    inputs: bool | None = None,
) -> Path:
    """Writes the grid and returns the path; `Grid.save` says as what.

    Raises:
        RecipeError: Grids are not saved as such, or `names` is no pattern.
        StoreError: The file cannot be written.
    """
    way = _way(path, names, [*grid.words, *grid.axes], metadata=metadata)
    if not names and metadata:
        way = way._replace(names=Pattern.of_axes(grid.axes))
    way = _with_inputs(way, list(grid), inputs, depth=5)
    path = files.expanded(path)
    if not way.suffix:
        _write_folder(_named(grid), path, way)
        return path
    with files.explained(f"write {path}"), files.writing(files.target(path)) as file:
        WRITERS[way.suffix](grid, file, way)
    return path


def save_images(
    images: GeneratedImage | Iterable[GeneratedImage],
    path: str | os.PathLike[str],
    *,
    names: str | None = None,
    metadata: bool = True,
    inputs: bool | None = None,
) -> Path:
    """Writes images into a folder or a .zip file; returns its path.

        nbtool.save(store.find(starred=True), "for-anna/", names="{date}-{prompt:30}-{seed}")

    What lies in a folder stays: a name that is taken is counted up.

    Args:
        images: An image or a list of them, what a store found, or a grid.
        path: The folder, which is made in one that is there, or a file that ends in .zip.
        names: A pattern. In braces stand any parameter, `date`, `time`, `key` or `index`, and
            `{prompt:30}` is cut to a length, between words. With .jpg or .webp at its end, images
            are saved as such; else as .png.
        metadata: False writes pixels alone, without the recipes.
        inputs: Whether the pictures go along that images were made from. None: into a folder, but
            not into a .zip file, which is for others; that is said.

    Raises:
        RecipeError: It is no such path or pattern, or something is no image.
        StoreError: An image cannot be read, or a file not be written.
    """
    way = _way(path, names, metadata=metadata, kinds=SEVERAL)
    found: list[Named] = []
    for image in [images] if isinstance(images, GeneratedImage) else images:
        if not isinstance(image, GeneratedImage):
            raise RecipeError(f"images are saved, got {shown(image)}")
        found.append((image, {}))
    way = _with_inputs(way, [image for image, _ in found], inputs, depth=4)
    path = files.expanded(path)
    if not way.suffix:
        _write_folder(found, path, way)
        return path
    with (
        files.explained(f"write {path}"),
        files.writing(files.target(path)) as file,
        zipfile.ZipFile(file, "w") as archive,
    ):
        taken = Names()
        for stem, data, left in _files(found, way):
            _write_entry(archive, taken.give(stem, way.names.suffix), data, left)
    return path


def check(
    path: str | os.PathLike[str],
    names: str | None = None,
    words: Iterable[str] = (),
    kinds: Collection[str] | None = None,
) -> None:
    """Tells before there is anything to save whether it could be saved there.

    Args:
        path: Where.
        names: The pattern, if there is one.
        words: The names of axes and words that there will be.
        kinds: The suffixes that there are; None: those of a grid.

    Raises:
        RecipeError: It is not saved as such, or under such names.
        StoreError: It cannot be written.
    """
    way = _way(path, names, words, kinds=kinds)
    path = files.expanded(path)
    if way.suffix:
        files.check(path)
    else:
        with files.explained(f"write {path}"):
            there = path.exists()
            if there and not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            files.write(path / ".nbtool" if there else path, b"", keep=False)


def is_one_picture(path: str | os.PathLike[str]) -> bool:
    """Whether what is written there is one picture, and no images with names of their own."""
    return files.expanded(path).suffix.lower() in FORMATS | FIGURES


def _way(
    path: str | os.PathLike[str],
    names: str | None,
    words: Iterable[str] = (),
    *,
    metadata: bool = True,
    kinds: Collection[str] | None = None,
) -> Way:
    pattern = Pattern((SUGGESTED if metadata else NUMBERED) if names is None else names, words)
    named = files.expanded(path)
    suffix, text = named.suffix.lower(), os.fsdecode(path)
    known = WRITERS if kinds is None else kinds
    if suffix not in known:
        # "stars" alone may be a slip, where a grid has a single file as well.
        meant = not suffix and (names is not None or kinds is not None)
        with files.explained(f"write {named}"):
            is_folder = text and (text.endswith(SEPARATORS) or meant or named.is_dir())
        if is_folder:
            return Way("", pattern, metadata)
        raise RecipeError(
            f"{'a grid is' if kinds is None else 'images are'} saved as a folder (pictures/), "
            f"{', '.join(known)}; got {named.name!r}"
        )
    if names is not None and is_one_picture(path):
        raise RecipeError(
            f"names are for images in a folder, .zip or .html; {named.name} is one picture"
        )
    return Way(suffix, pattern, metadata)


def _with_inputs(
    way: Way, images: Sequence[GeneratedImage], inputs: bool | None, depth: int
) -> Way:
    """The same with or without input pictures: what is to be shared has none unless asked for."""
    if way.suffix in FORMATS | FIGURES:  # small, at the labels of pictures
        return way._replace(inputs=inputs is not False)
    made_from = sum(any(behind(image.recipe, deep=False)) for image in images)
    if not way.metadata or not made_from:
        return way
    if inputs is None and way.suffix:
        were = "was" if made_from == 1 else "were"
        left = f"the pictures that {count(made_from, 'image')} {were} made from are left out"
        warn(
            f"{left}; inputs=True takes them along",
            stacklevel=depth,
            in_shell=f"{left}; --inputs takes them along",
        )
    return way._replace(inputs=not way.suffix if inputs is None else inputs)


def _named(grid: Labelled) -> list[Named]:
    cells = ((grid.cell(index), grid.words | grid.texts(index)) for index in grid.indices())
    return [(cell, words) for cell, words in cells if isinstance(cell, GeneratedImage)]


def _files(found: Sequence[Named], way: Way) -> Iterator[tuple[str, bytes, dict[str, bytes]]]:
    """The name without its suffix and the bytes of each image, one after the other.

    And the pictures by their hashes that lie beside it.
    """
    format = FORMATS[way.names.suffix.lower()]
    for index, (image, words) in enumerate(found, 1):
        stem = way.names.stem_of(image, words, index=index, of=len(found))
        yield stem, *image.packed(format, metadata=way.metadata, inputs=way.inputs)


def _write_folder(found: Sequence[Named], folder: Path, way: Way) -> None:
    with files.explained(f"write {folder}"):
        folder.mkdir(exist_ok=True)
        names = Names(os.listdir(folder))
        for stem, data, left in _files(found, way):
            path = _write_new(folder, stem, way.names.suffix, data, names)
            for digest, picture in left.items():
                files.write(beside(path, digest), picture)


def _write_new(folder: Path, stem: str, suffix: str, data: bytes, names: Names) -> Path:
    """Writes a file under the first name that is free, also while others write there."""
    while True:
        try:
            files.write(path := folder / names.give(stem, suffix), data, new=True)
        except FileExistsError:
            continue
        return path


def _write_entry(
    archive: zipfile.ZipFile, name: str, data: bytes, left: Mapping[str, bytes]
) -> None:
    """Writes a file into an archive, and what lies beside it."""
    archive.writestr(_entry(name), data)
    for digest, picture in left.items():
        archive.writestr(_entry(beside(Path(name), digest).name), picture)


def _write_sheet(grid: Labelled, file: IO[bytes], way: Way) -> None:
    from nbtool.display.sheet import contact_sheet

    kind = FORMATS[way.suffix]
    contact_sheet(grid, inputs=way.inputs).save(file, kind, **_QUALITY.get(kind, {}))


def _write_page(grid: Labelled, file: IO[bytes], way: Way) -> None:
    from nbtool.display.page import page

    text = page(grid, way.names, metadata=way.metadata, inputs=way.inputs)
    file.write(text.encode("utf-8"))


def _write_figure(grid: Labelled, file: IO[bytes], way: Way) -> None:
    from nbtool.display.figure import figure, save_figure

    drawn = figure(grid, metadata=way.metadata, inputs=way.inputs)
    save_figure(drawn, file, format=way.suffix[1:], metadata=way.metadata)


def _write_zip(grid: Labelled, file: IO[bytes], way: Way) -> None:
    """Images one after the other, uncompressed since PNG is; the manifest last.

    Without metadata there is none: it is nothing else.
    """
    names = Names(["manifest.json"])
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
        written = _files(_named(grid), way)
        for index in grid.indices():
            cell = grid.cell(index)
            labels = grid.labels(index)
            if isinstance(cell, GeneratedImage):
                stem, data, left = next(written)
                name = names.give(stem, way.names.suffix)
                _write_entry(archive, name, data, left)
                made = {"recipe": cell.recipe.to_dict(), "provenance": cell.provenance.to_dict()}
                manifest["images"].append({"labels": labels, "file": name} | made)
            elif cell is not None:
                manifest["failed"].append({"labels": labels, "error": str(cell)})
            else:
                manifest["missing"].append({"labels": labels})
        if way.metadata:
            text = json.dumps(manifest, indent=2, ensure_ascii=True, default=str)
            archive.writestr(_entry("manifest.json"), text, zipfile.ZIP_DEFLATED)


def _entry(name: str) -> zipfile.ZipInfo:
    """A member with one date for all, so that equal grids give equal files."""
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o644 << 16
    return entry


FIGURES: dict[str, Writer] = {".pdf": _write_figure, ".svg": _write_figure}
WRITERS: dict[str, Writer] = {
    **dict.fromkeys(FORMATS, _write_sheet),
    ".html": _write_page,
    **FIGURES,
    ".zip": _write_zip,
}
