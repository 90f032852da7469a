"""The jobs that run and wait, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from nbtool.recipes.axes import Sweep
from nbtool.recipes.parameters import extent
from nbtool.results.progress import Progress
from nbtool.text import count, duration, ellipsized, printable, table

HEADINGS = ("", "prompt", "axes", "model", "images", "state")


class Queued(Protocol):
    """What a table says of a job."""

    @property
    def sweep(self) -> Sweep:
        """What is made."""

    @property
    def model(self) -> str:
        """With what."""

    @property
    def progress(self) -> Progress:
        """Where it stands."""

    @property
    def state(self) -> str:
        """Whether it runs or waits."""


def queue_bundle(jobs: Sequence[Queued]) -> dict[str, Any]:
    """The MIME bundle of jobs in the order in which they are worked on."""
    if not jobs:
        return {"text/plain": "no job runs or waits"}
    return dict(table(HEADINGS, [_row(place, job) for place, job in enumerate(jobs)]))


def _row(place: int, job: Queued) -> tuple[str, ...]:
    progress = job.progress
    left = progress.seconds_left
    return (
        str(place),
        ellipsized(job.sweep.base.prompt, 60),
        extent({axis.name: len(axis) for axis in job.sweep.axes}),
        printable(job.model),
        f"{progress.done:,} of {count(progress.total, 'image')}",
        job.state if left is None else f"{job.state}, {duration(left)} left",
    )
