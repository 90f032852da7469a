"""Pipelines of other classes on the networks of one that is loaded."""

from __future__ import annotations

import copy
import inspect
from typing import Any


def sibling(pipeline: Any, class_name: str) -> Any:
    """A pipeline of another class of the same family, with the same networks: nothing is copied.

    diffusers' own `from_pipe` casts the networks that both share, to float32 unless told otherwise;
    https://github.com/huggingface/diffusers/blob/v0.42.1/src/diffusers/pipelines/pipeline_utils.py

    Args:
        pipeline: Loaded and placed; it stays as it is.
        class_name: In diffusers.
    """
    import diffusers

    if type(pipeline).__name__ == class_name:
        return pipeline
    kind = getattr(diffusers, class_name)
    wanted = inspect.signature(kind.__init__).parameters
    given = {name: part for name, part in pipeline.components.items() if name in wanted}
    settings = {n: v for n, v in pipeline.config.items() if n in wanted and n not in given}
    # Some classes correct the configuration of their scheduler; the other's stays as it is.
    own = {**given, "scheduler": copy.copy(given["scheduler"])}
    made = kind(**settings, **own)
    made.set_progress_bar_config(**getattr(pipeline, "_progress_bar_config", {}))
    return made
