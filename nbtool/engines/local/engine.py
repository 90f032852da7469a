"""The engine on this machine: diffusers pipelines, as many images at once as it does best."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from importlib import metadata as packages
from importlib.util import find_spec
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from nbtool import catalogue, schedulers
from nbtool._version import __version__
from nbtool.catalogue import Model
from nbtool.display import progress
from nbtool.engines.base import Event, Failed, Finished, Loading, Started, Stepped
from nbtool.engines.local import memory, pictures, pipelines
from nbtool.engines.local.cache import Loaded
from nbtool.engines.local.forwards import Forwards, Stopped
from nbtool.engines.local.placing import Placement, cache
from nbtool.engines.local.questions import Making, Outcome
from nbtool.engines.local.runs import Run
from nbtool.engines.local.tuning import Tuning
from nbtool.engines.local.worker import worker
from nbtool.errors import GenerationError, RecipeError
from nbtool.fitting.estimates import QUANTIZATIONS
from nbtool.fitting.plans import MemoryPlan
from nbtool.machine.hardware import DEVICES, DTYPES
from nbtool.machine.probe import PACKAGES
from nbtool.recipes.parameters import AT_REST, SELECTIVE
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image


PREVIEW_EVERY = 4  # steps


class LocalEngine:
    """Runs a diffusers model on this machine.

    Args:
        model: A catalogue name, a folder, a .safetensors file, or an id on the hub.
        revision: A branch, a tag or a commit on the hub; None: the main branch.
        device: "cuda", "cuda:1", "mps", "xpu" or "cpu"; None: the best there is.
        dtype: "float32", "float16" or "bfloat16"; None: what suits the device and the model.
        exact: Batches have a fixed width: images are the same however they are asked for first.
        safety_checker: Whether the model's own safety checker, if it has one, is used.
        quantization: "8bit" or "4bit" for the weights of large networks; "" for none.
        allow_pickle: Whether weights may be pickles, which can run code when they are read.
    """

    def __init__(
        self,
        model: str,
        *,
        revision: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        exact: bool = False,
        safety_checker: bool = True,
        quantization: str = "",
        allow_pickle: bool = False,
    ) -> None:
        if device is not None and device.split(":")[0] not in DEVICES:
            raise RecipeError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
        for name, value, known in (
            ("dtype", dtype, DTYPES),
            ("quantization", quantization, QUANTIZATIONS),
        ):
            if value and value not in known:
                raise RecipeError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if quantization and find_spec("bitsandbytes") is None:
            raise RecipeError("quantization needs a package more: pip install bitsandbytes")
        found = catalogue.find(
            model, revision=revision, safety_checker=safety_checker, allow_pickle=allow_pickle
        )
        self.exact = exact
        self.placement = Placement(found, device, dtype, quantization)

    @property
    def model(self) -> Model:
        """The model as it was when its settings were last asked for."""
        return self.placement.model

    def _now(self) -> Placement:
        """Where the model is placed, as its files are now."""
        if not self.model.is_current:
            self.placement = self.placement.anew()
        return self.placement

    @property
    def name(self) -> str:
        return self.model.name

    def plans(self, width: int | None = None, height: int | None = None) -> list[MemoryPlan]:
        return self._now().plans(width, height)

    def tune(self, say: Callable[[str], None], *, compiling: bool) -> Tuning:
        placement = self._now()
        placement.model.fetch(say)
        placement.model.identify(say)
        return placement.tune(say, compiling=compiling)

    def settings(self) -> dict[str, Any]:
        return self._now().model.settings

    def defaults(self) -> dict[str, Any]:
        model = self._now().model
        said: set[str] = set()

        def report(text: str) -> None:
            if text not in said:
                said.add(text)
                progress.say(text)

        model.identify(report)
        return model.defaults

    def renewed(self, recipe: Recipe) -> Recipe:
        return self.model.renewed(recipe)

    def check(self, recipe: Recipe) -> None:
        model = self.model
        if recipe.model not in (None, model.name) or recipe.revision not in (None, model.revision):
            raise RecipeError(_other(recipe, model))
        model.check(recipe)

    def describe(self) -> dict[str, str]:
        placement = self._now()
        model = placement.model
        rows = {"Model": model.name}
        if not model.is_here:
            size = model.facts.download_gb if model.known else None
            rows["State"] = f"not downloaded yet{f' ({size:.1f} GB)' if size else ''}"
        if model.known or model.is_described:
            plan = placement.plan
            rows["Runs here"] = f"{plan.summary}; gen.memory_plan() says why"
            if model.is_here:
                loaded = placement.is_loaded
                rows["State"] = "loaded" if loaded else "not loaded yet; the first image loads it"
        return rows

    def run(
        self,
        recipes: Iterable[Recipe],
        emit: Callable[[Event], None],
        cancelled: Callable[[Recipe], bool],
        *,
        priority: int = 0,
    ) -> None:
        worker.claim()
        waiting = _Waiting(recipes, cancelled)

        def report(text: str) -> None:
            emit(Loading(text))
            if not waiting.wanted():
                raise InterruptedError("nobody waits for this model any more")

        placement = self.placement  # another call may find the model's files changed meanwhile
        if not placement.is_loaded:
            try:
                placement.model.fetch(report)
                placement.model.confirm(report)
            except InterruptedError:
                return
        task = _Task(self, placement, emit, cancelled)
        worker.run(Run(task, waiting, priority=priority, exact=self.exact))


class _Waiting:
    """Recipes whose model is not there yet; iterates over them."""

    def __init__(self, recipes: Iterable[Recipe], cancelled: Callable[[Recipe], bool]) -> None:
        self._recipes = iter(recipes)
        self._cancelled = cancelled
        self._first: list[Recipe] = []

    def wanted(self) -> bool:
        """Whether any is not cancelled."""
        while not self._first or self._cancelled(self._first[0]):
            self._first = list(islice(self._recipes, 1))
            if not self._first:
                return False
        return True

    def __iter__(self) -> Iterator[Recipe]:
        return chain(self._first, self._recipes)


class _Task:
    """What the worker does for one run of an engine."""

    def __init__(
        self,
        engine: LocalEngine,
        placement: Placement,
        emit: Callable[[Event], None],
        cancelled: Callable[[Recipe], bool],
    ) -> None:
        self.cancelled = cancelled
        self._engine = engine
        self._placement = placement
        self._emit = emit
        self._family = placement.model.family
        self._loaded: Loaded | None = None
        self._pipeline: Any = None
        self._network: Any = None
        self._schedulers: dict[str, Any] = {}

    def prepare(self, forwards: Forwards, wanted: Callable[[], bool]) -> None:
        def say(text: str) -> None:
            self._say(text)
            if not wanted():
                raise Stopped

        self.close()
        self._forwards = forwards
        self._loaded = loaded = self._placement.load(say)
        cache.use(loaded)
        self._pipeline = forwards.adopt(loaded.pipeline, loaded.plan.batch_width)
        parts = self._pipeline.components
        self._network = parts[self._placement.model.denoiser]
        self._reads = _reader(parts, self._family.tokens)
        self._postprocessed = not pictures.postpone_postprocessing(self._pipeline)
        self._schedulers.clear()

    @property
    def outdated(self) -> bool:
        return self._loaded is None or self._loaded.gone

    def close(self) -> None:
        loaded = self._loaded
        # All that would keep it in memory.
        self._loaded = self._pipeline = self._network = self._reads = None
        if loaded:
            cache.leave(loaded)

    def take_less_memory(self, forwards: Forwards, recipe: Recipe) -> bool:
        failed = self._of().plan
        self.close()
        sparer = self._placement.take_less_memory(failed, recipe, self._say)
        self.prepare(forwards, lambda: True)
        return sparer

    def _of(self) -> Loaded:
        """The model, which is there while images of this run are in the making."""
        assert self._loaded is not None
        return self._loaded

    def _say(self, text: str) -> None:
        self._emit(Loading(text))

    def size(self, recipe: Recipe) -> tuple[Hashable, ...]:
        return self._network, recipe.width, recipe.height

    def kind(self, recipe: Recipe) -> Hashable:
        # In exact mode not even the arithmetic between forwards is shared.
        alone = self._engine.exact or not self._family.several
        if alone or recipe.scheduler in schedulers.NOISE_PER_CALL:
            return object()
        return recipe.replace(seed=None).key

    def begin(self, recipes: Sequence[Recipe]) -> Callable[[], Any]:
        for recipe in recipes:
            if recipe.revision not in (None, self._of().revision):
                raise GenerationError(
                    f"images of the revision {recipe.revision} were asked for, and "
                    f"{self._placement.model.name} is {self._of().revision} now: ask again"
                )
            self._emit(Started(recipe))
        return partial(self._call, recipes)

    def _call(self, recipes: Sequence[Recipe]) -> Any:
        """Called inside the images' greenlet."""
        import torch

        recipe = recipes[0]  # the others differ in their seed alone
        generators = [torch.Generator("cpu").manual_seed(r.seed or 0) for r in recipes]
        each: dict[str, Any] = {"generator": generators[0]}
        if len(recipes) > 1:  # not every pipeline can
            each = {"generator": generators, "num_images_per_prompt": len(recipes)}
        pipeline = pipelines.with_scheduler(self._pipeline, self._scheduler(recipe.scheduler or ""))
        if recipe.scheduler in schedulers.NOISE_PER_CALL:  # else it draws a seed of its own
            pipeline.scheduler.noise_sampler_seed = recipe.seed
        return pipeline(
            prompt=recipe.prompt,
            num_inference_steps=recipe.num_inference_steps,
            width=recipe.width,
            height=recipe.height,
            output_type="pt",
            callback_on_step_end=partial(self._stepped, recipes),
            callback_on_step_end_tensor_inputs=[],  # handing them over takes a pipeline its time
            **each,
            **self._guidance(recipe),
        )

    def _guidance(self, recipe: Recipe) -> dict[str, Any]:
        """What not every pipeline takes, where it is not at rest."""
        given = {name: getattr(recipe, name) for name in SELECTIVE}
        chosen = {name: value for name, value in given.items() if value != AT_REST[name]}
        chosen[self._family.guidance] = recipe.guidance_scale
        if self._family.guidance == "true_cfg_scale":
            chosen.setdefault("negative_prompt", " ")  # without one it is not guided
        return chosen

    def _scheduler(self, name: str) -> Any:
        if name not in self._schedulers:
            config = self._pipeline.scheduler.config
            self._schedulers[name] = pipelines.scheduler(name, config)
        return self._schedulers[name]

    def _stepped(
        self,
        recipes: Sequence[Recipe],
        pipeline: Any,
        step: int,
        _: Any,
        tensors: dict[str, Any],
    ) -> dict[str, Any]:
        done, steps = step + 1, len(pipeline.scheduler.timesteps)
        is_previewed = done % PREVIEW_EVERY == 2 and done + 2 <= steps
        for place, recipe in enumerate(recipes):
            if self.cancelled(recipe):
                continue
            preview = None
            if is_previewed:
                expected = pipeline.scheduler.expected
                preview = self._of().previews.of(expected[place : place + 1])
            self._emit(Stepped(recipe, done, steps, preview))
        return tensors

    def finish(
        self, recipe: Recipe, place: int, making: Making, outcome: Outcome
    ) -> Callable[[], None]:
        if outcome.error is not None:
            # Only the text is kept: an error with its traceback would pin tensors.
            return partial(self._emit, Failed(recipe, _reason(outcome.error)))
        unsafe = getattr(outcome.value, "nsfw_content_detected", None)
        if unsafe and unsafe[place]:
            reason = "filtered: the model's safety checker found the picture unsafe and blanked it"
            return partial(self._emit, Failed(recipe, reason))
        provenance = Provenance(
            engine="local",
            pipeline=self._engine.model.facts.pipeline,
            device=self._of().plan.device,
            dtype=self._of().plan.dtype,
            placement=self._of().placement,
            batch_width=making.width,
            widths=self._forwards.made_at(making),
            exact=making.exact,
            seconds=round(making.seconds / making.images, 3),
            created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="microseconds"),
            versions=_versions(),
            notes=self._truncations(recipe),
        )
        fetched = pictures.fetch_picture(
            outcome.value.images[place], postprocessed=self._postprocessed
        )
        return partial(self._write, recipe, provenance, fetched)

    def _truncations(self, recipe: Recipe) -> tuple[str, ...]:
        if self._reads is None:
            return ()
        named = {"prompt": recipe.prompt, "negative_prompt": recipe.negative_prompt}
        notes = (_truncation(*self._reads, name, text) for name, text in named.items())
        return tuple(filter(None, notes))

    def _write(
        self, recipe: Recipe, provenance: Provenance, fetched: Callable[[], tuple[Image, bool]]
    ) -> None:
        picture, finite = fetched()
        if fault := pictures.fault(picture, provenance.dtype, finite=finite):
            self._emit(Failed(recipe, fault))
        else:
            self._emit(Finished(recipe, picture, provenance))


def _reader(parts: Mapping[str, Any], tokens: int | None) -> tuple[Any, int] | None:
    """The tokenizer of the text encoder that reads most, and how many tokens that reads.

    Args:
        parts: Of a pipeline; of several text encoders the last reads most, if it is there.
        tokens: That one reads, where its tokenizer does not say it.
    """
    names = sorted(name for name in parts if name.startswith("tokenizer"))
    there = [name for name in names if parts[name] is not None]
    if not there:
        return None
    last = parts[there[-1]]
    return last, (tokens if there[-1] == names[-1] else None) or last.model_max_length


@lru_cache(maxsize=16)  # it keeps the tokenizers
def _truncation(tokenizer: Any, most: int, name: str, text: str) -> str | None:
    """What of a prompt is longer than the text encoder reads, in words."""
    tokens = tokenizer(text, truncation=False, verbose=False, add_special_tokens=False).input_ids
    kept = most - tokenizer.num_special_tokens_to_add()
    if len(tokens) <= kept:
        return None
    return (
        f"the {name} has {len(tokens)} tokens, the model reads {kept}; "
        f"left out: {printable(tokenizer.decode(tokens[kept:]))!r}"
    )


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {"nbtool": __version__} | {name: packages.version(name) for name in PACKAGES}


def _reason(error: BaseException) -> str:
    if isinstance(error, GenerationError):
        return str(error)
    if memory.is_out_of_memory(error):
        return (
            "there is not enough memory for this image, even alone; make it smaller, "
            "or free memory: nbtool.unload() lets go of other models"
        )
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _other(recipe: Recipe, model: Model) -> str:
    """That a recipe is not for this generator, and what to do."""
    name = "revision" if recipe.model in (None, model.name) else "model"
    wanted, ours = getattr(recipe, name), {"model": model.name, "revision": model.revision}[name]
    sought = recipe.replace(model=recipe.model or model.name)
    if name == "model" and sought.revision == model.revision:  # filled in, where it was left open
        sought = sought.replace(revision=None)
    return (
        f"this recipe is for the {name} {wanted!r}, this generator has {ours!r}; "
        f"{catalogue.where(sought)}, and "
        f"recipe.replace(model=None, revision=None) is for this one"
    )


def unload() -> None:
    """Frees every cached pipeline, one that is in use when its last run is over."""
    if cache.clear():
        _truncation.cache_clear()
        memory.release()
