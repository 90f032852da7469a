"""How soon images are found among 10,000, each figure in a process of its own.

    python benchmarks/library.py

Fills a store in a temporary folder with small images of many prompts, a tenth of them starred. Prints
the table of benchmarks/README.md; memory is what Python goes on holding.
"""

from __future__ import annotations

import datetime as dt
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from nbtool import Provenance, Recipe, Store, files

IMAGES = 10_000
ROUNDS = 5
WORDS = ["fox", "hat", "star", "red", "blue", "large", "small", "owl", "moon", "tree", "river"]
STYLE = "in the style of an old oil painting, highly detailed, soft light"
ASKED = {"words": "'fox hat', ", "starred": "starred=True, "}
PROCESS = """
import sys, time, tracemalloc
from nbtool import Store
if "{what}" == "memory":
    tracemalloc.start()
store = Store(sys.argv[1])
def page():
    return list(store.find({asked}sort="newest")[:24])
if "{what}" == "again":
    page()
started = time.perf_counter()
page()
print(tracemalloc.get_traced_memory()[0] / 1e6 if "{what}" == "memory"
      else 1000 * (time.perf_counter() - started))
"""


def fill(store: Store) -> None:
    chance = random.Random(1)  # noqa: S311 - no secret
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    store.prepare()
    files._sync = lambda _: None  # noqa: SLF001 - the machine stays up
    for seed in range(IMAGES):
        recipe = Recipe(
            prompt=f"{' '.join(chance.sample(WORDS, 5))} {STYLE}",
            negative_prompt="blurry, low quality",
            seed=seed, guidance_scale=chance.choice([1, 3, 5, 7]), num_inference_steps=20,
            scheduler="euler", width=64, height=64, model="shapes", revision="0123456789ab",
        )  # fmt: skip
        made = begin + dt.timedelta(seconds=chance.randrange(10**7))
        picture = Image.new("RGB", (64, 64), (seed % 256, seed // 256, 80))
        image = store.put(picture, recipe, Provenance(created=made.isoformat()))
        if seed % 10 == 0:
            image.starred = True


def measured(store: Store, what: str) -> float:
    code = PROCESS.format(what=what, asked=ASKED.get(what, ""))
    command = [sys.executable, "-c", code, str(store.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - ours
    return float(done.stdout)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "images")
        fill(store)
        print(f"| the first 24 of {IMAGES:,} images | |\n|---|---|")
        print(f"| the very first time, every record read | {measured(store, 'first'):.0f} ms |")
        for what, title in {
            "next": "in a new process",
            "words": "in a new process, with two words, of notes too",
            "starred": "in a new process, starred",
            "again": "again, in the same process",
        }.items():
            times = [measured(store, what) for _ in range(ROUNDS)]
            print(f"| {title} | {statistics.median(times):.0f} ms |")
        print(f"| what is held in memory | {measured(store, 'memory'):.1f} MB |")


if __name__ == "__main__":
    main()
