"""One run in progress, in the background."""

from __future__ import annotations

import contextlib
from collections import ChainMap
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nbtool import environment
from nbtool.background import Loop
from nbtool.engines.base import Engine, check, foretold, is_exact
from nbtool.engines.placed import Placed
from nbtool.errors import GenerationError, NbtoolError, PartError, StoreError
from nbtool.grid import Grid
from nbtool.job.account import Account
from nbtool.job.line import AHEAD, Line, Turn
from nbtool.job.work import Work
from nbtool.recipes.axes import Index, Sweep
from nbtool.recipes.order import order
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import GeneratedImage
from nbtool.results.labelled import Cell
from nbtool.results.origin import Origin
from nbtool.results.progress import Progress
from nbtool.results.share import Share
from nbtool.results.steps import Steps
from nbtool.results.store import Store
from nbtool.silence import importing, mild
from nbtool.text import count

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.live.view import GridView


class Job:
    """One run in progress, in the background.

    `cancel()`, `wait()` and `grid` may be called from anywhere; `await job` waits without
    blocking, and goes on without the one who awaits it when that is cancelled; iterating gives the
    images as they are finished. An image that another job with the same store is making already is
    taken from there when it is done.
    """

    def __init__(
        self,
        sweep: Sweep,
        engine: Engine,
        store: Store,
        generate: Callable[[Recipe], GeneratedImage],
        *,
        priority: int = 0,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.sweep = sweep
        self._engine = engine
        self._store = store
        self._origin = _origin(sweep, engine, store, defaults or {})
        cells, from_pictures, unfit = _checked(sweep, engine)
        counts = Progress(total=len(cells), drawn=sweep.drawn, drawn_apart=sweep.drawn_apart)
        self._account = Account(cells, counts)
        for note in (*sweep.notes, *foretold(engine, sweep)):
            self._account.note(note)
        self._share = Share(store.path, ChainMap[str, Any](cells, self._account.later))
        turn = Turn(priority)
        self._work = Work(
            sweep, engine, store,
            account=self._account, share=self._share, turn=turn, generate=generate,
            again=partial(_again, engine=engine, store=store, generate=generate),
            steps=Steps(store, keep=True) if from_pictures else None, unfit=unfit,
        )  # fmt: skip
        line.enter(self, turn)
        try:
            self._work.prepare()
        except BaseException:
            self._leave()
            raise
        try:
            Loop("nbtool job", self._run, fail=self._end).wake()
        except RuntimeError as error:  # the system starts no thread
            self._end(error)

    @property
    def progress(self) -> Progress:
        return self._account.progress

    @property
    def model(self) -> str:
        """The name of the model that makes the images."""
        return self._engine.name

    @property
    def state(self) -> str:
        """Whether it is "running" or "waiting" for others; "done", "cancelled" or "failed"."""
        if self.done:
            return "failed" if self.error else "cancelled" if self.cancelled else "done"
        return "running" if self._account.is_making or self._is_first() else "waiting"

    def _is_first(self) -> bool:
        """Whether no job is ahead that takes turns with it: those of this machine's models all do."""
        alike = (job for job in line.in_order() if job._lane is self._lane)  # noqa: SLF001
        return next(alike, self) is self

    @property
    def _lane(self) -> object:
        return Placed if isinstance(self._engine, Placed) else self._engine

    @property
    def done(self) -> bool:
        """True when nothing more will come: finished, cancelled or stopped by an error."""
        return self._account.ending.came

    @property
    def cancelled(self) -> bool:
        return self._account.cancelled

    @property
    def error(self) -> NbtoolError | None:
        """What stopped the whole run, if anything did."""
        return self._account.ending.error

    @property
    def notes(self) -> list[str]:
        """What the engine had to say, such as a prompt cut short; each once."""
        return self._account.notes

    @property
    def grid(self) -> Grid:
        """The images so far, labelled."""
        return Grid(self.sweep.base, self.sweep.axes, self._account.results, self._origin)

    @property
    def previews(self) -> dict[Index, Callable[[], Image] | None]:
        """The cells in the making: what makes a small picture of each as it stands, if there is.

        Call it only where the picture is looked at: it is made then, on the calling thread.
        """
        return self._account.previews

    def changes(self, seen: int = 0) -> tuple[list[tuple[Index, Cell]], int]:
        """The cells that came since the first `seen` images or failures, and how many there are.

        fresh, seen = job.changes(seen)
        """
        return self._account.changes(seen)

    def fill(self, cells: Mapping[Index, Cell]) -> None:
        """Takes what came of cells later, such as of one that failed and was tried again."""
        self._account.fill(cells)

    def view(self, *, rows: str | None = None, cols: str | None = None) -> GridView | Grid:
        """The grid as a widget that fills while the job runs; see `Grid.view`."""
        if environment.why_no_widgets():
            return self.grid.view(rows=rows, cols=cols)
        with importing("anywidget"):
            from nbtool.live.view import GridView

        with mild():
            return GridView(self.grid, job=self, rows=rows, cols=cols)

    def cancel(self, /, **labels: Any) -> None:
        """Stops within one denoising step, or at once while the model is being loaded.

        Finished images are kept.

            job.cancel()                    all that is not done
            job.cancel(guidance_scale=9)    the cells with this label alone

        Raises:
            AxisError: There is no such axis or label.
        """
        cells = self._account.cells
        if not labels:
            self._account.cancel()
            self._share.drop(*cells, *self._account.later)
            if self.done:
                self._leave()
            return
        asked = set(Grid(self.sweep.base, self.sweep.axes, {}).matching(**labels))
        unwanted = {key for key, places in cells.items() if asked.issuperset(places)}
        self._account.renounce(unwanted)
        self._share.drop(*unwanted)

    def move_up(self) -> None:
        """Goes ahead of all other jobs, but of no call that somebody waits for.

        The next images that are begun are its own; what is in the making is finished, and the
        others go on after it.
        """
        if line.move_up(self):
            self._work.reorder()

    def join(self, timeout: float | None = None) -> None:
        """Waits for the end, or `timeout` seconds; raises nothing."""
        self._account.ending.join(timeout)

    def wait(self, timeout: float | None = None) -> Grid:
        """The grid, once the run is over or `timeout` seconds have passed.

        Raises:
            NbtoolError: Something stopped the whole run. What was made is kept in `job.grid`.
        """
        self.join(timeout)
        if self.error is not None:
            raise self.error
        return self.grid

    def __await__(self) -> Generator[Any, None, Grid]:
        """The grid, once the run is over; the same errors as `wait`. It occupies no thread."""
        yield from self._account.ending.__await__()
        return self.wait()

    def __iter__(self) -> Iterator[GeneratedImage]:
        """The images as they are finished, those from the store first."""
        for cell in self._account.follow():
            if isinstance(cell, GeneratedImage):
                yield cell
        if self.error is not None:
            raise self.error

    def __repr__(self) -> str:
        progress = self.progress
        state = "cancelled" if self.cancelled else "done" if self.done else progress.activity
        state = "stopped by an error" if self.error else state
        drawn = "" if progress.drawn is None else f", seed={progress.drawn} was drawn"
        return f"<Job {progress.done:,} of {count(progress.total, 'image')}, {state}{drawn}>"

    def _run(self) -> None:
        """The whole of it; on the job's own thread."""
        self._work.run()
        self._keep_failures()
        self._end()

    def _keep_failures(self) -> None:
        """What is kept of a grid that was named on the way says what failed since then."""
        grid = self.grid
        with contextlib.suppress(StoreError):
            if grid.failed and grid.name and grid.name in self._store.grids:
                grid.name = grid.name

    def _end(self, error: BaseException | None = None) -> None:
        try:
            self._account.end(error)
        finally:
            self._leave()

    def _leave(self) -> None:
        line.leave(self)
        self._share.close()

    def _forsake(self) -> None:
        """In a fork of the process in which it goes on, it is over."""
        self._account.forsake()
        self._end(GenerationError("this job goes on in the process that this one is a fork of"))


line: Line[Job] = Line()  # of those that are not over


def _origin(sweep: Sweep, engine: Engine, store: Store, defaults: Mapping[str, Any]) -> Origin:
    """Where the grid of a job comes from."""
    generator = {
        "model": engine.name,
        "engine": type(engine).__name__,
        "exact": is_exact(engine),
        "defaults": dict(defaults),
    }
    return Origin(store.grids, generator, sweep.words, sweep.drawn, sweep.fixed)


def _checked(
    sweep: Sweep, engine: Engine
) -> tuple[dict[str, list[Index]], bool, dict[str, PartError]]:
    """The cells that each image stands in, by its key, in the order in which they are made.

    And whether any is made from pictures, and what is wrong with those that name what is of no use.

    Raises:
        RecipeError: The engine refuses one.
    """
    cells: dict[str, list[Index]] = {}
    checked: set[str] = set()
    from_pictures = False
    unfit: dict[str, PartError] = {}
    for index in order(sweep):
        recipe = sweep.recipe(index)
        try:
            check(engine, recipe, checked)
        except PartError as error:
            unfit[recipe.key] = error
        from_pictures |= bool(recipe.sources)
        cells.setdefault(recipe.key, []).append(index)
    return cells, from_pictures, unfit


def _again(
    recipe: Recipe,
    engine: Engine,
    store: Store,
    generate: Callable[[Recipe], GeneratedImage],
) -> Job:
    """Makes what failed once more; somebody waits for it."""
    return Job(Sweep(recipe), engine, store, generate, priority=AHEAD)
