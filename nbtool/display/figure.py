"""The contact sheet as a matplotlib figure, with vector labels, for papers."""

from __future__ import annotations

import io
import math
import os
from typing import IO, TYPE_CHECKING, Any, Literal

from nbtool import files, silence
from nbtool.display import faces, fonts
from nbtool.display.composing import Head, Limits, Place, compose, placard
from nbtool.display.layout import arrange

with silence.importing("matplotlib"):
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from PIL.Image import Image

    from nbtool.results.labelled import Cell, Labelled

POINTS = 72  # to the inch; the unit of everything below
CELL = 96
RESOLUTION = 300  # pixels to the inch at most
MAX_PIXELS = 40_000_000  # of all pictures together; matplotlib holds them in memory
SHOWN = 4_000_000  # pixels in a notebook, at most
SHARP = 2  # pixels of it to one of the screen
LIMITS = Limits(side=10_000, area=math.inf, cells=2500, letters=(6, 9))


class _Family(str):  # noqa: SLOT000 - it has a path
    """The name of a font's family that knows the font's file."""

    path: str

    def __new__(cls, face: fonts.Face) -> _Family:  # noqa: PYI034 - Self came later
        family = super().__new__(cls, face.family)
        family.path = face.path
        return family


class _Exactly(FontProperties):
    """The very files of fonts, where matplotlib would take others of the same family."""

    def set_family(self, family: Any) -> None:  # of several, it sets one after the other
        super().set_family(family)
        self.set_file(getattr(family, "path", None))

    def __copy__(self) -> _Exactly:  # the base's own has the base's class
        new = object.__new__(_Exactly)
        vars(new).update(vars(self))
        return new


class GridFigure(Figure):
    """A matplotlib Figure that shows itself as a picture in every notebook."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (side * POINTS for side in self.get_size_inches())
        sharp = min(SHARP, math.sqrt(SHOWN / (width * height)))
        buffer = io.BytesIO()
        save_figure(self, buffer, format="png", dpi=POINTS * sharp)
        return buffer.getvalue(), {"width": round(width), "height": round(height)}


def figure(
    grid: Labelled, *, rows: str | None = None, cols: str | None = None, metadata: bool = True,
    inputs: bool = True,
) -> GridFigure:  # fmt: skip
    """The images with their labels, arranged as on the contact sheet.

    It belongs to no pyplot state; `save_figure`, or `grid.save("x.pdf")`, keeps text as text.
    Without metadata it says neither prompt nor settings, nor why a cell failed; without inputs
    there are no pictures at the labels of pictures.

    Raises:
        AxisError: There is no such axis, or one is asked for twice.
    """
    layout = arrange(grid.axes, rows, cols, grid.swept)
    cell_size = faces.largest(grid)
    scale = CELL / cell_size[0]
    sheet = compose(grid, layout, cell_size, scale, LIMITS, metadata=metadata, inputs=inputs)
    inches = (sheet.width / POINTS, sheet.height / POINTS)
    result = GridFigure(figsize=inches, facecolor="white")
    result.set_layout_engine("none")
    result.suppressComposite = True  # each picture at its own resolution
    axes = result.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.autoscale(enable=False)
    axes.set(xlim=(0, sheet.width), ylim=(sheet.height, 0))

    texts = list(sheet.texts)
    pixels_per_point = _resolution(sheet.places)
    for place in sheet.places:
        cell = grid.cell(place.index)
        picture = faces.picture(cell)
        if picture is None:
            _draw_box(axes, place, cell)
            texts.extend(placard(place, cell if metadata or cell is None else faces.FAILED))
        else:
            _draw_picture(axes, place, picture, sheet.scale, pixels_per_point)
    for head in sheet.heads:
        _show(axes, head)
    for text in texts:
        axes.text(
            text.x, text.y, text.text,
            fontproperties=_Exactly(family=[*map(_Family, fonts.faces_for(text.text)), "sans-serif"]),
            fontsize=text.size,
            color=text.colour, ha=text.align, va="baseline",
            parse_math=False, usetex=False,
        )  # fmt: skip
    axes.set(xlim=(0, sheet.width), ylim=(sheet.height, 0))
    return result


def save_figure(
    figure: Figure, file: str | os.PathLike[str] | IO[bytes], *,
    format: str | None = None, dpi: float | Literal["figure"] = "figure", metadata: bool = True,
) -> None:  # fmt: skip
    """Writes a figure as .pdf or .svg with text that can be selected and searched.

    Without metadata it does not say either what wrote it.

    Raises:
        StoreError: The file cannot be written; what was there stays.
    """
    import matplotlib as mpl

    if isinstance(file, (str, os.PathLike)):
        path = files.expanded(file)
        with files.explained(f"write {path}"), files.writing(files.target(path)) as opened:
            kind = format or path.suffix[1:]
            save_figure(figure, opened, format=kind, dpi=dpi, metadata=metadata)
        return
    settings: Any = {
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "nbtool",
        "savefig.bbox": None,
    }
    kind = (format or "pdf").lower()
    # The date would make two files of one grid differ.
    unsaid = {"pdf": ["CreationDate"], "svg": ["Date"]}.get(kind, [])
    if not metadata:
        unsaid += {"pdf": ["Creator", "Producer"], "svg": ["Creator", "Format", "Type"]}[kind]
    with mpl.rc_context(settings), silence.quiet_figures():
        figure.savefig(
            file, format=kind, dpi=dpi, facecolor="white", metadata=dict.fromkeys(unsaid)
        )


def _resolution(places: list[Place]) -> float:
    area = sum(place.width * place.height for place in places)
    return min(RESOLUTION / POINTS, math.sqrt(MAX_PIXELS / area))


def _draw_picture(
    axes: Axes, place: Place, picture: Image, scale: float, pixels_per_point: float
) -> None:
    """Centres a picture in its place, with a hairline that ends a white picture."""
    from PIL.Image import Resampling

    width, height = picture.width * scale, picture.height * scale
    if picture.width > width * pixels_per_point:
        size = (width * pixels_per_point, height * pixels_per_point)
        picture = picture.resize(
            (max(1, round(size[0])), max(1, round(size[1]))), Resampling.LANCZOS
        )
    left = place.x + (place.width - width) / 2
    top = place.y + (place.height - height) / 2
    _show(axes, Head(left, top, width, height, picture))


def _show(axes: Axes, head: Head) -> None:
    import numpy as np

    axes.imshow(
        np.asarray(head.picture),
        extent=(head.x, head.x + head.width, head.y + head.height, head.y),
        origin="upper", aspect="auto", interpolation="none",
    )  # fmt: skip
    _rectangle(axes, head.x, head.y, head.width, head.height, edgecolor="#e4e4e4")


def _draw_box(axes: Axes, place: Place, cell: Cell | None) -> None:
    box = (place.x, place.y, place.width, place.height)
    if cell is None:
        _rectangle(axes, *box, facecolor="#fafafa", edgecolor="#ececec", hatch="////")
    else:
        _rectangle(axes, *box, facecolor="#fcf5f4", edgecolor="#ecd5d2")


def _rectangle(
    axes: Axes, x: float, y: float, width: float, height: float, *,
    edgecolor: str, facecolor: str = "none", hatch: str | None = None,
) -> None:  # fmt: skip
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle(
            (x, y), width, height,
            facecolor=facecolor, edgecolor=edgecolor, hatch=hatch, linewidth=0.5,
        )
    )  # fmt: skip
