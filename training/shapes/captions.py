"""The captions that training reads: parts are left out now and then, and some are wrong."""

from __future__ import annotations

import random
from dataclasses import astuple

from nbtool.testing.scenes import CENTRES, COLOURS, RADII, SHAPES, Scene

MISREAD = 0.12  # how often each part of a caption is drawn at random

_CHOICES = (tuple(RADII), tuple(COLOURS), SHAPES, tuple(CENTRES), tuple(COLOURS))


def random_caption(scene: Scene, rng: random.Random) -> str:
    """A caption for training: parts are left out now and then, and some are wrong.

    Captions found in the wild are wrong now and then too. A model trained on true ones alone
    obeys them without any guidance, and shows nothing of what guidance is for.
    """
    return _misread(scene, rng).caption(
        size=rng.random() < 0.6,
        position=rng.random() < 0.8,
        background=rng.random() < 0.8,
        an=rng.random() < 0.5,
    )


def _misread(scene: Scene, rng: random.Random) -> Scene:
    """The scene as a careless writer of captions sees it, and never one that is held out."""
    while True:
        seen = Scene(
            *(
                rng.choice(choices) if rng.random() < MISREAD else true
                for choices, true in zip(_CHOICES, astuple(scene), strict=True)
            )
        )
        if not seen.held_out:
            return seen
