"""What a machine can have, and what generation uses of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nbtool.text import card, card_text

DEVICES = ("cuda", "mps", "xpu", "cpu")  # torch's names; an AMD card is a "cuda" device
DTYPES = ("float32", "float16", "bfloat16")
GIB = 2**30

_PLATFORMS = {"cuda": "CUDA", "rocm": "ROCm", "mps": "Metal", "xpu": "Intel XPU"}
# Turing cards without tensor cores: float16 overflows on them, and images come out black.
# https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/Troubleshooting
_BLACK_IN_FLOAT16 = (
    "GTX 1630", "GTX 1650", "GTX 1660", "MX450", "MX550", "T400", "T500", "T550", "T600",
    "T1000", "T1200", "T2000", "CMP 30HX",
)  # fmt: skip
# AMD's architectures that compute in bfloat16: MI200 and newer, RDNA 3 and newer.
_BFLOAT16_ON_AMD = ("gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")


@dataclass(frozen=True)
class Gpu:
    """A graphics card that torch can use.

    Attributes:
        kind: "cuda" (NVIDIA), "rocm" (AMD), "mps" (Apple) or "xpu" (Intel).
        device: What torch calls it, such as "cuda:1".
        name: Its maker's name for it.
        memory_gib: All its memory; Apple's GPU shares that of the computer.
        free_gib: What nobody uses at the moment; None where it cannot be asked.
        capability: "8.6" for NVIDIA's compute capability, "gfx1100" for AMD's architecture.
        float16: Whether it computes in float16, and images come out right.
        bfloat16: The same of bfloat16; emulated does not count.
        driver: Its driver's version; "" if not known.
    """

    kind: str
    device: str
    name: str
    memory_gib: float
    free_gib: float | None = None
    capability: str = ""
    float16: bool = True
    bfloat16: bool = False
    driver: str = ""

    def __str__(self) -> str:
        platform = f"{_PLATFORMS[self.kind]} {self.capability}".strip()
        driver = f", driver {self.driver}" if self.driver else ""
        free = "" if self.free_gib is None else f", {self.free_gib:.1f} GiB free"
        return f"{self.name} ({platform}{driver}), {self.memory_gib:.1f} GiB{free}"


@dataclass(frozen=True)
class Disk:
    """A folder, and how much can still be written there; None where that cannot be told."""

    folder: str
    free_gib: float | None

    def __str__(self) -> str:
        if self.free_gib is None:
            return f"the disk of {self.folder} cannot be looked at"
        return f"{self.free_gib:.1f} GiB free for {self.folder}"


@dataclass(frozen=True)
class Hardware:
    """What this machine has. Shows itself in plain words.

    Attributes:
        system: Operating system, processor and Python.
        front_end: Where this runs, such as "Jupyter" or "Google Colab".
        cores: That this process may use.
        memory_gib: That this process may use.
        free_memory_gib: What nobody uses of it at the moment.
        container: Whether a container sets that limit, rather than the computer.
        gpus: Those that torch can use.
        device: What images are made on by default: one of torch's names.
        dtype: The kind of number that they are computed in.
        reason: Why these two.
        hint: What would make this machine do more; "" for nothing.
        models: Where models are downloaded to.
        images: Where images are kept, unless a generator is told otherwise.
        versions: Of the packages that nbtool builds on, and of those it could make use of.
    """

    system: str
    front_end: str
    cores: int
    memory_gib: float
    free_memory_gib: float
    container: bool
    gpus: tuple[Gpu, ...]
    device: str
    dtype: str
    reason: str
    hint: str
    models: Disk
    images: Disk
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that JSON can hold."""
        return asdict(self)

    def rows(self) -> dict[str, str]:
        """Labels and sentences, for people."""
        cores = "1 core" if self.cores == 1 else f"{self.cores} cores"
        limited = " (the container's limit)" if self.container else ""
        rows = {
            "System": f"{self.system}; {self.front_end}",
            "Processor": (
                f"{cores}, {self.memory_gib:.1f} GiB of memory{limited}, "
                f"{self.free_memory_gib:.1f} GiB free"
            ),
            "Graphics card": "; ".join(map(str, self.gpus)) or "none that torch can use",
            "Images are made on": f"{self.device} in {self.dtype}: {self.reason}",
            "Room for models": str(self.models),
            "Room for images": str(self.images),
            "Packages": ", ".join(f"{name} {version}" for name, version in self.versions.items()),
        }
        return rows | ({"Hint": self.hint} if self.hint else {})

    def __str__(self) -> str:
        return card_text(self.rows())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {**card(self.rows())}


def choose(gpus: Sequence[Gpu], wanted: str | None = None) -> tuple[str, str, str]:
    """Device, dtype and the reason in words; of these GPUs, or of the device that is wanted."""
    if wanted is not None:
        named = wanted if ":" in wanted or wanted == "mps" else f"{wanted}:0"
        gpus = [gpu for gpu in gpus if gpu.device == named]
    if not gpus:
        why = "there is no GPU that torch can use; small models run well"
        return wanted or "cpu", "float32", "the device asked for" if wanted else why
    gpu = max(gpus, key=lambda gpu: gpu.memory_gib)
    dtype, reason = _dtype(gpu)
    return wanted or gpu.device.removesuffix(":0"), dtype, reason


def float_support(kind: str, name: str, capability: str) -> tuple[bool, bool]:
    """Whether a GPU computes in float16 and in bfloat16 so that images come out right.

    Args:
        kind: As in `Gpu`.
        name: As in `Gpu`.
        capability: As in `Gpu`.
    """
    if kind == "cuda":
        black = any(card in name for card in _BLACK_IN_FLOAT16)
        return not black, int(capability.partition(".")[0]) >= 8
    if kind == "rocm":
        return True, capability.startswith(_BFLOAT16_ON_AMD)
    return True, kind == "xpu"


def _dtype(gpu: Gpu) -> tuple[str, str]:
    if gpu.kind == "mps":
        return "float32", "Apple's GPU; half precision gives black images on some models"
    if gpu.bfloat16:
        return "bfloat16", "this card computes in bfloat16, half the memory of float32"
    if gpu.float16:
        return "float16", "this card has no bfloat16; float16 takes half the memory"
    return "float32", "this card gives black images in float16, and has no bfloat16"
