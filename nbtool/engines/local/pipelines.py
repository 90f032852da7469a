"""Schedulers for pipelines, one for each image."""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any

from nbtool import schedulers
from nbtool.engines.local.previews import keep_expected
from nbtool.errors import GenerationError, in_short, said


def with_scheduler(shared: Any, scheduler: Any) -> Any:
    """A shallow copy of a shared pipeline with a scheduler of its own, like the one given."""
    pipeline = copy.copy(shared)
    scheduler = copy.copy(scheduler)
    for name, value in vars(scheduler).items():
        if isinstance(value, list):  # they change from step to step; tensors are only ever replaced
            scheduler.__dict__[name] = list(value)
    if shared._execution_device.type != "cpu":  # noqa: SLF001 - where its networks compute
        _keep_on_host(scheduler)
    keep_expected(scheduler)
    # Past the pipeline's __setattr__, which would write out its whole configuration.
    pipeline.__dict__["scheduler"] = scheduler
    return pipeline


def scheduler(name: str, config: Mapping[str, Any]) -> Any:
    """A scheduler by its name, with the configuration of a model's own.

    Raises:
        GenerationError: It does not fit the model, or needs a package that is not installed.
    """
    import diffusers

    class_name = schedulers.resolve(name).class_name
    changes = schedulers.changes(name, config)
    if config["_class_name"] == class_name:
        # All as it is now: diffusers would take back what a pipeline has set in place of defaults.
        config = {option: config[option] for option in config if option != "_use_default_values"}
    try:
        return getattr(diffusers, class_name).from_config(config, **changes)
    except ImportError as error:
        reason = in_short(error)
        raise GenerationError(f"the scheduler {name} needs a package more: {reason}") from None
    except Exception as error:  # each scheduler refuses settings in its own way
        raise GenerationError(
            f"the scheduler {name} does not fit this model: {said(error)}"
        ) from None


def _keep_on_host(scheduler: Any) -> None:
    """Makes a scheduler keep its timesteps in the computer's own memory.

    It looks up numbers by them at each step, and would wait for the GPU to do so.
    """
    original = scheduler.set_timesteps

    @functools.wraps(original)  # pipelines look at the signature
    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        original(*args, **{**kwargs, "device": None})

    scheduler.set_timesteps = set_timesteps
