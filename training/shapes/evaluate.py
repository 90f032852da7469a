"""Measures how often the `shapes` model draws what the caption says, by looking at pixels only.

    python training/shapes/evaluate.py            # 320 held-out captions, with and without guidance
    python training/shapes/evaluate.py --painted  # checks the judge itself on painted scenes

Every caption names size, colour, shape, position and background. Captions that name no position
are left out: they leave the place to the seed, and training may have read them for other places.
Ends with status 1 where the first column of the table misses its targets.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import math
import random
import sys
import textwrap
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scenes import CENTRES, COLOURS, OUTLINES, RADII, SHAPES, SIZE, Scene, paint, random_scene

MODEL = Path(__file__).parents[2] / "nbtool" / "catalogue" / "shapes"
TARGETS = {"shape": 0.90, "colour": 0.95, "background": 0.95, "position": 0.90}
JUDGE_TARGETS = dict.fromkeys(TARGETS, 0.995)
BORDER = 4  # pixels along each side that show the background
CONTRAST = 35.0  # RGB distance from the background; the nearest two shades are 68 apart
AREAS = (200, 6000)  # pixels of what may be a shape; painted ones have 600 to 4000
SPECK = 1 / 8  # blobs smaller than this share of the largest are ignored
LEAST_OVERLAP = 0.75  # a blob that overlaps less with every shape has none
FRAME = 64  # pixels along the side of a normalised mask
FRAME_UNIT = 28.0  # square root of a normalised mask's area
TEMPLATE_RADIUS = 40  # pixels
TURNS = (-10, -5, 0, 5, 10)  # degrees

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Answer = dict[str, str]  # the parts of a scene that could be seen


def nearest_colour(rgb: Array) -> str:
    return min(COLOURS, key=lambda name: math.dist(COLOURS[name], rgb))


def border_colour(pixels: Array) -> Array:
    """The median of the four borders, which a shape touches in a few pixels at most."""
    border = np.ones(pixels.shape[:2], bool)
    border[BORDER:-BORDER, BORDER:-BORDER] = False
    return np.median(pixels[border], axis=0)


def blobs(mask: Mask) -> NDArray[np.int64]:
    """A number for each connected blob, 0 outside: in each, the largest number spreads."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        around = np.pad(labels, 1)
        column = np.maximum(around[:-2, 1:-1], around[2:, 1:-1])
        row = np.maximum(around[1:-1, :-2], around[1:-1, 2:])
        spread = np.maximum.reduce([labels, row, column]) * mask
        if (spread == labels).all():
            return labels
        labels = spread


def object_mask(pixels: Array, background: Array) -> Mask:
    """The pixels nearer to the object's colour than to the background's, without specks."""
    distance = np.linalg.norm(pixels - background, axis=-1)
    inside = distance > CONTRAST
    if not inside.any():
        return inside
    labels = blobs(distance > np.median(distance[inside]) / 2)
    areas = np.bincount(labels[labels > 0])
    return np.isin(labels, np.flatnonzero(areas > SPECK * areas.max()))


def inner_colour(pixels: Array, mask: Mask) -> Array:
    """The median colour of the mask, away from its blended edge where it is wide enough."""
    eroded = np.array(Image.fromarray(mask.astype(np.uint8)).filter(ImageFilter.MinFilter(5)))
    return np.median(pixels[eroded > 0] if eroded.any() else pixels[mask], axis=0)


def moments(mask: Array | Mask) -> tuple[float, float, float]:
    """Centroid x, centroid y and area of a mask with values 0 to 1."""
    ys, xs = np.indices(mask.shape) + 0.5
    area = mask.sum()
    return (mask * xs).sum() / area, (mask * ys).sum() / area, area


def normalised(mask: Array | Mask) -> Array:
    """The mask moved and scaled to a common centroid and area, as a flat vector."""
    x, y, area = moments(mask)
    step = math.sqrt(area) / FRAME_UNIT
    affine = (step, 0, x - step * FRAME / 2, 0, step, y - step * FRAME / 2)
    moved = Image.fromarray((mask * 255.0).astype(np.uint8)).transform(
        (FRAME, FRAME), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
    )
    return np.asarray(moved, float).ravel() / 255


@functools.cache
def template(shape: str, turn: float) -> tuple[Array, Array]:
    """The shape's mask in the middle of a picture, and the same normalised."""
    middle, radius = 4 * SIZE / 2, 4 * TEMPLATE_RADIUS
    canvas = Image.new("L", (4 * SIZE, 4 * SIZE))
    for outline, fill in zip(OUTLINES[shape], (255, 0), strict=True):
        if outline:
            corners = [(middle + radius * x, middle + radius * y) for x, y in outline]
            ImageDraw.Draw(canvas).polygon(corners, fill)
    mask = np.asarray(canvas.rotate(turn).reduce(4), float) / 255
    return mask, normalised(mask)


def best_template(mask: Mask) -> tuple[float, str, float]:
    """The highest intersection over union with a template, and its shape and turn."""
    seen = normalised(mask)
    overlaps = []
    for shape, turn in itertools.product(SHAPES, TURNS):
        ideal = template(shape, turn)[1]
        overlap = np.minimum(seen, ideal).sum() / np.maximum(seen, ideal).sum()
        overlaps.append((overlap, shape, turn))
    return max(overlaps)


def judge(picture: Image.Image) -> Answer:
    """What the picture shows: the background, and the rest where a shape can be made out."""
    pixels = np.asarray(picture.convert("RGB"), float)
    background = border_colour(pixels)
    answer = {"background": nearest_colour(background)}
    mask = object_mask(pixels, background)
    if not AREAS[0] < mask.sum() < AREAS[1]:
        return answer
    overlap, shape, turn = best_template(mask)
    if overlap < LEAST_OVERLAP:
        return answer
    x, y, area = moments(mask)
    ideal_x, ideal_y, ideal_area = moments(template(shape, turn)[0])
    scale = math.sqrt(area / ideal_area)
    centre = (x - scale * (ideal_x - SIZE / 2), y - scale * (ideal_y - SIZE / 2))
    return answer | {
        "shape": shape,
        "colour": nearest_colour(inner_colour(pixels, mask)),
        "position": min(CENTRES, key=lambda name: math.dist(CENTRES[name], centre)),
        "size": min(RADII, key=lambda name: abs(RADII[name] - TEMPLATE_RADIUS * scale)),
    }


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
