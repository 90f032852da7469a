"""Where a job stands, in numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Where a job stands. Counts are images; an image that serves several cells counts once."""

    total: int
    stored: int = 0  # found in the store
    made: int = 0
    failed: int = 0
    cancelled: int = 0  # before they were made
    begun: float = 0.0  # what is done of the images in the making, in images
    step: int = 0  # of the image that was last heard of
    steps: int = 0
    seconds: float = 0.0  # since the first image was begun
    drawn: int | None = None  # the seed, if it was drawn for all of them
    drawn_apart: bool = False  # whether seeds were drawn that differ
    activity: str = "waiting"

    @property
    def done(self) -> int:
        return self.stored + self.made + self.failed

    @property
    def left(self) -> int:
        """How many are still to come."""
        return self.total - self.done - self.cancelled

    @property
    def fraction(self) -> float:
        """From 0 to 1, counting the steps of the images in the making; 1 when nothing is to come."""
        return min(1.0, (self.total - self.left + self.begun) / self.total) if self.total else 1.0

    @property
    def seconds_left(self) -> float | None:
        """An estimate; None until there is something to judge by."""
        if not self.seconds or self.made + self.begun < 0.5:
            return None
        pace = self.seconds / (self.made + self.begun)
        return max(0.0, pace * (self.left - self.begun))
