"""What can be asked of an engine whose model lies in this machine's memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from nbtool.engines.local.tuning import Tuning
from nbtool.fitting.plans import MemoryPlan


@runtime_checkable
class Placed(Protocol):
    """An engine that puts its model into this machine's memory itself."""

    def plans(self, width: int | None = None, height: int | None = None) -> list[MemoryPlan]:
        """Every way to put the model into this machine's memory, the fastest first.

        Args:
            width: Of the images, in pixels; None: what the model was trained for.
            height: The same.

        Raises:
            ModelError: There is no such model.
        """

    def tune(self, say: Callable[[str], None], *, compiling: bool) -> Tuning:
        """Tries what may make the model faster here, and uses the best from now on.

        Args:
            say: Told what happens, in words.
            compiling: Whether to try torch.compile too.

        Raises:
            ModelError: The model cannot be had or loaded.
        """
