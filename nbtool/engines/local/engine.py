"""The engine on this machine: diffusers pipelines, one image at a time."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from functools import cache
from importlib import metadata as packages
from typing import Any

from nbtool import models
from nbtool._version import __version__
from nbtool.engines.base import Event, Failed, Finished, Loading, Started, Stepped
from nbtool.engines.local import pipelines
from nbtool.errors import GenerationError, RecipeError
from nbtool.hardware import DEVICES, DTYPES, PACKAGES, hardware
from nbtool.recipe import Provenance, Recipe, printable


class _Stop(BaseException):
    """Raised at the end of a denoising step to leave the pipeline."""


class LocalEngine:
    """Runs a diffusers model on this machine.

    Args:
        model: A catalogue name, a folder, or an id on the hub.
        device: "cuda", "mps" or "cpu"; None: the best there is.
        dtype: "float32", "float16" or "bfloat16"; None: what suits the device.
    """

    def __init__(self, model: str, *, device: str | None = None, dtype: str | None = None) -> None:
        if device is not None and device.split(":")[0] not in DEVICES:
            raise RecipeError(f"device must be one of {', '.join(DEVICES)}, got {device!r}")
        if dtype is not None and dtype not in DTYPES:
            raise RecipeError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        self.model = models.find(model)
        self._wanted = device, dtype

    def place(self) -> tuple[str, str, str]:
        """Device, dtype and the reason for them."""
        device, dtype = self._wanted
        if device and dtype:
            return device, dtype, "as asked for"
        found = hardware()
        if device is None or device == found.device:
            return found.device, dtype or found.dtype, found.reason
        return device, dtype or "float32", "the device asked for"

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
        recipes: Sequence[Recipe],
        emit: Callable[[Event], None],
        cancelled: Callable[[], bool],
    ) -> None:
        device, dtype, _ = self.place()
        if not pipelines.is_loaded(self.model.folder, device, dtype):
            emit(Loading(self.model.name))
        shared = pipelines.load(self.model.folder, device, dtype)
        with pipelines.quiet():
            for recipe in recipes:
                if cancelled():
                    return
                emit(Started(recipe))
                try:
                    finished = _make(shared, recipe, (device, dtype), emit, cancelled)
                except _Stop:
                    return
                except Exception as error:  # a cell's failure is that cell's alone
                    # Only the text is kept: a stored traceback would pin the tensors.
                    emit(Failed(recipe, _reason(error)))
                else:
                    emit(finished)


def _make(
    shared: Any,
    recipe: Recipe,
    place: tuple[str, str],
    emit: Callable[[Event], None],
    cancelled: Callable[[], bool],
) -> Finished:
    import torch

    device, dtype = place

    pipeline = pipelines.for_recipe(shared, recipe)

    def on_step_end(pipe: Any, step: int, _: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if cancelled():
            raise _Stop
        emit(Stepped(recipe, step + 1, len(pipe.scheduler.timesteps)))
        return tensors

    started = time.monotonic()
    output = pipeline(
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
        callback_on_step_end=on_step_end,
    )
    provenance = Provenance(
        engine="local",
        device=device,
        dtype=dtype,
        batch_width=1,
        seconds=round(time.monotonic() - started, 3),
        created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds"),
        versions=_versions(),
        notes=tuple(_truncations(shared.tokenizer, recipe)),
    )
    return Finished(recipe, output.images[0], provenance)


def _truncations(tokenizer: Any, recipe: Recipe) -> list[str]:
    """What of the prompts is longer than the text encoder reads, in words."""
    notes = []
    for name in ("prompt", "negative_prompt"):
        text = getattr(recipe, name)
        tokens = tokenizer(text, truncation=False, verbose=False).input_ids
        kept = tokenizer.model_max_length
        if len(tokens) > kept:
            cut = tokenizer.decode(tokens[kept - 1 : -1])
            notes.append(
                f"the {name} has {len(tokens) - 2} tokens, the model reads {kept - 2}; "
                f"left out: {printable(cut)!r}"
            )
    return notes


@cache
def _versions() -> dict[str, str]:
    return {"nbtool": __version__} | {name: packages.version(name) for name in PACKAGES}


def _reason(error: Exception) -> str:
    if isinstance(error, GenerationError):
        return str(error)
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]
