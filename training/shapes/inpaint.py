"""Measures how often the `shapes` model makes a masked star a heart, by looking at pixels only.

    python training/shapes/inpaint.py                          # 60 tries at strength 1
    python training/shapes/inpaint.py --strength 0.5 0.7 0.9 1 --sheet hearts.png

The model draws the stars. The mask is a box around each, and the caption is that of the star with
"heart" in its place. Plain diffusers inpaints, in its way for models of 4 channels: after each step
the noised picture is put back outside of the mask. In the end its pixels are pasted back there.
Ends with status 1 where the last strength misses the target.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline, StableDiffusionPipeline
from evaluate import MODEL, TARGETS, mistakes
from PIL import Image

from nbtool.testing import judge
from nbtool.testing.judging import border_colour, object_mask
from nbtool.testing.scenes import SIZE, Scene, random_scene

TARGET = 0.85
BATCH = 12
COLUMNS = 12  # of the sheet

Pictures = list[Image.Image]


def heart_scenes(count: int, seed: int) -> list[Scene]:
    """Scenes with a heart, of any size, place and colours that training has drawn."""
    rng = random.Random(seed)
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng)
        if scene.shape == "heart":
            scenes.append(scene)
    return scenes


def box_around(picture: Image.Image, padding: int) -> Image.Image:
    """A mask that frees the shape and `padding` pixels on each of its sides."""
    pixels = np.asarray(picture, float)
    ys, xs = np.nonzero(object_mask(pixels, border_colour(pixels)))
    mask = Image.new("L", picture.size)
    corner = (int(xs.min()) - padding, int(ys.min()) - padding)
    mask.paste(255, (*corner, int(xs.max()) + 1 + padding, int(ys.max()) + 1 + padding))
    return mask


class Model:
    """The model as a pipeline for words and one for inpainting, with one copy of the weights."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.text = StableDiffusionPipeline.from_pretrained(args.model, dtype=torch.float32)
        self.inpaint = StableDiffusionInpaintPipeline(
            **self.text.components, requires_safety_checker=False
        )
        for pipeline in (self.text, self.inpaint):
            pipeline.to("cuda" if torch.cuda.is_available() else "cpu")
            pipeline.set_progress_bar_config(disable=True)

    def drawn(self, scenes: list[Scene]) -> Pictures:
        return self._pictures(self.text, scenes, self.args.seed, {})

    def inpainted(
        self, scenes: list[Scene], pictures: Pictures, masks: Pictures, strength: float
    ) -> Pictures:
        """The pictures, the masked part of each as its scene's caption says."""
        inputs = {"image": pictures, "mask_image": masks}
        seed = self.args.seed + len(scenes)
        made = self._pictures(self.inpaint, scenes, seed, inputs, strength=strength)
        return list(map(Image.composite, made, pictures, masks))

    def _pictures(
        self,
        pipeline: Any,
        scenes: list[Scene],
        seed: int,
        inputs: dict[str, Pictures],
        **settings: float,
    ) -> Pictures:
        """A picture for each scene and its inputs, with seeds that count up from `seed`."""
        pictures: Pictures = []
        for start in range(0, len(scenes), BATCH):
            part = slice(start, start + BATCH)
            captions = [scene.caption() for scene in scenes[part]]
            seeds = range(seed + start, seed + start + len(captions))
            pictures += pipeline(
                captions,
                num_inference_steps=self.args.steps,
                guidance_scale=self.args.guidance,
                generator=[torch.Generator().manual_seed(seed) for seed in seeds],
                **{name: values[part] for name, values in inputs.items()},
                **settings,
            ).images
            print(f"{len(pictures)}/{len(scenes)}", file=sys.stderr)
        return pictures


def distance(pictures: Pictures, others: Pictures) -> float:
    """The mean difference of their pixels, 0 to 255."""
    pairs = zip(pictures, others, strict=True)
    return float(np.mean([np.abs(np.subtract(*np.asarray(pair, float))) for pair in pairs]))


def sheet(pictures: Pictures) -> Image.Image:
    rows = -(-len(pictures) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * SIZE, rows * SIZE))
    for i, picture in enumerate(pictures):
        page.paste(picture, (i % COLUMNS * SIZE, i // COLUMNS * SIZE))
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=MODEL, help="a diffusers folder")
    parser.add_argument("--count", type=int, default=60, help="how many tries")
    parser.add_argument("--strength", type=float, nargs="+", default=[1.0])
    parser.add_argument("--padding", type=int, default=8, help="pixels that are free around a star")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="where to write the pictures, the stars first")
    args = parser.parse_args()

    model = Model(args)
    scenes = heart_scenes(args.count, args.seed)
    stars = model.drawn([replace(scene, shape="star") for scene in scenes])
    masks = [box_around(star, args.padding) for star in stars]
    shown, hearts = list(stars), 0
    print(f"{args.count} stars, masked and asked to be hearts, {args.steps} steps")
    print("strength       hearts    all four right    distance    seen")
    for strength in args.strength:
        made = model.inpainted(scenes, stars, masks, strength)
        answers = [judge(picture) for picture in made]
        seen = Counter(answer.get("shape", "none") for answer in answers)
        hearts = seen["heart"]
        right = sum(map(TARGETS.keys().isdisjoint, map(mistakes, scenes, answers)))
        print(
            f"{strength:<8g}{hearts:>6}{hearts / args.count:>8.1%}{right:>10}"
            f"{right / args.count:>8.1%}{distance(made, stars):>12.1f}    "
            + ", ".join(f"{count} {shape}" for shape, count in seen.most_common())
        )
        shown += made
    if args.sheet:
        sheet(shown).save(args.sheet)
    sys.exit(hearts / args.count < TARGET)


if __name__ == "__main__":
    main()
