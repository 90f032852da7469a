"""The panel: every parameter, live previews, a gallery of what was made, and sweeps."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbtool.environment import prepare_widgets
from nbtool.panel.background import Latest
from nbtool.panel.gallery import Gallery
from nbtool.panel.generate import GenerateTab
from nbtool.panel.maker import Maker, default_maker
from nbtool.panel.notice import Notice
from nbtool.panel.prompt_help import PromptHelp
from nbtool.panel.root import Root
from nbtool.panel.session import Session
from nbtool.panel.still import SHOWN, still_html
from nbtool.panel.sweep import SweepTab
from nbtool.panel.telling import Telling

if TYPE_CHECKING:
    from nbtool.grid import Grid
    from nbtool.recipes.recipe import Recipe

WIDGET = "application/vnd.jupyter.widget-view+json"
READY = 2.0  # seconds to wait at most for what is mostly there at once: settings, gallery


class Panel(ipywidgets.VBox):  # type: ignore[misc]
    """A widget to explore a model with. Nothing in it blocks the kernel.

        nbtool.Panel()                      # the embedded model
        gen.panel()                         # this generator's model, store and defaults

    Args:
        generator: Whose model, store and defaults it starts with; None: `nbtool.Generator()`.

    Attributes:
        settings: The form.
        notice: The line that says what went wrong on the Generate tab; the Sweep tab has its own.
        generate: The tab with the form and the gallery.
        sweep: The tab with the axes.
        tabs: Both of them.
    """

    def __init__(self, generator: Maker | None = None) -> None:
        generator = generator or default_maker()
        prepare_widgets()
        name = f"nbtool-still-{uuid.uuid4().hex[:12]}"
        self._still = name
        self._handle: Any = None
        self._telling = Telling()
        self._shown = threading.Event()
        with self._telling.holding():
            self.root = Root(still=name)
            self.notice = Notice()
            self._rest = Latest(self.notice.fail)
            gallery = Gallery(generator.store, self.notice, self.root.copy)
            opening = Latest(self.notice.fail)
            opening(gallery.fill)  # reads the store while the rest is made
            self._session = Session(generator, self.notice)
            self.settings = self._session.settings
            self._session.join(READY)
            self.generate = GenerateTab(
                self._session, gallery, opening, self.root.copy, self._redraw_still
            )
            self.prompt_help = PromptHelp(self._session)
            self.settings.preset.attach(self._session)
            self.settings.below_prompt.children = [self.prompt_help, self.settings.preset.widget]
            self.sweep = SweepTab(
                self._session,
                opening,
                begun=self.generate.gallery.keep_sweep,
                ended=self._sweep_ended,
                cancel=self.generate.cancel,
                told=self.prompt_help.fill_with,
            )
            self.tabs = ipywidgets.Tab(
                [self.generate.widget, self.sweep.widget], titles=["Generate", "Sweep"]
            )
            super().__init__([self.root, self.tabs], layout=ipywidgets.Layout())
        self.add_class("nbtool-panel")
        self.generate.detail.on(self.generate.detail.sweep, self._sweep_around)
        self.generate.gallery.on_look(self.settings.preset.look)
        self.root.on_go(self._go)
        self.root.on_seen(self._shown.set)
        self.root.on_chosen(self._telling.choose)
        self._telling.tell(self)
        self._rest(self._tell_rest)
        self.generate.outlook.guarded(self.generate.foresee)()

    @property
    def generator(self) -> Maker:
        """The generator of the model that is chosen now."""
        return self._session.generator

    def cancel(self) -> None:
        """Cancels all that runs, on both tabs."""
        self.generate.stop()
        self.sweep.stop()

    def close(self) -> None:
        """Takes it off the page; what it looks at ends, what runs goes on."""
        views = self.sweep.results.children
        for part in (self.generate.gallery, self.generate.detail.stage, self.prompt_help, *views):
            part.close()
        self._shown.set()
        super().close()
        self._telling.close()

    def join(self, timeout: float | None = None) -> None:
        """Waits until nothing is under way: model, gallery, images, plans.

        `timeout`, in seconds, is that of each.
        """
        self._shown.set()  # or there is nobody to see it
        settings = self.settings
        of_form = settings.loras, settings.preset, self.prompt_help
        for part in (self._session, *of_form, self.generate, self.sweep, self._rest):
            part.join(timeout)

    def _tell_rest(self) -> None:
        """Tells of what is folded away, once the rest is seen; called in the background."""
        self._shown.wait(READY)
        self._telling.tell_rest()

    def _go(self, sweep: bool) -> None:
        tab = self.sweep if sweep else self.generate
        tab.notice.click(lambda: self._session.once_there(tab.notice.guarded(tab.run)))()

    def _sweep_around(self, recipe: Recipe) -> None:
        def fill() -> None:
            self._session.settings.take(recipe)
            self.sweep.fill_around(recipe)
            self.tabs.selected_index = 1

        self._session.with_model_of(recipe, fill)

    def _sweep_ended(self, grid: Grid) -> None:
        """Called from a thread; touches only traits and the display handle."""
        self.generate.gallery.update(grid)
        self._redraw_still()

    def __repr__(self) -> str:
        store = self.generator.store.path.name
        return f"<Panel: {self._session.model}, images in {store}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {**self._view(), "text/html": self._still_html()}

    def _ipython_display_(self) -> None:
        """The widget, and beside it, hidden while it lives, pictures of what was made.

        JupyterLab shows no other part of the bundle in place of a widget whose kernel is gone.
        """
        from IPython.display import display

        display(self._view(), raw=True)
        self.generate.wait_for_gallery(READY)  # whose pictures the notebook's file is to keep
        bundle = {"text/plain": repr(self), "text/html": self._still_html()}
        self._handle = display(bundle, raw=True, display_id=self._still)
        self._shown.set()

    def _view(self) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": repr(self), WIDGET: view}

    def _still_html(self) -> str:
        return still_html(self.generate.gallery.newest(SHOWN), self._still)

    def _redraw_still(self) -> None:
        """Keeps the pictures in the notebook's file up to date; called from threads."""
        if self._handle is not None:
            bundle = {"text/plain": repr(self), "text/html": self._still_html()}
            self._handle.update(bundle, raw=True)
