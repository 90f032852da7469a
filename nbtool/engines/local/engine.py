"""The engine on this machine: diffusers pipelines, as many images at once as it does best."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Iterable
from functools import cache, lru_cache, partial
from importlib import metadata as packages
from typing import TYPE_CHECKING, Any

from nbtool import models
from nbtool._version import __version__
from nbtool.engines.base import Event, Failed, Finished, Loading, Started, Stepped
from nbtool.engines.local import memory, pictures, pipelines
from nbtool.engines.local.hub import Cell, Hub, Outcome
from nbtool.engines.local.worker import Run, worker
from nbtool.errors import GenerationError, RecipeError
from nbtool.hardware import DEVICES, DTYPES
from nbtool.probe import PACKAGES, choice
from nbtool.recipe import Provenance, Recipe, printable

if TYPE_CHECKING:
    from PIL.Image import Image


PREVIEW_EVERY = 4  # steps


class LocalEngine:
    """Runs a diffusers model on this machine.

    Args:
        model: A catalogue name, a folder, or an id on the hub.
        device: "cuda", "cuda:1", "mps", "xpu" or "cpu"; None: the best there is.
        dtype: "float32", "float16" or "bfloat16"; None: what suits the device.
        exact: Batches have a fixed width, so that no bit of an image depends on what else runs.
    """

    def __init__(
        self,
        model: str,
        *,
        device: str | None = None,
        dtype: str | None = None,
        exact: bool = False,
    ) -> None:
        if device is not None and device.split(":")[0] not in DEVICES:
            raise RecipeError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
        if dtype is not None and dtype not in DTYPES:
            raise RecipeError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        self.model = models.find(model)
        self.exact = exact
        self._wanted = device, dtype

    def place(self) -> tuple[str, str, str]:
        """Device, dtype and the reason for them."""
        device, dtype = self._wanted
        if device and dtype:
            return device, dtype, "as asked for"
        found, suited, reason = choice(device)
        return found, dtype or suited, reason

    def defaults(self) -> dict[str, Any]:
        return self.model.defaults

    def check(self, recipe: Recipe) -> None:
        for name in ("model", "revision"):
            wanted, ours = getattr(recipe, name), self.defaults()[name]
            if wanted not in (None, ours):
                raise RecipeError(
                    f"this recipe is for the {name} {wanted!r}, this generator has {ours!r}; "
                    f"use recipe.replace(model=None, revision=None) to make it with this one"
                )
        if recipe.clip_skip > self.model.text_layers:
            raise RecipeError(
                f"clip_skip must be at most {self.model.text_layers}, the layers of "
                f"{self.model.name}'s text encoder; got {recipe.clip_skip}"
            )

    def describe(self) -> dict[str, str]:
        device, dtype, reason = self.place()
        loaded = pipelines.is_loaded(self.model.folder, device, dtype)
        return {
            "Model": self.model.name,
            "Device": f"{device}, {dtype} ({reason})",
            "State": "loaded" if loaded else "not loaded yet; the first image loads it",
        }

    def run(
        self,
        recipes: Iterable[Recipe],
        emit: Callable[[Event], None],
        cancelled: Callable[[Recipe], bool],
        *,
        priority: int = 0,
    ) -> None:
        task = _Task(self, emit, cancelled)
        worker.run(Run(task, recipes, priority=priority, exact=self.exact))


class _Task:
    """What the worker does for one run of an engine."""

    def __init__(
        self,
        engine: LocalEngine,
        emit: Callable[[Event], None],
        cancelled: Callable[[Recipe], bool],
    ) -> None:
        self.cancelled = cancelled
        self._engine = engine
        self._emit = emit
        self._schedulers: dict[str, Any] = {}

    def prepare(self, hub: Hub) -> None:
        model = self._engine.model
        self._device, self._dtype, _ = self._engine.place()
        if not pipelines.is_loaded(model.folder, self._device, self._dtype):
            self._emit(Loading(model.name))
        pipeline = pipelines.load(model.folder, self._device, self._dtype)
        self._pipeline = hub.adopt(pipeline)
        self._developed = not pictures.leave_undeveloped(self._pipeline)
        self._previews = pipelines.previews(pipeline)

    def size(self, recipe: Recipe) -> tuple[Hashable, ...]:
        return self._pipeline.unet, recipe.width, recipe.height

    def begin(self, recipe: Recipe) -> Callable[[], Any]:
        self._emit(Started(recipe))
        return partial(self._call, recipe)

    def _call(self, recipe: Recipe) -> Any:
        """Called inside the image's greenlet."""
        import torch

        pipeline = pipelines.with_scheduler(self._pipeline, self._scheduler(recipe.scheduler or ""))
        return pipeline(
            prompt=recipe.prompt,
            negative_prompt=recipe.negative_prompt or None,
            num_inference_steps=recipe.num_inference_steps,
            guidance_scale=recipe.guidance_scale,
            width=recipe.width,
            height=recipe.height,
            guidance_rescale=recipe.guidance_rescale,
            clip_skip=recipe.clip_skip or None,
            eta=recipe.eta,
            generator=torch.Generator("cpu").manual_seed(recipe.seed or 0),
            output_type="pt",
            callback_on_step_end=partial(self._stepped, recipe),
            callback_on_step_end_tensor_inputs=[],  # handing them over takes a pipeline its time
        )

    def _scheduler(self, name: str) -> Any:
        if name not in self._schedulers:
            config = self._pipeline.scheduler.config
            self._schedulers[name] = pipelines.scheduler(name, config)
        return self._schedulers[name]

    def _stepped(
        self, recipe: Recipe, pipeline: Any, step: int, _: Any, tensors: dict[str, Any]
    ) -> dict[str, Any]:
        done, steps = step + 1, len(pipeline.scheduler.timesteps)
        preview = None
        if done % PREVIEW_EVERY == 2 and done + 2 <= steps:
            preview = self._previews.of(pipeline.scheduler.expected)
        self._emit(Stepped(recipe, done, steps, preview))
        return tensors

    def finish(self, recipe: Recipe, cell: Cell, outcome: Outcome) -> Callable[[], None]:
        if outcome.error is not None:
            # Only the text is kept: an error with its traceback would pin tensors.
            return partial(self._emit, Failed(recipe, _reason(outcome.error)))
        if (getattr(outcome.value, "nsfw_content_detected", None) or [False])[0]:
            reason = "filtered: the model's safety checker found the picture unsafe and blanked it"
            return partial(self._emit, Failed(recipe, reason))
        provenance = Provenance(
            engine="local",
            device=self._device,
            dtype=self._dtype,
            batch_width=cell.width,
            exact=cell.exact,
            seconds=round(cell.seconds, 3),
            created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="microseconds"),
            versions=_versions(),
            notes=self._truncations(recipe),
        )
        fetched = pictures.fetch_picture(outcome.value.images[0], developed=self._developed)
        return partial(self._write, recipe, provenance, fetched)

    def _truncations(self, recipe: Recipe) -> tuple[str, ...]:
        tokenizer = self._pipeline.tokenizer
        named = {"prompt": recipe.prompt, "negative_prompt": recipe.negative_prompt}
        notes = (_truncation(tokenizer, name, text) for name, text in named.items())
        return tuple(filter(None, notes))

    def _write(
        self, recipe: Recipe, provenance: Provenance, fetched: Callable[[], tuple[Image, bool]]
    ) -> None:
        picture, finite = fetched()
        if fault := pictures.fault(picture, self._dtype, finite=finite):
            self._emit(Failed(recipe, fault))
        else:
            self._emit(Finished(recipe, picture, provenance))


@lru_cache(maxsize=16)  # it keeps the tokenizers
def _truncation(tokenizer: Any, name: str, text: str) -> str | None:
    """What of a prompt is longer than the text encoder reads, in words."""
    tokens = tokenizer(text, truncation=False, verbose=False).input_ids
    kept = tokenizer.model_max_length
    if len(tokens) <= kept:
        return None
    cut = tokenizer.decode(tokens[kept - 1 : -1])
    return (
        f"the {name} has {len(tokens) - 2} tokens, the model reads {kept - 2}; "
        f"left out: {printable(cut)!r}"
    )


@cache
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


def unload() -> None:
    """Frees every cached pipeline; the next image loads its model again."""
    pipelines.forget()
    worker.forget()
    memory.release()
