"""The same pixels again: what it costs, and at which widths this machine computes alike.

    python benchmarks/same_again.py

Prints the tables of benchmarks/README.md. Every way is run in turn, round after round, in one
process; ratios are medians of each round's own. Takes about five minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
from grids import BASE
from methods import PROMPT, Times, load, parameters

import nbtool

ROUNDS = 5
WIDTHS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 24, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    os.environ["NBTOOL_PROGRESS"] = "off"
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    with tempfile.TemporaryDirectory() as folder:
        _costs(Path(folder), options.rounds)
    print()
    _classes()


def _costs(folder: Path, rounds: int) -> None:
    numbers = iter(range(10_000))
    times = Times()

    def generator(**more: Any) -> nbtool.Generator:
        return nbtool.Generator(store=folder / str(next(numbers)), device="cpu", **more)

    def grid(number: int, **more: Any) -> nbtool.Grid:
        settings = parameters(BASE) | {"seed": range(number * 100, number * 100 + BASE.seeds)}
        return generator(**more).submit(PROMPT, **settings).wait()

    for exact in (False, False, False, True, True):  # finds its widths
        grid(next(numbers), exact=exact)
    different = again = 0
    for _ in range(rounds):
        number = next(numbers)
        made: list[nbtool.Grid] = []
        times.add("grid", lambda number=number, made=made: made.append(grid(number)))
        times.add("exact grid", partial(grid, number, exact=True))
        images = [*made[0]][:: BASE.images // 4]
        for image in images:
            times.add("alone", partial(generator(), image.recipe.replace(seed=next(numbers))))
            copies: list[nbtool.GeneratedImage] = []
            maker = generator()
            times.add("again", lambda i=image, c=copies, m=maker: c.append(m(i.recipe)))
            again += 1
            different += copies[0].image.tobytes() != image.image.tobytes()
    print("| the 8 × 4 grid and one image of it | |")
    print("|---|---|")
    print(
        f"| made again alone, from a recipe: different from what the grid made | {different} of {again} |"
    )
    print(f"| the grid, `exact=True` | {times.ratio('exact grid', 'grid'):.2f} of the default |")
    print(f"| one image made again | {times.ratio('again', 'alone'):.2f} of one that is new |")


def _classes() -> None:
    print("| network | widths that agree | by place |")
    print("|---|---|---|")
    shapes = load(BASE)
    sample, words = torch.randn(1, 4, 16, 16), torch.randn(1, 32, 96)
    _table("`shapes` UNet, 128²", shapes.unet, sample, words)
    _table("its decoder", shapes.vae.decoder, sample)
    for dtype in (torch.float32, torch.bfloat16):
        unet = _like_stable_diffusion().to(dtype, memory_format=torch.channels_last)
        sample, words = torch.randn(1, 4, 32, 32).to(dtype), torch.randn(1, 77, 768).to(dtype)
        _table(f"SD-shaped UNet, 256², {str(dtype)[6:]}", unet, sample, words)


def _like_stable_diffusion() -> Any:
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(160, 320, 640, 640), cross_attention_dim=768, sample_size=32,
        attention_head_dim=8,
    )  # fmt: skip
    return unet.eval()


@torch.no_grad()
def _table(
    name: str, network: Any, sample: torch.Tensor, words: torch.Tensor | None = None
) -> None:
    """Prints which widths agree, and which depend on the place, of one row repeated."""
    classes: dict[str, list[int]] = {}
    by_place: list[int] = []
    for width in WIDTHS:
        rows = sample.expand(width, -1, -1, -1).contiguous()
        if words is None:
            output = network(rows)
        else:
            steps = torch.full((width,), 500.0)
            output = network(rows, steps, words.expand(width, -1, -1).contiguous()).sample
        digests = {hashlib.sha256(row.float().numpy().tobytes()).hexdigest() for row in output}
        if len(digests) > 1:
            by_place.append(width)
        else:
            classes.setdefault(digests.pop(), []).append(width)
    shown = " ".join("{" + ", ".join(map(str, widths)) + "}" for widths in classes.values())
    print(f"| {name} | {shown} | {', '.join(map(str, by_place)) or 'none'} |", flush=True)


if __name__ == "__main__":
    main()
