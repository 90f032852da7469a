"""Every image is the same again, to the bit, whatever is made beside it."""

from __future__ import annotations

import math
import random

import pytest
import tiny
import torch
from hubs import Together, one, with_scheduler

from nbtool.engines.local import comparing
from nbtool.engines.local.questions import Cell

SIZES = ({"height": 64, "width": 64}, {"height": 72, "width": 56})
SCHEDULERS = ("ddim", "euler_a", "dpm++2m", "unipc")
# What is added to each row, by the width of the forward; other widths have one of their own.
AS_ON_TWO_THREADS = {1: 1, 2: 2, **dict.fromkeys((4, 6, 8, 10, 12, 16, 24, 32, 48, 64), 3)}
ODD_ONES_TOO = {1: 1, 2: 2, 3: 2, 5: 2, 4: 3, 6: 3, 9: 3, 16: 3, 24: 4, 32: 3, 48: 4, 64: 4}
TABLES = {
    "as on two threads": (AS_ON_TWO_THREADS, ()),
    "some by place": (AS_ON_TWO_THREADS, (6, 10, 64)),
    "even two by place": (AS_ON_TWO_THREADS, (2, 4, 8, 16, 32, 64)),
    "odd members": (ODD_ONES_TOO, ()),
    "none agrees": ({}, ()),
    "none agrees, most by place": ({}, (2, 4, 8, 16, 32)),
    "nothing is sound": ({}, tuple(range(2, 65))),
}


def by_the_table(pipeline, kernels, by_place):
    """Makes the rows of a pipeline's networks depend on the width, and at some on their place."""

    def shifted(output):
        width = len(output)
        by = torch.full((width,), float(kernels.get(width, 100 + width)))
        if width in by_place:
            by = by + torch.arange(width) / 7
        return output + 1e-3 * by.reshape(-1, *[1] * (output.ndim - 1))

    forward, decode = pipeline.unet.forward, pipeline.vae.decode
    pipeline.unet.forward = lambda *args, **kwargs: (shifted(forward(*args, **kwargs)[0]),)
    pipeline.vae.decode = lambda *args, **kwargs: (shifted(decode(*args, **kwargs)[0]),)


class Mixture:
    """Images of random settings that come and go in a hub, and each of them again."""

    def __init__(self, pipeline, luck, *, options=SCHEDULERS):
        self.pipeline, self.luck, self.options = pipeline, luck, options
        self.made = []  # what was asked, how it was made, and what came of it

    def settings(self):
        luck = self.luck
        return luck.choice(self.options), {
            "prompt": luck.choice(("a", "b")), "guidance_scale": luck.choice((1, 1, 3, 7)),
            "num_inference_steps": luck.randint(1, 4), "seed": luck.randint(0, 3),
            **luck.choice(SIZES),
        }  # fmt: skip

    def make(self, together, count):
        """Makes images; some are left, some go ahead, widths are compared now and then."""
        hub, luck = together.hub, self.luck
        waiting = [self.settings() for _ in range(count)]
        with torch.no_grad():
            while waiting or hub.cells:
                while waiting and len(hub.cells) < 12 and luck.random() < 0.7:
                    hub.start(self._cell(together, waiting.pop(), {}))
                hub.tick()
                if hub.cells and luck.random() < 0.03:
                    hub.stop(luck.choice(hub.cells))
                if luck.random() < 0.3:
                    hub.compare()

    def again(self, together, settings, past):
        """One image by itself."""
        with torch.no_grad():
            before = len(self.made)
            together.hub.start(self._cell(together, settings, past))
            while together.hub.cells:
                together.hub.tick()
        return self.made.pop(before)[2]

    def _cell(self, together, settings, past):
        scheduler, kwargs = settings
        adopted = together.hub.adopt(with_scheduler(self.pipeline, scheduler))

        def done(cell, outcome):
            if outcome.error is None:
                self.made.append((settings, together.hub.made_at(cell), outcome.value))

        return Cell(
            work=lambda: one(adopted, kwargs), done=done, past=past,
            priority=self.luck.choice((0, 0, 1)), size=(kwargs["height"], kwargs["width"]),
        )  # fmt: skip


@pytest.fixture(autouse=True)
def plenty_of_time(monkeypatch, tmp_path):
    """Widths are compared whenever a test wants it; what other tests found out is not known."""
    monkeypatch.setattr(comparing, "SHARE", math.inf)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def check(mixture, count):
    """Makes a mixture twice in one hub, and each image again in that hub and in a new one."""
    together = Together()
    mixture.make(together, count)
    mixture.make(together, count)
    assert len(mixture.made) > count
    made = mixture.luck.sample(mixture.made, min(12, len(mixture.made)))
    for settings, widths, image in made:
        for hub in (together, Together()):
            assert mixture.again(hub, settings, widths).tobytes() == image.tobytes(), settings


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("seed", range(3))
def test_in_any_mixture_each_image_is_as_it_is_alone(table, seed):
    pipeline = tiny.stable_diffusion()
    pipeline.set_progress_bar_config(disable=True)
    by_the_table(pipeline, *TABLES[table])
    check(Mixture(pipeline, random.Random(seed)), 24)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["stable_diffusion", "flux", "stable_diffusion_xl"])
def test_real_networks_too(name, dtype):
    pipeline = getattr(tiny, name)().to(dtype)
    pipeline.set_progress_bar_config(disable=True)
    options = (None,) if name == "flux" else SCHEDULERS
    check(Mixture(pipeline, random.Random(1), options=options), 20)
