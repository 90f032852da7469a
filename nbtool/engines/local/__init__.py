"""Generation on this machine, with diffusers."""

from nbtool.engines.local.engine import LocalEngine, unload

__all__ = ["LocalEngine", "unload"]
