"""Every error nbtool raises on purpose.

    NbtoolError
    ├── RecipeError          a parameter is unknown, out of range or of the wrong kind
    │   └── AxisError        the axes of a sweep do not make sense
    ├── MetadataError        a file holds no recipe that can be read
    ├── ModelError           a model cannot be found or loaded
    ├── StoreError           images cannot be written or read back
    └── GenerationError      an image could not be made
        └── Cancelled        because the job was cancelled first

Messages name what went wrong, the value, and what to do next. What is behind a message, the
traceback of another library's error, is logged at debug level to "nbtool", which is quiet unless
somebody listens; docs/troubleshooting.md says how.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from traceback import TracebackException
from typing import Any

logger = logging.getLogger("nbtool")
logger.addHandler(logging.NullHandler())

_SECRET = re.compile(
    r"\bhf_[A-Za-z0-9]{16,}"  # a token of the hub
    r"|(?<=Bearer )[^\s'\"]+"
    r"|(?<=://)[^\s/@'\"]+(?=@)"  # a name and a password
    r"|(?<=\?)[^\s?'\"]+=[^\s'\"]+"  # what signs an address
)
_SECRET_VARIABLE = re.compile("TOKEN|SECRET|PASSWORD|KEY", re.IGNORECASE)
_LEAST_SECRET = 8  # characters; "true" is none


def without_secrets(text: str) -> str:
    """A text without tokens, passwords, and the values of variables named like such."""
    for name, value in os.environ.items():
        if len(value) >= _LEAST_SECRET and _SECRET_VARIABLE.search(name):
            text = text.replace(value, "…")
    return _SECRET.sub("…", text)


def _as_text(record: logging.LogRecord) -> bool:
    """Makes text of a record at once: a traceback that is kept would pin tensors."""
    record.msg, record.args = without_secrets(record.getMessage()), ()
    if record.exc_info and (error := record.exc_info[1]):
        record.exc_text = without_secrets(_traceback(error))
    record.exc_info = None
    return True


def _traceback(error: BaseException) -> str:
    """The traceback, with those that `raise … from None` leaves out."""
    whole = TracebackException.from_exception(error)
    part: TracebackException | None = whole
    while part:
        part.__suppress_context__ = False
        part = part.__cause__ or part.__context__
    return "".join(whole.format()).rstrip()


logger.addFilter(_as_text)


def log(text: str, error: BaseException) -> None:
    """Logs an error with its traceback; nothing stops for what goes wrong in a handler."""
    try:  # noqa: SIM105
        logger.debug(text, exc_info=error, stacklevel=2)
    except Exception:  # noqa: S110 - there is nowhere left to say so
        pass


def said(error: BaseException) -> str:
    """What an error says, without secrets; nothing if it cannot be asked."""
    try:
        return without_secrets(str(error)).strip()
    except Exception as another:
        log("an error says nothing", another)
        return ""


def described(error: BaseException) -> str:
    """An error's kind, and what it says."""
    kind, text = type(error).__name__, said(error)
    return f"{kind}: {text}" if text else kind


def in_short(error: BaseException) -> str:
    """The first line of what an error says, or else its kind."""
    return (said(error).splitlines() or [type(error).__name__])[0]


class NbtoolError(Exception):
    """The root of every error nbtool raises on purpose.

    One that is made where another error is handled stands for that one, and logs its traceback.

    Attributes:
        in_shell: The message as the command line says it; "" where it is the same.
    """

    in_shell = ""

    def __init__(self, *args: object, in_shell: str = "") -> None:
        super().__init__(*args)
        self.in_shell = in_shell
        behind = sys.exc_info()[1]
        if behind is not None and not isinstance(behind, NbtoolError):
            log(described(self), behind)

    def __str__(self) -> str:
        """The message, which can be written anywhere: names of files may hold lone surrogates."""
        return super().__str__().encode("utf-8", "backslashreplace").decode("utf-8")


class RecipeError(NbtoolError, ValueError):
    """A parameter is unknown, out of range or of the wrong kind."""


class PartError(RecipeError):
    """A file that a recipe names, such as a LoRA, is not here or of no use.

    In a sweep the cells that need it fail, and the others are made.
    """


class AxisError(RecipeError):
    """The axes of a sweep do not make sense."""


class MetadataError(NbtoolError, ValueError):
    """A file holds no recipe that can be read."""


class ModelError(NbtoolError):
    """A model cannot be found or loaded."""


class StoreError(NbtoolError, OSError):
    """Images cannot be written or read back.

    Attributes:
        unsaved: The GeneratedImage that could not be written; set only then.
        grid: All that was made, that image included, as a Grid; set when it stopped one.
    """

    unsaved: Any
    grid: Any


class GenerationError(NbtoolError, RuntimeError):
    """An image could not be made.

    Attributes:
        recipe: Its recipe, where it is a cell of a grid.
        again: Makes it again in the background and returns the job, where a generator can.
    """

    recipe: Any = None
    again: Callable[[], Any] | None = None


class Cancelled(GenerationError):  # noqa: N818 - it names what happened
    """The job was cancelled before this image was made."""


def root_of(error: BaseException) -> BaseException:
    """The error that others were raised from, up to this one."""
    seen = [error]
    while (cause := seen[-1].__cause__) is not None and cause not in seen:
        seen.append(cause)
    return seen[-1]


def stopped_by(error: BaseException) -> NbtoolError:
    """What to tell whoever waits for a run that an error stopped."""
    if isinstance(error, NbtoolError):
        return error
    return GenerationError(f"generation stopped: {described(error)}")


def unknown_name(name: str, known: Iterable[str], kind: str) -> str:
    """The message for a name that does not exist, with the nearest one that does."""
    known = sorted(known)
    having = [one for one in known if len(name) > 2 and name in one]
    near = having if len(having) == 1 else difflib.get_close_matches(name, known, n=1) or having
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    return f"unknown {kind} {name!r}; {hint}"
