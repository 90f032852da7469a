"""The engine on this machine: diffusers pipelines, as many images at once as it does best."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import chain, islice
from typing import Any

from nbtool import catalogue
from nbtool.catalogue import Model
from nbtool.display import progress
from nbtool.engines.base import Event, Loading, Reading
from nbtool.engines.local import memory, tokens
from nbtool.engines.local.inputs import check_mask
from nbtool.engines.local.placing import Placement, cache
from nbtool.engines.local.runs import Run
from nbtool.engines.local.task import PipelineTask
from nbtool.engines.local.tuning import AS_IT_IS, Tuning
from nbtool.engines.local.worker import worker
from nbtool.errors import RecipeError, log
from nbtool.fitting.estimates import QUANTIZATIONS
from nbtool.fitting.plans import MemoryPlan
from nbtool.machine.hardware import DEVICES, DTYPES
from nbtool.recipes.loras import Lora
from nbtool.recipes.recipe import Recipe
from nbtool.recipes.refinement import LATENT


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
        if recipe.model not in (None, model.name) or (
            recipe.revision is not None and recipe.revision != model.revision
        ):
            raise RecipeError(_other(recipe, model))
        last = recipe.last_pass
        if recipe.refine:
            model.check_second_pass()
        model.check(last)
        if recipe.refine and recipe.refine.upscale == LATENT:
            model.check_latents(last)
        check_mask(last)

    def fits(self, recipe: Recipe) -> dict[str, Any]:
        return self.model.fits(recipe)

    def strengths_told(self, recipes: Sequence[Recipe]) -> list[str]:
        return self.model.strengths_told([recipe.last_pass for recipe in recipes])

    def reading(self, text: str) -> Reading | None:
        model = self.model
        if not model.is_described:
            return None
        try:
            return tokens.first_cut(model, text)
        except Exception as error:  # transformers raises many kinds
            log(f"the tokenizers of {model.name} cannot be read", error)
            return None

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

    def misfits(
        self, loras: Sequence[Lora], emit: Callable[[Event], None], wanted: Callable[[], bool]
    ) -> dict[str, str]:
        worker.claim()

        def report(text: str) -> None:
            emit(Loading(text))
            if not wanted():
                raise InterruptedError("nobody waits for it any more")

        placement = self.placement
        try:
            if not placement.is_loaded:
                placement.model.fetch(report)
                placement.model.confirm(report)
            return _misfits(placement, loras, report)
        except InterruptedError:
            return {}

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
            if "diffusers" not in sys.modules:
                emit(Loading("starting (importing torch and diffusers)"))
        task = PipelineTask(placement, emit, cancelled, exact=self.exact)
        worker.run(Run(task, waiting, priority=priority, exact=self.exact))


def _misfits(
    placement: Placement, loras: Sequence[Lora], say: Callable[[str], None]
) -> dict[str, str]:
    """Tries LoRAs on a model, which is tuned no more as long as they are there."""
    loaded = worker.call(partial(placement.load, say))
    if loaded.tuned != AS_IT_IS:
        worker.call(loaded.untune, alone=True)
        worker.forget(loaded.pipeline)

    def tried() -> dict[str, str]:
        rack = loaded.rack(placement.model.name, partial(worker.forwards.refit, loaded.pipeline))
        return {lora.key: fault for lora in loras if (fault := rack.fault(lora, say))}

    return worker.call(tried)


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
        tokens.forget()
        memory.release()
