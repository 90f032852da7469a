"""Asks this machine what it has. The one place that does; what follows from it is elsewhere."""

from __future__ import annotations

import math
import os
import platform
import shutil
import subprocess
from importlib import metadata as packages
from pathlib import Path
from typing import Any

from nbtool import environment, files
from nbtool._version import __version__
from nbtool.environment import default_folder
from nbtool.errors import NbtoolError
from nbtool.machine import containers
from nbtool.machine.hardware import GIB, Disk, Gpu, Hardware, choose, float_support
from nbtool.silence import importing

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "peft")
EXTRAS = ("xformers", "bitsandbytes", "torchao")  # used where they are installed
NVIDIA_TIMEOUT = 10  # seconds; a driver in trouble may never answer


def hardware() -> Hardware:
    """What this machine has, and the device and dtype that images are made with by default.

    Looks anew at each call. Nothing is downloaded or changed.
    """
    with importing("psutil"):
        import psutil

    found = gpus()
    device, dtype, reason = choose(found)
    memory = psutil.virtual_memory().total
    limit = containers.memory()
    limited = limit is not None and limit.limit < memory
    return Hardware(
        system=f"{platform.system()} on {platform.machine()}, Python {platform.python_version()}",
        front_end=environment.NAMES[environment.front_end()],
        cores=_cores(),
        memory_gib=(limit.limit if limit and limited else memory) / GIB,
        free_memory_gib=containers.free_memory() / GIB,
        container=limited,
        gpus=found,
        device=device,
        dtype=dtype,
        reason=reason,
        hint="" if found else _hint(),
        models=_disk(_cache()),
        images=_disk(default_folder()),
        versions=_versions(),
    )


def gpus() -> tuple[Gpu, ...]:
    """Every GPU that torch can use.

    Raises:
        NbtoolError: torch cannot be imported.
    """
    with importing("torch"):
        import torch

    found: list[Gpu] = []
    if torch.cuda.is_available():
        kind = "rocm" if torch.version.hip else "cuda"
        driver = _amd_driver() if kind == "rocm" else _nvidia()[1]
        found += [
            _card(kind, torch.cuda, index, driver) for index in range(torch.cuda.device_count())
        ]
    if torch.xpu.is_available():
        found += [_card("xpu", torch.xpu, index, "") for index in range(torch.xpu.device_count())]
    if torch.backends.mps.is_available():
        found.append(_apple())
    return tuple(found)


def _card(kind: str, backend: Any, index: int, driver: str) -> Gpu:
    properties = backend.get_device_properties(index)
    capability = ""
    if kind == "cuda":
        capability = f"{properties.major}.{properties.minor}"
    elif kind == "rocm":
        capability = properties.gcnArchName.partition(":")[0]
    try:
        free = backend.mem_get_info(index)[0] / GIB
    except RuntimeError:  # so full that not even this can be asked, or kept by another process
        free = None
    float16, bfloat16 = float_support(kind, properties.name, capability)
    return Gpu(
        kind=kind,
        device=f"{'xpu' if kind == 'xpu' else 'cuda'}:{index}",
        name=properties.name,
        memory_gib=properties.total_memory / GIB,
        free_gib=free,
        capability=capability,
        float16=float16,
        bfloat16=bfloat16,
        driver=driver or getattr(properties, "driver_version", ""),
    )


def _apple() -> Gpu:
    import psutil

    memory = psutil.virtual_memory()
    return Gpu(
        kind="mps",
        device="mps",
        name=f"Apple {platform.machine()} GPU",
        memory_gib=memory.total / GIB,
        free_gib=memory.available / GIB,
        driver=f"macOS {platform.mac_ver()[0]}",
    )


def _nvidia() -> tuple[str, str]:
    """The name of the first NVIDIA card that the driver knows, and the driver's version."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return "", ""
    query = [command, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(  # noqa: S603 - the driver's own program
            query, capture_output=True, text=True, timeout=NVIDIA_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return "", ""
    name, _, driver = (done.stdout.splitlines() or [""])[0].rpartition(", ")
    return name, driver


def _amd_driver() -> str:
    try:
        return Path("/sys/module/amdgpu/version").read_text(encoding="utf-8").strip()
    except OSError:  # the kernel's own driver has no version besides the kernel's
        return ""


def _hint() -> str:
    """What keeps torch from a card that is there."""
    import torch

    name, driver = _nvidia()
    if not name:
        return ""
    if torch.version.cuda is None:
        return (
            f"there is an {name}, but the installed torch is for processors only; "
            f"install one for CUDA as https://pytorch.org/get-started says"
        )
    return (
        f"there is an {name}, but torch, built for CUDA {torch.version.cuda}, cannot use it; "
        f"its driver {driver} may be too old, or CUDA_VISIBLE_DEVICES hides it"
    )


def _cores() -> int:
    """The cores that this process may use; part of one counts as one."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(own, math.ceil(containers.cores() or own))


def _cache() -> Path:
    """Where models from the hub are kept; by default, where only they need to hear what is wrong."""
    try:
        with importing("huggingface_hub"):
            from huggingface_hub.constants import HF_HUB_CACHE
    except NbtoolError:
        return Path.home() / ".cache" / "huggingface" / "hub"
    return Path(HF_HUB_CACHE)


def _disk(folder: Path) -> Disk:
    """What is free where a folder is, or where it would be made."""
    home = Path.home()
    shown = Path("~") / folder.relative_to(home) if folder.is_relative_to(home) else folder
    try:
        return Disk(str(shown), files.free(folder) / GIB)
    except OSError:
        return Disk(str(shown), None)


def _versions() -> dict[str, str]:
    versions = {"nbtool": __version__}
    for name in PACKAGES + EXTRAS:
        try:
            versions[name] = packages.version(name)
        except packages.PackageNotFoundError:
            continue
    return versions
