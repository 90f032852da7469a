"""The queue: all jobs of this process that run or wait."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, overload

from nbtool.display.queue import queue_bundle
from nbtool.job.job import Job, line
from nbtool.results import share

LEAVING = 30  # seconds that the end of the process waits for jobs, all of them together


class Jobs(Sequence[Job]):
    """The jobs of this process that run or wait, whoever started them, as they are at each look.

        nbtool.jobs()                   shows them as a table
        nbtool.jobs()[2].move_up()
        for job in nbtool.jobs(): job.cancel()

    They come in the order in which they are worked on. One that is over is not among them.
    """

    def __len__(self) -> int:
        return len(line.in_order())

    @overload
    def __getitem__(self, place: int) -> Job: ...
    @overload
    def __getitem__(self, place: slice) -> list[Job]: ...
    def __getitem__(self, place: int | slice) -> Job | list[Job]:
        return line.in_order()[place]

    def __iter__(self) -> Iterator[Job]:
        return iter(line.in_order())

    def __repr__(self) -> str:
        text: str = queue_bundle(line.in_order())["text/plain"]
        return text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return queue_bundle(line.in_order())


def jobs() -> Jobs:
    """The jobs of this process that run or wait, in the order in which they are worked on.

    Returns:
        A sequence that is as they are at each look, and shows itself as a table; each can be
        cancelled with `cancel()`, and goes ahead of the others with `move_up()`.
    """
    return Jobs()


def cancel() -> None:
    """Cancels every job; they stop within one denoising step, and finished images are kept."""
    for job in line:
        job.cancel()


def _close() -> None:
    """At exit: lets the running step end and what is finished be written."""
    cancel()
    end = time.monotonic() + LEAVING
    for job in line:
        job.join(max(0, end - time.monotonic()))


def _forsake() -> None:
    """In a fork: jobs go on in its parent alone."""
    share.forsake()
    for job in line:
        job._forsake()  # noqa: SLF001 - it is for this alone


atexit.register(_close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forsake)
