"""The words of a panel: what went wrong, what is going on, what will happen."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets

from nbtool.display.progress import line_html, status
from nbtool.errors import NbtoolError, RecipeError, described, log
from nbtool.recipes.parameters import called
from nbtool.results.plan import Plan
from nbtool.results.progress import Progress
from nbtool.text import duration, printable

if TYPE_CHECKING:
    from nbtool.job import Job


_GIVEN = re.compile(r"\b([a-z_]+)=…")
_AXIS = re.compile(r"the axis (['\"]).*?\1(?= h)")  # holds a value twice, has no values


class AtFieldError(RecipeError):
    """What is said at a field already, to which the keyboard was led."""


class Notice:
    """A line of text, calm or alarming. What it is given stays text."""

    def __init__(self) -> None:
        self.widget = ipywidgets.HTML()
        self.widget.add_class("nbtool-notice")
        self.text = ""
        self.alarming = False
        self.refusing = False  # what was asked for is wrong

    def say(self, text: str) -> None:
        self._show(text, "status", "nbtool-said" if text else "")

    def alarm(self, text: str) -> None:
        self._show(text, "alert", "nbtool-alarm")

    def clear(self) -> None:
        self.say("")

    def fail(self, error: BaseException, more: str = "") -> None:
        """Says what went wrong, and more on a line below."""
        log("the panel says what went wrong", error)
        self.alarm(f"{words(error)}\n{more}".rstrip())
        self.refusing = isinstance(error, RecipeError)

    def conclude(self, jobs: Sequence[Job]) -> None:
        """Says what stopped one of these, or else what their engine had to say."""
        if errors := [job.error for job in jobs if job.error]:
            self.alarm(words(errors[-1]))
        elif (notes := [note for job in jobs for note in job.notes]) and not self.alarming:
            self.say(by_labels("\n".join(dict.fromkeys(notes))))

    def guarded(self, action: Callable[[], None]) -> Callable[..., None]:
        """A handler that shows what `action` raises: ipywidgets would only log it."""

        def handle(*_: Any) -> None:
            try:
                action()
            except AtFieldError:
                pass
            except Exception as error:
                self.fail(error)

        return handle

    def click(self, action: Callable[[], None]) -> Callable[..., None]:
        """A handler of a click: what was said before is over."""

        def act() -> None:
            self.clear()
            action()

        return self.guarded(act)

    def _show(self, text: str, role: str, look: str) -> None:
        self.text = text
        self.alarming = role == "alert"
        self.refusing = False
        safe = "<br>".join(html.escape(printable(line)) for line in text.splitlines())
        self.widget.value = f'<div role="{role}" class="{look}">{safe}</div>' if text else ""


class ProgressLine:
    """A bar and a line of text, there only while something runs."""

    def __init__(self) -> None:
        self.widget = ipywidgets.HTML()
        self.widget.add_class("nbtool-progress")

    def show(self, progress: Progress) -> None:
        text = status(progress)
        if progress.steps and progress.total > 1:
            text += f" · step {progress.step} of {progress.steps}"
        percent = round(100 * progress.fraction)
        self.widget.value = (
            f'<div role="progressbar" aria-label="Progress" aria-valuemin="0" aria-valuemax="100" '
            f'aria-valuenow="{percent}">{line_html(text, progress.fraction)}</div>'
        )

    def close(self, text: str = "") -> None:
        self.widget.value = line_html(text) if text else ""


def words(error: BaseException) -> str:
    """An error in words; what nbtool did not raise on purpose is named in full."""
    if isinstance(error, NbtoolError):
        return by_labels(str(error)) or type(error).__name__
    return f"this went wrong: {described(error)}"


def by_labels(text: str) -> str:
    """A text with the label of a parameter where it says what Python is given, as image=… is."""
    return _GIVEN.sub(lambda found: f"“{called(found[1])}”", text)


def said_of(error: BaseException, name: str, label: str) -> str:
    """What an error says of a parameter, a word or an axis, which has this label in the panel."""
    text = words(error)
    for begin in (_AXIS, re.compile(re.escape(name))):
        if found := begin.match(text):
            return label + text[found.end() :]
    return text


def foresee(plan: Plan) -> str:
    """What will happen, before it does."""
    if plan.images == 1:
        parts = ["1 image" if plan.to_make else "1 image, already stored: nothing to make"]
    else:
        parts = [f"{plan.images:,} images"]
        if not plan.to_make:
            parts = [f"{plan.images:,} images, all stored: nothing to make"]
        elif plan.stored:
            parts = [f"{plan.images:,} images: {plan.to_make:,} to make, {plan.stored:,} stored"]
    if plan.to_make:
        known = plan.seconds is not None
        parts.append(f"about {duration(plan.seconds or 0)}" if known else "time not known yet")
    return " · ".join(parts)


def together(progresses: list[Progress]) -> Progress:
    """The progress of several jobs as one."""
    latest = progresses[-1]
    if len(progresses) == 1:
        return latest
    running = [p for p in progresses if p.left] or [latest]
    return Progress(
        total=sum(p.total for p in progresses),
        stored=sum(p.stored for p in progresses),
        made=sum(p.made for p in progresses),
        failed=sum(p.failed for p in progresses),
        cancelled=sum(p.cancelled for p in progresses),
        begun=sum(p.begun for p in progresses),
        step=running[0].step,
        steps=running[0].steps,
        seconds=max(p.seconds for p in progresses),
        activity=running[0].activity,
    )
