"""The Sweep tab: choose axes, see how many cells, run, watch the grid fill, resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import ipywidgets

from nbtool.errors import AxisError, RecipeError
from nbtool.panel import braces
from nbtool.panel.axis_row import AxisRow, around, parse
from nbtool.panel.background import Follower, Latest
from nbtool.panel.notice import AtFieldError, Notice, foresee
from nbtool.panel.telling import Telling, put_off
from nbtool.panel.weighing import UnderWayError, Weighing
from nbtool.recipes.axes import PRESET
from nbtool.recipes.axis import Axis
from nbtool.recipes.parameters import called
from nbtool.recipes.preset import TEXTS, Preset
from nbtool.recipes.recipe import Recipe
from nbtool.results.image import settings as in_words
from nbtool.text import count

if TYPE_CHECKING:
    from nbtool.grid import Grid
    from nbtool.job import Job
    from nbtool.panel.fields import Field
    from nbtool.panel.maker import Maker
    from nbtool.panel.session import Session

MAX_AXES = 6
SIZE = ("width", "height")  # shown as one
SEED = "seed"

Asked = tuple[Any, list[Axis], dict[str, Any]]  # prompt, axis objects, parameters


class SweepTab:
    """Axes over the settings of the form.

    Args:
        session: What the tabs share.
        opening: What is done before it plans.
        begun: Given the grid of a sweep when it begins.
        ended: Given the images of a sweep when it is over; called from a thread.
        cancel: The button that cancels all that runs in the panel.
        told: Told what fills the words in braces.
    """

    def __init__(
        self,
        session: Session,
        opening: Latest,
        *,
        begun: Callable[[Grid], None],
        ended: Callable[[Grid], None],
        cancel: Any,
        told: Callable[[Mapping[str, Sequence[str]]], None],
    ) -> None:
        self._session = session
        self._begun = begun
        self._ended = ended
        self._told = told
        self._telling = Telling.current()
        self._last: tuple[Maker, Asked] | None = None
        self.job: Job | None = None  # the last that was run
        self.notice = notice = session.sweep_notice
        self.base = Notice()
        self.base.widget.add_class("nbtool-quiet")
        self.rows: list[AxisRow] = []
        self._rows = ipywidgets.VBox()
        self.add = ipywidgets.Button(description="Add an axis")
        self.add.add_class("nbtool-add")
        self.outlook = Notice()
        self.outlook.widget.add_class("nbtool-outlook")
        self.run_button = ipywidgets.Button(
            description="Run", button_style="primary", tooltip="Ctrl+Enter"
        )
        self.run_button.add_class("nbtool-go")
        self.cancel = cancel
        self.resume = ipywidgets.Button(
            description="Resume",
            disabled=True,
            tooltip="The same sweep again: makes what is missing",
        )
        self.outcome = Notice()
        self.outcome.widget.add_class("nbtool-progress")
        self.results = ipywidgets.VBox()
        self.results.add_class("nbtool-results")
        self._planning = Latest(self.outlook.fail, after=opening)
        self._weighing = Weighing(
            lambda: session.generator.engine,
            session.settings.loras.known,
            self.outlook.guarded(self.foresee),
        )
        self._follower = Follower(self._look, notice.fail)
        self.add.on_click(notice.click(self._add))
        self.run_button.on_click(notice.click(lambda: session.once_there(notice.guarded(self.run))))
        self.cancel.on_click(notice.click(self.stop))
        self.resume.on_click(notice.click(self._resume))
        session.on_change(self.outlook.guarded(self.foresee))
        session.settings.preset.on_offered(self.outlook.guarded(self._offer_presets))
        self.widget = put_off(self._arranged())
        self._add()
        self.rows[0].fill("guidance_scale", "1-7 (+2)")

    def run(self) -> None:
        """Runs what the rows say; returns at once.

        Raises:
            RecipeError: Something of it is not right, or a sweep of this tab runs.
        """
        if self.job and not self.job.done:
            raise RecipeError("a sweep runs already; cancel it, or wait until it is done")
        varied = self._axes(wanted=True)
        if not varied:
            self._ask_for_one()
        self._require(varied)
        call = self._call(varied)
        if (seed := call[2].get(SEED)) is not None:
            self._session.settings.seeding.ran((seed,))
        self._submit(self._session.generator, call)

    def fill_around(self, recipe: Recipe) -> None:
        """Rows with values around a recipe's."""
        wanted = around(recipe)
        while len(self.rows) < len(wanted):
            self._add()
        for row in self.rows[len(wanted) :]:
            self._remove(row)
        for row, (name, values) in zip(self.rows, wanted.items(), strict=False):
            row.fill(name, values)

    def stop(self) -> None:
        """Cancels all that runs here; what is finished is kept."""
        self._follower.cancel()

    def foresee(self) -> None:
        """Says how many cells there will be, in the background."""
        self._planning.forget()
        settings = self._session.settings
        presets = [settings.preset.chosen]
        if any(row.name.value == PRESET for row in self.rows):
            presets += settings.preset.known.values()
        added = [preset.around(name, "") for preset in presets if preset for name in TEXTS]
        for number, row in enumerate(self.rows, 1):
            row.offer(settings.prompt.value, settings.negative.value, *added)
            row.place(number, len(self.rows))
        if not self._session.is_open:
            return
        try:
            varied = self._axes()
        except AtFieldError:
            return
        words = ((name, axis) for axis in varied for name in axis.edits[0].words)
        self._told({name: [edit.words[name] for edit in axis.edits] for name, axis in words})
        wrong = settings.wrong_but(_unused(varied) | settings.unfilled)
        self.base.say(f"Stays as on the Generate tab: {self._rest(varied, wrong)}")
        if not varied:
            self.outlook.say("Choose what to vary.")
            return
        if wrong:
            fields = ", ".join(field.description for field in wrong.values())
            self.outlook.say(f"To be put right first on the Generate tab: {fields}")
            return
        if unfilled := self._unfilled(varied):
            self.outlook.say(f"To be put right first: {unfilled}")
            return
        prompt, objects, parameters = self._call(varied)
        generator = self._session.generator
        shape = " × ".join(str(len(axis)) for axis in varied)

        def plan() -> Callable[[], None]:
            planned = generator.plan(prompt, *objects, **parameters)
            cells = count(planned.cells, "cell")
            total = f"{shape} = {cells}" if len(objects) > 1 else cells
            return lambda: self.outlook.say(f"{total}: {foresee(planned)}")

        self._planning(plan)

    def join(self, timeout: float | None = None) -> None:
        """Waits for whatever is under way, or about `timeout` seconds."""
        for work in (self._weighing, self._follower, self._planning):
            work.join(timeout)

    def _axes(self, *, wanted: bool = False) -> list[Axis]:
        """The axes that the rows say, in their order; then the form's seeds, if there are several.

        Args:
            wanted: Whether they are to be run.

        Raises:
            AtFieldError: One of them is not right, or there twice. It is said where that is.
        """
        found = [(row, row.parsed(wanted=wanted)) for row in self.rows]
        axes = [(row, axis) for row, said in found for axis in said]
        names = [axis.name for _, axis in axes]
        for row, axis in axes:
            if names.count(axis.name) > 1:
                row.refuse(f"{row.label} is varied twice; take one of the two away")
            elif lacking := self._session.settings.starting.lacking(row.name.value, names):
                thing = called(lacking)
                row.refuse(
                    f"{row.label} needs a {thing.lower()}: give one on the Generate tab, or vary "
                    f"{thing} as well"
                )
        if wrong := [row for row in self.rows if row.error]:
            self._lead_to(wrong, wanted=wanted)
        varied = {axis.name: axis for _, axis in axes}
        settings = self._session.settings
        if SEED not in varied and settings.seeding.are_several:
            varied[SEED] = parse(SEED, settings.seed.value)
        form = settings.fields
        return [_completed(axis, form, varied) for axis in varied.values()]

    def _lead_to(self, wrong: Sequence[AxisRow], *, wanted: bool) -> NoReturn:
        """Says which rows are not right; to be run, leads to the first of them.

        Raises:
            AtFieldError: Always.
        """
        marked = [row.label for row in wrong if row.handle.wrong]
        empty = ", ".join(row.label for row in wrong)
        under_way = [str(row.error) for row in wrong if isinstance(row.error, UnderWayError)]
        self.outlook.say(
            under_way[0]
            if under_way
            else f"To be put right first: {', '.join(dict.fromkeys(marked))}"
            if marked
            else f"Choose values for {empty}."
        )
        if wanted:
            wrong[0].handle.lead()
        raise AtFieldError(str(wrong[0].error))

    def _ask_for_one(self) -> NoReturn:
        """Asks for a parameter to vary, at the first row if there is one.

        Raises:
            RecipeError: Always.
        """
        text = "choose at least one parameter to vary"
        if not self.rows:
            self.add.focus()
            raise AxisError(text)
        self.rows[0].refuse(text)
        self.rows[0].handle.lead()
        raise AtFieldError(text)

    def _require(self, varied: Sequence[Axis]) -> None:
        """Refuses a form that is not right, and words in braces that nothing fills.

        Raises:
            RecipeError: With what is wrong.
        """
        settings = self._session.settings
        try:
            settings.require(but=_unused(varied) | settings.unfilled)
        except AtFieldError as error:  # that field is on the other tab
            raise RecipeError(f"on the Generate tab: {error}") from None
        if unfilled := self._unfilled(varied):
            self.add.focus()
            raise AxisError(unfilled)

    def _unfilled(self, varied: Sequence[Axis]) -> str:
        """What to do about words in braces that no axis fills, "" if there are none."""
        settings, taken = self._session.settings, _taken(varied)
        texts = [settings.fields[name].value for name in TEXTS if name not in taken]
        presets = [] if PRESET in taken else [settings.preset.chosen]
        for edit in (edit for axis in varied for edit in axis.edits):
            texts += [edit.parameters[name] for name in TEXTS if name in edit.parameters]
            presets.append(edit.preset)
        texts += [preset.around(name, "") for preset in presets if preset for name in TEXTS]
        return braces.swept(
            braces.unfilled(texts, {n for axis in varied for n in axis.edits[0].words})
        )

    def _call(self, varied: Sequence[Axis]) -> Asked:
        """The arguments of `Generator.submit`."""
        settings = self._session.settings
        taken = _taken(varied)
        parameters = settings.parameters(but=taken)
        if PRESET not in taken:
            parameters |= settings.preset.asked
        prompt = parameters.pop("prompt", "")
        if SEED not in taken:
            parameters[SEED] = settings.seeding.seeds(1)[0]
        return prompt, list(varied), parameters

    def _rest(self, varied: Sequence[Axis], wrong: Collection[str]) -> str:
        """What is not varied, in words; what is wrong is left out."""
        settings, taken = self._session.settings, _taken(varied).union(wrong)
        parameters = settings.parameters(but=taken)
        recipe = Recipe(**parameters)
        parts = [str(recipe)] if "prompt" not in taken else []
        if PRESET not in taken and settings.preset.chosen:
            parts.append(f"preset {settings.preset.field.value}")
        parts += in_words(recipe)
        if _varied_loras(varied) & {lora.key for lora in recipe.loras or ()}:
            parts.append("what varies of its LoRAs is added to that")
        if len(sides := [name for name in SIZE if name in parameters]) == 1:
            parts.append(f"{sides[0]} {parameters[sides[0]]}")
        if SEED not in taken:
            typed = settings.seeding.typed
            parts.append(f"seed {typed[0]}" if typed else "seed new each time")
        elif not any(row.name.value == SEED for row in self.rows):
            parts.append(f"each of the seeds {settings.seed.value.strip()}")
        return " · ".join(parts)

    def _submit(self, generator: Maker, call: Asked) -> None:
        from nbtool.live.view import GridView

        prompt, objects, parameters = call
        job = generator.submit(prompt, *objects, **parameters)
        self.notice.clear()
        self.outcome.clear()
        self._last = generator, call
        self.job = job
        self.cancel.disabled = False
        self.resume.disabled = True
        self.run_button.disabled = True
        self._follower.follow(job)
        self._begun(job.grid)
        before = self.results.children
        self.results.children = [GridView(job.grid, job=job, cancel=False)]
        for view in before:
            view.close()

    def _resume(self) -> None:
        if self._last:
            self._submit(*self._last)

    def _look(self, jobs: Sequence[Job], over: bool) -> None:
        """Called from the follower's thread; touches only traits."""
        self.run_button.disabled = not over
        self.cancel.disabled = over  # a job may have come while the last one was closed
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
        self.notice.conclude(jobs)
        self.outlook.guarded(self.foresee)()
        self._ended(job.grid)

    def _add(self) -> None:
        if len(self.rows) >= MAX_AXES:
            return
        with self._telling.holding():
            row = AxisRow(
                self.outlook.guarded(self._edited),
                lambda by: self.notice.guarded(lambda: self._move(row, by))(),
                lambda: self._session.settings.preset.known,
                self._session.settings.starting.known,
                self._weighing,
            )
        row.remove.on_click(self.notice.click(lambda: self._remove(row)))
        self.rows.append(row)
        self._show_rows()

    def _offer_presets(self) -> None:
        for row in self.rows:
            row.offer_presets()
        self.foresee()

    def _edited(self) -> None:
        self._session.answered()
        self.foresee()

    def _remove(self, row: AxisRow) -> None:
        self.rows.remove(row)
        self._show_rows()

    def _move(self, row: AxisRow, by: int) -> None:
        place = self.rows.index(row)
        self.rows.remove(row)
        self.rows.insert(max(0, place + by), row)
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
                self.notice.widget,
                self.outcome.widget,
                self.results,
            ]
        )
        tab.add_class("nbtool-sweep")
        return tab


def _taken(varied: Sequence[Axis]) -> set[str]:
    """The parameters that axes decide, and their names."""
    taken = {axis.name for axis in varied}
    for axis in varied:
        taken |= axis.parameters
        for edit in axis.edits:
            taken |= edit.preset.settings.keys() if edit.preset else set()
    return taken


def _varied_loras(varied: Sequence[Axis]) -> set[str]:
    """The keys of the LoRAs that axes have."""
    edits = (edit for axis in varied for edit in axis.edits)
    return {lora.key for edit in edits for lora in edit.loras.values() if lora}


def _unused(varied: Sequence[Axis]) -> set[str]:
    """The fields of the form that a sweep of these axes does not go by."""
    return _taken(varied) | {"count"}


def _completed(axis: Axis, form: Mapping[str, Field], varied: Collection[str]) -> Axis:
    """The same; what one of its presets sets, the others have as the form does."""
    presets = [edit.preset or Preset() for edit in axis.edits]
    names = {name for preset in presets for name in preset.settings} - set(varied)
    if not names:
        return axis
    rest = {n: form[n].value for n in names if any(n not in p.settings for p in presets)}
    whole = [Preset(**{**rest, **preset.without(varied).to_dict()}) for preset in presets]
    edits = (edit._replace(preset=one) for edit, one in zip(axis.edits, whole, strict=True))
    return dataclasses.replace(axis, edits=tuple(edits))
