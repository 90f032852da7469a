"""A drive on which any one call can fail, every call below a folder being counted; and other processes."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

import nbtool

# What the library may call. Whatever else touches a file is noticed by the interpreter's own audit.
CALLS = (
    "access", "chmod", "fsync", "link", "listdir", "lstat", "mkdir", "open", "readlink", "remove",
    "rename", "replace", "rmdir", "scandir", "stat", "statvfs", "symlink", "truncate", "unlink",
    "utime",
)  # fmt: skip
AUDITED = {
    "open", "os.chmod", "os.link", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir",
    "os.scandir", "os.symlink", "os.truncate", "os.utime",
}  # fmt: skip


PACKAGE = os.path.dirname(nbtool.__file__) + os.sep


class Drive:
    """The calls of the file system below a folder, in their order; one of them may fail.

        with Drive(folder) as drive: ...            # drive.calls: ("open", "a.png"), …
        with Drive(folder, fail=3, code=errno.EIO): ...

    Args:
        folder: What lies below it counts.
        fail: Which call fails, from 0.
        code: With which error.
        lasting: Whether all that follow of the same kind and file fail too.
    """

    def __init__(self, folder, *, fail=-1, code=errno.EIO, lasting=False):
        self.calls = []
        self.lines = []  # of nbtool, that made each
        self.escaped = []  # what was not counted
        self._folder = os.path.realpath(folder) + os.sep
        self._fail, self._code, self._lasting = fail, code, lasting
        self._failing = None
        self._paths = {}  # of open descriptors
        self._lock = threading.Lock()
        self._inside = threading.local()

    def __enter__(self):
        self._real = {name: getattr(os, name) for name in CALLS}
        counted = self._real | {"fsync": lambda descriptor: None}  # the machine stays up
        self._open = io.open
        for name in CALLS:
            setattr(os, name, self._counted(name, counted[name]))
        io.open = builtins.open = self._opened
        _drives.append(self)
        return self

    def __exit__(self, *_):
        _drives.remove(self)
        for name, function in self._real.items():
            setattr(os, name, function)
        io.open = builtins.open = self._open

    def name(self, path):
        """A path below the folder, without what differs from run to run; None for any other."""
        if isinstance(path, int):
            return self._paths.get(path)
        try:
            text = os.path.abspath(os.fsdecode(path))
        except TypeError:
            return None
        if not (text + os.sep).startswith(self._folder):
            return None
        return ".partial" if text.endswith(".partial") else text[len(self._folder) :]

    def call(self, kind, path, function, *args, **options):
        """Counts a call and makes it, or lets it fail."""
        name = self.name(path)
        if name is not None:
            with self._lock:
                number = len(self.calls)
                self.calls.append((kind, name))
                self.lines.append(_line())
                if number == self._fail:
                    self._failing = kind, name
                fails = number == self._fail or (self._lasting and self._failing == (kind, name))
            if fails:
                if kind == "write":
                    function(args[0][: len(args[0]) // 2])
                elif kind == "close":
                    function()
                raise OSError(self._code, os.strerror(self._code), str(path))
        self._inside.now = True
        try:
            return function(*args, **options)
        finally:
            self._inside.now = False

    def heard(self, event, path):
        if isinstance(path, int) or getattr(self._inside, "now", False):
            return
        if self.name(path) is not None:
            self.escaped.append((event, self.name(path)))

    def _counted(self, kind, real):
        def counted(path=".", *args, **options):
            result = self.call(kind, path, real, path, *args, **options)
            if kind == "open":
                self._paths[result] = self.name(path)
            if kind == "scandir" and self.name(path) is not None:
                return _Entries(self, path, result)
            return result

        return counted

    def _opened(self, path, *args, **options):
        if isinstance(path, int):  # opened, and counted, by os.open
            file = self._open(path, *args, **options)
        else:
            file = self.call("open", path, self._open, path, *args, **options)
        if self.name(path) is None:
            return file
        self._paths[file.fileno()] = self.name(path)
        return _File(self, path, file)


def _line():
    """The module and the line of nbtool that the call comes from; None of others."""
    frame = sys._getframe()
    while frame and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame and (Path(frame.f_code.co_filename[len(PACKAGE) :]).as_posix(), frame.f_lineno)


class _Wrapped:
    counted = ()

    def __init__(self, drive, path, thing):
        self._drive, self._path, self._thing = drive, path, thing

    def __getattr__(self, name):
        found = getattr(self._thing, name)
        if name not in self.counted:
            return found
        return lambda *args, **options: self._drive.call(name, self._path, found, *args, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __iter__(self):
        return self

    def __next__(self):
        return self._drive.call("next", self._path, next, self._thing)


class _File(_Wrapped):
    counted = (
        "read", "readinto", "readline", "readlines", "write", "writelines", "truncate", "flush",
        "close",
    )  # fmt: skip


class _Entry(_Wrapped):
    counted = ("is_file", "is_symlink", "is_dir", "stat")

    def __fspath__(self):
        return self._thing.path


class _Entries(_Wrapped):
    def __next__(self):
        entry = super().__next__()
        return _Entry(self._drive, entry.path, entry)


_drives = []  # that are in use


def _audit(event, arguments):
    if _drives and event in AUDITED and arguments:
        for drive in _drives:
            drive.heard(event, arguments[0])


sys.addaudithook(_audit)


@contextmanager
def meanwhile(act, call, number=1, *, after=False):
    """Lets another process act while this one is in a call of the system.

        with meanwhile(lambda: other.delete(key), "replace", 2): ...

    Args:
        act: What it does.
        call: The name of the call.
        number: Which of these calls, from 1; it must come to that.
        after: Whether it acts at the end of the call, not at its beginning.
    """
    real, calls = getattr(os, call), []

    def and_meanwhile(*args, **options):
        calls.append(args)
        if len(calls) != number:
            return real(*args, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, call, real)
            if not after:
                act()
            result = real(*args, **options)
            if after:
                act()
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, call, and_meanwhile)
        yield
    assert len(calls) >= number


def contents(folder):
    """Every file below a folder and what it holds."""
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()
    }


def as_kept_before(store: nbtool.Store, name: str, older: str) -> None:
    """Gives a kept grid a name that only older versions took."""
    before = store.grids._file(name)
    said = json.loads(before.read_text("utf-8")) | {"name": older}
    before.unlink()
    store.grids._file(older).write_text(json.dumps(said), "utf-8")
