"""The picture in the README that begins with a picture: `make notebooks`."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image, ImageDraw

import nbtool
from nbtool.testing.scenes import Scene, paint

README_PICTURE = Path(__file__).parents[2] / "docs" / "from-a-picture.png"
HEART = "a large red heart on the left on a white background"
DIAMOND = "a small blue diamond on the right on a white background"
GAP, WORDS = 16, 28  # pixels between pictures, and for what stands above each
POINTS = 72  # to the inch; one for each pixel
QUIET = "#757575"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = made(nbtool.Generator(store=Path(folder) / "images", device="cpu"))
    drawn(rows).savefig(
        README_PICTURE, dpi=1.5 * POINTS, facecolor="white", metadata={"Software": None}
    )
    print(README_PICTURE.name)  # noqa: T201


def made(gen: nbtool.Generator) -> list[list[tuple[str, Image.Image]]]:
    """A row of a star that changes and one of what else becomes of it, with their words."""
    star = paint(Scene("large", "red", "star", "on the left", "white"), random.Random(3))
    mask = Image.new("L", star.size, "black")
    ImageDraw.Draw(mask).rectangle((0, 24, 80, 103), fill="white")
    blue = "a large blue star on the left on a white background"
    changed = gen.grid(blue, image=star, strength=[0.2, 0.4, 0.6, 0.8], seed=1)
    heart = gen(HEART, image=star, mask_image=mask, strength=0.9, seed=1)
    larger, free = nbtool.outpaint(heart, right=64)
    wider = gen(DIAMOND, image=larger, mask_image=free, strength=0.9, seed=0)
    refined = heart.refine(scale=1.5, strength=0.2)
    strengths = zip(changed.axes["strength"], changed, strict=True)
    return [
        [("image", star), *((f"strength={label:g}", image.image) for label, image in strengths)],
        [
            ("mask_image", mask),
            ("“a … heart …”", heart.image),
            ("nbtool.outpaint, “a … diamond …”", wider.image),
            ("refine(scale=1.5)", refined.image),
        ],
    ]


def drawn(rows: list[list[tuple[str, Image.Image]]]) -> Figure:
    """The pictures, each pixel by pixel below its words."""
    width = max(sum(image.width + GAP for _, image in row) for row in rows) + GAP
    height = sum(max(image.height for _, image in row) + WORDS + GAP for row in rows)
    figure = Figure(figsize=(width / POINTS, height / POINTS))
    top = height
    for row in rows:
        left, top = GAP, top - WORDS
        for words, image in row:
            box = (left, top - image.height, image.width, image.height)
            sides = zip(box, (width, height, width, height), strict=True)
            place = figure.add_axes([part / whole for part, whole in sides])
            place.imshow(image, cmap="gray", vmin=0, vmax=255)
            place.set(xticks=[], yticks=[])
            for edge in place.spines.values():
                edge.set(color="#d8d8d8", linewidth=0.6)
            figure.text(left / width, (top + 7) / height, words, fontsize=10, color=QUIET)
            left += image.width + GAP
        top -= max(image.height for _, image in row) + GAP
    return figure


if __name__ == "__main__":
    main()
