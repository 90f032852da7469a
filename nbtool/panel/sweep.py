"""The Sweep tab: choose axes, see how many cells, run, watch the grid fill, cancel, resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbtool.errors import AxisError, NbtoolError
from nbtool.panel.axis_row import AxisRow, around
from nbtool.panel.background import Follower, Latest
from nbtool.panel.notice import Notice, foresee
from nbtool.recipes.axis import Axis
from nbtool.text import count

if TYPE_CHECKING:
    from nbtool.grid import Grid
    from nbtool.job import Job
    from nbtool.panel.maker import Maker
    from nbtool.panel.session import Session
    from nbtool.recipes.recipe import Recipe

MAX_AXES = 6

Asked = tuple[Any, list[Axis], dict[str, Any]]  # prompt, axis objects, parameters


class SweepTab:
    """Axes over the settings of the form.

    Args:
        session: What the tabs share.
        ended: Given the images of a sweep when it is over; called from a thread.
    """

    def __init__(self, session: Session, ended: Callable[[Grid], None]) -> None:
        self._session = session
        self._ended = ended
        self._last: tuple[Maker, Asked] | None = None
        self.job: Job | None = None  # the last that was run
        notice = session.notice
        self.base = Notice()
        self.base.widget.add_class("nbtool-quiet")
        self.rows: list[AxisRow] = []
        self._rows = ipywidgets.VBox()
        self.add = ipywidgets.Button(description="Add an axis")
        self.outlook = Notice()
        self.outlook.widget.add_class("nbtool-outlook")
        self.run_button = ipywidgets.Button(
            description="Run", button_style="primary", tooltip="Ctrl+Enter"
        )
        self.cancel = ipywidgets.Button(description="Cancel", disabled=True)
        self.resume = ipywidgets.Button(
            description="Resume",
            disabled=True,
            tooltip="The same sweep again: makes what is missing",
        )
        self.outcome = Notice()
        self.outcome.widget.add_class("nbtool-progress")
        self.results = ipywidgets.VBox()
        self.results.add_class("nbtool-results")
        self._planning = Latest(self.outlook.fail)
        self._follower = Follower(self._look, notice.fail)
        self.add.on_click(notice.click(self._add))
        self.run_button.on_click(notice.click(lambda: session.once_there(self.run)))
        self.cancel.on_click(notice.click(self.stop))
        self.resume.on_click(notice.click(self._resume))
        session.on_change(self.outlook.guarded(self.foresee))
        self.widget = self._arranged()
        self._add()
        self._add()
        self.rows[0].fill("guidance_scale", "1-7 (+2)")
        self.rows[1].fill("num_inference_steps", "")

    def run(self) -> None:
        """Runs what the rows say; returns at once."""
        call = self._call(drawn=True)
        if not any(row.name.value for row in self.rows):
            raise AxisError("choose at least one parameter to vary")
        if all(row.name.value != "prompt" for row in self.rows):
            self._session.settings.require_prompt()
        self._submit(self._session.generator, call)

    def fill_around(self, recipe: Recipe) -> None:
        """Rows with values around a recipe's."""
        wanted = around(recipe)
        while len(self.rows) < len(wanted):
            self._add()
        for row in self.rows:
            row.fill("", "")
        for row, (name, values) in zip(self.rows, wanted.items(), strict=False):
            row.fill(name, values)

    def stop(self) -> None:
        """Cancels all that runs here; what is finished is kept."""
        self._follower.cancel()

    def foresee(self) -> None:
        """Says how many cells there will be, in the background."""
        self._planning.forget()
        settings = self._session.settings
        for row in self.rows:
            row.offer(settings.prompt.value + settings.negative.value)
        if not self._session.is_open:
            return
        self.base.say(f"Everything else as on the Generate tab: {settings.summary()}")
        if not any(row.name.value for row in self.rows):
            self.outlook.say("Choose what to vary.")
            return
        shapes: list[int] = []
        try:
            prompt, objects, parameters = self._call(drawn=False, lengths=shapes)
        except NbtoolError:
            if any(row.message.alarming for row in self.rows):
                self.outlook.say("")  # it is said under the field
                return
            raise
        generator = self._session.generator
        shape = " × ".join(map(str, shapes))

        def plan() -> Callable[[], None]:
            planned = generator.plan(prompt, *objects, **parameters)
            cells = count(planned.cells, "cell")
            total = f"{shape} = {cells}" if len(shapes) > 1 else cells
            return lambda: self.outlook.say(f"{total}: {foresee(planned)}")

        self._planning(plan)

    def join(self, timeout: float | None = None) -> None:
        """Waits for whatever is under way, or about `timeout` seconds."""
        for work in (self._follower, self._planning):
            work.join(timeout)

    def _call(self, *, drawn: bool, lengths: list[int] | None = None) -> Asked:
        """The arguments of `Generator.submit`; with `drawn` the seed is decided and shown."""
        parameters = self._session.settings.parameters()
        prompt: Any = parameters.pop("prompt")
        objects: list[Axis] = []
        named: set[str] = set()
        for parsed in [row.parsed() for row in self.rows]:
            if parsed is None:
                continue
            name, values = parsed
            if name in named:
                raise AxisError(f"{name} is varied twice; take one of the two away")
            if lengths is not None:
                lengths.append(len(values))
            if isinstance(values, Axis):
                objects.append(values)
                continue
            named.add(name)
            if name == "prompt":
                prompt = list(values)
            else:
                parameters.pop(name, None)  # axes stand in the order of the rows
                parameters[name] = list(values)
        if "seed" not in named:
            seed = self._session.settings.seeds()[0]
            parameters["seed"] = seed
            if drawn:
                self._session.settings.seed.value = str(seed)
        return prompt, objects, parameters

    def _submit(self, generator: Maker, call: Asked) -> None:
        from nbtool.live.view import GridView

        prompt, objects, parameters = call
        job = generator.submit(prompt, *objects, **parameters)
        self._session.notice.clear()
        self.outcome.clear()
        self._last = generator, call
        self.job = job
        self.cancel.disabled = False
        self.resume.disabled = True
        self.run_button.disabled = True
        self._follower.follow(job)
        before = self.results.children
        self.results.children = [GridView(job.grid, job=job)]
        for view in before:
            view.close()

    def _resume(self) -> None:
        if self._last:
            self._submit(*self._last)

    def _look(self, jobs: Sequence[Job], over: bool) -> None:
        """Called from the follower's thread; touches only traits."""
        self.cancel.disabled = over  # a job may have come while the last one was closed
        self.run_button.disabled = not over
        if not over:
            return  # the grid shows how far it is
        job = jobs[-1]
        progress = job.progress
        parts = [count(progress.made + progress.stored, "image")]
        parts += [f"{progress.stored} already stored"] if progress.stored else []
        parts += [f"{progress.failed} failed"] if progress.failed else []
        left = progress.total - progress.done
        parts += [f"{left} not made; Resume makes them"] if left else []
        self.resume.disabled = not (left or progress.failed)
        self.outcome.say(" · ".join(parts))
        self._session.notice.conclude(jobs)
        self.outlook.guarded(self.foresee)()
        self._ended(job.grid)

    def _add(self) -> None:
        if len(self.rows) >= MAX_AXES:
            return
        row = AxisRow(self.outlook.guarded(self._edited))
        row.remove.on_click(self._session.notice.click(lambda: self._remove(row)))
        self.rows.append(row)
        self._show_rows()

    def _edited(self) -> None:
        self._session.answered()
        self.foresee()

    def _remove(self, row: AxisRow) -> None:
        self.rows.remove(row)
        self._show_rows()

    def _show_rows(self) -> None:
        self._rows.children = [row.widget for row in self.rows]
        self.add.disabled = len(self.rows) >= MAX_AXES
        self.outlook.guarded(self.foresee)()

    def _arranged(self) -> Any:
        buttons = ipywidgets.HBox([self.run_button, self.cancel, self.resume, self.add])
        buttons.add_class("nbtool-row")
        tab = ipywidgets.VBox(
            [
                self.base.widget,
                self._rows,
                self.outlook.widget,
                buttons,
                self._session.notice.widget,
                self.outcome.widget,
                self.results,
            ]
        )
        tab.add_class("nbtool-sweep")
        return tab
