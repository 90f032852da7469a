"""Loaded pipelines, kept for the whole process, and their schedulers."""

from __future__ import annotations

import contextlib
import copy
import functools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nbtool import schedulers
from nbtool.engines.local.previews import Previews, keep_expected
from nbtool.errors import GenerationError, ModelError

_lock = threading.Lock()
_pipelines: dict[tuple[Path, str, str], Any] = {}
_previews: dict[Any, Previews] = {}


def load(folder: Path, device: str, dtype: str) -> Any:
    """The pipeline of a model folder in evaluation mode; loaded once, then shared.

    Raises:
        ModelError: It cannot be loaded.
    """
    key = (folder, device, dtype)
    with _lock:
        if key not in _pipelines:
            _pipelines[key] = _load(folder, device, dtype)
        return _pipelines[key]


def is_loaded(folder: Path, device: str, dtype: str) -> bool:
    return (folder, device, dtype) in _pipelines


def previews(pipeline: Any) -> Previews:
    """The previews of a loaded pipeline's latents."""
    with _lock:
        return _previews.setdefault(pipeline, Previews(pipeline))


def forget() -> None:
    """Lets go of every pipeline; what is running keeps its own until it is done."""
    with _lock:
        _pipelines.clear()
        _previews.clear()


def with_scheduler(shared: Any, scheduler: Any) -> Any:
    """A shallow copy of a shared pipeline with a scheduler of its own, like the one given."""
    import torch

    pipeline = copy.copy(shared)
    # Lists of a scheduler change from step to step; its tensors are only ever replaced.
    tensors = (value for value in vars(scheduler).values() if isinstance(value, torch.Tensor))
    scheduler = copy.deepcopy(scheduler, {id(tensor): tensor for tensor in tensors})
    if next(shared.unet.parameters()).is_cuda:
        _keep_on_host(scheduler)
    keep_expected(scheduler)
    # Past the pipeline's __setattr__, which would write out its whole configuration.
    pipeline.__dict__["scheduler"] = scheduler
    return pipeline


def scheduler(name: str, config: Any) -> Any:
    """A scheduler by its name, with the configuration of a model's own.

    Raises:
        GenerationError: It does not fit the model.
    """
    import diffusers

    wanted = schedulers.resolve(name)
    try:
        return getattr(diffusers, wanted.class_name).from_config(config, **wanted.options)
    except Exception as error:  # each scheduler refuses settings in its own way
        raise GenerationError(f"the scheduler {name} does not fit this model: {error}") from None


def _keep_on_host(scheduler: Any) -> None:
    """Makes a scheduler keep its timesteps in the computer's own memory.

    It looks up numbers by them at each step, and would wait for the GPU to do so.
    """
    original = scheduler.set_timesteps

    @functools.wraps(original)  # pipelines look at the signature
    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        original(*args, **{**kwargs, "device": None})

    scheduler.set_timesteps = set_timesteps


def _load(folder: Path, device: str, dtype: str) -> Any:
    import torch

    try:
        with quiet():
            from diffusers import DiffusionPipeline

            pipeline = DiffusionPipeline.from_pretrained(
                folder,
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
            )
            if dtype == "float16" and pipeline.vae.config.force_upcast:
                pipeline.vae.to(torch.float32)  # it overflows in float16
        pipeline.to(device)
    except Exception as error:  # diffusers, transformers and safetensors raise many kinds
        raise ModelError(f"cannot load the model in {folder}: {error}") from None
    pipeline.set_progress_bar_config(disable=True)
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            component.eval().requires_grad_(False)
    for name in ("unet", "vae"):
        # Convolutions are faster with the channels last, on processors and on GPUs.
        getattr(pipeline, name).to(memory_format=torch.channels_last)
    _mend_clip_skip(pipeline.text_encoder)
    return pipeline


def _mend_clip_skip(text_encoder: Any) -> None:
    """Gives transformers' flattened CLIPTextModel the attribute that diffusers' clip_skip reads.

    https://github.com/huggingface/diffusers/issues/14124
    """
    if hasattr(text_encoder, "final_layer_norm") and not hasattr(text_encoder, "text_model"):
        # Past nn.Module's own __setattr__: a module inside itself would be an endless tree.
        object.__setattr__(text_encoder, "text_model", text_encoder)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the bars and notices of diffusers and transformers: what matters, nbtool says."""
    from transformers.utils import logging as transformers_logging

    verbosity = {transformers_logging: transformers_logging.get_verbosity()}
    transformers_logging.set_verbosity_error()
    # Imported second: importing diffusers makes transformers speak.
    from diffusers.utils import logging as diffusers_logging

    verbosity[diffusers_logging] = diffusers_logging.get_verbosity()
    diffusers_logging.set_verbosity_error()
    bars = [library for library in verbosity if library.is_progress_bar_enabled()]
    for library in bars:
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, level in verbosity.items():
            library.set_verbosity(level)
        for library in bars:
            library.enable_progress_bar()
