"""The labelled results of a sweep, looked up by label or by position."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, cast

from nbtool.errors import AxisError, Cancelled, GenerationError, StoreError, unknown_name
from nbtool.recipes.axes import Index, Sweep
from nbtool.recipes.axis import Axis
from nbtool.recipes.checks import is_bool
from nbtool.recipes.given import is_several, listed
from nbtool.recipes.labels import named
from nbtool.recipes.parameters import COMPOSED, PARAMETERS
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import GeneratedImage
from nbtool.results.origin import Origin
from nbtool.text import count, printable, shown

Cell = GeneratedImage | GenerationError
Position = int | slice | Iterable[int] | Iterable[bool]


class Labelled(Sequence[GeneratedImage]):
    """What came of a sweep, looked up by label or by position; it shows nothing.

    Iterating gives the images that were made, in the order of the axes.
    """

    def __init__(
        self,
        base: Recipe,
        axes: Sequence[Axis],
        cells: Mapping[Index, Cell],
        origin: Origin | None = None,
    ) -> None:
        self.base = base
        self._axes = tuple(axes)
        self._cells = dict(cells)
        self.origin = origin or Origin()
        self.arrangement: dict[str, Any] = {}  # as it was last laid out in the viewer

    @property
    def sweep(self) -> Sweep:
        """How it was asked for."""
        origin = self.origin
        return Sweep(self.base, self._axes, origin.words, drawn=origin.drawn, fixed=origin.fixed)

    @property
    def name(self) -> str | None:
        """The name by which it is kept in its store, and found in `store.grids`; may be set.

            grid.name = "stars"

        What is kept says which images stand where; they are in the store as they are. Another name
        takes the place of the one it had. A part of a grid has none until it is given one.

        Raises:
            RecipeError: It is no line of text of at most 100 characters.
            StoreError: Another grid has this name, there is no store, or it cannot be written.
        """
        name: str | None = self.origin.said.get("name")
        return name

    @name.setter
    def name(self, name: str) -> None:
        if self.origin.shelf is None:
            raise StoreError("this grid came of no job and no store, and so it can have no name")
        self.origin.said = self.origin.shelf.keep(self, name)

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """The labels of each axis, in the order given."""
        return {axis.name: axis.labels for axis in self._axes}

    @property
    def swept(self) -> tuple[Axis, ...]:
        """The axes with what their labels do to a recipe, and what they are called."""
        return self._axes

    @property
    def shape(self) -> Index:
        return tuple(len(axis) for axis in self._axes)

    @property
    def title(self) -> str:
        """The prompt that the cells have in common, {names} in place."""
        return self.base.prompt

    @property
    def words(self) -> dict[str, str]:
        """The words that all prompts have in common, by the {names} for which they stand."""
        words = dict(self.origin.words)
        for edit in self.origin.fixed:
            words |= edit.words
        return words

    def cell(self, index: Index) -> Cell | None:
        """What stands at a full index: an image, why it failed, or None when it was not made.

        Raises:
            AxisError: It is no index.
        """
        try:
            return self._cells.get(index)
        except TypeError:  # it cannot be hashed
            raise self._no_index(index) from None

    def fill(self, cells: Mapping[Index, Cell]) -> None:
        """Takes what came of cells later."""
        self._cells.update(cells)

    def indices(self) -> Iterator[Index]:
        """Every index, made or not, the last axis fastest."""
        return itertools.product(*map(range, self.shape))

    def labels(self, index: Index) -> dict[str, Any]:
        """The label on each axis of a full index."""
        return {axis.name: axis.labels[i] for axis, i in self._along(index)}

    def texts(self, index: Index) -> dict[str, str]:
        """The same as people read them: no two labels of an axis look alike."""
        return {axis.name: axis.texts[i] for axis, i in self._along(index)}

    def captions(self, index: Index) -> list[str]:
        """What each axis says of a full index: "Guidance 5"."""
        return [axis.captions[i] for axis, i in self._along(index)]

    def recipe(self, index: Index) -> Recipe:
        """The recipe of a cell, of one that was not made as far as the grid knows it.

        Raises:
            AxisError: It is no index.
        """
        cell = self.cell(index)
        if isinstance(cell, GeneratedImage):
            return cell.recipe
        if isinstance(cell, GenerationError) and cell.recipe is not None:
            return cast("Recipe", cell.recipe)
        return self.sweep.recipe(tuple(i for _, i in self._along(index)))

    def __iter__(self) -> Iterator[GeneratedImage]:
        cells = (self._cells.get(index) for index in self.indices())
        return (cell for cell in cells if isinstance(cell, GeneratedImage))

    def __reversed__(self) -> Iterator[GeneratedImage]:
        return reversed(list(self))

    def __len__(self) -> int:
        """How many images there are."""
        return sum(isinstance(cell, GeneratedImage) for cell in self._cells.values())

    @property
    def failed(self) -> dict[tuple[Any, ...], GenerationError]:
        """The error of each cell that failed, by its labels."""
        cells = ((index, self._cells.get(index)) for index in self.indices())
        return {
            tuple(self.labels(index).values()): cell
            for index, cell in cells
            if isinstance(cell, GenerationError)
        }

    @property
    def missing(self) -> list[tuple[Any, ...]]:
        """The labels of the cells that were not made, because of a cancel for example."""
        missing = (index for index in self.indices() if index not in self._cells)
        return [tuple(self.labels(index).values()) for index in missing]

    @property
    def starred(self) -> list[GeneratedImage]:
        """The starred images, in the order of the axes."""
        return [image for image in self if image.starred]

    def sel(self, /, **labels: Any) -> Any:
        """The image at these labels; fewer labels than axes, or lists of them: a smaller Grid.

        A label is asked for as it was given, as it is held or as it is shown. A parameter inside a
        paired axis can be named too.

        Raises:
            AxisError: There is no such axis or label.
            GenerationError: The one cell asked for failed or was not made.
        """
        return self.isel(**self._positions(labels))

    def matching(self, /, **labels: Any) -> list[Index]:
        """The indices at these labels, made or not.

        Raises:
            AxisError: There is no such axis or label.
        """
        chosen = self._chosen(self._positions(labels))
        return list(itertools.product(*([c] if isinstance(c, int) else c for c in chosen)))

    def isel(self, /, **positions: Position) -> Any:
        """The image at these positions; fewer than axes, or slices and lists: a smaller Grid.

        A list of True and False, one for each position, is a mask.

        Raises:
            AxisError: There is no such axis or position.
            GenerationError: The one cell asked for failed or was not made.
        """
        chosen = self._chosen(positions)
        kept = [isinstance(choice, list) for choice in chosen]
        if not any(kept):
            return self._image(tuple(chosen))  # type: ignore[arg-type]
        ranges = [choice if isinstance(choice, list) else [choice] for choice in chosen]
        axes = [
            Axis(axis.name, tuple(axis.labels[i] for i in c), tuple(axis.edits[i] for i in c))
            for axis, c in zip(self._axes, chosen, strict=True)
            if isinstance(c, list)
        ]
        fixed = [a.edits[c] for a, c in zip(self._axes, chosen, strict=True) if isinstance(c, int)]
        cells = {}
        for places in itertools.product(*(enumerate(r) for r in ranges)):
            old = tuple(i for _, i in places)
            if old in self._cells:
                new = tuple(n for (n, _), keep in zip(places, kept, strict=True) if keep)
                cells[new] = self._cells[old]
        origin = replace(self.origin, fixed=(*self.origin.fixed, *fixed), said={})
        return type(self)(self.base, axes, cells, origin)

    def __getitem__(self, position: Any) -> Any:
        """The images at places on the axes, as `isel` gives them; of one number alone the image.

            grid[0, 1], grid[1:3], grid[0, :]       places on the first axes
            grid[5]                                 list(grid)[5]

        Raises:
            AxisError: There is no such position.
            GenerationError: The one cell asked for failed or was not made.
        """
        if (place := _whole(position)) is not None:
            try:
                return list(self)[place]
            except IndexError:
                raise AxisError(f"no image {place} among {len(self)}") from None
        places = position if isinstance(position, tuple) else (position,)
        if len(places) > len(self._axes):
            raise AxisError(f"{len(places)} positions for {len(self._axes)} axes")
        names = (axis.name for axis in self._axes)
        return self.isel(**dict(zip(names, places, strict=False)))

    def records(self) -> list[dict[str, Any]]:
        """A flat dict for each image: labels, recipe, seconds, path; for pandas.DataFrame.

        A label stands under its axis' name. What else has that name, such as the file's path where
        a word is called so too, is then "image_path".
        """
        cells = ((self.labels(index), self._cells.get(index)) for index in self.indices())
        rows = [
            (labels, _facts(cell)) for labels, cell in cells if isinstance(cell, GeneratedImage)
        ]
        names: dict[str, str] = {}
        for labels, facts in rows:
            both = labels.keys() & facts.keys()
            apart = (n for n in both if labels[n] != facts[n])
            # A picture's label has its name in it, and its folder perhaps.
            clash = (n for n in apart if n not in COMPOSED or str(facts[n]) not in str(labels[n]))
            names |= {n: _free(n, labels) for n in clash}
        for labels, facts in rows:
            facts.update({new: facts.pop(name) for name, new in names.items()} | labels)
        return [facts for _, facts in rows]

    def __repr__(self) -> str:
        axes = " × ".join(f"{printable(axis.name)} {len(axis)}" for axis in self._axes)
        counts = [count(len(self), "image")]
        total = math.prod(self.shape)
        failed = sum(isinstance(cell, GenerationError) for cell in self._cells.values())
        counts += [f"{failed} failed"] if failed else []
        counts += [f"{total - len(self._cells)} not made"] if total > len(self._cells) else []
        said = "; ".join(filter(None, [axes, ", ".join(counts)]))
        return f"<{type(self).__name__} {self.title!r}: {said}>"

    def _image(self, index: Index) -> GeneratedImage:
        cell = self._cells.get(index)
        if isinstance(cell, GenerationError):
            raise type(cell)(*cell.args)  # a copy: a traceback on the one kept would pin memory
        if cell is None:
            labels = ", ".join(f"{name}={text}" for name, text in self.texts(index).items())
            raise Cancelled(
                f"the image at {printable(labels)} was not made; run the same grid again"
            )
        return cell

    def _positions(self, labels: Mapping[str, Any]) -> dict[str, Position]:
        positions: dict[str, Position] = {}
        for name, given in labels.items():
            axis = self._axis_with(name)
            if axis.name == named(name, [axis.name]):
                positions[axis.name] = _positions(axis, given)
            else:
                within = positions.get(axis.name, range(len(axis)))
                positions[axis.name] = _positions_within(axis, name, given, within)
        return positions

    def _chosen(self, positions: Mapping[str, Position]) -> list[int | list[int]]:
        asked: dict[str, Position] = {}
        for name, position in positions.items():
            if (known := named(name, self.axes)) is None:
                raise self._no_axis(name)
            asked[known] = position
        return [_chosen(axis, asked.get(axis.name, slice(None))) for axis in self._axes]

    def _axis_with(self, name: str) -> Axis:
        known = named(name, self.axes)
        for axis in self._axes:
            if axis.name == known:
                return axis
        for axis in self._axes:
            if name in axis.parameters:
                return axis
        raise self._no_axis(name)

    def _along(self, index: Index) -> list[tuple[Axis, int]]:
        """Every axis with the position on it.

        Raises:
            AxisError: It is no index.
        """
        try:
            places = zip(self._axes, index, strict=True)
            return [(axis, range(len(axis))[i]) for axis, i in places]
        except (TypeError, ValueError, IndexError):
            raise self._no_index(index) from None

    def _no_index(self, index: object) -> AxisError:
        shape = ", ".join(f"{printable(axis.name)} {len(axis)}" for axis in self._axes)
        return AxisError(f"an index has a place on each axis ({shape}), got {shown(index)}")

    def _no_axis(self, name: str) -> AxisError:
        return AxisError(unknown_name(name, map(printable, self.axes), "axis"))


def _facts(image: GeneratedImage) -> dict[str, Any]:
    recipe = {name: getattr(image.recipe, name) for name in PARAMETERS}
    recipe |= {n: v for n, v in image.recipe.in_words().items() if n in COMPOSED}
    return recipe | {"seconds": image.provenance.seconds, "path": str(image.path or "")}


def _free(name: str, taken: Container[str]) -> str:
    while name in taken:
        name = f"image_{name}"
    return name


def _several(axis: Axis, given: Any) -> list[Any] | None:
    """The labels of a list of them; None for a single one, as a tuple is on a paired axis."""
    single = isinstance(given, tuple) and isinstance(axis.labels[0], tuple)
    unordered = isinstance(given, (AbstractSet, Mapping))  # refused as no label
    return None if single or unordered or not is_several(given) else listed(axis.name, given)


def _positions(axis: Axis, given: Any) -> Position:
    several = _several(axis, given)
    if several is None:
        return axis.position(given)
    return [axis.position(one) for one in several]


def _positions_within(axis: Axis, parameter: str, given: Any, within: Position) -> Position:
    """Where a parameter of a paired axis has a value, among the positions chosen already."""
    allowed = [within] if isinstance(within, int) else within
    assert not isinstance(allowed, slice)
    several = listed(parameter, given) if is_several(given) else None
    values = {axis.value(parameter, one) for one in ([given] if several is None else several)}
    found = [i for i in allowed if axis.edits[i].parameters[parameter] in values]
    if not found:
        raise AxisError(f"no {parameter} {shown(given)} on the axis {axis.name!r} of this grid")
    return found[0] if len(found) == 1 and several is None else found


def _chosen(axis: Axis, position: Any) -> int | list[int]:
    places = range(len(axis))
    try:
        if isinstance(position, slice):
            return list(places[position])
        if is_several(position):
            several = listed(f"the axis {axis.name!r}", position)
            masked = [is_bool(one) for one in several]
            if several and all(masked) and len(several) == len(axis):
                return [i for i, wanted in zip(places, several, strict=True) if wanted]
            if any(masked):
                raise AxisError(
                    f"a mask for the axis {axis.name!r} is {len(axis)} times True or False, "
                    f"got {shown(position)}"
                )
            return [places[i] for i in several]
        if is_bool(position):  # equal to 0 or 1, and never meant so
            raise TypeError
        return places[operator.index(position)]
    except (IndexError, TypeError):
        raise AxisError(
            f"no position {shown(position)} on the axis {axis.name!r} of length {len(axis)}"
        ) from None


def _whole(position: Any) -> int | None:
    try:
        return None if is_bool(position) else operator.index(position)
    except TypeError:
        return None
