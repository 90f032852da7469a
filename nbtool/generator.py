"""The object a user holds: a model, a store, and the ways to make images with them."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nbtool import catalogue, environment
from nbtool.display import progress
from nbtool.engines.base import Engine, Exacting, Fitting, Renewing, check, is_exact
from nbtool.engines.local import LocalEngine
from nbtool.engines.placed import Placed
from nbtool.environment import default_folder
from nbtool.errors import (
    AxisError,
    ModelError,
    NbtoolError,
    PartError,
    RecipeError,
    StoreError,
    unknown_name,
)
from nbtool.fitting.plans import MemoryPlan, best_plan
from nbtool.fitting.roster import choose_model
from nbtool.grid import Grid
from nbtool.job import AHEAD, Job
from nbtool.recipes import axes, given
from nbtool.recipes.axes import Sweep
from nbtool.recipes.axis import Axis
from nbtool.recipes.given import Several
from nbtool.recipes.parameters import PARAMETERS
from nbtool.recipes.recipe import Recipe
from nbtool.results import paces
from nbtool.results.image import GeneratedImage
from nbtool.results.plan import Plan
from nbtool.results.steps import Steps
from nbtool.results.store import Store
from nbtool.silence import importing, mild
from nbtool.text import card, warn
from nbtool.watch import watch

if TYPE_CHECKING:
    from nbtool.engines.local.tuning import Tuning
    from nbtool.panel.panel import Panel

MODEL_VARIABLE = "NBTOOL_MODEL"

LEFT_OUT = {  # what says nothing of which engine makes the images
    **dict.fromkeys(("model", "revision", "device", "dtype")),
    "exact": False,
    "safety_checker": True,
    "quantization": "",
    "allow_pickle": False,
}
OPTIONS = ("engine", "store", *LEFT_OUT)

Prompt = str | Recipe | Iterable[str] | Iterable[Recipe] | Mapping[str, str | Recipe]


class Generator:
    """Makes images with one model and keeps every one of them.

        gen = nbtool.Generator()                 # the embedded model, offline
        gen("a red circle", seed=7)              # one image
        gen.grid("a star", seed=range(4), guidance_scale=[1, 3, 5])

    Nothing is loaded before the first image is asked for. What has been made before is taken
    from the store.

    Args:
        model: A catalogue name (see `nbtool.models()`), a folder in diffusers' layout, a
            .safetensors checkpoint, or an id on the Hugging Face hub; the last part of a folder's
            or file's path finds it where it was last used; "auto": the best model that runs here
            now. None: the variable NBTOOL_MODEL, or else "shapes", the model inside
            the package.
        engine: What makes the images in place of a model on this machine, such as a
            `nbtool.testing.FakeEngine`. With it the model and its options are left out.
        store: The folder (or Store) for the images. None: the variable NBTOOL_STORE, or else
            "nbtool-images".
        device: "cuda", "cuda:1", "mps", "xpu" or "cpu"; None: the best there is.
        dtype: "float32", "float16" or "bfloat16"; None: what suits the device and the model.
        revision: A branch, a tag or a commit on the hub; None: its main branch, or what is in
            the cache of it. Of a folder or file the digest that it must have.
        safety_checker: False leaves out the model's own safety checker, if it has one.
        quantization: "8bit" or "4bit" for the weights of large networks, with the package
            bitsandbytes; "" for none.
        allow_pickle: Whether weights may be pickles, which can run any code when they are read.
        exact: An image is the same to the bit however it is asked for first, alone or in a grid, at
            the cost of speed: batches have one fixed width. Without it that is so of an image that
            is made again, from its file or its recipe.
        **defaults: Recipe parameters used where a call does not give them, nor a recipe that is
            given for a prompt. A recipe without a picture, a mask or a second pass says that there
            is none: those are for words alone.

    Raises:
        ModelError: There is no such model.
        RecipeError: A default is unknown or out of range, or there is an engine and beside it
            what would decide another.
    """

    def __init__(
        self,
        /,
        model: str | None = None,
        *,
        engine: Engine | None = None,
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
        for name in defaults:
            if name not in PARAMETERS:
                raise RecipeError(unknown_name(name, {*OPTIONS, *PARAMETERS}, "option"))
        checked = Recipe(**defaults)
        self.defaults = {name: getattr(checked, name) for name in defaults}
        self.store = store if isinstance(store, Store) else default_store(store)
        self.reason = ""  # why this model, where it was not named
        self._paces = paces.Paces(self.store)
        self._asked = dict(self.defaults)  # also those that this model does not take
        self._options: dict[str, Any] = {  # that another model can have too
            "device": device,
            "dtype": dtype,
            "safety_checker": safety_checker,
            "quantization": quantization,
            "allow_pickle": allow_pickle,
        }
        options = {**self._options, "revision": revision, "exact": exact}
        if engine is not None:
            if isinstance(engine, type) or not hasattr(engine, "run"):
                raise RecipeError(
                    f"engine must be an engine such as nbtool.testing.FakeEngine(), got {engine!r}"
                )
            _refuse_beside_engine({"model": model, **options})
            self.engine = engine
            return
        model = model or os.environ.get(MODEL_VARIABLE) or catalogue.EMBEDDED
        if model == catalogue.AUTO:
            model, self.reason = choose_model()
        self.engine = LocalEngine(model, **options)

    def __call__(self, prompt: str | Recipe = "", /, **parameters: Any) -> GeneratedImage:
        """One image; waits for it and shows progress.

        Args:
            prompt: What to draw, or a recipe to make again.
            **parameters: Recipe parameters; see `nbtool.Recipe`. And `preset`, the name of one of
                `store.presets`.

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

    def grid(self, prompt: Prompt = "", /, *axes: Axis, **parameters: Any) -> Grid:
        """The images of every combination of values, labelled; waits and shows progress.

            gen.grid("a {color} star", color=["red", "blue"], seed=range(4), guidance_scale="1-7 (+2)")

        Any parameter given as several values is an axis, and so are several for a `{name}` in the
        prompt: a list, a range or a range string, an array, a generator; of a dict the values,
        with its keys as labels. Axes multiply. Interrupted, it keeps what was made; the same call
        makes only what is missing. A seed left open is drawn once for the whole grid, anew at each
        call: what is said at the end names it, and given as `seed=` it goes on with that grid. Where
        some cells alone leave theirs open, `grid.records()` has what was drawn for them.

        Args:
            prompt: A prompt or recipe, or several of either as the first axis.
            *axes: `nbtool.paired(…)`, `nbtool.replace(…)`; they may be given by name too.
            **parameters: Recipe parameters, words for the prompt, and `preset`; several are an axis.

        Raises:
            RecipeError: A parameter is unknown or a value out of range; nothing was run.
            StoreError: An image could not be written; the run stops, what was made is kept.
        """
        return self._wait(self._submit(self._sweep(prompt, axes, parameters), priority=AHEAD))

    def submit(self, prompt: Prompt = "", /, *axes: Axis, **parameters: Any) -> Job:
        """The same as `grid`, in the background: returns a Job at once.

        Raises:
            RecipeError: A parameter is unknown or a value out of range; nothing was started.
            StoreError: Images could not be kept in the store; nothing was started.
        """
        return self._submit(self._sweep(prompt, axes, parameters))

    def plan(self, prompt: Prompt = "", /, *axes: Axis, **parameters: Any) -> Plan:
        """What `grid` would do: cells, how many are stored, how long and how large the rest is.

        Images that others are made from are counted where they are to be made first.

        Raises:
            RecipeError: A parameter is unknown or a value out of range.
        """
        sweep = self._sweep(prompt, axes, parameters)
        stored = self.store.listing()
        keys: set[str] = set()
        missing = pixels = 0
        work = 0.0
        steps = Steps(self.store, keep=False)
        checked: set[str] = set()
        unfit: PartError | None = None
        for _, recipe in sweep:
            left = [recipe]
            while left:
                one = left.pop()
                try:
                    check(self.engine, one, checked)
                except PartError as error:  # its cells fail
                    unfit = unfit or error
                    keys.add(one.key)
                    continue
                if (key := one.key) in keys:
                    continue
                keys.add(key)
                if key not in stored:
                    missing += 1
                    pixels += paces.pixels(one)
                    work += paces.work(one)
                    left += steps.before(one)
        if unfit and not checked:
            raise unfit
        return Plan(
            cells=len(sweep),
            images=len(keys),
            stored=len(keys) - missing,
            seconds=self._paces.seconds(work, sweep.base.model, stored),
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
            NbtoolError: The model is not on this machine.
        """
        return best_plan(self._placed().plans(width, height))

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
            NbtoolError: The model is not on this machine.
        """
        return self._placed().tune(progress.say, compiling=compiling)

    @property
    def exact(self) -> bool:
        """Whether an image's bits depend on nothing that it is made together with."""
        return is_exact(self.engine)

    def with_exact(self, exact: bool) -> Generator:
        """The same generator, exact or not.

        Raises:
            NbtoolError: Its engine has no such choice.
        """
        if exact == self.exact:
            return self
        new = copy.copy(self)
        new.engine = engine = copy.copy(self.engine)
        if not isinstance(engine, Exacting):
            raise NbtoolError(f"{engine.name} has no exact mode")
        engine.exact = exact
        return new

    def with_model(self, name: str) -> Generator:
        """A generator of another model: the same store, and every option of this one.

        That is device, dtype, safety_checker, quantization, allow_pickle, exact and the defaults;
        not the revision, which is this model's own. The name or place of this model itself gives
        this very generator. Defaults that the other model does not take,
        such as a scheduler that is not made for it, are left out of its `defaults`; they are there
        again with a further model that takes them. An engine of one's own has one model: the other
        runs on this machine.

        Args:
            name: As in `nbtool.Generator`.

        Raises:
            ModelError: There is no such model; or it cannot be had, where there are defaults that
                it may not take.
        """
        if self._is_of(name):
            return self
        new = Generator(name, store=self.store, exact=self.exact, **self._options)
        new._asked = self._asked
        new.defaults = {n: value for n, value in self._asked.items() if new._takes(n, value)}
        return new

    def _is_of(self, name: str) -> bool:
        """Whether a name, a folder or a file is that of its model."""
        if name == self.engine.name:
            return True
        if not isinstance(self.engine, LocalEngine) or name == catalogue.AUTO:
            return False
        found, model = catalogue.find(name, allow_pickle=True), self.engine.model
        return (found.name, found.source) == (model.name, model.source)

    def _takes(self, name: str, value: Any) -> bool:
        """Whether the model takes a parameter."""
        try:
            self.engine.check(Recipe(**{**self.engine.defaults(), name: value}))
        except RecipeError:
            return False
        return True

    def panel(self) -> Panel:
        """A widget panel with every parameter, live previews, a gallery and sweeps.

        Raises:
            NbtoolError: Widgets cannot be shown here; the message says what to do.
        """
        if hint := environment.why_no_panel():
            raise NbtoolError(f"{hint}; gen(…) and gen.grid(…) work everywhere")
        with importing("anywidget"):
            from nbtool.panel.panel import Panel

        with mild():
            return Panel(self)

    def _placed(self) -> Placed:
        if not isinstance(self.engine, Placed):
            raise NbtoolError(
                f"{self.engine.name} is not in this machine's memory: there is nothing to plan or tune"
            )
        return self.engine

    def _sweep(self, prompt: Prompt, axes_: Sequence[Axis], parameters: Mapping[str, Any]) -> Sweep:
        for name in parameters.keys() & {"model", "revision"}:
            raise RecipeError(f"the {name} belongs to the generator; use nbtool.Generator(…)")
        if "prompt" in parameters:
            if axes_ or not isinstance(prompt, str) or prompt:
                raise RecipeError(
                    "prompt= is given beside a first prompt; give one, and take another name where "
                    "prompt is a word in braces"
                )
            prompt = parameters["prompt"]
            parameters = {name: v for name, v in parameters.items() if name != "prompt"}
        if (preset := parameters.get("preset")) is not None:
            preset = axes.preset(preset, self.store.presets)
            parameters = {**parameters, "preset": preset}
        prompt = given.taken("prompt", prompt)
        among = prompt.values if isinstance(prompt, Several) else [prompt]
        if any(isinstance(one, GeneratedImage) for one in among):
            raise RecipeError(
                "an image is no prompt; to make it again give its recipe, image.recipe"
            )
        among = [self._renewed(one) if isinstance(one, Recipe) else one for one in among]
        prompt = prompt._replace(values=among) if isinstance(prompt, Several) else among[0]
        whole = partial(axes.sweep, prompt, axes_, parameters, options=OPTIONS, fitting=self._fits)
        try:
            known = self.engine.defaults()
        except ModelError:
            # What a family of the catalogue does not do needs no files to be refused.
            if isinstance(self.engine, LocalEngine) and self.engine.model.known:
                for _, recipe in whole({**self.engine.settings(), **self.defaults}):
                    self.engine.check(recipe)
            raise
        return whole({**known, **self.defaults})

    def _fits(self, recipe: Recipe) -> dict[str, Any]:
        """What suits a recipe with a picture, but for what was said when the generator was made."""
        known = self.engine.fits(recipe) if isinstance(self.engine, Fitting) else {}
        return {name: value for name, value in known.items() if name not in self.defaults}

    def _renewed(self, recipe: Recipe) -> Recipe:
        """The same as this engine can make it: with its name for the model.

        Raises:
            RecipeError: A newer nbtool wrote it.
        """
        recipe.require_known()
        return self.engine.renewed(recipe) if isinstance(self.engine, Renewing) else recipe

    def _submit(self, sweep: Sweep, *, priority: int = 0) -> Job:
        return Job(
            sweep,
            self.engine,
            self.store,
            generate=self.__call__,
            priority=priority,
            defaults=self.defaults,
        )

    def _wait(self, job: Job) -> Grid:
        watch(job)
        try:
            grid = job.wait()
        except StoreError as error:
            error.grid = job.grid
            raise
        # Last, when all is kept: where warnings are errors this raises.
        for note in job.notes:
            warn(note, stacklevel=3)
        return grid

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


def _refuse_beside_engine(options: Mapping[str, Any]) -> None:
    """Refuses what decides another engine than the one that is given."""
    if given := [name for name, value in options.items() if value != LEFT_OUT[name]]:
        raise RecipeError(
            f"an engine of its own has been given; leave out {', '.join(given)}, "
            f"which only a model on this machine has"
        )


def default_store(folder: str | os.PathLike[str] | None = None) -> Store:
    """The store in a folder; None: the default one."""
    return Store(folder or default_folder())
