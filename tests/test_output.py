"""What is said: whatever a stream takes of it, nothing that is made fails for it."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings

import pytest

import nbtool
from nbtool import text
from nbtool.testing import FakeEngine

PROMPT = "日本の城 ≈ a · star \ud800"
SCRIPT = """
import nbtool, sys
from nbtool.testing import FakeEngine
gen = nbtool.Generator(engine=FakeEngine(), store="images")
grid = gen.grid(sys.argv[1], seed=range(3))
image = gen(sys.argv[1], seed=1)
assert len(grid) == 3 and image.path.exists()
"""


class Written(io.TextIOWrapper):
    """A file of text in an encoding that lacks much, and that says so."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict")

    @property
    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


class Bare:
    """What some programs put in the place of a stream: nothing but `write`."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        text.encode("ascii")
        self.text += text


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


class Gone(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")

    flush = write


@pytest.mark.parametrize("style", ["plain", "terminal"])
@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii", "latin-1:strict"])
def test_fault_56_a_finished_call_says_what_the_encoding_can(encoding, style, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "日本の城 ≈ a · star"],
        env={**os.environ, "PYTHONIOENCODING": encoding, "NBTOOL_PROGRESS": style},
        cwd=tmp_path, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = (done.stdout if style == "plain" else done.stderr).decode(encoding.partition(":")[0])
    assert "3 images" in said
    assert "star" in said


class Own(io.StringIO):
    """A stream of somebody's own, which takes nothing."""

    def write(self, text):
        raise RuntimeError(text)

    flush = write


class Coded(Bare):
    encoding = "no-such-encoding"


@pytest.mark.parametrize("style", ["plain", "terminal", "notebook", "live"])
@pytest.mark.parametrize(
    "stream",
    [
        lambda: Written("cp1252"), lambda: Written("cp932"), Bare, closed, Gone, lambda: None,
        Own, Coded, io.BytesIO, object,
    ],
)  # fmt: skip
def test_fault_56_whatever_stands_in_the_place_of_a_stream(stream, style, tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", style)
    gen = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream())
    grid = gen.grid(PROMPT, seed=range(3))
    image = gen(PROMPT, seed=1)
    said = {"plain": sys.stdout, "terminal": sys.stderr}.get(style)
    shown = None if isinstance(said, Coded) else getattr(said, "text", None)
    monkeypatch.undo()
    assert len(grid) == 3
    assert image.path.exists()
    if shown is not None:
        assert "3 images" in shown
        assert " ? a ? star" in shown or " ? a · star" in shown


@pytest.mark.parametrize("stream", [lambda: Written("cp1252"), closed, Bare, Gone, lambda: None])
def test_a_front_end_is_known_whatever_standard_error_is(stream, monkeypatch):
    from nbtool import environment

    monkeypatch.setattr(sys, "stderr", stream())
    front_end = environment.front_end()
    monkeypatch.undo()
    assert front_end in environment.FRONT_ENDS


def show(*warning):
    """What Python does where nobody records warnings, as pytest does."""
    with contextlib.suppress(OSError):
        sys.stderr.write(warnings.formatwarning(*warning[:4]))


@pytest.mark.parametrize("stream", [lambda: Written("cp1252"), Bare, closed, Gone, Own])
def test_fault_56_a_warning_is_shown_as_far_as_it_can_be(stream, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", show)
        monkeypatch.setattr(sys, "stderr", stream())
        text.warn(PROMPT, stacklevel=1)
        shown = getattr(sys.stderr, "text", None)
        monkeypatch.undo()
    if shown is not None:
        assert "a " in shown
        assert "test_output.py" in shown  # where it was raised


def test_what_is_written_elsewhere_is_counted_as_a_stream_counts_it():
    stream = text.Forgiving(Written("ascii"))
    assert stream.write("é") == 1
    assert stream.encoding == "ascii"
    assert stream.error is None
    gone = text.Forgiving(Gone())
    assert gone.write("é") == 1
    assert isinstance(gone.error, BrokenPipeError)
