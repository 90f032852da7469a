"""Memory of the device: what is free, what a forward took, and what is no memory left."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from pathlib import Path
from typing import Any

from nbtool.errors import said
from nbtool.machine import containers


def is_out_of_memory(error: BaseException) -> bool:
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, RuntimeError):  # it looks into what may be no text
        error = RuntimeError(said(error))
    return isinstance(error, MemoryError) or should_reduce_batch_size(error)


def is_broken_device(error: BaseException) -> bool:
    """True when the GPU refuses everything from now on, until the process ends."""
    text = said(error)
    return "device-side assert" in text or "illegal memory access" in text


def release() -> None:
    """Gives back what is not in use. Call it outside `except`: a traceback pins tensors."""
    import torch

    gc.collect()
    if sys.platform == "linux":
        # The C library keeps what it freed between blocks that are in use.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch.xpu.is_available():
        torch.xpu.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()


def wait(device: Any) -> None:
    """Until a card has done what it was asked for."""
    import torch

    if device.type in ("cuda", "xpu", "mps"):
        getattr(torch, device.type).synchronize()


class Meter:
    """What a forward takes of a device's memory, in bytes."""

    def __init__(self, device: Any) -> None:
        """Waits until the device is idle, and starts to watch."""
        import psutil
        import torch

        self._device = device
        self._card = getattr(torch, device.type) if device.type in ("cuda", "xpu") else None
        if self._card:
            self._card.synchronize(device)
            self._card.reset_peak_memory_stats(device)
            self._before = self._card.memory_allocated(device)
            free, _ = self._card.mem_get_info(device)
            self._free = free + self._card.memory_reserved(device) - self._before
        else:
            self._before = psutil.Process().memory_info().rss
            self._free = containers.free_memory()

    def stop(self) -> tuple[int, int]:
        """Waits until the device is idle; what was used at most, and what had been free."""
        if self._card:
            self._card.synchronize(self._device)
            peak = self._card.max_memory_allocated(self._device)
        else:
            peak = peak_resident()
        return max(0, peak - self._before), self._free


def peak_resident() -> int:
    """The most memory that this process ever had: right for a forward larger than those before."""
    import psutil

    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    status = Path("/proc/self/status")  # on Linux getrusage may mean the process that started ours
    if status.exists():
        return int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
