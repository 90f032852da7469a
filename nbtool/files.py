"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from pathlib import Path


def write(path: Path, data: bytes, *, keep: bool = True) -> None:
    """Writes a file whole or not at all: temporary file, flush, fsync, rename.

    Args:
        path: Where; what was there is replaced.
        data: All of it.
        keep: False only tries whether it could be written.

    Raises:
        OSError: It could not be written; nothing of it is left.
    """
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        with partial.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if keep:
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(path.parent)


def keep(path: Path, data: bytes) -> None:
    """Writes what is only remembered; where that cannot be done it is lost."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, data)


def read(path: Path) -> bytes:
    """A file's bytes; a symbolic link is not followed."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def free(folder: Path) -> int:
    """The bytes that can still be written in a folder, there or yet to be made."""
    folder = folder.absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(existing).free


def size(count: float) -> str:
    """Bytes in words: "340 MB", "6.9 GB"."""
    for unit, least in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.3g} {unit}"
    return f"{count:.0f} B"


def modified(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return time.time()


def age(entry: os.DirEntry[str]) -> float:
    return time.time() - modified(entry)


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
