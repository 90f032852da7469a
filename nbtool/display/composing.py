"""Where everything on a contact sheet goes; the sheet and the figure only draw it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nbtool.display import faces, fonts
from nbtool.display.heads import Heads
from nbtool.display.layout import BETWEEN, WRAP, Block, Layout
from nbtool.display.lettering import LINE, drawable, fitted, told_apart, width, wrapped
from nbtool.results.image import settings
from nbtool.text import count, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from PIL.Image import Image

    from nbtool.recipes.axes import Index
    from nbtool.results.labelled import Cell, Labelled

INK, QUIET, ALERT = "#1f1f1f", "#757575", "#a33b32"
SCREEN = (16, 10)  # the shape that blocks are put side by side for
TINY = 24  # a cell narrower than this shows nothing
HEAD = 0.4  # of a cell's shorter side is the height of a picture at a label
SPELLED = "No font of this machine has the letters written as \\u…; Noto Sans may have them."


Seen = tuple[float, float, "Image"]  # how wide and high a picture is shown at a label


@dataclass(frozen=True)
class Limits:
    """How large a sheet may become, and its letters, in its own unit."""

    side: float
    area: float
    cells: int
    letters: tuple[float, float]


@dataclass(frozen=True)
class Text:
    """A line of text; `y` is its baseline, `align` where `x` is: left, center or right."""

    x: float
    y: float
    text: str
    size: float
    colour: str = INK
    align: str = "left"


@dataclass(frozen=True)
class Place:
    """Where the picture of a cell goes, and the size of its letters if there is none."""

    x: float
    y: float
    width: float
    height: float
    index: Index
    letters: float


@dataclass(frozen=True)
class Head:
    """Where a picture stands at a label."""

    x: float
    y: float
    width: float
    height: float
    picture: Image


@dataclass
class Sheet:
    """A composed sheet: its size, the scale of the pictures, and what is where."""

    scale: float
    width: float = 0
    height: float = 0
    texts: list[Text] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    heads: list[Head] = field(default_factory=list)


def compose(
    grid: Labelled, layout: Layout, cell: tuple[int, int], scale: float, limits: Limits, *,
    metadata: bool = True, inputs: bool = True,
) -> Sheet:  # fmt: skip
    """The grid placed with cells of `cell` × `scale`, or of the smaller scale the limits allow.

    Where cells would be too small to see, the first ones are shown. Without metadata it has
    neither its prompt above nor its settings below; without inputs no pictures at labels.
    """
    small = Heads(grid) if inputs else None
    title = grid.title if metadata else ""
    footer = " · ".join(settings(faces.shared(grid))) if metadata else ""
    shown, current = limits.cells, scale
    while True:
        wrap = max(WRAP, math.isqrt(min(shown, math.prod(grid.shape))))
        blocks = layout.shown(shown, wrap=wrap)
        size = (cell[0] * current, cell[1] * current)
        sheet = _Composer(layout, blocks, size, limits, small).compose(grid, title, footer, current)
        fit = min(
            limits.side / max(sheet.width, sheet.height),
            math.sqrt(limits.area / (sheet.width * sheet.height)),
        )
        if fit >= 1 or shown == 1:
            return sheet
        if max(size) * fit > TINY:
            current *= fit * 0.98
        else:
            shown, current = max(1, shown // 2), scale


def placard(place: Place, cell: Cell | None) -> Iterator[Text]:
    """The words that stand in the place of a picture."""
    size = place.letters * 0.85
    room = place.width - size
    middle = place.x + place.width / 2
    if cell is None:
        if width(faces.NOT_MADE, size) <= room:
            y = place.y + place.height / 2 + size * 0.35
            yield Text(middle, y, faces.NOT_MADE, size, QUIET, "center")
        return
    lines = max(0, int((place.height - size) / (size * LINE)) - 1)
    reason = wrapped(faces.reason(cell), size, room, lines) if lines and room > 2 * size else []
    y = place.y + (place.height - len(reason) * size * LINE) / 2 + size * 0.35
    yield Text(middle, y, fitted("failed", size, room), size, ALERT, "center")
    for number, line in enumerate(reason, start=1):
        yield Text(middle, y + number * size * LINE, line, size, QUIET, "center")


def _lines_of(
    texts: Iterable[str], size: float, room: float, lines: int
) -> dict[str, tuple[str, ...]]:
    """The texts on so many lines at most, no two alike."""
    return told_apart(texts, lambda text: tuple(wrapped(text, size, room, lines)))


def _headings(blocks: Sequence[Block], size: float, room: float) -> dict[str, tuple[str, ...]]:
    """What stands above blocks, on two lines at most: all go on after the same axis if they can."""
    for first in range(max(len(block.said) for block in blocks), 0, -1):
        lines = {
            block.heading: tuple(
                drawable(BETWEEN.join(said))
                for said in (block.said[:first], block.said[first:])
                if said
            )
            for block in blocks
        }
        if all(width(line, size) <= room for line in itertools.chain(*lines.values())):
            return lines
    return _lines_of((block.heading for block in blocks), size, room, 2)


class _Composer:
    """Goes down the page and notes what is where."""

    def __init__(
        self, layout: Layout, blocks: Sequence[Block], cell: tuple[float, float], limits: Limits,
        small: Heads | None,
    ) -> None:  # fmt: skip
        low, high = limits.letters
        self.letters = min(high, max(low, cell[0] / 9))
        self.layout = layout
        self.blocks = blocks
        self.cell = cell
        self.small = small
        self.head = min(cell) * HEAD
        self.gap = min(self.letters * 0.7, max(1.0, cell[0] * 0.06))
        self.margin = self.letters * 2
        self.rows = layout.labels(layout.rows)
        self.cols = layout.labels(layout.cols)
        self.row_name = layout.called(layout.rows)
        self.row_room = self._row_room()
        step = self.letters * LINE
        self.row_height = max(cell[1], step if layout.rows else 0)
        rows = dict.fromkeys(self.rows[row] for block in blocks for row in block.rows)
        cols = dict.fromkeys(self.cols[col] for block in blocks for col in block.cols)
        lines = max(1, int(self.row_height / step))
        self.row_lines = _lines_of(rows, self.letters, self.row_room + 1, lines)
        self.col_lines = _lines_of(cols, self.letters, cell[0] + self.gap * 0.4, 3)
        rows_seen = (self._seen(layout.rows, row) for row in blocks[0].rows)
        self.beside = max(
            (wide + self.letters * 0.7 for wide, _, _ in filter(None, rows_seen)), default=0
        )
        self.side = self.row_room + self.letters + self.beside if layout.rows else 0
        columns = max(len(block.cols) for block in blocks)
        self.block_room = self.side + columns * (cell[0] + self.gap) - self.gap
        self.apart = self.letters * 3
        self.per_line = self._per_line()
        self.room = max(self._wide(self.per_line), self.letters * 24)
        self.left = self.margin
        self.y = self.margin
        self.texts: list[Text] = []
        self.places: list[Place] = []
        self.heads: list[Head] = []

    def compose(self, grid: Labelled, title: str, footer: str, scale: float) -> Sheet:
        self._lines(wrapped(title, self.letters * 1.35, self.room, 3), self.letters * 1.35)
        size = self.letters * 1.1
        heading_room = self.block_room if self.per_line > 1 else self.room
        aside = (sum(w + self.letters for w, *_ in self._seen_above(b)) for b in self.blocks)
        heading_room -= max(aside, default=0)
        headings = _headings(self.blocks, size, heading_room)
        for start in range(0, len(self.blocks), self.per_line):
            line = self.blocks[start : start + self.per_line]
            self.y += self.letters * (1.2 if line[0].heading else 0.6)
            high = max(len(headings[block.heading]) for block in line)
            self._side_by_side(line, headings, size, high, first=start == 0)
        self.y += self.letters * 0.8
        if hidden := math.prod(grid.shape) - len(self.places):
            more = f"… and {count(hidden, 'more cell')} without room on this sheet"
            self._lines([fitted(more, self.letters, self.room)], self.letters)
        size = self.letters * 0.85
        self._lines(wrapped(footer, size, self.room, 3), size, QUIET)
        reasons = (faces.reason(grid.cell(place.index)) for place in self.places)
        names = (self.layout.rows or "", self.layout.cols or "")
        words = [title, footer, *headings, *names, *self.rows, *self.cols, *reasons]
        if fonts.missing(printable("".join(words))):
            self._lines(wrapped(SPELLED, size, self.room, 3), size, QUIET)
        full = self.room + 2 * self.margin
        return Sheet(scale, full, self.y + self.margin * 0.8, self.texts, self.places, self.heads)

    def _side_by_side(
        self,
        blocks: Sequence[Block],
        headings: Mapping[str, Sequence[str]],
        size: float,
        high: int,
        *,
        first: bool,
    ) -> None:
        """A line of blocks, each with its heading, of `high` lines at most, and its axes named."""
        top = self.y
        pictures = [tall for block in blocks for _, tall, _ in self._seen_above(block)]
        room = max([high * size * LINE, *pictures])
        for number, block in enumerate(blocks):
            self.left = self.margin + number * (self.block_room + self.apart)
            self.y = top
            if block.heading:
                self._heading(block, headings[block.heading], size, room)
            self.left += self.side
            self._header(block, named=first or bool(block.heading))
            for row in block.rows:
                self._row(block, row)
        self.left = self.margin

    def _heading(self, block: Block, lines: Sequence[str], size: float, room: float) -> None:
        """The lines above a block, beside the pictures of its section."""
        left, bottom = self.left, self.y + room
        for wide, tall, picture in self._seen_above(block):
            self.heads.append(Head(self.left, bottom - tall, wide, tall, picture))
            self.left += wide + self.letters * 0.7
        if self.left > left:
            self.y = bottom - len(lines) * size * LINE
        self._lines(lines, size)
        self.left, self.y = left, bottom + self.letters * 0.3

    def _seen_above(self, block: Block) -> list[Seen]:
        """The pictures of a block's section."""
        seen = (self._seen(name, place) for name, place in block.section.items())
        return list(filter(None, seen))

    def _seen(self, name: str | None, position: int) -> Seen | None:
        """The picture at a label, and how wide and high it is shown; None if there is none."""
        picture = self.small and self.small.at(name, position)
        if not picture:
            return None
        scale = min(self.head / picture.height, self.cell[0] / picture.width)
        return picture.width * scale, picture.height * scale, picture

    def _per_line(self) -> int:
        """How many blocks stand side by side: as they are largest on a screen and leave no gaps.

        A line holds whole turns of the axis that changes from block to block, or even parts of one.
        """
        inner = len(self.layout.axes[self.layout.sections[-1]]) if self.layout.sections else 0
        whole = len(self.layout.sections) > 1
        rows = max(len(block.rows) for block in self.blocks)
        high = self.letters * 6 + rows * (self.row_height + self.gap)

        def size_on_screen(count: int) -> float:
            lines = math.ceil(len(self.blocks) / count)
            filled = len(self.blocks) / (lines * count)
            return filled * min(SCREEN[0] / self._wide(count), SCREEN[1] / (lines * high))

        counts = range(1, len(self.blocks) + 1 if inner else 2)
        even = [n for n in counts if not whole or inner % n == 0 or n % inner == 0]
        return max(even, key=size_on_screen)

    def _wide(self, count: int) -> float:
        return count * (self.block_room + self.apart) - self.apart

    def _row_room(self) -> float:
        shown = [self.rows[row] for row in self.blocks[0].rows]
        texts = (drawable(text[:200]) for text in [*shown, self.row_name])
        widest = max(width(text, self.letters) for text in texts)
        return min(widest, self.letters * 12)

    def _lines(self, lines: Sequence[str], size: float, colour: str = INK) -> None:
        for line in lines:
            self.texts.append(Text(self.left, self.y + size, line, size, colour))
            self.y += size * LINE

    def _header(self, block: Block, *, named: bool) -> None:
        """The labels across, their last lines side by side, and the names of the axes."""
        size, step = self.letters, self.letters * LINE
        if self.layout.cols and named:
            name = fitted(self.layout.called(self.layout.cols), size, self.block_room - self.side)
            self.texts.append(Text(self.left, self.y + size, name, size, QUIET))
            self.y += step * 1.1
        seen = [self._seen(self.layout.cols, col) for col in block.cols]
        near = size * 0.3
        self.y += max((tall + near for _, tall, _ in filter(None, seen)), default=0)
        labels = [self.col_lines[self.cols[col]] for col in block.cols]
        height = max(len(lines) for lines in labels) if self.layout.cols else 0
        height = max(height, 1 if self.row_name else 0)
        for column, lines in enumerate(labels):
            middle = self.left + column * (self.cell[0] + self.gap) + self.cell[0] / 2
            top = self.y + (height - len(lines)) * step
            for number, line in enumerate(lines):
                y = top + size + number * step
                self.texts.append(Text(middle, y, line, size, INK, "center"))
            if found := seen[column]:
                wide, tall, picture = found
                self.heads.append(Head(middle - wide / 2, top - near - tall, wide, tall, picture))
        if self.row_name:
            name = fitted(self.row_name, size, self.row_room)
            y = self.y + (height - 1) * step + size
            x = self.left - size - self.beside
            self.texts.append(Text(x, y, name, size, QUIET, "right"))
        self.y += height * step + (size * 0.25 if height else 0)

    def _row(self, block: Block, row: int) -> None:
        size, step, height = self.letters, self.letters * LINE, self.row_height
        lines = self.row_lines[self.rows[row]]
        first = self.y + (height - len(lines) * step) / 2 + size
        for number, line in enumerate(lines):
            y = first + number * step
            x = self.left - size - self.beside
            self.texts.append(Text(x, y, line, size, INK, "right"))
        if found := self._seen(self.layout.rows, row):
            wide, tall, picture = found
            x, y = self.left - size - wide, self.y + (height - tall) / 2
            self.heads.append(Head(x, y, wide, tall, picture))
        for column, col in enumerate(block.cols):
            x = self.left + column * (self.cell[0] + self.gap)
            y = self.y + (height - self.cell[1]) / 2
            index = self.layout.index(block, row, col)
            self.places.append(Place(x, y, *self.cell, index, size))
        self.y += height + self.gap
