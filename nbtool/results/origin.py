"""Where a grid came from, and where it is kept when it gets a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nbtool.recipes.axis import Edit


class Shelf(Protocol):
    """Where grids are kept by their names; `store.grids` is such a place."""

    def keep(self, grid: Any, name: str) -> Mapping[str, Any]:
        """Keeps a grid by a name; returns what is kept of it."""


@dataclass
class Origin:
    """Where a grid came from; the grids of one job share theirs.

    Attributes:
        shelf: Where it is kept when it gets a name.
        generator: What made it, in words: its model, its engine, its defaults.
        words: What fills `{name}` in the prompts.
        drawn: The seed, where it was drawn for all cells.
        fixed: What was chosen of the axes of the larger grid that it is a part of.
        said: What is kept of it; nothing before it has a name.
    """

    shelf: Shelf | None = None
    generator: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)
    drawn: int | None = None
    fixed: tuple[Edit, ...] = ()
    said: Mapping[str, Any] = field(default_factory=dict)
