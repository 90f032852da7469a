"""Which axis goes down, which across, and which become sections. Shared by every static view."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nbtool.errors import AxisError, unknown_name
from nbtool.recipes.axes import Index
from nbtool.recipes.labels import named, shown
from nbtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nbtool.recipes.axis import Axis

BETWEEN = " · "  # what several axes say of one thing
WRAP = 10  # more pictures than this on a single axis go on several lines


@dataclass(frozen=True)
class Block:
    """A table of pictures: one section of the grid, or one line of a wrapped axis.

    Attributes:
        said: What each axis of sections says of it.
        section: Its positions on them, by name.
        rows: The positions on the axis that goes down.
        cols: Those on the one across.
    """

    said: tuple[str, ...]
    section: Mapping[str, int]
    rows: Sequence[int]
    cols: Sequence[int]

    @property
    def heading(self) -> str:
        """On one line; "" where the grid has no sections."""
        return BETWEEN.join(self.said)


@dataclass(frozen=True)
class Layout:
    """An arrangement of labelled axes: by name, `rows` down, `cols` across, the rest sections."""

    axes: Mapping[str, tuple[Any, ...]]
    rows: str | None
    cols: str | None
    sections: tuple[str, ...]
    swept: tuple[Axis, ...] = ()

    def called(self, name: str | None) -> str:
        """What an axis is called wherever people see it."""
        if name is None:
            return ""
        return self._swept[name].called if name in self._swept else printable(name)

    def caption(self, name: str, position: int) -> str:
        """What an axis says of a position: "Guidance 5"."""
        if name in self._swept:
            return self._swept[name].captions[position]
        return f"{printable(name)} {self._texts[name][position]}"

    def labels(self, name: str | None) -> list[str]:
        """The labels of an axis as text; of no axis: one that is empty."""
        return [""] if name is None else list(self._texts[name])

    def index(self, block: Block, row: int, col: int) -> Index:
        """The grid's index of the cell at a row and a column of a block."""
        return tuple(
            row if name == self.rows else col if name == self.cols else block.section[name]
            for name in self.axes
        )

    def blocks(self, *, wrap: int = WRAP) -> Iterator[Block]:
        """Every block from top to bottom; a single long axis is wrapped into lines."""
        rows, cols = (range(self._length(name)) for name in (self.rows, self.cols))
        if len(self.axes) == 1 and self.cols and len(cols) > wrap:
            per_line = math.ceil(len(cols) / math.ceil(len(cols) / wrap))
            for start in cols[::per_line]:
                yield Block((), {}, rows, cols[start : start + per_line])
            return
        for places in itertools.product(*(range(self._length(name)) for name in self.sections)):
            section = dict(zip(self.sections, places, strict=True))
            said = tuple(self.caption(name, place) for name, place in section.items())
            yield Block(said, section, rows, cols)

    def shown(self, limit: int, *, wrap: int = WRAP) -> list[Block]:
        """The first blocks, cut so that they hold about `limit` cells in a compact shape."""
        height, width = self._length(self.rows), self._length(self.cols)
        width = min(width, max(math.isqrt(limit), limit // height))
        height = min(height, max(1, limit // width))
        blocks: list[Block] = []
        count = 0
        for block in self.blocks(wrap=wrap):
            cut = Block(block.said, block.section, block.rows[:height], block.cols[:width])
            count += len(cut.rows) * len(cut.cols)
            if blocks and count > limit:
                break
            blocks.append(cut)
        return blocks

    @cached_property
    def _swept(self) -> dict[str, Axis]:
        return {axis.name: axis for axis in self.swept}

    @cached_property
    def _texts(self) -> dict[str, tuple[str, ...]]:
        return {name: shown(labels) for name, labels in self.axes.items()}

    def _length(self, name: str | None) -> int:
        return 1 if name is None else len(self.axes[name])


def arrange(
    axes: Mapping[str, tuple[Any, ...]],
    rows: str | None = None,
    cols: str | None = None,
    swept: Iterable[Axis] = (),
) -> Layout:
    """The layout with the given axes down and across; by default the last two.

    Args:
        axes: The labels of each.
        rows: The name of the axis that goes down.
        cols: The name of the axis that goes across.
        swept: The same axes with what they are called.

    Raises:
        AxisError: There is no such axis, or one is asked for twice.
    """
    rows, cols = (name if name is None else _axis(name, axes) for name in (rows, cols))
    if rows is not None and rows == cols:
        raise AxisError(f"rows and cols are both {rows!r}; name two different axes")
    free = [name for name in axes if name not in (rows, cols)]
    if cols is None and free:
        cols = free.pop()
    if rows is None and free:
        rows = free.pop()
    return Layout(axes, rows, cols, tuple(free), tuple(swept))


def _axis(name: str, axes: Mapping[str, Any]) -> str:
    if (known := named(name, axes)) is None:
        raise AxisError(unknown_name(name, axes, "axis") if axes else "this grid has no axes")
    return known
