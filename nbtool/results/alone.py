"""One process at a time in a folder.

By the system's lock on the folder; where system or drive have none, by a folder that is made in it:
of several who make it, one succeeds.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

LOCK = ".nbtool-lock"
LOOK = 0.02  # seconds between two looks at a lock that another has
PATIENCE = 10  # seconds after which one that stays the same is that of a process that was killed
GIVE_UP = 30  # seconds after which one that cannot be taken away is an error


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Inside of it no other process is in it.

    Raises:
        OSError: Nothing can be made in the folder.
    """
    with _lock_of_the_system(folder) as locked:
        if locked:
            yield
        else:
            with _lock_of_our_own(folder / LOCK):
                yield


@contextlib.contextmanager
def _lock_of_the_system(folder: Path) -> Iterator[bool]:
    """Whether there is one, and it is held."""
    descriptor, locked = None, False
    with contextlib.suppress(ImportError, OSError):  # Windows; a drive without locks
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)  # the folder's own: no file is left behind
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        locked = True
    try:
        yield locked
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextlib.contextmanager
def _lock_of_our_own(lock: Path) -> Iterator[None]:
    seen, since = 0, time.monotonic()
    while not _is_made(lock):
        now, waited = _stamp(lock), time.monotonic() - since
        if now != seen:
            seen, since = now, time.monotonic()
        elif waited >= GIVE_UP:
            left = f"{lock.name} in it is left of a process that was killed; remove it"
            raise FileExistsError(errno.EEXIST, left)
        elif seen and waited >= PATIENCE:
            _take_away(lock, seen)
        time.sleep(LOOK)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the next one loses patience with it
            lock.rmdir()


def _is_made(lock: Path) -> bool:
    try:
        lock.mkdir()
    except FileExistsError:
        return False
    return True


def _stamp(lock: Path) -> int:
    """What tells a lock from the one before it; 0 where there is none."""
    try:
        return lock.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _take_away(lock: Path, seen: int) -> None:
    """Takes away the lock that was seen, and none that came after it: who may is one alone."""
    claim = lock.with_name(f"{lock.name}-{seen}")
    if _is_made(claim):
        try:
            if _stamp(lock) == seen:
                lock.rmdir()
        finally:
            claim.rmdir()
