"""The live grid viewer: one widget that fills while a job runs and can be explored after."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import traitlets

from nbtool.display import viewer
from nbtool.display.heads import Heads
from nbtool.display.layout import arrange
from nbtool.display.page import described, starred
from nbtool.display.widget import Widget
from nbtool.environment import prepare_widgets
from nbtool.errors import NbtoolError, log
from nbtool.live.feed import EDGES, Feed, sendable
from nbtool.live.stand_in import STYLE
from nbtool.results.image import GeneratedImage

if TYPE_CHECKING:
    from nbtool.live.source import Source
    from nbtool.results.labelled import Labelled


class GridView(Widget):
    """A grid as a widget: rearrange axes, enlarge, compare, star, select.

        view = grid.view()
        view.selected, view.starred     the images that were selected or starred in it

    With a job it fills as the cells are made. `push` sends their thumbnails without being asked,
    for when the notebook waits for the job and nothing from the browser is heard. Without `cancel`
    it has no such button: whoever shows it has one.
    """

    _esm = viewer.module()
    _css = viewer.style()

    info: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    states = traitlets.Unicode("").tag(sync=True)
    failures: traitlets.Dict[str, str] = traitlets.Dict().tag(sync=True)
    stars: traitlets.List[int] = traitlets.List(traitlets.Int()).tag(sync=True)
    selection: traitlets.List[int] = traitlets.List(traitlets.Int()).tag(sync=True)
    arrangement: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    summary = traitlets.Unicode("").tag(sync=True)
    progress: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        grid: Labelled,
        *,
        job: Source | None = None,
        rows: str | None = None,
        cols: str | None = None,
        push: bool = False,
        cancel: bool = True,
    ) -> None:
        prepare_widgets()
        layout = arrange(grid.axes, rows, cols, grid.swept)
        self._feed = feed = Feed(grid, job=job, push=push)
        info = described(grid, layout, feed.size, Heads(grid))
        token = uuid.uuid4().hex
        live = {"live": True, "cancellable": cancel and bool(job) and not push, "token": token}
        self._still: Any = None  # the display of the grid that stands in for the widget
        self._passing = push
        self._starring = threading.RLock()  # the feed and the browser star at once
        super().__init__(
            info=sendable(info | live),
            states=feed.states,
            failures=feed.failures,
            stars=starred(grid),
            arrangement={} if rows or cols else grid.arrangement,
            summary=feed.summary,
            progress={"running": True, "fraction": 0, "text": ""} if job else {},
        )
        self.observe(self._on_stars, "stars")
        self.observe(self._on_arrangement, "arrangement")
        self.observe(self._on_progress, "progress")
        self.on_msg(self._on_message)
        feed.attach(self)

    @property
    def grid(self) -> Labelled:
        """The grid as far as it is made; a page that it is saved as opens as it lies here."""
        grid = self._feed.grid
        grid.arrangement = self.arrangement
        return grid

    @property
    def selected(self) -> list[GeneratedImage]:
        """The images of the cells that are selected, in the order of the axes."""
        return self._images(self.selection)

    @property
    def starred(self) -> list[GeneratedImage]:
        """The images that are starred, in the order of the axes."""
        return self._images(self.stars)

    def join(self, timeout: float | None = None) -> bool:
        """Waits until all there is to show is shown, or `timeout` seconds; whether it is."""
        return self._feed.join(timeout)

    def close(self) -> None:
        """Takes the widget away. The job goes on."""
        if feed := getattr(self, "_feed", None):  # None: it was refused while it was made
            feed.detach()
        super().close()

    def __repr__(self) -> str:
        return repr(self.grid).replace("<Grid", "<GridView", 1)

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and for whoever shows none the grid as it is now."""
        from nbtool.display.bundle import grid_bundle

        widget, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return grid_bundle(self.grid) | widget, metadata

    def _ipython_display_(self) -> None:
        """The widget, and beside it, hidden while it lives, the grid as it is now.

        JupyterLab shows no other part of the bundle in place of a widget whose kernel is gone.
        """
        from IPython.display import display

        if self._passing:
            raise NotImplementedError  # IPython takes the bundle then
        widget, metadata = super()._repr_mimebundle_() or ({}, {})
        display(widget, metadata=metadata, raw=True)
        self._still = display(self._still_bundle(), raw=True, display_id=self.info["token"])

    def _still_bundle(self) -> dict[str, Any]:
        from nbtool.display.bundle import grid_bundle

        bundle = grid_bundle(self.grid)
        name = f"nbtool-still nbtool-still-{self.info['token']}"
        return bundle | {"text/html": f'{STYLE}<div class="{name}">{bundle["text/html"]}</div>'}

    def _images(self, numbers: Iterable[int]) -> list[GeneratedImage]:
        found = (self._feed.cells.get(number) for number in sorted(numbers))
        return [cell for cell in found if isinstance(cell, GeneratedImage)]

    # What the browser says. Nothing here may take long: it is the kernel's own thread.

    def _on_message(self, _: object, content: dict[str, Any], buffers: object) -> None:
        kind = content.get("kind")
        if kind == "want":
            edge = next((e for e in EDGES if e >= content.get("edge", 0)), EDGES[-1])
            self._feed.want(self._numbers(content.get("cells")), edge)
        elif kind == "whole":
            self._feed.ask(self._numbers([content.get("cell")]))
        elif kind == "star":
            for number in self._numbers([content.get("cell")]):
                self._star_cell(number, starred=content.get("starred") is True)
        elif kind == "again":
            self._feed.retry(self._numbers([content.get("cell")]))
        elif kind == "cancel":
            self._feed.cancel()

    def _numbers(self, given: object) -> list[int]:
        """Those that are numbers of cells."""
        numbers = given if isinstance(given, list) else []
        return [n for n in numbers if isinstance(n, int) and 0 <= n < len(self.states)]

    def _on_progress(self, change: dict[str, Any]) -> None:
        """Once all is done, what the notebook's file keeps; on the feed's thread."""
        if self._still is not None and not change["new"].get("running"):
            self._still.update(self._still_bundle(), raw=True)

    def show_starred(self, numbers: Iterable[int]) -> None:
        """Shows that the images of these cells are starred too."""
        with self._starring:
            self.stars = sorted({*self.stars, *numbers})

    def _star_cell(self, number: int, *, starred: bool) -> None:
        """One cell alone: what the browser knows of the others may be out of date."""
        with self._starring:
            others = set(self.stars) - {number}
            self.stars = sorted(others | {number} if starred else others)
        self.send({"kind": "starred", "cell": number})

    def _on_arrangement(self, change: dict[str, Any]) -> None:
        self._feed.grid.arrangement = change["new"]

    def _on_stars(self, change: dict[str, Any]) -> None:
        before, after = (set(change[name] or ()) for name in ("old", "new"))
        refused = {n for n in before ^ after if self._star(n, starred=n in after) != (n in after)}
        if refused:
            self.stars = sorted(after ^ refused)

    def _star(self, number: int, *, starred: bool) -> bool:
        """Stars the image of a cell, or takes the star away; whether it is starred now."""
        cell = self._feed.cells.get(number)
        if not isinstance(cell, GeneratedImage):
            return False
        try:
            if cell.starred != starred:
                cell.starred = starred
        except NbtoolError as error:
            log("the star was not kept", error)
            self.summary = sendable(f"the star was not kept: {error}")
        return cell.starred
