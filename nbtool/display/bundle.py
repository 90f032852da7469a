"""What a notebook shows of a grid: text, a self-contained HTML table, a picture."""

from __future__ import annotations

import base64
import html
import io
import math
from typing import TYPE_CHECKING, Any

from nbtool.display import faces
from nbtool.display.composing import Limits
from nbtool.display.heads import Heads
from nbtool.display.layout import Block, Layout, arrange
from nbtool.display.lettering import told_apart
from nbtool.results.image import GeneratedImage
from nbtool.text import LITERAL, count, ellipsized, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from PIL.Image import Image

    from nbtool.recipes.axes import Index
    from nbtool.results.labelled import Labelled

MAX_THUMBNAILS = 64
THUMBNAIL = 160  # pixels on the longer side, at most
OUTPUT = 860  # pixels; how wide a notebook's output usually is
HEAD_EDGE = 48  # pixels of a picture at a label, at most
WRAP = 8
SHEET = Limits(side=4000, area=1_000_000, cells=MAX_THUMBNAILS, letters=(11, 24))
MAX_LABEL = 80  # characters
MAX_TEXT_ROWS, MAX_TEXT_WIDTH, MAX_REPR = 20, 88, 1000
HEAD = '<th scope="col" style="text-align:center">'  # nbconvert's own style would say right
MARKS = {"made": "✓", "failed": "✗", "missing": "·"}

Room = tuple[int, int, float]  # for a picture, and the scale that it fits at

# Notebooks keep their theme in variables; elsewhere the surroundings decide.
STYLE = """
.nbtool-grid { font-family: var(--jp-ui-font-family, system-ui, sans-serif); font-size: 13px;
  line-height: 1.4; color: var(--jp-ui-font-color1, inherit); }
.nbtool-grid .nbtool-title { font-size: 15px; margin: 0 0 2px; overflow-wrap: anywhere; }
.nbtool-grid .nbtool-quiet { color: inherit; opacity: .8; }
.nbtool-grid .nbtool-scroll { overflow: auto; max-height: 720px; width: fit-content;
  max-width: 100%; }
.nbtool-grid .nbtool-heading { font-weight: 600; margin: 14px 0 0; padding: 0; }
.nbtool-grid table { border-collapse: separate; border-spacing: 0; margin: 4px 0 8px;
  font-size: 13px; color: inherit; }
.nbtool-grid th, .nbtool-grid td { border: 0; padding: 3px; background: none; max-width: 220px;
  overflow-wrap: anywhere; }
.nbtool-grid thead tr, .nbtool-grid tbody tr:nth-child(n), .nbtool-grid tbody tr:hover {
  background: none; }
.nbtool-grid th { font-weight: 500; text-align: center; color: inherit;
  background: var(--jp-layout-color0,
  var(--vscode-editor-background, var(--colab-primary-surface-color, Canvas))); }
.nbtool-grid thead th { position: sticky; top: 0; z-index: 2; vertical-align: bottom; }
.nbtool-grid tbody th { position: sticky; left: 0; z-index: 1; text-align: right;
  vertical-align: middle; padding-right: 10px; }
.nbtool-grid thead .nbtool-corner { left: 0; z-index: 3; overflow-wrap: normal; }
.nbtool-grid td { text-align: center; vertical-align: middle; }
.nbtool-grid img { display: inline-block; max-width: none; margin: 0; vertical-align: middle;
  outline: 1px solid rgba(128, 128, 128, .25); }
.nbtool-grid .nbtool-failed, .nbtool-grid .nbtool-missing { display: flex; flex-direction: column;
  box-sizing: border-box; overflow: hidden; padding: 4px 6px; margin: auto; overflow-wrap: anywhere;
  font-size: 11px; line-height: 1.3; outline: 1px solid rgba(128, 128, 128, .25); }
.nbtool-grid .nbtool-failed { text-align: left; background: rgba(128, 128, 128, .08); }
.nbtool-grid .nbtool-failed b { font-weight: 600; color: color-mix(in srgb, #e5484d 65%, currentColor); }
.nbtool-grid .nbtool-missing { align-items: center; justify-content: center; background:
  repeating-linear-gradient(-45deg, transparent 0 7px, rgba(128, 128, 128, .12) 7px 9px); }
"""


def grid_bundle(grid: Labelled) -> dict[str, Any]:
    """The MIME bundle of a grid. Bounded: at most 64 thumbnails, and a sheet for no more cells."""
    bundle: dict[str, Any] = {"text/plain": grid_text(grid), "text/html": grid_html(grid)}
    if math.prod(grid.shape) <= MAX_THUMBNAILS:
        from nbtool.display.sheet import draw_sheet

        buffer = io.BytesIO()
        draw_sheet(grid, SHEET).save(buffer, "PNG")
        bundle["image/png"] = buffer.getvalue()
    return bundle


def grid_text(grid: Labelled) -> str:
    """The repr, and for one or two axes a table of marks: ✓ made, ✗ failed, · not made."""
    lines = [ellipsized(repr(grid), MAX_REPR)]
    layout = arrange(grid.axes, swept=grid.swept)
    if 1 <= len(grid.axes) <= 2:
        block = next(layout.blocks(wrap=MAX_TEXT_WIDTH))
        lines += ["", *_table(grid, layout, block)]
    return "\n".join(lines)


def _table(grid: Labelled, layout: Layout, block: Block) -> Iterator[str]:
    rows = [*_cut(layout.labels(layout.rows)[:MAX_TEXT_ROWS], 24).values()]
    cols = [*_cut(layout.labels(layout.cols)[:MAX_TEXT_WIDTH], 16).values()]
    names = [ellipsized(name, 24) for name in (layout.rows or "", layout.cols or "")]
    margin = max(len(text) for text in [*rows, names[0]])
    while cols and margin + sum(len(col) + 2 for col in cols) > MAX_TEXT_WIDTH:
        cols.pop()
    cut = len(layout.labels(layout.cols)) - len(cols)
    start = 2 if layout.rows else 0
    if layout.cols:
        yield " " * (margin + start) + names[1]
        heads = "  ".join(cols) + (f"  … {cut} more" if cut else "")
        yield f"{names[0]:>{margin}}{'':{start}}{heads}"
    for row, label in enumerate(rows):
        marks = (
            f"{_mark(grid, layout.index(block, row, c)):^{len(cols[c])}}" for c in range(len(cols))
        )
        yield f"{label:>{margin}}{'':{start}}{'  '.join(marks)}".rstrip()
    if more := len(block.rows) - len(rows):
        yield f"… {more} more"


def _cut(texts: Iterable[str], length: int) -> dict[str, str]:
    """The texts by what they are, of at most `length` characters, no two alike."""
    return told_apart(texts, lambda text: ellipsized(text, length))


def _mark(grid: Labelled, index: Index) -> str:
    cell = grid.cell(index)
    kind = "missing" if cell is None else "failed"
    return MARKS["made" if isinstance(cell, GeneratedImage) else kind]


def grid_html(grid: Labelled) -> str:
    """A labelled table with thumbnails, readable too where the style is stripped."""
    layout = arrange(grid.axes, swept=grid.swept)
    blocks = layout.shown(MAX_THUMBNAILS, wrap=WRAP)
    columns = max(len(block.cols) for block in blocks)
    largest = faces.largest(grid)
    scale = min(1.0, max(THUMBNAIL / 2, min(THUMBNAIL, OUTPUT / columns - 6)) / max(largest))
    room = (math.ceil(largest[0] * scale), math.ceil(largest[1] * scale), scale)
    shown = sum(len(block.rows) * len(block.cols) for block in blocks)
    parts = [f"<style>{STYLE}</style>"]
    if grid.title:
        parts.append(f'<p class="nbtool-title">{escaped(grid.title, 400)}</p>')
    quiet = " · ".join(faces.summary(grid))
    parts.append(f'<p class="nbtool-quiet" style="margin:0 0 6px">{escaped(quiet, 800)}</p>')
    parts.append('<div class="nbtool-scroll" tabindex="0" role="group" aria-label="Images">')
    small = Heads(grid)
    headings = _cut((block.heading for block in blocks), 300)
    rows, cols = layout.labels(layout.rows), layout.labels(layout.cols)
    sides = [rows[row] for block in blocks for row in block.rows]
    heads = _cut([*sides, *(cols[col] for block in blocks for col in block.cols)], MAX_LABEL)

    def headed(name: str | None, position: int) -> str:
        text = layout.labels(name)[position]
        return f"{_html_head(small, name, position)}{html.escape(heads[text])}"

    for number, block in enumerate(blocks):
        if block.heading:
            seen = "".join(_html_head(small, *place, "&nbsp; ") for place in block.section.items())
            heading = html.escape(headings[block.heading])
            parts.append(f'<p class="nbtool-heading">{seen}{heading}</p>')
        named = number == 0 or bool(block.heading)
        parts.extend(_html_table(grid, layout, block, headed, room, named=named))
    parts.append("</div>")
    if more := math.prod(grid.shape) - shown:
        parts.append(
            f'<p class="nbtool-quiet" style="margin:4px 0">… and {count(more, "more cell")}; '
            f"<code>grid.view()</code> shows all of them, and so does the page of "
            f"<code>grid.save(&quot;grid.html&quot;)</code></p>"
        )
    return f'<div class="nbtool-grid {LITERAL}">{"".join(parts)}</div>'


def _html_table(
    grid: Labelled,
    layout: Layout,
    block: Block,
    headed: Callable[[str | None, int], str],
    room: Room,
    *,
    named: bool,
) -> Iterator[str]:
    yield "<table>"
    if layout.cols or layout.rows:
        yield "<thead>"
        corner = (
            f'<th class="nbtool-corner">{_name(layout, layout.rows)}</th>' if layout.rows else ""
        )
        if layout.cols and named:
            yield f"<tr>{'<td></td>' if corner else ''}"
            yield f'<th colspan="{len(block.cols)}" style="text-align:left;position:static">'
            yield f"{_name(layout, layout.cols)}</th></tr>"
        labels = (f"{HEAD}{headed(layout.cols, col)}</th>" for col in block.cols)
        yield f"<tr>{corner}{''.join(labels)}</tr></thead>"
    yield "<tbody>"
    for row in block.rows:
        head = f'<th scope="row">{headed(layout.rows, row)}</th>' if layout.rows else ""
        found = (_html_cell(grid, layout.index(block, row, col), room) for col in block.cols)
        row_cells = (f'<td width="{room[0]}">{cell}</td>' for cell in found)
        yield f"<tr>{head}{''.join(row_cells)}</tr>"
    yield "</tbody></table>"


def _html_head(small: Heads, name: str | None, position: int, after: str = "<br>") -> str:
    """The picture that stands at a label, if there is one."""
    picture = small.at(name, position)
    if picture is None:
        return ""
    scale = HEAD_EDGE / max(picture.height, picture.width / 2)
    width, height = (max(1, round(side * min(1, scale))) for side in picture.size)
    source = _data_uri(picture, (width, height))
    return f'<img src="{source}" width="{width}" height="{height}" alt="">{after}'


def _name(layout: Layout, axis: str | None) -> str:
    called = escaped(layout.called(axis), MAX_LABEL)
    return f'<span class="nbtool-quiet" title="{escaped(axis or "", MAX_LABEL)}">{called}</span>'


def _html_cell(grid: Labelled, index: Index, room: Room) -> str:
    cell = grid.cell(index)
    labels = " · ".join(grid.captions(index))
    wide, high, scale = room
    style = f'style="width:{wide}px;height:{high}px"'
    if cell is None:
        return (
            f'<span class="nbtool-missing" {style} title="{escaped(labels, 400)}">not made</span>'
        )
    picture = faces.picture(cell)
    if picture is None or not isinstance(cell, GeneratedImage):
        why = faces.reason(cell)
        return (
            f'<span class="nbtool-failed" {style} title="{escaped(f"{labels}: {why}", 500)}">'
            f"<b>failed</b><span>{escaped(why, 120)}</span></span>"
        )
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return (
        f'<img src="{_data_uri(picture, (width, height))}" width="{width}" height="{height}" '
        f'alt="{escaped(labels or grid.title, 200)}" title="{escaped(cell.caption, 500)}">'
    )


def _data_uri(picture: Image, size: tuple[int, int]) -> str:
    """A small copy of a picture as a data URI: PNG, or JPEG where that is smaller."""
    from PIL.Image import Resampling

    small = picture.resize(size, Resampling.LANCZOS)
    best: tuple[str, bytes] | None = None
    kinds: dict[str, Any] = {"png": {"optimize": True}, "jpeg": {"quality": 85}}
    if small.mode == "RGBA":
        del kinds["jpeg"]
    for kind, options in kinds.items():
        buffer = io.BytesIO()
        small.save(buffer, kind, **options)
        if best is None or buffer.tell() < len(best[1]):
            best = kind, buffer.getvalue()
    assert best
    return f"data:image/{best[0]};base64,{base64.b64encode(best[1]).decode('ascii')}"


def escaped(text: str, length: int) -> str:
    """A text for HTML, shortened, that stays text whatever is in it."""
    return html.escape(printable(ellipsized(text, length)))
