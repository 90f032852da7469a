"""Live progress of a job in a notebook, in a terminal, or as one plain line."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING, Any

from nbtool.environment import progress_style
from nbtool.text import count, duration

if TYPE_CHECKING:
    from nbtool.grid import Grid
    from nbtool.job import Job, Progress

REFRESH = 0.1  # seconds between two looks at the job


def watch(job: Job) -> None:
    """Shows a job's progress until it is over. Draws from the calling thread only."""
    style = progress_style()
    display = {
        "live": _Notebook,
        "notebook": _Notebook,
        "terminal": _Terminal,
        "plain": _Plain,
    }.get(style, _Off)()
    # Work that is over at once, such as a rerun from the store, shows no bar that flickers by.
    job.join(REFRESH)
    while not job.done:
        display.update(job.progress)
        job.join(REFRESH)
    display.close(job.progress, summary(job.progress, job.grid))


def say(text: str) -> None:
    """A line about what takes a while, where progress is shown."""
    if progress_style() != "off":
        print(text)  # noqa: T201 - standard output is where it is shown


def final(job: Job) -> dict[str, str]:
    """The bundle of the one line that stays."""
    return _line(_timed(summary(job.progress, job.grid), job.progress))


def summary(progress: Progress, grid: Grid) -> str:
    """The one line that stays: what there is now, and where it came from.

    For a single image asked for it is the image's caption.
    """
    parts = [count(progress.made + progress.stored, "image")]
    if not grid.axes:
        parts = [image.caption for image in grid]
        parts += ["already in the store"] if progress.stored else []
    elif progress.stored:
        parts.append(f"{progress.stored} already in the store")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    if left := progress.total - progress.done:
        parts.append(f"{left} not made")
    return " · ".join(parts)


def status(progress: Progress) -> str:
    """What is going on now, on one line."""
    parts = [progress.activity, f"{progress.done} of {count(progress.total, 'image')}"]
    if progress.steps and progress.total == 1:
        parts.append(f"step {progress.step} of {progress.steps}")
    if (left := progress.seconds_left) is not None:
        parts.append(f"{duration(left)} left")
    return " · ".join(parts)


def line_html(text: str, fraction: float | None = None) -> str:
    """A line of text in the notebook's own colours, under a bar while there is a fraction."""
    bar = (
        '<div style="height:4px;max-width:480px;margin-bottom:4px;border-radius:2px;'
        'background:var(--jp-border-color2,#ddd)">'
        f'<div style="height:4px;width:{100 * fraction:.1f}%;border-radius:2px;'
        'background:var(--jp-brand-color1,#1976d2)"></div></div>'
        if fraction is not None
        else ""
    )
    return (
        '<div style="font-family:var(--jp-ui-font-family,sans-serif);'
        'font-size:var(--jp-ui-font-size1,13px);color:var(--jp-ui-font-color2,#666)">'
        f"{bar}{html.escape(text)}</div>"
    )


def _line(text: str, fraction: float | None = None) -> dict[str, str]:
    return {"text/plain": text, "text/html": line_html(text, fraction)}


def _timed(text: str, progress: Progress) -> str:
    return f"{text} · {duration(progress.seconds)}" if progress.seconds else text


class _Off:
    def update(self, progress: Progress) -> None:
        """Nothing is shown."""

    def close(self, progress: Progress, text: str) -> None:
        """Nothing is shown."""


class _Plain(_Off):
    """One line at the end: stable output for scripts, logs and notebook checks."""

    def close(self, progress: Progress, text: str) -> None:
        print(text)  # noqa: T201 - standard output is where it is shown


class _Notebook(_Off):
    """One output that is updated in place."""

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, progress: Progress) -> None:
        self._show(status(progress), progress.fraction)

    def close(self, progress: Progress, text: str) -> None:
        self._show(_timed(text, progress))

    def _show(self, text: str, fraction: float | None = None) -> None:
        from IPython.display import display

        bundle = _line(text, fraction)
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
                file=sys.stderr,
            )
        self._bar.n = 100 * progress.fraction
        self._bar.set_description_str(status(progress))

    def close(self, progress: Progress, text: str) -> None:
        if self._bar is not None:
            self._bar.close()
        print(_timed(text, progress), file=sys.stderr)  # noqa: T201 - the bar was there
