"""What 100,000 cells and 100,000 stored images cost, in seconds and in megabytes of memory.

    python benchmarks/scale.py            (about two minutes)
    python benchmarks/scale.py --seeds 10

Plans that many cells, then fills a store and a grid with them, in a temporary folder. No image is
generated: all show one small picture. An operation's seconds are the best of three runs; its
memory, the peak of what Python allocates, is traced in one more, since tracing takes time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from nbtool import GeneratedImage, Generator, Grid, Provenance, Store
from nbtool.recipes.axes import Sweep, sweep
from nbtool.results.store import KEY_DIGITS

SCALES = [scale / 10 for scale in range(1, 101)]
RUNS = 3
MADE = Provenance(seconds=1.0)


def report(operation: str, run: Callable[[], object]) -> None:
    """Prints a line of the table."""
    seconds = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{operation:<40}{min(seconds):8.2f} s{peak / 1e6:8.1f} MB", flush=True)


def fill(store: Store, swept: Sweep) -> Grid:
    """Writes what `store.put` would for each cell, without waiting for the disk each time."""
    picture = Image.new("RGB", (128, 128))
    first = store.put(picture, swept.recipe((0,) * len(swept.axes)), MADE)
    assert first.path
    png, ending = first.png, first.path.name[KEY_DIGITS:]
    record = json.loads((store.path / f"{first.recipe.key[:KEY_DIGITS]}.json").read_text())
    cells = {}
    for index, recipe in swept:
        name = recipe.key[:KEY_DIGITS]
        text = json.dumps(record | {"key": recipe.key, "recipe": recipe.to_dict()})
        path = store.path / f"{name}{ending}"
        path.write_bytes(png)
        (store.path / f"{name}.json").write_text(text)
        cells[index] = GeneratedImage(recipe, MADE, path=path)
    return Grid(swept.base, swept.axes, cells)


def measure(folder: Path, seeds: int) -> None:
    gen = Generator("shapes", store=folder / "images", device="cpu")
    cells = {"seed": range(seeds), "guidance_scale": SCALES}
    report("plan, nothing stored", lambda: gen.plan("a star", **cells))

    gen.store.prepare()
    swept = sweep("a star", (), cells, gen.engine.defaults())
    started = time.perf_counter()
    grid = fill(gen.store, swept)
    print(f"({len(grid):,} images written in {time.perf_counter() - started:.0f} s)", flush=True)

    report("plan, all stored", lambda: gen.plan("a star", **cells))
    report("plan, none of them stored", lambda: gen.plan("a ring", **cells))
    report("plan of one image", lambda: gen.plan("a ring", seed=1))
    report("Store(path) and its repr", lambda: repr(Store(gen.store.path)))
    report("the generator's card", gen._repr_mimebundle_)
    report("store.prepare()", gen.store.prepare)
    report("store.latest(20)", lambda: gen.store.latest(20))
    report("store.get(key)", lambda: gen.store.get(grid[0, 0].recipe.key))
    report("grid.sel, every other seed", lambda: grid.sel(seed=list(range(0, seeds, 2))))
    report("grid.missing and grid.failed", lambda: (grid.missing, grid.failed))
    report("grid.records()", grid.records)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000, help="times 100 guidance scales")
    with tempfile.TemporaryDirectory() as temporary:
        measure(Path(temporary), parser.parse_args().seeds)
