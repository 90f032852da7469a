"""Measures how often the `shapes` model draws what the caption says, by looking at pixels only.

    python training/shapes/evaluate.py            # 320 held-out captions, with and without guidance
    python training/shapes/evaluate.py --painted  # checks the judge itself on painted scenes

Every caption names size, colour, shape, position and background. Captions that name no position
are left out: they leave the place to the seed, and training may have read them for other places.
Ends with status 1 where the first column of the table misses its targets.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from nbtool.testing import judge
from nbtool.testing.judging import Answer
from nbtool.testing.scenes import CENTRES, COLOURS, RADII, SHAPES, SIZE, Scene, paint, random_scene

MODEL = Path(__file__).parents[2] / "nbtool" / "catalogue" / "shapes"
TARGETS = {"shape": 0.90, "colour": 0.95, "background": 0.95, "position": 0.90}
JUDGE_TARGETS = dict.fromkeys(TARGETS, 0.995)


def mistakes(scene: Scene, answer: Answer) -> list[str]:
    """The parts of the caption that the picture does not show."""
    return [part for part, asked in asdict(scene).items() if answer.get(part) != asked]


def held_out_scenes() -> list[Scene]:
    """Every scene with a named position that training has neither drawn nor named."""
    scenes = itertools.starmap(Scene, itertools.product(RADII, COLOURS, SHAPES, CENTRES, COLOURS))
    return [s for s in scenes if s.held_out and s.position and s.colour != s.background]


def worsened(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The picture a little blurred, with noise of ±4 a channel."""
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), int)
    noisy = pixels + rng.integers(-4, 5, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def generated(args: argparse.Namespace, scenes: list[Scene], guidance: float) -> list[Image.Image]:
    """A picture for each scene's caption; the same seeds whatever the guidance."""
    import torch
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(args.model, torch_dtype=torch.float32)
    pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
    pipeline.set_progress_bar_config(disable=True)
    pictures: list[Image.Image] = []
    for start in range(0, len(scenes), args.batch):
        captions = [scene.caption() for scene in scenes[start : start + args.batch]]
        seeds = range(args.seed + start, args.seed + start + len(captions))
        pictures += pipeline(
            captions,
            num_inference_steps=args.steps,
            guidance_scale=guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        ).images
        print(f"guidance {guidance:g}: {len(pictures)}/{len(scenes)}", file=sys.stderr)
    return pictures


def table(columns: dict[str, list[list[str]]], targets: dict[str, float]) -> str:
    """For each column of mistakes, how many pictures have each part of the caption right."""
    parts = {part: {part} for part in targets} | {"all four": set(targets), "size": {"size"}}
    lines = [f"{'':<12}" + "".join(f"{name:>22}" for name in columns) + "    target"]
    for name, part in parts.items():
        line = f"{name:<12}"
        for wrong in columns.values():
            right = sum(part.isdisjoint(each) for each in wrong)
            line += f"{right:>9}/{len(wrong):<4}{right / len(wrong):>8.1%}"
        lines.append(line + (f"{targets[name]:>10.1%}" if name in targets else ""))
    return "\n".join(lines)


def confusion(scenes: list[Scene], answers: list[Answer]) -> str:
    """For each shape that was asked for, how often each shape was seen."""
    pairs = zip(scenes, answers, strict=True)
    taken = Counter((scene.shape, answer.get("shape", "none")) for scene, answer in pairs)
    lines = ["asked for, and seen:"]
    for shape in SHAPES:
        seen = [f"{n} {other}" for (asked, other), n in taken.most_common() if asked == shape]
        lines.append(f"{shape:<9}{', '.join(seen)}")
    return "\n".join(lines)


def sheet(pictures: list[Image.Image], scenes: list[Scene], answers: list[Answer]) -> Image.Image:
    """The first 32 pictures over their captions and, in red, what was seen instead."""
    columns, gap, line = 8, 10, 13
    width, height = SIZE + gap, SIZE + gap + 6 * line
    shown = list(zip(pictures, scenes, answers, strict=True))[:32]
    rows = math.ceil(len(shown) / columns)
    page = Image.new("RGB", (columns * width + gap, rows * height + gap), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=10)
    for i, (picture, scene, answer) in enumerate(shown):
        left, top = gap + i % columns * width, gap + i // columns * height
        wrong = mistakes(scene, answer)
        if wrong:
            draw.rectangle((left - 3, top - 3, left + SIZE + 2, top + SIZE + 2), fill="red")
        page.paste(picture, (left, top))
        seen = ", ".join(answer.get(part, f"no {part}") or "in the middle" for part in wrong)
        lines = [(text, "black") for text in textwrap.wrap(scene.caption(), 25)]
        lines += [(text, "red") for text in textwrap.wrap(seen, 25)]
        for row, (text, ink) in enumerate(lines):
            draw.text((left, top + SIZE + 3 + row * line), text, ink, font)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL, help="a diffusers folder")
    parser.add_argument("--count", type=int, default=320, help="how many captions")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="where to write a sheet of 32 pictures")
    parser.add_argument("--confusion", action="store_true", help="which shape was taken for which")
    parser.add_argument("--painted", action="store_true", help="judge painted scenes: about 100 %%")
    args = parser.parse_args()

    rng = random.Random(args.seed)
    if args.painted:
        targets, kind = JUDGE_TARGETS, "painted scenes"
        scenes = [random_scene(rng) for _ in range(args.count)]
        clear = [paint(scene, rng) for scene in scenes]
        noise = np.random.default_rng(args.seed)
        columns = {"painted": clear, "blurred, noisy": [worsened(each, noise) for each in clear]}
    else:
        targets, kind = TARGETS, f"held-out captions, {args.steps} steps"
        held_out = held_out_scenes()
        if args.count > len(held_out):
            parser.error(f"--count must be ≤ {len(held_out)}, got {args.count}")
        if not (args.model / "model_index.json").exists():
            parser.error(f"no model in {args.model}: train.py writes one")
        scenes = rng.sample(held_out, args.count)
        guidances = dict.fromkeys([args.guidance, 1.0])
        columns = {f"guidance {g:g}": generated(args, scenes, g) for g in guidances}

    answers = {name: [judge(each) for each in pictures] for name, pictures in columns.items()}
    wrong = {name: list(map(mistakes, scenes, seen)) for name, seen in answers.items()}
    print(f"{args.count} {kind}\n{table(wrong, targets)}")
    main_run = next(iter(columns))
    if args.confusion:
        print(confusion(scenes, answers[main_run]))
    if args.sheet:
        sheet(columns[main_run], scenes, answers[main_run]).save(args.sheet)
    missed = Counter(itertools.chain.from_iterable(wrong[main_run]))
    sys.exit(any((args.count - missed[part]) / args.count < t for part, t in targets.items()))


if __name__ == "__main__":
    main()
