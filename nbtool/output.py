"""Text for whoever looks on: what cannot be shown is no reason to stop what is made."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any


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
        except ValueError:  # it is closed
            pass
        except OSError as error:
            self.error = self.error or error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def put(text: str, stream: Any) -> None:
    """Writes a line to a stream, as much of it as that takes."""
    print(text, file=Forgiving(stream))


def warn(text: str, *, stacklevel: int) -> None:
    """Warns as `warnings.warn` does, whatever standard error takes."""
    try:
        warnings.warn(text, stacklevel=stacklevel + 1)
    except ValueError:  # it lacks some of the letters, or is closed
        with contextlib.suppress(ValueError):
            warnings.warn(_replaced(text), stacklevel=stacklevel + 1)


def _replaced(text: str, encoding: str | None = None) -> str:
    encoding = encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)
