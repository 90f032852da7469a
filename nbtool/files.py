"""Files that are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from nbtool.errors import StoreError
from nbtool.text import shown

MAX_NAME = (
    40  # characters, each of four bytes at most, of a file's name in that of its temporary one
)
# What drives answer that cannot be told to put a file on the disk now.
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
# What they answer where writing went wrong; of a folder, anything else means that it cannot.
_LOST = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT})


def expanded(path: str | bytes | os.PathLike[Any]) -> Path:
    """The path that is meant: `~` is the home folder, and bytes are as the system has them.

    Raises:
        StoreError: No file can have such a name.
    """
    try:
        name = os.fsdecode(path)
        os.fsencode(name)
    except TypeError:
        raise StoreError(f"a path must be a text or a pathlib.Path, got {shown(path)}") from None
    except UnicodeEncodeError as error:
        reason = f"this system has no {error.object[error.start]!a} in names"
    else:
        reason = "it has a NUL in it" if "\0" in name else ""
    if reason:
        raise StoreError(f"no file can have the name {shown(path)}: {reason}")
    return Path(os.path.expanduser(name))


def target(path: str | bytes | os.PathLike[Any]) -> Path:
    """Where somebody's own file is written: `~` is the home folder, and a link stays one."""
    return Path(os.path.realpath(named)) if (named := expanded(path)).is_symlink() else named


def absolute(path: str | bytes | os.PathLike[Any]) -> Path:
    """The same place wherever the process goes later; `~` is the home folder.

    Raises:
        StoreError: It is relative to a working folder that is gone.
    """
    named = expanded(path)
    with explained(f"find {named}"):
        return named.absolute()


@contextlib.contextmanager
def writing(path: Path, *, keep: bool = True, new: bool = False) -> Iterator[IO[bytes]]:
    """A file to write into that takes its place at the end, whole, or is not there at all.

        with files.writing(path) as file:
            file.write(data)

    A temporary file beside it; at the end flush, fsync where the drive can, rename. Where anything
    is raised, nothing is left of it, and what was there before stays.

    Args:
        path: Where; what was there is replaced.
        keep: False only tries whether it could be written.
        new: Nothing is replaced, also not what somebody else writes meanwhile.

    Raises:
        FileExistsError: It is to be new, and something is there.
        OSError: It could not be written, or what is there is no file.
    """
    if not new:
        _refuse_what_is_no_file(path)
    # A name may have no more than 255 bytes, and this one's is longer.
    partial = path.with_name(f".{path.name[:MAX_NAME]}.{uuid.uuid4().hex}.partial")
    left = [partial]
    try:
        with partial.open("xb") as file:
            yield file
            file.flush()
            _sync(file.fileno())
        if keep and not (new and _is_linked(partial, path)):
            if new:  # who makes the file has the name: a rename alone would replace another's
                with path.open("xb"):
                    left.append(path)
            _keep_mode(path, partial)
            os.replace(partial, path)
            left = [partial]
    finally:
        for one in left:
            with contextlib.suppress(OSError):
                one.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _is_linked(partial: Path, path: Path) -> bool:
    """Gives a file that is whole a name that nothing has; False on a drive without hard links.

    Raises:
        FileExistsError: Something has it.
    """
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError:
        return False
    return True


def _refuse_what_is_no_file(path: Path) -> None:
    """A FIFO or a device would be gone for who reads it, if a file took its place."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, f"{os.strerror(errno.EISDIR)}; name another file")
    if not stat.S_ISREG(mode):
        kind = "a FIFO" if stat.S_ISFIFO(mode) else "a device or a socket"
        raise OSError(errno.EEXIST, f"there is {kind} of that name; name another file")


def _keep_mode(path: Path, partial: Path) -> None:
    """Lets nobody read what nobody else could read before."""
    with contextlib.suppress(OSError):
        if stat.S_ISREG(mode := path.lstat().st_mode):
            partial.chmod(stat.S_IMODE(mode))


def write(path: Path, data: bytes, *, keep: bool = True, new: bool = False) -> None:
    """Writes a file whole or not at all; see `writing`.

    Raises:
        OSError: It could not be written; nothing of it is left.
    """
    with writing(path, keep=keep, new=new) as file:
        file.write(data)


def check(path: Path) -> None:
    """Tells whether a file could be written, before what it will hold is made.

    Raises:
        StoreError: It could not: there is no such folder, no right to write there, or no file.
    """
    with explained(f"write {path}"):
        write(target(path), b"", keep=False)


@contextlib.contextmanager
def explained(action: str, hint: str = "") -> Iterator[None]:
    """Turns what the system says into a StoreError: what could not be done, why, and what now.

    Args:
        action: What is done, such as "write grid.png".
        hint: What to know beside that.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        reason = f"cannot {action}: {why(error)}"
        raise StoreError(f"{reason}; {hint}" if hint else reason) from error


def why(error: OSError) -> str:
    """What the system says, in words."""
    if isinstance(error, FileNotFoundError) and not os.path.isabs(error.filename or ""):
        try:
            os.getcwd()
        except FileNotFoundError:
            return "the working folder is gone; go to another with os.chdir(…)"
    return error.strerror or str(error)


def keep(path: Path, data: bytes) -> None:
    """Writes what is only remembered; where that cannot be done it is lost."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, data)


def kept(path: Path) -> dict[str, Any]:
    """The JSON object that is remembered in a file; an empty one where it is gone or nonsense.

    Raises:
        OSError: It is there and cannot be read now: nothing is to be kept in its place.
    """
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def read(path: Path) -> bytes:
    """A file's bytes; a symbolic link is not followed."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def free(folder: Path) -> int:
    """The bytes that can still be written in a folder, there or yet to be made."""
    folder = absolute(folder)
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
    except OSError:  # gone meanwhile, or not to be known: not old
        return time.time()


def age(entry: os.DirEntry[str]) -> float:
    return time.time() - modified(entry)


def _sync(descriptor: int) -> None:
    """Puts a file on the disk, where the drive can be told to."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _LOST:
            raise
