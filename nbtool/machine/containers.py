"""What a container leaves a process of the machine's memory and cores.

Containers are Linux control groups, of version 1 or 2:
https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
UNLIMITED = 2**60  # bytes; version 1 writes a number near 2**63 where there is no limit


@dataclass(frozen=True)
class Memory:
    """A limit in bytes, and how much of it is used by what cannot be dropped."""

    limit: int
    used: int

    @property
    def free(self) -> int:
        return max(0, self.limit - self.used)


def memory(root: Path = ROOT, membership: Path = MEMBERSHIP) -> Memory | None:
    """The tightest memory limit of the groups that this process is in; None without any."""
    found = map(_memory, _groups(root, membership, "memory"))
    return min(filter(None, found), key=lambda limit: limit.free, default=None)


def free_memory() -> int:
    """The bytes that this process may still take: of the computer's and of its container's."""
    import psutil

    available = int(psutil.virtual_memory().available)
    limit = memory()
    return min(available, limit.free) if limit else available


def cores(root: Path = ROOT, membership: Path = MEMBERSHIP) -> float | None:
    """How many cores' time this process may use at most, such as 1.5; None without a limit."""
    return min(filter(None, map(_cores, _groups(root, membership, "cpu"))), default=None)


def _groups(root: Path, membership: Path, controller: str) -> Iterator[Path]:
    """The folders of a process's groups, from its own outwards.

    Inside a container its own group may be the root, and the path that of the world outside.
    """
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            base = root  # version 2
        elif controller in controllers.split(","):
            base = root / controller
        else:
            continue
        own = base / path.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder.is_relative_to(base))


def _memory(group: Path) -> Memory | None:
    for limit_file, used_file, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = _number(_text(group / limit_file))
        if limit is not None and limit < UNLIMITED:
            used = _number(_text(group / used_file)) or 0
            statistics = dict(line.split() for line in _text(group / "memory.stat").splitlines())
            return Memory(limit, max(0, used - int(statistics.get(cache, 0))))
    return None


def _cores(group: Path) -> float | None:
    both = _text(group / "cpu.max").split()
    if len(both) != 2:
        both = [_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    quota, period = map(_number, both)
    return quota / period if quota and period and quota > 0 else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:  # no such group, or none at all on this system
        return ""


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # "max", or nothing
        return None
