"""Four ways to make the images of a grid, to be timed against one another."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline

import nbtool
from nbtool import schedulers
from nbtool.engines.local import LocalEngine

PROMPT = "a large red circle on a blue background"
# Deleted at the end: where many files were just deleted, ext4 took ten times as long to make one.
STORES = tempfile.TemporaryDirectory()


@dataclass
class Grid:
    """The parameters of a grid, and of a model's folder where it is made."""

    folder: Path
    seeds: int
    guidance: tuple[float, ...]
    steps: tuple[int, ...]
    schedulers: tuple[str, ...]
    side: int
    device: str = "cpu"
    dtype: str = "float32"
    widths: tuple[int, ...] = (4, 8, 16, 32, 64)  # tried for the floor
    name: str = ""
    first_seed: int = 0

    def anew(self, round_: int) -> Grid:
        """The same grid with other seeds: nothing of another round can be of use."""
        return replace(self, first_seed=self.first_seed + 1000 * (1 + round_))

    @property
    def seed_range(self) -> range:
        return range(self.first_seed, self.first_seed + self.seeds)

    @property
    def images(self) -> int:
        return self.seeds * len(self.guidance) * len(self.steps) * len(self.schedulers)

    @property
    def image_steps(self) -> int:
        return self.images // len(self.steps) * sum(self.steps)

    @property
    def rows(self) -> int:
        """UNet rows that must be computed: each question once.

        At the first step the cells of one seed ask about the same latents, whatever the scheduler
        and the number of steps, as long as the schedule begins at its end, as that of the embedded
        model does. After that an unguided cell asks one row, a guided one two.
        """
        guided = sum(guidance > 1 for guidance in self.guidance)
        first = 1 + bool(guided)
        later = len(self.guidance) + guided
        chains = self.seeds * len(self.schedulers)
        return self.seeds * first + chains * sum((steps - 1) * later for steps in self.steps)

    def settings(self) -> Iterator[tuple[str, int, float]]:
        return itertools.product(self.schedulers, self.steps, self.guidance)


def load(grid: Grid) -> Any:
    """The pipeline as diffusers' documentation loads it."""
    pipeline = DiffusionPipeline.from_pretrained(
        grid.folder, dtype=getattr(torch, grid.dtype), local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(grid.device)


def plain_loop(grid: Grid, pipeline: Any) -> None:
    """One call for each image."""
    for scheduler, steps, guidance in grid.settings():
        _use(pipeline, scheduler)
        for seed in grid.seed_range:
            pipeline(
                PROMPT,
                num_inference_steps=steps,
                guidance_scale=guidance,
                height=grid.side,
                width=grid.side,
                generator=torch.Generator().manual_seed(seed),
            )


def plain_batches(grid: Grid, pipeline: Any) -> None:
    """One call for the seeds of each setting: what diffusers itself can batch; 8 at a time."""
    for scheduler, steps, guidance in grid.settings():
        _use(pipeline, scheduler)
        for start in range(0, grid.seeds, 8):
            seeds = grid.seed_range[start : start + 8]
            pipeline(
                [PROMPT] * len(seeds),
                num_inference_steps=steps,
                guidance_scale=guidance,
                height=grid.side,
                width=grid.side,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            )


def with_nbtool(grid: Grid, store: Path | None = None) -> nbtool.Grid:
    """nbtool, storing every image; in an empty store unless one is given."""
    gen = generator(grid, store or Path(tempfile.mkdtemp(dir=STORES.name)) / "images")
    made = gen.grid(PROMPT, **parameters(grid))
    assert len(made) == grid.images, made.failed
    return made


def generator(grid: Grid, store: Path) -> nbtool.Generator:
    return nbtool.Generator(
        "shapes" if grid.folder.name == "shapes" else str(grid.folder),
        store=store, device=grid.device, dtype=grid.dtype, width=grid.side, height=grid.side,
    )  # fmt: skip


def load_as_nbtool(grid: Grid) -> Any:
    """The pipeline that nbtool uses: loaded now, or the one it has loaded."""
    model = "shapes" if grid.folder.name == "shapes" else str(grid.folder)
    engine = LocalEngine(model, device=grid.device, dtype=grid.dtype)
    return engine.placement.load(lambda _: None).pipeline


def parameters(grid: Grid) -> dict[str, Any]:
    return {
        "seed": grid.seed_range,
        "guidance_scale": grid.guidance,
        "num_inference_steps": grid.steps,
        "scheduler": grid.schedulers,
    }


class Floor:
    """Nothing but the UNet rows that must be computed and the decodes, at the best widths.

    With the networks that nbtool uses, as it has loaded them.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._pipeline = self.loaded()
        with torch.no_grad():
            self.width = min(grid.widths, key=self._time_per_row)
            self.decode_width = min((1, 2, 4, 8), key=lambda n: _time(grid, self._decode, n) / n)

    def loaded(self) -> Any:
        """The pipeline whose networks compute."""
        return load_as_nbtool(self._grid)

    @property
    def work(self) -> tuple[int, int]:
        """Rows of the UNet, and images to decode."""
        return self._grid.rows, self._grid.images

    def __call__(self) -> None:
        rows, images = self.work
        with torch.no_grad():
            for start in range(0, rows, self.width):
                self._unet(min(self.width, rows - start))
            for start in range(0, images, self.decode_width):
                self._decode(min(self.decode_width, images - start))
        synchronize(self._grid)

    def _time_per_row(self, rows: int) -> float:
        return _time(self._grid, self._unet, rows) / rows

    def _unet(self, rows: int) -> None:
        unet = self._pipeline.unet
        width = self.width if unet._compiled_call_impl else rows  # noqa: SLF001 - no public word
        unet(**self._inputs(width))

    def _inputs(self, rows: int) -> dict[str, Any]:
        config = self._pipeline.unet.config
        text = self._pipeline.tokenizer.model_max_length, config.cross_attention_dim
        inputs = {
            "sample": self._tensor(rows, config.in_channels, *self._latent_size),
            "timestep": torch.full((rows,), 500.0, device=self._grid.device),
            "encoder_hidden_states": self._tensor(rows, *text),
        }
        if config.addition_embed_type == "text_time":  # SDXL
            embedding = self._pipeline.text_encoder_2.config.projection_dim
            added = {
                "text_embeds": self._tensor(rows, embedding),
                "time_ids": self._tensor(rows, 6),
            }
            inputs["added_cond_kwargs"] = added
        return inputs

    def _decode(self, rows: int) -> None:
        vae = self._pipeline.vae
        vae.decode(self._tensor(rows, vae.config.latent_channels, *self._latent_size))

    @property
    def _latent_size(self) -> tuple[int, int]:
        factor = 2 ** (len(self._pipeline.vae.config.block_out_channels) - 1)
        return self._grid.side // factor, self._grid.side // factor

    def _tensor(self, *shape: int) -> torch.Tensor:
        dtype = getattr(torch, self._grid.dtype)
        return torch.randn(shape, device=self._grid.device, dtype=dtype)


@dataclass
class Times:
    """Seconds of each way, round by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, way: str, work: Callable[[], object]) -> None:
        self.seconds.setdefault(way, []).append(alone(partial(_seconds, work)))

    def median(self, way: str) -> float:
        return statistics.median(self.seconds[way])

    def ratio(self, way: str, other: str) -> float:
        """The median of the rounds' own ratios: what disturbs a round disturbs both."""
        pairs = zip(self.seconds[way], self.seconds[other], strict=True)
        return statistics.median(a / b for a, b in pairs)


def alone(work: Callable[[], Any]) -> Any:
    """The result of `work`, done on a thread that ends with it.

    OpenMP keeps threads for each thread that has computed. Where there are more than cores they
    stop spinning, and whatever comes next is slower: no way may leave its own behind.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def synchronize(grid: Grid) -> None:
    if grid.device == "cuda":
        torch.cuda.synchronize()


def _time(grid: Grid, work: Callable[[int], None], rows: int) -> float:
    times = []
    for _ in range(4):
        synchronize(grid)
        started = time.perf_counter()
        work(rows)
        synchronize(grid)
        times.append(time.perf_counter() - started)
    return min(times)


def _use(pipeline: Any, scheduler: str) -> None:
    """Sets a scheduler as diffusers' documentation does."""
    import diffusers

    wanted = schedulers.resolve(scheduler)
    config = pipeline.scheduler.config
    pipeline.scheduler = getattr(diffusers, wanted.class_name).from_config(config, **wanted.options)
