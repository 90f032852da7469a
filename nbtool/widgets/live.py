"""A grid that fills before one's eyes while the cell that makes it runs."""

from __future__ import annotations

from typing import Any

from IPython.display import display

from nbtool.display import progress
from nbtool.job import Job
from nbtool.widgets.view import GridView


def watch(job: Job) -> None:
    """Shows the grid of a job until it is over; then the line that says what was made.

    What the cell returns, the finished grid, is shown by the notebook.
    """
    # Work that is over at once, such as a rerun from the store, shows nothing that flickers by.
    job.join(progress.REFRESH)
    if job.done:
        progress.watch(job)
        return
    view = GridView(job.grid, job=job, push=True)  # the busy kernel hears nothing from the browser
    handle: Any = display(view, display_id=True)
    try:
        while not job.done:
            job.join(progress.REFRESH)
    finally:
        view.close()
        handle.update(progress.final(job), raw=True)
