"""Shows a job until it is over: a grid that fills, a bar, or one plain line.

The one loop for all of them. Draws from the calling thread only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nbtool import environment
from nbtool.display.progress import interrupted, line, outcome, status, timed
from nbtool.errors import log
from nbtool.job import Job
from nbtool.results.progress import Progress
from nbtool.silence import mild
from nbtool.text import Forgiving, put

REFRESH = 0.1  # seconds between two looks at the job


def watch(job: Job) -> None:
    """Shows a job until it is over; then the line that says what was made.

    Several images appear as a grid that fills, where that can be drawn meanwhile. What the cell
    returns, the finished grid, is shown by the notebook. An interrupt cancels the job, and is let
    through once that has stopped.
    """
    style = environment.progress_style()
    face = _FACES[style]()
    stopped = False
    try:
        # Work that is over at once, such as a rerun from the store, shows nothing that flickers by.
        job.join(REFRESH)
        if style == "live" and job.sweep.axes and not job.done:
            with _for_show():
                face = _LiveGrid(job)
        while not job.done:
            with _for_show():
                face.update(job.progress)
            job.join(REFRESH)
    except BaseException:
        job.cancel()
        stopped = True
        job.join()
        raise
    finally:
        progress = job.progress
        left = stopped and progress.done < progress.total
        with _for_show():
            face.close(progress, interrupted(progress) if left else outcome(progress, job.grid))


@contextmanager
def _for_show() -> Iterator[None]:
    """What cannot be shown stops nothing: the images are made without it."""
    try:
        with mild():
            yield
    except Exception as error:  # front ends and streams raise what they like
        log("progress cannot be shown", error)


class _Off:
    def update(self, progress: Progress) -> None:
        """Nothing is shown."""

    def close(self, progress: Progress, text: str) -> None:
        """Nothing is shown."""


class _Plain(_Off):
    """One line at the end: stable output for scripts, logs and notebook checks."""

    def close(self, progress: Progress, text: str) -> None:
        put(text, sys.stdout)


class _Notebook(_Off):
    """One output that is updated in place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, progress: Progress) -> None:
        self._show(status(progress), progress.fraction)

    def close(self, progress: Progress, text: str) -> None:
        self._show(timed(text, progress))

    def _show(self, text: str, fraction: float | None = None) -> None:
        from IPython.display import display

        bundle = line(text, fraction)
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class _Terminal(_Off):
    """A tqdm bar on standard error that counts images in fractions of a step."""

    def __init__(self) -> None:
        self._bar: Any = None

    def update(self, progress: Progress) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(
                total=100,
                bar_format="{percentage:3.0f}% |{bar:24}| {desc}",
                leave=False,
                file=Forgiving(sys.stderr),
                dynamic_ncols=True,
            )
        self._bar.n = 100 * progress.fraction
        self._bar.set_description_str(status(progress))

    def close(self, progress: Progress, text: str) -> None:
        if self._bar is not None:
            self._bar.close()
        put(timed(text, progress), sys.stderr)


class _LiveGrid(_Off):
    """The grid as a widget that fills before one's eyes while the cell that makes it runs."""

    def __init__(self, job: Job) -> None:
        from IPython.display import display

        from nbtool.live.view import GridView

        # The busy kernel hears nothing from the browser: the view sends without being asked.
        self._view = GridView(job.grid, job=job, push=True)
        self._handle: Any = display(self._view, display_id=True)

    def close(self, progress: Progress, text: str) -> None:
        self._view.close()
        self._handle.update(line(timed(text, progress)), raw=True)


_FACES = {
    "live": _Notebook,
    "notebook": _Notebook,
    "terminal": _Terminal,
    "plain": _Plain,
    "off": _Off,
}
