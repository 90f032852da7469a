"""A labelled contact sheet of a grid, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbtool.display import faces, fonts
from nbtool.display.composing import Head, Limits, Place, Text, compose, placard
from nbtool.display.layout import arrange
from nbtool.display.lettering import font, width

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

    from nbtool.results.labelled import Cell, Labelled

MAX_SIDE = 16_000  # pixels
MAX_AREA = 40_000_000  # pixels
SMALL = 96  # pixels; cells below are enlarged by a whole number
LIMITS = Limits(side=MAX_SIDE, area=MAX_AREA, cells=20_000, letters=(12, 40))

_BEFORE = {"left": 0, "center": 0.5, "right": 1}  # how much of a text is left of its place


def contact_sheet(
    grid: Labelled, *, rows: str | None = None, cols: str | None = None, inputs: bool = True
) -> Image:
    """The images with their labels, `rows` down and `cols` across, at most 40 megapixels.

    By default the last axis goes across and the one before it down; further axes become blocks,
    side by side or below one another as fits a screen. Pictures are reduced where they would not
    fit. At the labels of pictures they are shown, small, unless `inputs` is False.

    Raises:
        AxisError: There is no such axis, or one is asked for twice.
    """
    return draw_sheet(grid, LIMITS, rows=rows, cols=cols, inputs=inputs)


def draw_sheet(
    grid: Labelled, limits: Limits, *, rows: str | None = None, cols: str | None = None,
    inputs: bool = True,
) -> Image:  # fmt: skip
    """The contact sheet within other limits."""
    from PIL import Image as PILImage
    from PIL import ImageDraw

    layout = arrange(grid.axes, rows, cols, grid.swept)
    cell_size = faces.largest(grid)
    scale = max(1, SMALL // max(cell_size))
    sheet = compose(grid, layout, cell_size, scale, limits, inputs=inputs)
    image = PILImage.new("RGB", (int(sheet.width), int(sheet.height)), "white")
    draw = ImageDraw.Draw(image)
    texts = list(sheet.texts)
    for place in sheet.places:
        cell = grid.cell(place.index)
        picture = faces.picture(cell)
        if picture is None:
            _draw_box(draw, place, cell)
            texts.extend(placard(place, cell))
        else:
            _paste(image, draw, place, picture, sheet.scale)
    for head in sheet.heads:
        _paste_head(image, draw, head)
    for text in texts:
        _write(draw, text)
    return image


def _write(draw: ImageDraw, text: Text) -> None:
    x = text.x - _BEFORE[text.align] * width(text.text, text.size)
    for face, piece in fonts.pieces(text.text):
        used = font(text.size, face.path)
        draw.text((x, text.y), piece, text.colour, used, "ls")
        x += used.getlength(piece)


def _paste(image: Image, draw: ImageDraw, place: Place, picture: Image, scale: float) -> None:
    """Centres a picture in its place, with a hairline that ends a white picture."""
    from PIL.Image import Resampling

    if scale != 1:
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        method = Resampling.NEAREST if scale > 1 else Resampling.LANCZOS
        picture = picture.resize(size, method)
    x = round(place.x + (place.width - picture.width) / 2)
    y = round(place.y + (place.height - picture.height) / 2)
    _put(image, draw, picture, (x, y))


def _paste_head(image: Image, draw: ImageDraw, head: Head) -> None:
    from PIL.Image import Resampling

    size = (max(1, round(head.width)), max(1, round(head.height)))
    _put(image, draw, head.picture.resize(size, Resampling.LANCZOS), (round(head.x), round(head.y)))


def _put(image: Image, draw: ImageDraw, picture: Image, at: tuple[int, int]) -> None:
    x, y = at
    draw.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline="#e4e4e4")
    image.paste(picture, at, picture if picture.mode == "RGBA" else None)


def _draw_box(draw: ImageDraw, place: Place, cell: Cell | None) -> None:
    left, top = round(place.x), round(place.y)
    right, bottom = round(place.x + place.width) - 1, round(place.y + place.height) - 1
    if cell is not None:
        draw.rectangle((left, top, right, bottom), fill="#fcf5f4", outline="#ecd5d2")
        return
    draw.rectangle((left, top, right, bottom), fill="#fafafa")
    step = max(4, round(place.letters * 0.8))
    width, height = right - left, bottom - top
    for start in range(step, width + height, step):
        near = (left + min(start, width), top + max(0, start - width))
        far = (left + max(0, start - height), top + min(start, height))
        draw.line((near, far), fill="#efefef")
    draw.rectangle((left, top, right, bottom), outline="#e4e4e4")
