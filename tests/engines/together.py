"""Pipelines run through a forwards, and one by one."""

from __future__ import annotations

import copy
import math
from functools import partial
from unittest.mock import patch

import diffusers
import torch

from nbtool import schedulers
from nbtool.engines.local import comparing, forwards, widths
from nbtool.engines.local.forwards import Forwards
from nbtool.engines.local.questions import Making


class Together:
    """Runs calls of pipelines through one forwards."""

    def __init__(self):
        self.forwards = Forwards()

    def learn(self, calls):
        """Runs calls one by one, and finds out which widths agree for what they ask."""
        with (
            patch.object(comparing, "SHARE", math.inf),
            patch.object(widths, "QUICK", math.inf),  # whatever else the machine does
            patch.object(forwards, "BRISK", math.inf),
        ):
            for call in calls:
                self.outcomes([call])
                with torch.no_grad():
                    while self.forwards.compare():
                        pass

    def outcomes(self, calls, *, exact=False, each_tick=None):
        """The outcome of each (pipeline, keyword arguments), in order."""
        outcomes = {}
        with torch.no_grad():
            waiting = list(enumerate(calls))
            while waiting or self.forwards.makings:
                while waiting and self.forwards.room(0, None, len(waiting)):
                    number, (pipeline, kwargs) = waiting.pop(0)
                    own, text = kwargs.get("adapters", ({}, {}))
                    cell = Making(
                        work=partial(
                            several if "seeds" in kwargs else one,
                            self.forwards.adopt(pipeline),
                            kwargs,
                        ),
                        done=lambda _, outcome, number=number: outcomes.update({number: outcome}),
                        exact=exact,
                        adapters=own,
                        text_adapters=text,
                    )
                    self.forwards.start(cell)
                self.forwards.tick()
                if each_tick:
                    each_tick(self.forwards)
        return [outcomes[number] for number in range(len(calls))]

    def images(self, calls, **options):
        outcomes = self.outcomes(calls, **options)
        for outcome in outcomes:
            if outcome.error:
                raise outcome.error
        return [outcome.value for outcome in outcomes]


def one(pipeline, kwargs):
    """The image of one plain call, as diffusers' documentation shows it."""
    generator = torch.Generator().manual_seed(kwargs.get("seed", 0))
    kwargs = {name: v for name, v in kwargs.items() if name not in ("seed", "adapters")}
    return pipeline(**kwargs, generator=generator, output_type="np").images[0]


def several(pipeline, kwargs):
    """The images of one call, one for each of the seeds."""
    generators = [torch.Generator().manual_seed(seed) for seed in kwargs["seeds"]]
    kwargs = {name: value for name, value in kwargs.items() if name != "seeds"}
    images = len(generators)
    pictures = pipeline(
        **kwargs, generator=generators, num_images_per_prompt=images, output_type="np"
    ).images
    assert len(pictures) == images
    return pictures


def with_scheduler(pipeline, name=None):
    """A copy of a pipeline with a scheduler of its own, of the pipeline's own kind by default."""
    copied = copy.copy(pipeline)
    wanted = schedulers.resolve(name or type(pipeline.scheduler).__name__)
    scheduler = getattr(diffusers, wanted.class_name)
    copied.scheduler = scheduler.from_config(pipeline.scheduler.config, **wanted.options)
    return copied
