"""What a sweep would do, in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nbtool.text import count, duration


@dataclass(frozen=True)
class Plan:
    """What a sweep would do.

    Attributes:
        cells: Cells of the grid.
        images: Different images; cells with the same recipe share one, and those that others are
            made from count too, where they are not there yet.
        stored: How many of them are in the store already.
        seconds: An estimate for the rest; None when no image of this model is there to tell.
        disk_bytes: An upper bound for what the rest takes on disk.
    """

    cells: int
    images: int
    stored: int
    seconds: float | None
    disk_bytes: int

    @property
    def to_make(self) -> int:
        return self.images - self.stored

    def __str__(self) -> str:
        if not self.to_make:
            return f"{count(self.cells, 'cell')}, all in the store"
        time = "time not known yet" if self.seconds is None else (
            f"about {duration(self.seconds)}"
        )  # fmt: skip
        return (
            f"{count(self.cells, 'cell')}: {count(self.to_make, 'image')} to make, "
            f"{self.stored:,} in the store; "
            f"{time}, at most {math.ceil(self.disk_bytes / 1e6)} MB"
        )

    __repr__ = __str__
