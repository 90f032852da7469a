"""Quiet libraries: what they print and draw while nbtool uses them is nobody's business.

Verbosity, warning filters and bars belong to the whole process. Whoever wants silence first makes
it, and whoever leaves it last gives back what was there before, in whichever order threads come
and go.

Nor is a warning of theirs an error, as it is with `python -W error`: no picture fails for it.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from nbtool.errors import NbtoolError, described, root_of


class Silence:
    """What is changed once for all who want it, and changed back after the last of them.

        quiet = Silence(lambda undo: ...)       # undo.callback(…) for everything that is changed
        with quiet(): ...

    Args:
        make: Makes the change. What it has put into the ExitStack is undone at the end, or at
            once if it raises.
    """

    def __init__(self, make: Callable[[ExitStack], None]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._users = 0
        self._undo = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            if not self._users:
                with ExitStack() as undo:
                    self._make(undo)
                    self._undo = undo.pop_all()
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    self._undo.close()


def _hush(library: Any, level: int, undo: ExitStack) -> None:
    """Sets a library's verbosity until the end."""
    undo.callback(library.set_verbosity, library.get_verbosity())
    library.set_verbosity(level)


def _hide_bars(library: Any, undo: ExitStack) -> None:
    if library.is_progress_bar_enabled():
        undo.callback(library.enable_progress_bar)
        library.disable_progress_bar()


def bars_of_the_hub_are_hidden() -> bool:
    """Whether the hub's client shows no bars."""
    return bool(_hub().are_progress_bars_disabled())


def _hub() -> Any:
    """The hub's own helpers, of which not all that are there are exported."""
    from huggingface_hub import utils

    return utils


def _keep_hub_bars(undo: ExitStack) -> None:
    """Gives the hub's bars back as they were: the libraries switch them on and off with theirs."""
    if bars_of_the_hub_are_hidden():
        undo.callback(_hub().disable_progress_bars)


def _ignore(undo: ExitStack, **warning: Any) -> None:
    """Ignores warnings until the end.

    `warnings.catch_warnings` puts back the whole list of filters, and with it those that others
    added or took away meanwhile; this takes away its own alone.
    """
    before = list(warnings.filters)
    warnings.filterwarnings("ignore", **warning)
    added = [entry for entry in warnings.filters if entry not in before]
    here = _filters()

    def take_away() -> None:
        for filters in {id(each): each for each in (here, _filters())}.values():
            for entry in added:
                if entry in filters:
                    filters.remove(entry)

    undo.callback(take_away)


def _filters() -> list[Any]:
    return warnings.filters  # type: ignore[return-value] # a list, typed as less


class _Mildly:
    """The text of a filter: matches what another one does, on threads where warnings are mild."""

    def __init__(self, text: Any) -> None:
        self._text = text  # a pattern; None matches all

    def match(self, message: str) -> bool:
        here = threading.get_ident() in _mild_threads
        return here and (self._text is None or self._text.match(message) is not None)


_mild_threads: list[int] = []  # each as often as it wants so
_mild_lock = threading.Lock()


@contextmanager
def mild() -> Iterator[None]:
    """On this thread no warning is an error: where a filter would make it one it is shown."""
    thread = threading.get_ident()
    with _mild_lock:
        _mild_threads.append(thread)
        filters = _filters()
        for place in reversed(range(len(filters))):
            action, text, *rest = filters[place]
            if action == "error" and not (place and isinstance(filters[place - 1][1], _Mildly)):
                filters.insert(place, ("default", _Mildly(text), *rest))
    try:
        yield
    finally:
        with _mild_lock:
            _mild_threads.remove(thread)
            if not _mild_threads:
                filters = _filters()
                filters[:] = [each for each in filters if not isinstance(each[1], _Mildly)]


@contextmanager
def importing(library: str, name: str = "") -> Iterator[None]:
    """Names a library that cannot be imported; its warnings do not keep it from being imported.

        with importing("torch"):
            import torch

    Args:
        library: Its name.
        name: What is taken from it, where that alone may fail.

    Raises:
        NbtoolError: What was imported inside raised something, or the working folder is gone,
            without which torch ends the whole process.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        if library in ("torch", "diffusers"):
            raise NbtoolError(
                "the working folder is gone; go to another with os.chdir(…)"
            ) from None
    try:
        with mild():
            yield
    except (Exception, SystemExit) as error:  # a module may raise what it likes
        if not threading.main_thread().is_alive():
            raise NbtoolError(
                f"Python is ending while {library} is imported; let the script wait for what it "
                f"asked for, with job.wait() or thread.join()"
            ) from error
        reason = described(root_of(error)).splitlines()[0]
        statement = f"from {library} import {name}" if name else f"import {library}"
        raise NbtoolError(
            f"{library} cannot be imported ({reason}); mend its installation until "
            f"`{statement}` works in a new Python, then restart the kernel"
        ) from error


def _quiet_libraries(undo: ExitStack) -> None:
    try:
        from transformers.utils import logging as transformers_logging
    except ImportError:
        return
    _keep_hub_bars(undo)
    _hush(transformers_logging, logging.ERROR, undo)
    _hide_bars(transformers_logging, undo)
    try:  # second: importing diffusers makes transformers speak
        from diffusers.utils import logging as diffusers_logging
    except ImportError:
        return
    _hush(diffusers_logging, logging.ERROR, undo)
    _hide_bars(diffusers_logging, undo)


def _quiet_hub(undo: ExitStack) -> None:
    try:
        from huggingface_hub.utils import logging as hub_logging
    except ImportError:
        return
    _hush(hub_logging, logging.ERROR, undo)
    _ignore(undo, module="huggingface_hub")


def _quiet_peft(undo: ExitStack) -> None:
    _ignore(undo, module="peft")


def _quiet_pillow(undo: ExitStack) -> None:
    _ignore(undo, module="PIL")


def _quiet_figures(undo: ExitStack) -> None:
    _ignore(undo, message="Glyph .* missing from font")


quiet = Silence(_quiet_libraries)  # diffusers and transformers: what matters, nbtool says
quiet_hub = Silence(_quiet_hub)  # the hub's client: what matters of it, its errors say
quiet_peft = Silence(_quiet_peft)  # PEFT, of several adapters in one network
quiet_pillow = Silence(_quiet_pillow)  # Pillow, of pictures that are read: the errors say it
quiet_figures = Silence(_quiet_figures)  # matplotlib, of letters that its font lacks

_reading = threading.local()  # .say: who is told on this thread


def _listen(undo: ExitStack) -> None:
    """Puts a bar in place of diffusers' that tells whoever listens on its thread."""
    from diffusers.utils import logging as diffusers_logging

    class Bar(diffusers_logging.EmptyTqdm):  # type: ignore[misc] # diffusers has no types
        def __iter__(self) -> Iterator[Any]:
            say = getattr(_reading, "say", None) or _unheard
            items = list(self._iterator or ())
            for number, item in enumerate(items, 1):
                if isinstance(item, tuple):  # a component's name, and its class
                    _reading.part = f"{item[0]}, {number} of {len(items)}"
                    say(_reading.part)
                elif len(items) > 1:
                    say(f"{getattr(_reading, 'part', '')}: file {number} of {len(items)}")
                yield item

    undo.callback(setattr, diffusers_logging, "tqdm", diffusers_logging.tqdm)
    diffusers_logging.tqdm = Bar


def _unheard(_: str) -> None:
    """Nobody listens on this thread."""


_listening = Silence(_listen)


@contextmanager
def reading(say: Callable[[str], None]) -> Iterator[None]:
    """Says what diffusers reads on this thread, which it tells nobody but its bars."""
    before = getattr(_reading, "say", None)
    with _listening():
        _reading.say = say
        try:
            yield
        finally:
            _reading.say = before
