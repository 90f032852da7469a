"""How few steps are enough with which scheduler: pictures of held-out captions, judged by pixels.

    python benchmarks/few_steps.py

The embedded model draws, and `nbtool.testing.judge` looks: a picture is right where shape, colour,
background and position all are as the caption says.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
from pathlib import Path

import nbtool
from nbtool.testing import judge

sys.path.append(str(Path(__file__).parents[1] / "training" / "shapes"))
from evaluate import TARGETS, held_out_scenes, mistakes

COUNT = 64  # captions
STEPS = (3, 4, 6, 8, 12, 20)
SCHEDULERS = ("dpm++2m", "unipc", "deis", "heun", "euler", "ddim", "euler_a", "lcm")


def main() -> None:
    scenes = random.Random(0).sample(held_out_scenes(), COUNT)  # noqa: S311
    captions = {scene.caption(): scene for scene in scenes}
    with tempfile.TemporaryDirectory() as folder:
        gen = nbtool.Generator("shapes", store=folder)
        grid = gen.grid(list(captions), scheduler=SCHEDULERS, num_inference_steps=STEPS, seed=0)
        right: dict[tuple[str, int], list[bool]] = {}
        seconds: dict[tuple[str, int], list[float]] = {}
        for image in grid:
            cell = image.recipe.scheduler, image.recipe.num_inference_steps
            wrong = mistakes(captions[image.recipe.prompt], judge(image.image))
            right.setdefault(cell, []).append(TARGETS.keys().isdisjoint(wrong))
            seconds.setdefault(cell, []).append(image.provenance.seconds)
    print(f"{COUNT} captions; right, and the time of an image in batches\n")
    print("| scheduler |", " | ".join(f"{steps} steps" for steps in STEPS), "|")
    print("|---" * (1 + len(STEPS)) + "|")
    for scheduler in SCHEDULERS:
        cells = [(scheduler, steps) for steps in STEPS]
        texts = (
            f"{statistics.mean(right[cell]):.0%}, {1e3 * statistics.mean(seconds[cell]):.0f} ms"
            for cell in cells
        )
        print(f"| {scheduler} |", " | ".join(texts), "|")


if __name__ == "__main__":
    main()
