"""Grids on this machine's processor: nbtool against plain diffusers, and against the floor.

    make bench

Prints the tables of benchmarks/README.md. Every way is run in turn, round after round, in one
process; the figures are medians of the rounds. Takes about 15 minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from methods import (
    PROMPT,
    Floor,
    Grid,
    Times,
    alone,
    generator,
    load,
    parameters,
    plain_batches,
    plain_loop,
    with_nbtool,
)

from nbtool import catalogue
from nbtool.engines.local import memory

SHAPES = catalogue.find("shapes").folder
BASE = Grid(
    folder=SHAPES, seeds=8, guidance=(1, 3, 5, 7), steps=(20,), schedulers=("dpm++2m",), side=128,
    name="8 seeds × 4 guidance",
)  # fmt: skip
MIXED = Grid(
    folder=SHAPES, seeds=4, guidance=(1, 3, 5, 7), steps=(8, 12, 16),
    schedulers=("dpm++2m", "euler", "ddim"), side=128, first_seed=100,
    name="4 seeds × 4 guidance × 3 steps × 3 schedulers",
)  # fmt: skip
SEEDS = Grid(
    folder=SHAPES, seeds=64, guidance=(3,), steps=(20,), schedulers=("dpm++2m",), side=128,
    first_seed=200, name="64 seeds",
)  # fmt: skip
PAIRS = 3  # rounds of nbtool and the floor for each round of all: they are close to each other


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-of", choices=("plain", "nbtool"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["NBTOOL_PROGRESS"] = "off"
    if options.memory_of:
        print(_peak_memory(options.memory_of))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    pipeline = load(BASE)
    print(
        "| grid | images | plain loop | plain batches | nbtool | floor | loop / nbtool | nbtool / floor |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for grid in (BASE, MIXED, SEEDS):
        _compare(grid, pipeline, options.rounds)
    print()
    print("| also | |")
    print("|---|---|")
    _again(options.rounds)
    _cancel(options.rounds)
    plain, ours = (_memory_of(way) for way in ("plain", "nbtool"))
    print(f"| peak memory, 8 × 4 grid: plain loop, nbtool | {plain:.0f} MB, {ours:.0f} MB |")


def _compare(grid: Grid, pipeline: object, rounds: int) -> None:
    small = replace(grid, seeds=1, guidance=(3,))
    for way in (plain_loop, plain_batches):
        alone(partial(way, small, pipeline))  # the first call is slower in every way
    for _ in range(2):
        with_nbtool(grid)  # finds its widths, as the floor does
    floor = alone(partial(Floor, grid))
    times, pairs = Times(), Times()
    for round_ in range(rounds):
        fresh = grid.anew(round_)
        times.add("loop", partial(plain_loop, fresh, pipeline))
        times.add("batches", partial(plain_batches, fresh, pipeline))
        times.add("nbtool", partial(with_nbtool, fresh))
    for round_ in range(PAIRS * rounds):
        pairs.add("nbtool", partial(with_nbtool, grid.anew(rounds + round_)))
        pairs.add("floor", floor)
    cells = [f"{times.median(way):.2f} s" for way in ("loop", "batches", "nbtool")]
    cells.append(f"{pairs.median('floor'):.2f} s")
    ratios = [times.ratio("loop", "nbtool"), pairs.ratio("nbtool", "floor")]
    print(
        "|", " | ".join([grid.name, str(grid.images), *cells, *(f"{r:.2f}" for r in ratios)]), "|"
    )
    overhead = 1e3 * (pairs.median("nbtool") - pairs.median("floor")) / grid.image_steps
    note = f"overhead {overhead:.2f} ms an image-step; floor at {floor.width} and {floor.decode_width} rows"
    print(note, file=sys.stderr, flush=True)


def _again(rounds: int) -> None:
    """A rerun from the store, and one more column on a finished grid."""
    times = Times()
    for round_ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "images"
            times.add("made", partial(with_nbtool, BASE, store))
            times.add("rerun", partial(with_nbtool, BASE, store))
            more = replace(BASE, guidance=(*BASE.guidance, 9.0 + round_))
            times.add("column", partial(with_nbtool, more, store))
    print(f"| rerun of the 8 × 4 grid from its store | {times.median('rerun') * 1e3:.0f} ms, "
          f"{times.ratio('made', 'rerun'):.0f} times as fast as making it |")  # fmt: skip
    print(f"| one more guidance value on the finished grid | {times.median('column'):.2f} s, "
          f"{times.ratio('column', 'made'):.2f} of the 8 × 4 grid |")  # fmt: skip


def _cancel(rounds: int) -> None:
    """From cancel() to the end of the job, against the longest forward before."""
    stops, forwards = [], []
    for round_ in range(3 * rounds):
        with tempfile.TemporaryDirectory() as folder:
            job = generator(BASE, Path(folder) / "images").submit(PROMPT, **parameters(BASE))
            changes = [time.perf_counter()]
            step = job.progress.begun
            while len(changes) < 5 + round_ % 3:
                if job.progress.begun != step:
                    step = job.progress.begun
                    if time.perf_counter() - changes[-1] > 0.01:  # a tick, not one image's step
                        changes.append(time.perf_counter())
                time.sleep(0.001)
            forward = max(b - a for a, b in pairwise(changes[1:]))
            time.sleep(forward * (round_ % 4) / 4)  # from its beginning to shortly before its end
            started = time.perf_counter()
            job.cancel()
            job.join()
            stops.append(time.perf_counter() - started)
            forwards.append(forward)
    stops.sort()
    forwards.sort()
    print(f"| from cancel to stop, median and longest of {len(stops)} | "
          f"{stops[len(stops) // 2] * 1e3:.0f} ms, {stops[-1] * 1e3:.0f} ms; "
          f"one forward: {forwards[len(forwards) // 2] * 1e3:.0f} ms |")  # fmt: skip


def _memory_of(way: str) -> float:
    command = [sys.executable, __file__, "--memory-of", way]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return float(done.stdout)


def _peak_memory(way: str) -> float:
    """Megabytes of this process at its largest, after the 8 × 4 grid."""
    if way == "plain":
        plain_loop(BASE, load(BASE))
    else:
        with_nbtool(BASE)
    return memory.peak_resident() / 1e6


if __name__ == "__main__":
    main()
