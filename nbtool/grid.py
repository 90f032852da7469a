"""The labelled results of a sweep as people see them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtool import environment
from nbtool.results.grids import open_as
from nbtool.results.labelled import Labelled
from nbtool.silence import importing, mild
from nbtool.text import warn

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL.Image import Image

    from nbtool.live.view import GridView


class Grid(Labelled):
    """The labelled images of a sweep, any number of axes. Shows itself as a labelled table.

        grid.sel(seed=2, guidance_scale=5)     one image, or a smaller grid
        grid.isel(seed=0); grid[0, 1]          the same by position
        grid.name = "stars"                    keeps it; store.grids["stars"] opens it again

    Iterating gives the images that were made, in the order of the axes.
    """

    @mild()
    def to_image(self, *, rows: str | None = None, cols: str | None = None) -> Image:
        """A labelled contact sheet, `rows` down and `cols` across, as a PIL image.

        The axes that are neither become blocks, side by side or below one another as fits a
        screen. By default the last axis goes across and the one before it down.
        """
        from nbtool.display.sheet import contact_sheet

        return contact_sheet(self, rows=rows, cols=cols)

    @mild()
    def figure(self, *, rows: str | None = None, cols: str | None = None) -> Figure:
        """The contact sheet as a matplotlib Figure with vector labels, for papers.

        In a notebook it shows itself.
        """
        from nbtool.display.figure import figure

        return figure(self, rows=rows, cols=cols)

    def view(self, *, rows: str | None = None, cols: str | None = None) -> GridView | Grid:
        """The grid as a widget to explore: rearrange axes, enlarge, compare, star, select.

        Where widgets cannot be shown it says why, and the grid itself is shown.
        """
        if hint := environment.why_no_widgets():
            warn(f"{hint}; this is the static view", stacklevel=2)
            return self
        with importing("anywidget"):
            from nbtool.live.view import GridView

        with mild():
            return GridView(self, rows=rows, cols=cols)

    @mild()
    def save(
        self,
        path: str | Path,
        *,
        names: str | None = None,
        metadata: bool = True,
        inputs: bool | None = None,
    ) -> Path:
        """Writes the grid and returns the path; its end says as what.

            grid.save("grid.html")
            grid.save("stars/", names="{date}-{prompt:30}-{seed}")

        Args:
            path: .png, .jpg, .webp: the contact sheet. .html: one offline page on which axes can
                be rearranged and images enlarged. .pdf, .svg: the matplotlib figure. .zip: the
                images, which carry their recipes, and a manifest. A folder, `stars/` or one that
                is there: the images; what lies there stays.
            names: What the images are called there and in a .zip, and where a page is asked to
                save one. In braces stand any parameter, axis or word in the prompts, `date`,
                `time`, `key` or `index`; `{prompt:30}` is cut to a length, between words. With
                .jpg or .webp at its end, images are saved as such. None: by the axes' labels.
            metadata: False leaves out recipes and all else that is not seen. A sheet looks the
                same; where text can be searched, in a page, a PDF and an SVG, there are axes and no
                prompt, settings or code.
            inputs: Whether the pictures go along that images were made from, as they may be
                private. None: into a folder, and small to the labels of a sheet or figure; not into
                a page or a .zip, and that is said.

        Raises:
            RecipeError: Grids are not saved as such, or `names` is no pattern.
            StoreError: The file cannot be written.
        """
        from nbtool.display.save import save

        return save(self, path, names=names, metadata=metadata, inputs=inputs)

    @mild()
    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from nbtool.display.bundle import grid_bundle

        return grid_bundle(self)


open_as(Grid)
