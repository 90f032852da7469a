"""The jobs that run and wait, whoever started them, as the panel lists them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtool.background import Fail, Loop
from nbtool.display.progress import status
from nbtool.job import jobs
from nbtool.live.feed import sendable
from nbtool.recipes.parameters import extent
from nbtool.text import ellipsized, printable

if TYPE_CHECKING:
    from nbtool.job import Job

LOOK = 0.4  # seconds between two looks
MAX_PROMPT = 200  # characters


class Queue:
    """Looks at the jobs of this process while there are any, or somebody watches.

    Args:
        show: Told of the jobs as dicts, in their order, when they changed.
        watched: Whether somebody looks at the list.
        fail: Told what went wrong.
    """

    def __init__(
        self, show: Callable[[list[dict[str, Any]]], None], watched: Callable[[], bool], fail: Fail
    ) -> None:
        self._show = show
        self._watched = watched
        self._jobs: dict[str, Job] = {}  # as they were shown
        self._loop = Loop("nbtool queue", self._turn, fail=fail, retry=LOOK)

    def look(self) -> None:
        """Begins to look; returns at once."""
        self._loop.wake()

    def cancel(self, name: str) -> None:
        """Stops a job; what it made is kept."""
        if job := self._jobs.get(name):
            job.cancel()
        self.look()

    def move_up(self, name: str) -> None:
        """Makes a job the next one."""
        if job := self._jobs.get(name):
            job.move_up()
        self.look()

    def join(self, timeout: float | None = None) -> None:
        """Waits until there is nothing to look at, or `timeout` seconds."""
        if not self._watched():
            self._loop.join(timeout)

    def _turn(self) -> float | None:
        self._jobs = {str(id(job)): job for job in jobs()}
        self._show([_said(name, job) for name, job in self._jobs.items()])
        return LOOK if self._jobs or self._watched() else None


def _said(name: str, job: Job) -> dict[str, Any]:
    progress = job.progress
    said = {
        "id": name,
        "prompt": ellipsized(job.sweep.base.prompt, MAX_PROMPT) or "no prompt",
        "axes": extent({axis.name: len(axis) for axis in job.sweep.axes}),
        "model": printable(job.model),
        "state": job.state,
        "status": status(progress),
        "fraction": round(progress.fraction, 3),
    }
    return dict(sendable(said))
