"""A short benchmark of this machine, with the embedded model."""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import Any

from nbtool import catalogue
from nbtool.generator import Generator

PROMPT = "a large yellow star on a blue background"
ALONE, TOGETHER = 3, 16  # images


@dataclass(frozen=True)
class Pace:
    """How fast images are made here.

    Attributes:
        model: The model's name.
        size: Width and height in pixels.
        num_inference_steps: Of each image.
        seconds_alone: For an image made by itself; the median of a few.
        seconds_together: For each image of a grid.
    """

    model: str
    size: str
    num_inference_steps: int
    seconds_alone: float
    seconds_together: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.model}, {self.size}, {self.num_inference_steps} steps: "
            f"{self.seconds_alone:.2f} s for one image, "
            f"{self.seconds_together:.2f} s each for {TOGETHER} together"
        )


def pace() -> Pace:
    """The pace of the embedded model on the default device; takes some seconds, keeps nothing."""
    with tempfile.TemporaryDirectory() as folder:
        gen = Generator(catalogue.EMBEDDED, store=folder)
        _seconds(gen, range(1))  # loads the model
        alone = statistics.median(_seconds(gen, [seed]) for seed in range(1, 1 + ALONE))
        together = _seconds(gen, range(100, 100 + TOGETHER)) / TOGETHER
        defaults = gen.engine.defaults()
    return Pace(
        model=catalogue.EMBEDDED,
        size=f"{defaults['width']}×{defaults['height']}",
        num_inference_steps=defaults["num_inference_steps"],
        seconds_alone=round(alone, 3),
        seconds_together=round(together, 3),
    )


def _seconds(gen: Generator, seeds: Any) -> float:
    start = time.perf_counter()
    gen.submit(PROMPT, seed=seeds).wait()
    return time.perf_counter() - start
