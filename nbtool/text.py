"""Words for people: texts made safe and short, numbers in words, small tables.

And where they are written: what cannot be shown is no reason to stop what is made.
"""

from __future__ import annotations

import contextlib
import html
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nbtool.errors import log

MAX_SHOWN = 100  # characters of a value in a message
LITERAL = "mathjax_ignore tex2jax_ignore"  # classes where a notebook makes no formula of $…$


def printable(text: str) -> str:
    """A text for a terminal: line breaks, escapes and lone surrogates are spelled out."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shown(value: object) -> str:
    """A value as messages show it: its repr, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def ellipsized(text: str, length: int) -> str:
    """A printable text of at most `length` characters."""
    short = printable(text[: length + 1])
    return short if len(short) <= length else short[: length - 1].rstrip() + "…"


def digits(number: float) -> str:
    """A number with as many digits as it takes to be the same one: 5, 7.5."""
    return repr(number).removesuffix(".0")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plural(noun: str, number: int) -> str:
    """Any word, for so many; one whose plural is not simply made stays as it is."""
    is_simple = noun.replace(" ", "").isalpha() and not noun.endswith(("s", "x", "z", "h", "y"))
    return f"{noun}s" if is_simple and number != 1 else noun


def duration(seconds: float) -> str:
    """Seconds in words as short as is useful: "0.8 s", "42 s", "3 min", "2 h 05 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def card(rows: Mapping[str, str]) -> dict[str, str]:
    """The MIME bundle of a status card."""
    return {"text/plain": card_text(rows), "text/html": _card_html(rows)}


def card_text(rows: Mapping[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows.items())


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """The MIME bundle of a table."""
    return {"text/plain": table_text(headings, rows), "text/html": _table_html(headings, rows)}


def table_text(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    table = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
    return "\n".join(lines)


def _table_html(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    left = 'style="text-align:left;vertical-align:top"'
    head = "".join(f"<th {left}>{html.escape(heading)}</th>" for heading in headings)
    body = "".join(
        "<tr>" + "".join(f"<td {left}>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<table class="{LITERAL}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _card_html(rows: Mapping[str, str]) -> str:
    head = '<th style="text-align:left;vertical-align:top;white-space:nowrap">'
    cells = "".join(
        f"<tr>{head}{html.escape(label)}</th>"
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for label, value in rows.items()
    )
    return f'<table class="{LITERAL}">{cells}</table>'


class Forgiving:
    """A stream that takes any text.

    What the encoding of the stream behind it lacks is replaced. Where that stream is closed, or
    nobody reads it any more, or there is none, as under pythonw, nothing is written.

    Attributes:
        error: Why something could not be written, if that was so.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        if self._stream is not None:
            with self._noted():
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    self._stream.write(_replaced(text, getattr(self._stream, "encoding", None)))
        return len(text)

    def flush(self) -> None:
        if hasattr(self._stream, "flush"):
            with self._noted():
                self._stream.flush()

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # it may be of anybody's making; a log might come here again
            if isinstance(error, OSError):
                self.error = self.error or error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def put(text: str, stream: Any) -> None:
    """Writes a line to a stream, as much of it as that takes."""
    print(text, file=Forgiving(stream))


class Note(UserWarning):
    """What is said of a call that does what was asked.

    Attributes:
        in_shell: The same as the command line says it; "" where it says it so.
    """

    in_shell = ""

    def __init__(self, text: str, in_shell: str = "") -> None:
        super().__init__(text)
        self.in_shell = in_shell


def warn(text: str, *, stacklevel: int, in_shell: str = "") -> None:
    """Warns as `warnings.warn` does, whatever standard error takes."""
    for said in (text, _replaced(text)):  # it may lack some of the letters
        try:
            warnings.warn(Note(said, in_shell), stacklevel=stacklevel + 1)
            return
        except Warning:  # where they are errors
            raise
        except Exception as error:  # it is closed, or of somebody's own making
            log("a warning cannot be shown", error)


def _replaced(text: str, encoding: str | None = None) -> str:
    encoding = encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)
