"""The Generate tab: says what will happen, makes it happen, shows what comes of it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbtool.errors import log
from nbtool.panel.background import Follower, Latest
from nbtool.panel.collection.listed import MAKING
from nbtool.panel.detail import Detail
from nbtool.panel.gallery import Gallery
from nbtool.panel.notice import Notice, ProgressLine, foresee, together
from nbtool.recipes import axes
from nbtool.results.image import GeneratedImage
from nbtool.text import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from nbtool.errors import GenerationError
    from nbtool.job import Job
    from nbtool.panel.session import Session
    from nbtool.recipes.recipe import Recipe

VARIATIONS = 4  # images of one click on "Vary the seed"


class GenerateTab:
    """The form, the buttons, the progress and the gallery.

    Args:
        session: What the tabs share.
        gallery: The images of its store.
        opening: What fills it, of which the first part is under way.
        copy: Puts a text on the clipboard.
        ended: Called from a thread when nothing runs any more.
    """

    def __init__(
        self,
        session: Session,
        gallery: Gallery,
        opening: Latest,
        copy: Callable[[str], None],
        ended: Callable[[], None],
    ) -> None:
        self._session = session
        self._ended = ended
        self.notice = notice = session.notice
        self.gallery = gallery
        self.detail = Detail(self.gallery, session.generator.store, notice, copy)
        self.outlook = Notice()
        self.outlook.widget.add_class("nbtool-outlook")
        self.progress = ProgressLine()
        self.generate = ipywidgets.Button(
            description="Generate", button_style="primary", tooltip="Ctrl+Enter"
        )
        self.generate.add_class("nbtool-go")
        self.cancel = ipywidgets.Button(
            description="Cancel", disabled=True, tooltip="Stops within one step; keeps the rest"
        )
        self._seen: dict[int, int] = {}  # by the job's id, how much of it was looked at
        self._previews: dict[str, tuple[Callable[[], Image], Image | None]] = {}
        self._following = threading.RLock()  # of the two below
        self._follow = False  # the newest image is the one that is looked at
        self._presented = ""  # the key of the image that was shown unasked
        self._planning = Latest(self.outlook.fail, after=opening)
        self._opening = opening
        self._opened = False  # the gallery has what the store had
        self._follower = Follower(self._look, notice.fail)
        self.generate.on_click(notice.click(lambda: session.once_there(notice.guarded(self.run))))
        self.cancel.on_click(notice.click(self.stop))
        self.gallery.observe(self._chosen, "selected")
        session.settings.seeding.last = self._last_seed
        session.on_change(self.outlook.guarded(self.foresee))
        self.detail.stage.on_look(self._stay)
        self.detail.on(self.detail.use, self._use)
        self.detail.on(self.detail.vary, self._vary)
        self.detail.on_image(self.detail.start, self._start)
        self.gallery.on_use(self._use)
        self.gallery.on_start(self._start)
        self.gallery.on_marked(self.detail.show_marks)
        self.widget = self._arranged()
        self._opening(self._open)

    def run(self) -> None:
        """Generates what the form says; returns at once."""
        settings = self._session.settings
        settings.require()
        parameters, seeds = settings.parameters() | settings.preset.asked, settings.seeds()
        settings.seeding.ran(seeds)
        self._submit(**parameters, seed=seeds if len(seeds) > 1 else seeds[0])
        self.foresee()

    def stop(self) -> None:
        """Cancels all that runs here; what is finished is kept."""
        self._follower.cancel()

    def foresee(self) -> None:
        """Says what will happen, in the background: the store is looked at for it."""
        self._planning.forget()
        if not self._session.is_open:
            return
        settings = self._session.settings
        if wrong := settings.wrong:
            self.outlook.say(f"To be put right first: {', '.join(f.description for f in wrong)}")
            return
        parameters, seeds = settings.parameters() | settings.preset.asked, settings.seeds()
        generator, starting = self._session.generator, settings.starting
        origin = f" · from {starting.summary}" if starting.values["image"] else ""

        def plan() -> Callable[[], None]:
            text = foresee(generator.plan(**parameters, seed=list(seeds)))
            return lambda: self.outlook.say(text + origin)

        self._planning(plan)

    def wait_for_gallery(self, timeout: float) -> None:
        """Waits until the gallery is filled from the store, or `timeout` seconds."""
        self._opening.join(timeout)

    def join(self, timeout: float | None = None) -> None:
        """Waits for whatever is under way, or about `timeout` seconds."""
        for work in (self._follower, self._opening, self._planning, self.gallery):
            work.join(timeout)

    def _submit(self, prompt: str | Recipe, **parameters: Any) -> None:
        job = self._session.generator.submit(prompt, **parameters)
        self._session.notice.clear()
        self.cancel.disabled = False
        with self._following:
            self._presented, self._follow = "", True
        self._follower.follow(job)

    def _look(self, jobs: Sequence[Job], over: bool) -> None:
        """Called from the follower's thread; touches only traits."""
        # First of all: what goes wrong with an image below leaves the buttons as they should be.
        self.cancel.disabled = over  # a job may have come while the last one was closed
        self.detail.wait(not over)
        progress = together([job.progress for job in jobs])
        left = progress.total - progress.done
        if over:
            self.progress.close(f"{count(left, 'image')} not made" if left else "")
        else:
            self.progress.show(progress)
        fresh: list[GeneratedImage] = []
        failures: list[GenerationError] = []
        making: dict[str, tuple[Recipe, Image | None]] = {}
        for job in jobs:
            settled, self._seen[id(job)] = job.changes(self._seen.get(id(job), 0))
            for _, cell in settled:
                if isinstance(cell, GeneratedImage):
                    fresh.append(cell)
                else:
                    failures.append(cell)
            for index, preview in list(job.previews.items())[: MAKING - len(making)]:
                recipe = job.sweep.recipe(index)
                making[recipe.key] = recipe, self._preview(recipe.key, preview)
        self.gallery.update(fresh, {} if over else making)
        with self._following:
            if self._follow:
                self._present(fresh, making)
        if failures:
            self._session.notice.alarm(str(failures[-1]))
        if over:
            self._close(jobs)

    def _preview(self, key: str, make: Callable[[], Image] | None) -> Image | None:
        """A preview's picture, made once; None where there is none: the image goes on without."""
        before, picture = self._previews.get(key, (None, None))
        if make is not None and make is not before:
            try:
                picture = make()
            except Exception as error:
                log("a preview cannot be made", error)
            self._previews[key] = make, picture
        return picture

    def _close(self, jobs: Sequence[Job]) -> None:
        self._seen.clear()
        self._previews.clear()
        if self.detail.stage.unfinished:
            self.detail.show()
        self._session.notice.conclude(jobs)
        if not self._opened:
            self._opening(self._open)
        self.outlook.guarded(self.foresee)()
        self._ended()

    def _present(
        self, fresh: Sequence[GeneratedImage], making: dict[str, tuple[Recipe, Image | None]]
    ) -> None:
        """Shows the newest image large, or, while there is none, how the first is coming."""
        if fresh:
            self._choose(fresh[-1].recipe.key)
        elif making and not self._shown_of_run():
            recipe, picture = next(iter(making.values()))
            if picture:
                self.detail.stage.preview(recipe, picture)

    def _shown_of_run(self) -> bool:
        return any(seen > 0 for seen in self._seen.values())

    def _choose(self, key: str) -> None:
        self._presented = key
        if self.gallery.selected == key:
            self.detail.show()
        self.gallery.selected = key

    def _chosen(self, change: Any) -> None:
        with self._following:
            if change["new"] != self._presented:
                self._follow = False  # somebody looks at this one: it stays

    def _stay(self, key: str) -> None:
        """Somebody uses what is shown of an image: it stays, or comes back."""
        with self._following:
            self._follow = False
            if key in self.gallery.images and (
                key != self.gallery.selected or self.detail.stage.unfinished
            ):
                self._choose(key)

    def _open(self) -> None:
        """Looks at the newest image, once the gallery is filled from the store."""
        if not self.gallery.filled:
            self.gallery.fill()
        newest = self.gallery.newest(1)
        if newest and not self.gallery.selected:
            self._choose(newest[0].recipe.key)
        self._opened = True
        self._ended()

    def _last_seed(self) -> int | None:
        return next((image.seed for image in self.gallery.newest()), None)

    def _use(self, recipe: Recipe) -> None:
        self._session.with_model_of(recipe, lambda: self._session.settings.take(recipe))

    def _start(self, image: GeneratedImage) -> None:
        settings = self._session.settings
        settings.starting.start(image)
        settings.picture.unfold()
        self._session.notice.say("Images start from this one now.")

    def _vary(self, recipe: Recipe) -> None:
        def vary() -> None:
            self._submit(recipe, seed=axes.random_seeds(VARIATIONS))

        self._session.with_model_of(recipe, vary)

    def _arranged(self) -> Any:
        settings = self._session.settings
        buttons = ipywidgets.HBox([self.generate, settings.count, self.cancel])
        buttons.add_class("nbtool-row")
        parts = {
            "ask": [
                settings.asking,
                buttons,
                self.outlook.widget,
                self._session.notice.widget,
                self.progress.widget,
            ],
            "look": [self.detail.widget],
            "set": [fold.widget for fold in settings.folds],
            "images": [self.gallery],
            "opened": [self.gallery.sweep],
        }
        boxes = []
        for name, children in parts.items():
            boxes.append(ipywidgets.VBox(children))
            boxes[-1].add_class(f"nbtool-{name}")
        tab = ipywidgets.Box(boxes)
        tab.add_class("nbtool-workplace")
        return tab
