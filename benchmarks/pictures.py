"""Images from pictures on this machine's processor: nbtool against plain diffusers and the floor.

    make bench

Prints the table "From pictures" of benchmarks/README.md, in the same way as grids.py.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline
from grids import PAIRS, SHAPES
from methods import PROMPT, STORES, Floor, Grid, Times, alone, generator, load
from PIL import Image, ImageDraw

from nbtool.catalogue.families import family
from nbtool.catalogue.verbs import IMAGE

STEPS = 20
STRENGTHS = (0.3, 0.5, 0.7, 0.9)
COLOURS = ("red", "blue", "green", "yellow")
GUIDANCE = (1.0, 3.0, 5.0, 7.0)
BASE = Grid(
    folder=SHAPES, seeds=4, guidance=(3.0,), steps=(STEPS,), schedulers=("dpm++2m",), side=128
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A grid of images from pictures.

    Attributes:
        name: Of the row in the table.
        grid: Its seeds, and what the floor computes at.
        parameters: Of the grid in nbtool, beside its seeds.
        loop: Makes the images of a grid as the documentation of diffusers shows it.
        rows: UNet rows that must be computed, each question once.
        encodes: Pictures that must be encoded.
        floor: Computes no more than that; None: with the networks as they are.
    """

    name: str
    grid: Grid
    parameters: Mapping[str, Any]
    loop: Callable[[Grid, Any], None]
    rows: int
    images: int
    encodes: int = 0
    floor: Callable[[Task], Floor] | None = None

    def anew(self, round_: int) -> Task:
        """The same with other seeds."""
        return replace(self, grid=self.grid.anew(round_))


class PictureFloor(Floor):
    """The rows, the decodes and the encodes that must be computed."""

    def __init__(self, task: Task) -> None:
        super().__init__(task.grid)
        self._task = task

    @property
    def work(self) -> tuple[int, int]:
        return self._task.rows, self._task.images

    def __call__(self) -> None:
        side = self._task.grid.side
        with torch.no_grad():
            for _ in range(self._task.encodes):
                self._pipeline.vae.encode(self._tensor(1, 3, side, side))
        super().__call__()


def from_pictures() -> Task:
    """4 pictures × 4 strengths × 4 seeds."""
    way = family("StableDiffusionPipeline").ways[IMAGE]
    pictures = [scene(colour) for colour in COLOURS]

    def loop(grid: Grid, loaded: Any) -> None:
        pipeline = StableDiffusionImg2ImgPipeline(**loaded.components)
        pipeline.set_progress_bar_config(disable=True)
        for picture in pictures:
            for strength in STRENGTHS:
                for seed in grid.seed_range:
                    pipeline(
                        PROMPT,
                        image=picture,
                        strength=strength,
                        num_inference_steps=STEPS,
                        guidance_scale=3.0,
                        generator=torch.Generator().manual_seed(seed),
                    )

    images = len(pictures) * len(STRENGTHS) * BASE.seeds
    return Task(
        name=f"{len(pictures)} pictures × {len(STRENGTHS)} strengths × {BASE.seeds} seeds",
        grid=BASE,
        parameters={
            "image": dict(zip(COLOURS, pictures, strict=True)),
            "strength": STRENGTHS,
            "guidance_scale": 3.0,
        },
        loop=loop,
        rows=2 * len(pictures) * BASE.seeds * sum(way.steps(STEPS, s) for s in STRENGTHS),
        images=images,
        encodes=len(pictures),
    )


def inpainted() -> Task:
    """An inpainting grid of 8 seeds × 4 guidance."""
    grid = replace(BASE, seeds=8, guidance=GUIDANCE, first_seed=500)
    picture, mask = scene("red"), Image.new("L", (BASE.side, BASE.side))
    ImageDraw.Draw(mask).ellipse((24, 24, 104, 104), fill=255)

    def loop(grid: Grid, loaded: Any) -> None:
        pipeline = StableDiffusionInpaintPipeline(**loaded.components)
        pipeline.set_progress_bar_config(disable=True)
        for guidance in GUIDANCE:
            for seed in grid.seed_range:
                pipeline(
                    PROMPT,
                    image=picture,
                    mask_image=mask,
                    width=BASE.side,
                    height=BASE.side,
                    num_inference_steps=STEPS,
                    guidance_scale=guidance,
                    generator=torch.Generator().manual_seed(seed),
                )

    return Task(
        name="inpainting, 8 seeds × 4 guidance",
        grid=grid,
        parameters={"image": picture, "mask_image": mask, "guidance_scale": GUIDANCE},
        loop=loop,
        rows=grid.rows,
        images=grid.images,
        encodes=2,  # with what the mask frees, and without
    )


def scene(colour: str) -> Image.Image:
    """A picture such as the embedded model knows."""
    picture = Image.new("RGB", (BASE.side, BASE.side), "white")
    ImageDraw.Draw(picture).rectangle((32, 32, 96, 96), fill=colour)
    return picture


def with_nbtool(task: Task) -> None:
    store = Path(tempfile.mkdtemp(dir=STORES.name)) / "images"
    made = generator(task.grid, store).grid(
        PROMPT, seed=task.grid.seed_range, num_inference_steps=STEPS, scheduler="dpm++2m",
        **task.parameters,
    )  # fmt: skip
    assert len(made) == task.images, made.failed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    os.environ["NBTOOL_PROGRESS"] = "off"
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    pipeline = load(BASE)
    print(
        "| from pictures | images | plain loop | nbtool | floor | loop / nbtool | nbtool / floor |"
    )
    print("|---|---|---|---|---|---|---|")
    for task in (from_pictures(), inpainted()):
        compare(task, pipeline, rounds)


def compare(task: Task, pipeline: Any, rounds: int, **others: Callable[[Task], None]) -> None:
    """Prints a row of the table.

    Args:
        task: The grid.
        pipeline: For the loop.
        rounds: How often.
        others: Other ways to make the same, told as multiples of what nbtool takes.
    """
    alone(partial(task.loop, replace(task.grid, seeds=1), pipeline))  # the first call is slower
    for round_ in range(2):
        with_nbtool(task.anew(90 + round_))  # finds its widths, as the floor does
    floor = alone(partial(task.floor or PictureFloor, task))
    times, pairs = Times(), Times()
    for round_ in range(rounds):
        fresh = task.anew(round_)
        times.add("loop", partial(fresh.loop, fresh.grid, pipeline))
        times.add("nbtool", partial(with_nbtool, fresh))
        for number, (name, way) in enumerate(others.items(), 1):
            times.add(name, partial(way, task.anew(round_ + 30 * number)))
    for round_ in range(PAIRS * rounds):
        pairs.add("nbtool", partial(with_nbtool, task.anew(rounds + round_)))
        pairs.add("floor", floor)
    seconds = [times.median("loop"), times.median("nbtool"), pairs.median("floor")]
    ratios = [times.ratio("loop", "nbtool"), pairs.ratio("nbtool", "floor")]
    ratios += [times.ratio(name, "nbtool") for name in others]
    cells = [*(f"{s:.2f} s" for s in seconds), *(f"{r:.2f}" for r in ratios)]
    print("|", " | ".join([task.name, str(task.images), *cells]), "|", flush=True)


if __name__ == "__main__":
    main()
