"""Generation on this machine, with diffusers."""

from nbtool.engines.local.engine import LocalEngine
from nbtool.engines.local.pipelines import unload

__all__ = ["LocalEngine", "unload"]
