"""What this machine has, and what generation will use."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata as packages
from typing import Any

from nbtool.display.card import card, card_text

PACKAGES = ("torch", "diffusers", "transformers", "accelerate")
DEVICES = ("cuda", "mps", "cpu")
DTYPES = ("float32", "float16", "bfloat16")
GIB = 2**30


@dataclass(frozen=True)
class Hardware:
    """What this machine has. Shows itself in plain words."""

    system: str
    cores: int
    memory_gib: float
    gpu: str
    gpu_memory_gib: float
    device: str
    dtype: str
    reason: str
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def rows(self) -> dict[str, str]:
        """Labels and sentences, for people."""
        gpu = (
            f"{self.gpu}, {self.gpu_memory_gib:.1f} GiB" if self.gpu else "none that torch can use"
        )
        return {
            "System": self.system,
            "Processor": f"{self.cores} cores, {self.memory_gib:.1f} GiB of memory",
            "Graphics card": gpu,
            "Images are made on": f"{self.device} in {self.dtype}: {self.reason}",
            "Packages": ", ".join(f"{name} {version}" for name, version in self.versions.items()),
        }

    def __str__(self) -> str:
        return card_text(self.rows())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {**card(self.rows())}


def hardware() -> Hardware:
    """What this machine has, and the device and dtype that images are made with by default."""
    import psutil

    gpu, gpu_memory, bfloat16 = _gpu()
    device, dtype, reason = choose(gpu.partition(":")[0], bfloat16=bfloat16)
    return Hardware(
        system=f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}",
        cores=_cores(),
        memory_gib=psutil.virtual_memory().total / GIB,
        gpu=gpu.partition(":")[2],
        gpu_memory_gib=gpu_memory / GIB,
        device=device,
        dtype=dtype,
        reason=reason,
        versions={name: packages.version(name) for name in PACKAGES},
    )


def choose(kind: str, *, bfloat16: bool) -> tuple[str, str, str]:
    """Device, dtype and the reason in words, for a kind of GPU ("" for none)."""
    if kind == "cuda" and bfloat16:
        return "cuda", "bfloat16", "this card computes in bfloat16, half the memory of float32"
    if kind == "cuda":
        return "cuda", "float16", "this card has no bfloat16; float16 takes half the memory"
    if kind == "mps":
        return "mps", "float32", "Apple's GPU; half precision gives black images on some models"
    return "cpu", "float32", "there is no GPU that torch can use; small models run well"


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _gpu() -> tuple[str, int, bool]:
    """The GPU as "kind:name" or "", its memory in bytes, and whether it has bfloat16."""
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return f"cuda:{properties.name}", properties.total_memory, properties.major >= 8
    if torch.backends.mps.is_available():
        import psutil

        return "mps:Apple GPU", psutil.virtual_memory().total, False
    return "", 0, False
