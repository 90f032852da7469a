"""The object a user holds: a model, a store, and the ways to make images with them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtool import axes, catalogue, environment
from nbtool.axes import Axis, Sweep
from nbtool.display import progress
from nbtool.display.card import card
from nbtool.engines.base import Engine
from nbtool.engines.local import LocalEngine
from nbtool.errors import AxisError, NbtoolError, RecipeError, StoreError
from nbtool.grid import Grid
from nbtool.image import GeneratedImage
from nbtool.job import Job
from nbtool.plans import MemoryPlan, best_plan
from nbtool.recipe import PARAMETERS, Recipe
from nbtool.roster import AUTO, choose_model
from nbtool.store import Store, default_folder

if TYPE_CHECKING:
    from nbtool.engines.local.tuning import Tuning
    from nbtool.widgets.panel import Panel

MODEL_VARIABLE = "NBTOOL_MODEL"
AHEAD = 1  # the priority of a call that somebody waits for

Prompt = str | Recipe | Sequence[str] | Sequence[Recipe]


class Generator:
    """Makes images with one model and keeps every one of them.

        gen = nbtool.Generator()                 # the embedded model, offline
        gen("a red circle", seed=7)              # one image
        gen.grid("a star", seed=range(4), guidance_scale=[1, 3, 5])

    Nothing is loaded before the first image is asked for. What has been made before is taken
    from the store.

    Args:
        model: A catalogue name (see `nbtool.models()`), a folder in diffusers' layout, a
            .safetensors checkpoint, or an id on the Hugging Face hub; "auto": the best model
            that runs here now. None: the variable NBTOOL_MODEL, or else "shapes", the model inside
            the package.
        store: The folder (or Store) for the images. None: the variable NBTOOL_STORE, or else
            "nbtool-images".
        device: "cuda", "cuda:1", "mps", "xpu" or "cpu"; None: the best there is.
        dtype: "float32", "float16" or "bfloat16"; None: what suits the device and the model.
        revision: A branch, a tag or a commit on the hub; None: its main branch, or what is in
            the cache of it.
        safety_checker: False leaves out the model's own safety checker, if it has one.
        quantization: "8bit" or "4bit" for the weights of large networks, with the package
            bitsandbytes; "" for none.
        allow_pickle: Whether weights may be pickles, which can run any code when they are read.
        exact: Every bit of an image is the same whatever else is generated with it, at the cost
            of speed: batches have one fixed width. Without it low precision can move a few pixels
            by a shade.
        **defaults: Recipe parameters used where a call does not give them.

    Raises:
        ModelError: There is no such model.
        RecipeError: A default is unknown or out of range.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        store: str | os.PathLike[str] | Store | None = None,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        safety_checker: bool = True,
        quantization: str = "",
        allow_pickle: bool = False,
        exact: bool = False,
        **defaults: Any,
    ) -> None:
        model = model or os.environ.get(MODEL_VARIABLE) or catalogue.EMBEDDED
        checked = Recipe(**defaults)
        self.defaults = {name: getattr(checked, name) for name in defaults}
        self.store = store if isinstance(store, Store) else default_store(store)
        self.reason = ""  # why this model, where it was not named
        if model == AUTO:
            model, self.reason = choose_model()
        self.engine: Engine = LocalEngine(
            model,
            revision=revision,
            device=device,
            dtype=dtype,
            exact=exact,
            safety_checker=safety_checker,
            quantization=quantization,
            allow_pickle=allow_pickle,
        )

    def __call__(self, prompt: str | Recipe = "", **parameters: Any) -> GeneratedImage:
        """One image; waits for it and shows progress.

        Args:
            prompt: What to draw, or a recipe to make again.
            **parameters: Recipe parameters; see `nbtool.Recipe`.

        Raises:
            RecipeError: A parameter is unknown, out of range, or a list (use `grid`).
            GenerationError: The image could not be made.
        """
        sweep = self._sweep(prompt, (), parameters)
        if sweep.axes:
            names = ", ".join(axis.name for axis in sweep.axes)
            raise AxisError(f"several values for {names}; use gen.grid(…) for more than one image")
        image: GeneratedImage = self._wait(self._submit(sweep, priority=AHEAD)).isel()
        return image

    def grid(self, prompt: Prompt = "", *axes: Axis, **parameters: Any) -> Grid:
        """The images of every combination of values, labelled; waits and shows progress.

            gen.grid("a {color} star", color=["red", "blue"], seed=range(4), guidance_scale="1-7 (+2)")

        Any parameter given as a list, tuple, range or range string is an axis, and so is a list
        for a `{name}` in the prompt. Axes multiply. A seed left open is drawn once for the whole
        grid. Interrupted, it keeps what was made; the same call makes only what is missing.

        Args:
            prompt: A prompt or recipe, or a list of either as the first axis.
            *axes: `nbtool.paired(…)`, `nbtool.replace(…)`; they may be given by name too.
            **parameters: Recipe parameters and words for the prompt.

        Raises:
            RecipeError: A parameter is unknown or a value out of range; nothing was run.
            StoreError: An image could not be written; the run stops, what was made is kept.
        """
        return self._wait(self._submit(self._sweep(prompt, axes, parameters), priority=AHEAD))

    def submit(self, prompt: Prompt = "", *axes: Axis, **parameters: Any) -> Job:
        """The same as `grid`, in the background: returns a Job at once.

        Raises:
            RecipeError: A parameter is unknown or a value out of range; nothing was started.
            StoreError: Images could not be kept in the store; nothing was started.
        """
        return self._submit(self._sweep(prompt, axes, parameters))

    def plan(self, prompt: Prompt = "", *axes: Axis, **parameters: Any) -> Plan:
        """What `grid` would do: cells, how many are stored, how long and how large the rest is.

        Raises:
            RecipeError: A parameter is unknown or a value out of range.
        """
        sweep = self._sweep(prompt, axes, parameters)
        stored = self.store.listing()
        keys: set[str] = set()
        missing = pixels = 0
        work = 0.0
        for _, recipe in sweep:
            self.engine.check(recipe)
            if (key := recipe.key) in keys:
                continue
            keys.add(key)
            if key not in stored:
                missing += 1
                pixels += _pixels(recipe)
                work += _work(recipe)
        return Plan(
            cells=len(sweep),
            images=len(keys),
            stored=len(keys) - missing,
            seconds=self._estimate(work, sweep.base.model),
            disk_bytes=pixels * 3,
        )

    def memory_plan(self, width: int | None = None, height: int | None = None) -> MemoryPlan:
        """How the model is put into this machine's memory, or why it does not fit; shows itself.

        It is about what is free now; `nbtool.models()` is about the machine.

        Args:
            width: Of the images, in pixels; None: what the model was trained for.
            height: The same.

        Raises:
            ModelError: There is no such model.
        """
        return best_plan(self.engine.plans(width, height))

    def tune(self, *, compiling: bool = True) -> Tuning:
        """Tries what may make this model faster on this machine, and uses the best from now on.

        Pictures stay the same to within the last bits. The choice is remembered for this model,
        machine and version of torch, also by later processes.

        Args:
            compiling: Whether to try torch.compile too: it takes a minute or more now, and some
                seconds at the first image of every process.

        Returns:
            What was tried and how fast it was; shows itself.

        Raises:
            ModelError: The model cannot be had or loaded.
        """
        if not isinstance(self.engine, LocalEngine):
            raise NbtoolError("only models on this machine can be tuned")
        return self.engine.tune(progress.say, compiling=compiling)

    def panel(self) -> Panel:
        """A widget panel with every parameter, live previews, a gallery and sweeps.

        Raises:
            NbtoolError: Widgets cannot be shown here; the message says what to do.
        """
        if hint := environment.why_no_panel():
            raise NbtoolError(f"{hint}; gen(…) and gen.grid(…) work everywhere")
        from nbtool.widgets.panel import Panel

        return Panel(self)

    def _sweep(self, prompt: Prompt, axes_: Sequence[Axis], parameters: Mapping[str, Any]) -> Sweep:
        for name in parameters.keys() & {"model", "revision"}:
            raise RecipeError(f"the {name} belongs to the generator; use nbtool.Generator(…)")
        return axes.sweep(prompt, axes_, parameters, {**self.engine.defaults(), **self.defaults})

    def _submit(self, sweep: Sweep, *, priority: int = 0) -> Job:
        return Job(sweep, self.engine, self.store, generate=self.__call__, priority=priority)

    def _wait(self, job: Job) -> Grid:
        try:
            _watch(job)
        except BaseException:
            # An interrupt: stop within a step, keep what is done, let it through.
            job.cancel()
            job.join()
            raise
        for note in job.notes:
            warnings.warn(note, stacklevel=3)
        try:
            return job.wait()
        except StoreError as error:
            error.grid = job.grid
            raise

    def _estimate(self, work: float, model: str | None) -> float | None:
        """Seconds for so much work, from the pace of stored images of the same model."""
        if not work:
            return 0.0
        paces = [
            image.provenance.seconds / _work(image.recipe)
            for image in self.store.latest(20)
            if image.recipe.model == model
        ]
        if not paces:
            return None
        return sorted(paces)[len(paces) // 2] * work

    def __repr__(self) -> str:
        return f"<Generator {self.engine.name}, images in {self.store.path.name}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {**card(self._card())}

    def _card(self) -> dict[str, str]:
        rows = self.engine.describe()
        if self.reason:
            rows["Chosen"] = self.reason
        defaults = {**self.engine.settings(), **self.defaults}
        if shown := [f"{name}={defaults[name]!r}" for name in PARAMETERS if name in defaults]:
            rows["Defaults"] = ", ".join(shown)
        return rows | {"Images": f"{len(self.store)} in {self.store.path}"}


def default_store(folder: str | os.PathLike[str] | None = None) -> Store:
    """The store in a folder; None: the default one."""
    return Store(os.fspath(folder or default_folder()))


def _watch(job: Job) -> None:
    """Shows a job until it is over: a grid fills where that can be drawn meanwhile."""
    if job.sweep.axes and environment.progress_style() == "live":
        from nbtool.widgets.live import watch

        watch(job)
    else:
        progress.watch(job)


@dataclass(frozen=True)
class Plan:
    """What a sweep would do.

    Attributes:
        cells: Cells of the grid.
        images: Different images; cells with the same recipe share one.
        stored: How many of them are in the store already.
        seconds: An estimate for the rest; None when no image of this model is there to tell.
        disk_bytes: An upper bound for what the rest takes on disk.
    """

    cells: int
    images: int
    stored: int
    seconds: float | None
    disk_bytes: int

    @property
    def to_make(self) -> int:
        return self.images - self.stored

    def __str__(self) -> str:
        if not self.to_make:
            return f"{self.cells} cells, all in the store"
        time = "time not known yet" if self.seconds is None else (
            f"about {progress.duration(self.seconds)}"
        )  # fmt: skip
        return (
            f"{self.cells} cells: {self.to_make} images to make, {self.stored} in the store; "
            f"{time}, at most {math.ceil(self.disk_bytes / 1e6)} MB"
        )

    __repr__ = __str__


def _pixels(recipe: Recipe) -> int:
    return (recipe.width or 0) * (recipe.height or 0)


def _work(recipe: Recipe) -> float:
    """A measure of an image's cost: pixels, steps, and two network rows where guided."""
    rows = 2 if (recipe.guidance_scale or 0) > 1 else 1
    return _pixels(recipe) * (recipe.num_inference_steps or 1) * rows
