"""The judge of the embedded model's pictures: it looks at pixels only."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from nbtool.testing.scenes import CENTRES, COLOURS, OUTLINES, RADII, SHAPES, SIZE

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
    inside: Mask = distance > CONTRAST
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
    """What a picture of one flat shape on a flat background shows, seen in its pixels alone.

        judge(gen("a red heart on a white background", seed=1).image)
        # {"background": "white", "shape": "heart", "colour": "red", "position": "", "size": "large"}

    Args:
        picture: As the embedded model makes them, 128 × 128. Painted scenes are judged rightly,
            also when they are a little blurred and noisy.

    Returns:
        `background`, and where a shape can be made out `shape`, `colour`, `position` ("" for the
        middle) and `size`, in the words of `nbtool.testing.scenes`.
    """
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
