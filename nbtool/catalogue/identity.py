"""What lies on a disk has a name and a digest where it is shared, and a place on this machine.

Recipes are shared and hashed. So a folder or a file is named in them by the last part of its path,
and known by the beginning of a SHA-256 of all in it that decides pixels: the same on every machine
and wherever it lies. Where that is, is this machine's own matter: `places.json` in the user's cache
leads from a digest to the place where it was last seen.

That is the rule for every file that decides pixels: models today, and a LoRA, a ControlNet, a VAE,
an upscaler or a workflow when there are some.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbtool import environment, files
from nbtool.errors import ModelError

DIGITS = 12  # of a SHA-256's 64, in recipes
PIECE = 2**24  # bytes of a file that are read at once
LONG = 2**28  # bytes that are not read without a word
RACY = 2.0  # seconds after a change in which another may leave a file's times as they are
KEPT = 4000  # files, and places, that are remembered; the oldest go first
# What a system answers of a path at which there is nothing; on Windows also by EINVAL.
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL})
_DIGEST = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

Report = Callable[[str], None]  # may raise to stop
Stamp = tuple[int, ...]


def name_of(path: Path) -> str:
    """What a folder or a file is called in recipes."""
    return last_part(path.name if path.name not in ("", "..") else path.resolve().name)


def last_part(path: str) -> str:
    """The last part of a path of any system, its letters in the form in which they are typed."""
    return unicodedata.normalize("NFC", re.split(r"[\\/]", path.rstrip("\\/"))[-1])


def is_digest(revision: str | None) -> bool:
    """Whether a recipe's revision is the digest of what lies on a disk, not a commit on the hub."""
    return bool(revision and _DIGEST.fullmatch(revision))


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a folder or file.

    Raises:
        ModelError: That cannot be known now.
    """
    return bool(_mode(path))


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file. Raises like `is_there`."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a folder. Raises like `is_there`."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: str | os.PathLike[str]) -> int:
    """What there is of that name, 0 for nothing; a drive that stumbles does not say nothing."""
    try:
        return os.stat(path).st_mode
    except ValueError:  # no file can have such a name
        return 0
    except OSError as error:
        if error.errno in _ABSENT:
            return 0
        raise ModelError(f"{path} cannot be read now ({files.why(error)}); try again") from None


def stamp(path: Path) -> Stamp:
    """What changes with a file's content, known without reading it.

    Raises:
        OSError: It cannot be looked at.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def is_settled(stamp: Stamp) -> bool:
    """Whether a file's last change is so long ago that its times would tell another one."""
    return all(abs(time.time() - nanoseconds / 1e9) > RACY for nanoseconds in stamp[1:3])


class Register:
    """Digests of files that were read, and where what has a digest lies; also for later processes.

    Args:
        path: Gives the file in which it is kept.
    """

    def __init__(self, path: Callable[[], Path]) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._files: dict[str, tuple[Stamp, str]] | None = None
        self._places: dict[str, tuple[str, str]] = {}  # by digest a name and a place

    def digest(self, name: str, parts: Mapping[str, Path], report: Report) -> str:
        """The digest of files together. Those that have not changed are not read again.

        Args:
            name: Of what they make up, for people.
            parts: The files, by what each is for; one alone is for "".
            report: Told of a reading that takes long; what it raises stops it.

        Raises:
            ModelError: A file cannot be read, or changes meanwhile.
        """
        try:
            unread = [path for path in parts.values() if not self._known(path)]
            size = sum(path.stat().st_size for path in unread)
            text = f"reading {name} ({files.size(size)}) to know it again"
            tell: Report = report if size >= LONG else lambda _: None
            found = {part: self.sha256(path, lambda: tell(text)) for part, path in parts.items()}
        except InterruptedError:
            raise
        except OSError as error:
            raise ModelError(f"cannot read {name}: {error.filename}: {error.strerror}") from None
        if unread:
            self._keep()
        lines = "".join(f"{found[part]} {part}\n" for part in sorted(found))
        return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]

    def sha256(self, path: Path, tell: Callable[[], None] = lambda: None) -> str:
        """The SHA-256 of a file, in hexadecimal.

        Args:
            path: The file.
            tell: Called now and then while it is read; what it raises stops that.

        Raises:
            OSError: It cannot be read.
            ModelError: It changes meanwhile.
        """
        if known := self._known(path):
            return known
        before = stamp(path)
        remembered = is_settled(before)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                tell()
                digest.update(piece)
        if stamp(path) != before:
            raise ModelError(f"{path} is being written; ask again once it is whole")
        if remembered:
            with self._lock:
                self._read()[str(path)] = before, digest.hexdigest()
        return digest.hexdigest()

    def put(self, digest: str, name: str, place: Path) -> None:
        """Says that what has a digest, and is called so in recipes, lies there now."""
        entry = name, str(place)
        with self._lock:
            self._read()
            if list(self._places.items())[-1:] == [(digest, entry)]:
                return
            # At each place there is one thing.
            others = {d: e for d, e in self._places.items() if d != digest and e[1] != entry[1]}
            self._places = others | {digest: entry}
        self._keep()

    def place(self, digest: str | None = None, name: str | None = None) -> Path | None:
        """Where a model lies on this machine, of several the one seen last; None if not known.

        Args:
            digest: Its digest; None: any.
            name: What it is called in recipes; None: whatever.

        Raises:
            ModelError: Its place cannot be looked at now.
        """
        name = name and unicodedata.normalize("NFC", name)
        with self._lock:
            self._read()
            places = self._places
            with contextlib.suppress(OSError):
                _, places = self._all()
        for known, (called, place) in reversed(places.items()):
            meant = digest in (None, known) and name in (None, called, last_part(place))
            if meant and is_there(place):
                return Path(place)
        return None

    def _known(self, path: Path) -> str:
        """The SHA-256 of a file that is as it was when it was read; "" of others."""
        with self._lock:
            before, digest = self._read().get(str(path), ((), ""))
        return digest if before == stamp(path) else ""

    def _read(self) -> dict[str, tuple[Stamp, str]]:
        """What is known of files; at first what earlier processes left."""
        if self._files is None:
            self._files = {}
            with contextlib.suppress(OSError):  # looked at again when something is added
                self._files, self._places = _kept(self._path())
        return self._files

    def _all(self) -> tuple[dict[str, tuple[Stamp, str]], dict[str, tuple[str, str]]]:
        """What is known, together with what other processes have kept meanwhile."""
        ours, others = self._read(), _kept(self._path())
        taken = {place for _, place in self._places.values()}
        places = {
            digest: entry
            for digest, entry in others[1].items()
            if digest not in self._places and entry[1] not in taken
        }
        return others[0] | ours, places | self._places

    def _keep(self) -> None:
        # What cannot be read now is not written over.
        with self._lock, contextlib.suppress(OSError):
            known, places = self._all()
            content = {
                "files": {p: [*when, sha] for p, (when, sha) in list(known.items())[-KEPT:]},
                "places": dict(list(places.items())[-KEPT:]),
            }
            files.keep(self._path(), json.dumps(content, separators=(",", ":")).encode())


def _kept(path: Path) -> tuple[dict[str, tuple[Stamp, str]], dict[str, tuple[str, str]]]:
    """What the file says of files and of places, as far as that makes sense.

    Raises:
        OSError: It is there and cannot be read now.
    """
    found = files.kept(path)
    try:
        known = _entries(found["files"], 5, int)
        places = _entries(found["places"], 2, str)
    except (ValueError, TypeError, KeyError):
        return {}, {}
    return (
        {p: (tuple(when), sha) for p, (*when, sha) in known.items() if _SHA256.fullmatch(sha)},
        {d: (name, place) for d, (name, place) in places.items() if is_digest(d)},
    )


def _entries(given: Any, length: int, kind: type) -> dict[str, list[Any]]:
    """Lists of so many items: the last is a text, the others of one kind."""
    return {
        name: items
        for name, items in dict(given).items()
        if isinstance(items, list)
        and len(items) == length
        and isinstance(items[-1], str)
        and all(isinstance(item, kind) for item in items[:-1])
    }


register = Register(lambda: environment.cache_folder() / "places.json")
