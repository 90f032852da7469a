"""Puts models into this machine's memory: the first way that works, others leaving for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib import metadata as packages

from nbtool import files
from nbtool.catalogue import Model
from nbtool.engines.local import memory, tuning
from nbtool.engines.local.cache import Cache, Loaded
from nbtool.engines.local.tuning import Tuning
from nbtool.engines.local.widths import COMPILED
from nbtool.engines.local.worker import worker
from nbtool.errors import ModelError, RecipeError
from nbtool.fitting.plans import MemoryPlan, best_gpu, best_plan, how_placed, memory_plans
from nbtool.machine.hardware import GIB, Hardware
from nbtool.machine.probe import hardware
from nbtool.recipes.recipe import Recipe

cache = Cache(dropped=worker.forget)
Say = Callable[[str], None]
MORE = 1.25  # times as much free memory as when a way failed makes it worth another try


@dataclass(frozen=True)
class _Failure:
    """A way that did not suffice.

    Attributes:
        free_gib: What was free for it, models in memory not counted; None: not known.
        clearings: Of the cache, until then.
    """

    plan: MemoryPlan
    free_gib: float | None
    clearings: int

    def stands(self, machine: Hardware) -> bool:
        """Whether it would be the same again, as far as is known."""
        free = _free(self.plan, machine)
        more = free is not None and self.free_gib is not None and free > MORE * self.free_gib
        return self.clearings == cache.clearings and not more


class Placement:
    """Where and how one model is in memory, or will be.

    Args:
        model: Which.
        device: The only one to use; None: the best there is.
        dtype: The only one to use; None: what suits the device and the model.
        quantization: As in `nbtool.fitting.plans.memory_plans`.
    """

    def __init__(
        self, model: Model, device: str | None, dtype: str | None, quantization: str
    ) -> None:
        self.model = model
        self._device = device
        self._dtype = dtype
        self._quantization = quantization
        self._loaded: MemoryPlan | None = None  # the way that it was loaded last
        self._failed: list[_Failure] = []
        self._size: tuple[int | None, int | None] = None, None  # of the images they failed for

    def anew(self) -> Placement:
        """The same for what the model's files are now."""
        return Placement(replace(self.model), self._device, self._dtype, self._quantization)

    def plans(self, width: int | None = None, height: int | None = None) -> list[MemoryPlan]:
        """Every way to put the model on this machine, the fastest first.

        Args:
            width: Of the images, in pixels; None: what the model was trained for.
            height: The same.

        Raises:
            RecipeError: The device asked for is not there.
            ModelError: There is no such model.
        """
        machine = hardware()
        _check_device(machine, self._device)
        return memory_plans(
            self.model.facts,
            _with_cached(machine),
            width=width or self._size[0],
            height=height or self._size[1],
            device=self._device,
            dtype=self._dtype,
            quantization=self._quantization,
        )

    @property
    def plan(self) -> MemoryPlan:
        """The way that the model is placed, or will be when it is loaded."""
        return self._loaded or self._foreseen

    @cached_property
    def _foreseen(self) -> MemoryPlan:
        return best_plan(self.plans())

    @property
    def is_loaded(self) -> bool:
        return self._loaded is not None and cache.get(self.model, self._loaded) is not None

    def load(self, say: Say) -> Loaded:
        """The model in memory, placed the first way that works. On the worker's thread only.

        Args:
            say: Told what happens, in words.

        Raises:
            ModelError: It cannot be loaded, or no way suffices.
        """
        if self._loaded and (loaded := cache.get(self.model, self._loaded)):
            return loaded
        self._forget_failures()
        plans = self.plans()
        for plan in self._ways(plans):
            loaded = cache.get(self.model, plan) or self._try(plan, say)
            if loaded:
                self._loaded = loaded.plan
                return loaded
        nearest = best_plan(plans)
        reason = "the memory did not suffice" if nearest.fits else nearest.reasons[-1]
        when = "now" if nearest.short_gib else "here"
        said = f"{self.model.name} does not run {when}: {reason}"
        raise ModelError(
            f"{said}; nbtool.models() shows what does",
            in_shell=f"{said}; nbtool models shows what does",
        )

    def tune(self, say: Say, *, compiling: bool) -> Tuning:
        """Tries what may make the denoiser faster here, uses the best and remembers it.

        Images in the making are finished before, those that wait are made the new way.

        Args:
            say: Told what happens, in words.
            compiling: Whether to try torch.compile, which takes a minute or more.

        Raises:
            ModelError: The model cannot be loaded.
        """
        return worker.call(partial(self._tune, say, compiling=compiling), alone=True)

    def _tune(self, say: Say, *, compiling: bool) -> Tuning:
        loaded = self.load(say)
        denoiser = loaded.pipeline.components[self.model.denoiser]
        tuning.unswitch(denoiser, loaded.tuned)
        worker.forwards.forget(loaded.pipeline)  # widths, which depend on the pace
        side = self.model.facts.side
        rows = min(loaded.plan.batch_width, COMPILED)
        tried = [name for name in tuning.WORDS if compiling or name not in tuning.COMPILING]
        if loaded.plan.offload != "none":  # its hooks stand in the way of the rest
            tried = tried[:1]
        say(f"measuring {self.model.name} with {rows} rows")
        trials, failed = tuning.try_switches(
            loaded.pipeline, denoiser, tried[1:], rows, {"width": side, "height": side}
        )
        best = max(trials, key=lambda trial: trial.gain)
        chosen = best.name if best.gain >= tuning.GAIN else trials[0].name
        tuning.remember(self._tuning_key(loaded.plan), chosen)
        self._switch(loaded, chosen)
        return Tuning(
            model=self.model.name,
            device=loaded.plan.device,
            dtype=loaded.plan.dtype,
            rows=rows,
            trials=tuple(trials),
            failed=failed,
            chosen=chosen,
        )

    def _switch(self, loaded: Loaded, name: str) -> None:
        tuning.switch(loaded.pipeline.components[self.model.denoiser], name)
        loaded.tuned = name

    def _tuning_key(self, plan: MemoryPlan) -> str:
        gpu = best_gpu(hardware().gpus, plan.device)
        card = gpu.name if gpu else "processor"
        versions = packages.version("torch"), packages.version("diffusers")
        name = self.model.revision if self.model.is_local else self.model.name
        return " | ".join([name, card, plan.dtype, *versions])

    def take_less_memory(self, failed: MemoryPlan, recipe: Recipe, say: Say) -> bool:
        """Lets go of the model, which ran out of memory for one image as it was placed.

        False if there is no other way that gives the same pictures.
        """
        self._size = recipe.width, recipe.height
        left = [
            plan
            for plan in self._ways(self.plans(), after=failed)
            if (plan.device, plan.dtype) == (failed.device, failed.dtype)
        ]
        if left:
            say(f"{self.model.name} ran out of memory; trying again, {left[0].summary}")
            self._loaded = None
            cache.drop(self.model, failed)
            memory.release()
            self._note_failure(failed)
        return bool(left)

    def _ways(
        self, plans: Sequence[MemoryPlan], after: MemoryPlan | None = None
    ) -> list[MemoryPlan]:
        """Those that should fit and come after all that failed."""
        before = [failure.plan for failure in self._failed]
        failed = {how_placed(plan) for plan in (*before, *([after] if after else []))}
        places = [place for place, plan in enumerate(plans) if how_placed(plan) in failed]
        return [plan for plan in plans[max(places, default=-1) + 1 :] if plan.fits]

    def _note_failure(self, plan: MemoryPlan) -> None:
        free = _free(plan, _with_cached(hardware()))
        self._failed.append(_Failure(plan, free, cache.clearings))

    def _forget_failures(self) -> None:
        """What did not suffice is tried again after `unload`, or when more memory is free."""
        if self._failed:
            machine = _with_cached(hardware())
            self._failed = [failure for failure in self._failed if failure.stands(machine)]
        if not self._failed:
            self._size = None, None

    def _try(self, plan: MemoryPlan, say: Say) -> Loaded | None:
        weights = files.size(plan.weights_gib * GIB)
        what = f"loading {self.model.name}, {weights} of weights"
        say(what)
        while not _has_room(plan) and cache.drop_oldest():
            memory.release()
        with contextlib.suppress(MemoryError):
            loaded = cache.load(self.model, plan, lambda part: say(f"{what}: {part}"))
            if plan.offload == "none":
                self._switch(loaded, tuning.remembered(self._tuning_key(plan)))
            return loaded
        memory.release()
        self._note_failure(plan)
        say(f"{self.model.name} did not fit ({plan.summary}); trying with less memory")
        return None


def _free(plan: MemoryPlan, machine: Hardware) -> float | None:
    """The GiB that are free where a plan puts a model."""
    gpu = best_gpu(machine.gpus, plan.device)
    return gpu.free_gib if gpu else machine.free_memory_gib


def _check_device(machine: Hardware, device: str | None) -> None:
    """Refuses a device that is not there.

    Raises:
        RecipeError: With those that are.
    """
    if device not in (None, "cpu") and best_gpu(machine.gpus, device) is None:
        there = ", ".join([*(gpu.device for gpu in machine.gpus), "cpu"])
        hint = f" ({machine.hint})" if machine.hint else ""
        raise RecipeError(f"there is no device {device!r} here, only {there}{hint}")


def _with_cached(machine: Hardware) -> Hardware:
    """A machine with what would be free if the models in memory went."""
    gpus = tuple(
        replace(gpu, free_gib=gpu.free_gib + cache.bytes(gpu.device) / GIB)
        if gpu.free_gib is not None
        else gpu
        for gpu in machine.gpus
    )
    free = machine.free_memory_gib + cache.bytes("cpu") / GIB
    return replace(machine, gpus=gpus, free_memory_gib=free)


def _has_room(plan: MemoryPlan) -> bool:
    """Whether a plan should fit beside the models that are in memory now."""
    free = _free(plan, hardware())
    return free is None or plan.least_gib <= free
