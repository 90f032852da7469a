"""The world of the `shapes` model: flat scenes and the captions that describe them.

A scene is one flat shape on a flat background, 128 × 128 pixels. Its caption follows

    a [small|large] COLOUR SHAPE [on the left|on the right|at the top|at the bottom]
    [on a COLOUR background]

and may leave out anything in brackets, which is then up to the seed.
"""

from __future__ import annotations

import hashlib
import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

SIZE = 128
COLOURS = {
    "red": (220, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 220, 50),
    "green": (50, 160, 70),
    "blue": (45, 90, 215),
    "purple": (130, 60, 180),
    "pink": (250, 150, 190),
    "white": (250, 250, 250),
    "black": (20, 20, 20),
    "gray": (128, 128, 128),
}
RADII = {"small": 22.0, "large": 34.0}
CENTRES = {
    "": (64, 64),
    "on the left": (40, 64),
    "on the right": (88, 64),
    "at the top": (64, 40),
    "at the bottom": (64, 88),
}

Point = tuple[float, float]


def _regular(corners: int, radius: float = 1.0, inner: float | None = None) -> list[Point]:
    """A regular polygon pointing up; with `inner`, a star that alternates two radii."""
    radii = [radius] if inner is None else [radius, inner]
    count = corners * len(radii)
    return [
        (
            radii[i % len(radii)] * math.sin(2 * math.pi * i / count),
            -radii[i % len(radii)] * math.cos(2 * math.pi * i / count),
        )
        for i in range(count)
    ]


def _heart(points: int = 72) -> list[Point]:
    def at(t: float) -> Point:
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        return x / 16.5, (-y - 2.5) / 15

    return [at(2 * math.pi * i / points) for i in range(points)]


def _cross(length: float = 0.95, arm: float = 0.32) -> list[Point]:
    corner = [(arm, -length), (arm, -arm), (length, -arm)]
    quarter_turns = [corner]
    for _ in range(3):
        quarter_turns.append([(-y, x) for x, y in quarter_turns[-1]])
    return [point for turn in quarter_turns for point in turn]


# Each shape is an outline of radius about 1 and, for the ring, a hole.
OUTLINES: dict[str, tuple[list[Point], list[Point]]] = {
    "circle": (_regular(72, 0.94), []),
    "square": ([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)], []),
    "triangle": ([(0.0, -0.95), (1.0, 0.8), (-1.0, 0.8)], []),
    "star": (_regular(5, 1.08, inner=0.45), []),
    "heart": (_heart(), []),
    "diamond": ([(0.0, -1.08), (0.72, 0.0), (0.0, 1.08), (-0.72, 0.0)], []),
    "ring": (_regular(72, 0.98), _regular(72, 0.52)),
    "cross": (_cross(), []),
}
SHAPES = tuple(OUTLINES)


@dataclass(frozen=True)
class Scene:
    """What a complete caption says. `position` is "" for the middle."""

    size: str
    colour: str
    shape: str
    position: str
    background: str

    @property
    def held_out(self) -> bool:
        """True for the tenth of all combinations that training never draws or names."""
        name = f"{self.colour} {self.shape} {self.position} {self.background}"
        return hashlib.sha256(name.encode()).digest()[0] % 10 == 0

    def caption(
        self, *, size: bool = True, position: bool = True, background: bool = True, an: bool = False
    ) -> str:
        """The caption, leaving out what is False; `an` writes "an orange" for "a orange"."""
        words = ["a", self.size if size else "", self.colour, self.shape]
        words.append(self.position if position else "")
        if background:
            words += ["on a", self.background, "background"]
        text = " ".join(word for word in words if word)
        return text.replace("a orange", "an orange") if an else text


def random_scene(rng: random.Random) -> Scene:
    """A scene drawn evenly from all combinations that are not held out."""
    while True:
        colour, background = rng.sample(list(COLOURS), 2)
        scene = Scene(
            rng.choice(list(RADII)),
            colour,
            rng.choice(SHAPES),
            rng.choice(list(CENTRES)),
            background,
        )
        if not scene.held_out:
            return scene


def paint(scene: Scene, rng: random.Random) -> Image.Image:
    """The scene as an RGB image, with a little jitter of shade, place, size and turn."""
    scale = 4
    radius = RADII[scene.size] * rng.uniform(0.95, 1.05)
    centre_x, centre_y = (c + rng.uniform(-3, 3) for c in CENTRES[scene.position])
    turn = math.radians(rng.uniform(-5, 5))

    def place(outline: list[Point]) -> list[Point]:
        return [
            (
                scale * (centre_x + radius * (x * math.cos(turn) - y * math.sin(turn))),
                scale * (centre_y + radius * (x * math.sin(turn) + y * math.cos(turn))),
            )
            for x, y in outline
        ]

    def shade(colour: str) -> tuple[int, ...]:
        return tuple(min(255, max(0, c + rng.randint(-6, 6))) for c in COLOURS[colour])

    mask = Image.new("L", (SIZE * scale, SIZE * scale), 0)
    draw = ImageDraw.Draw(mask)
    outline, hole = OUTLINES[scene.shape]
    draw.polygon(place(outline), fill=255)
    if hole:
        draw.polygon(place(hole), fill=0)

    image = Image.new("RGB", (SIZE, SIZE), shade(scene.background))
    image.paste(shade(scene.colour), (0, 0), mask.reduce(scale))
    return image
