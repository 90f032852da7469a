"""Generation on this machine, with diffusers."""

import os

# Read when torch is loaded. Threads that wait for each other spin by default, which slows down
# everything, torch first of all, where anything else runs: a browser is enough for fifty times.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from nbtool.engines.local.engine import LocalEngine, unload

__all__ = ["LocalEngine", "unload"]
