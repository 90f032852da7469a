"""The words and the bar of a job in progress."""

from __future__ import annotations

import html
import sys
from typing import TYPE_CHECKING

from nbtool.environment import progress_style
from nbtool.results.progress import Progress
from nbtool.text import LITERAL, count, duration, put

if TYPE_CHECKING:
    from nbtool.results.labelled import Labelled


def say(text: str) -> None:
    """A line about what takes a while, where progress is shown."""
    if progress_style() != "off":
        put(text, sys.stdout)


def outcome(progress: Progress, grid: Labelled) -> str:
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
    if progress.drawn is not None and grid.axes:
        parts.append(f"seed={progress.drawn} was drawn")
        parts += ["give it to go on with this grid"] if left else []
    if progress.drawn_apart:
        parts.append("seeds were drawn; each image has its own")
    return " · ".join(parts)


def interrupted(progress: Progress) -> str:
    """The line that stays of a run that was left before its end."""
    made = f"{progress.done:,} of {count(progress.total, 'image')}"
    drawn = "" if progress.drawn is None else f" with seed={progress.drawn}, which was drawn,"
    if progress.drawn_apart:
        drawn = " with the seeds that were drawn, which the images have,"
    return f"interrupted: {made}; the same call{drawn} goes on"


def status(progress: Progress) -> str:
    """What is going on now, on one line."""
    parts = [progress.activity, f"{progress.done} of {count(progress.total, 'image')}"]
    if progress.cancelled:
        parts.append(f"{progress.cancelled} cancelled")
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
        f'<div class="{LITERAL}" style="font-family:var(--jp-ui-font-family,sans-serif);'
        'font-size:var(--jp-ui-font-size1,13px);color:var(--jp-ui-font-color2,#666)">'
        f"{bar}{html.escape(text)}</div>"
    )


def line(text: str, fraction: float | None = None) -> dict[str, str]:
    """The MIME bundle of a line of text."""
    return {"text/plain": text, "text/html": line_html(text, fraction)}


def timed(text: str, progress: Progress) -> str:
    """A text, and how long it took where it took any time."""
    return f"{text} · {duration(progress.seconds)}" if progress.seconds else text
