"""What decides how the rows of a forward are computed on this machine, as a text to remember by."""

from __future__ import annotations

import hashlib
import platform
import uuid
from collections.abc import Hashable, Iterator, Mapping
from functools import cache
from importlib import metadata as packages
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from nbtool.engines.local import adapters

_LIBRARIES = ("torch", "diffusers", "transformers")


HERE = "here: "  # begins what means something in this process alone
_KNOWN = ("diffusers.", "transformers.")


def switches(module: Any, method: str) -> tuple[int, tuple[int, ...], int]:
    """What may be changed of a network from one call to the next, and is quickly looked up.

    Hooks that are called before it look at what it is asked; those after it may change its answer.
    """
    import torch

    hooks = tuple(module._forward_hooks)  # noqa: SLF001 - torch has no public word for it
    return torch.get_num_threads(), hooks, id(vars(module).get(method))


def key(module: Any, method: str, shapes: Hashable, device: Any) -> str:
    """Equal for questions whose rows are computed by the same kernels, also in later processes.

    Of the network that is its architecture, not its weights: libraries choose by sizes. A network
    that is not from a library, or was changed by hand, is known for as long as it is there.

    Args:
        module: The network.
        method: Of it, that is called.
        shapes: Of the rows, with their dtypes.
        device: Where it computes.
    """
    facts = [*_of_module(module), method, repr(shapes), *_of_machine(device)]
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
    _, hooks, patched = changes = switches(module, method)
    changed = (hooks or patched != id(None)) and not hasattr(module, "_hf_hook")
    if changed or not type(module).__module__.startswith(_KNOWN):
        return f"{HERE}{_names.setdefault(module, uuid.uuid4().hex)} {digest} {changes!r}"
    return digest


_names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _of_module(module: Any) -> Iterator[str]:
    import torch

    yield type(module).__name__
    config = getattr(module, "config", None)
    if isinstance(config, Mapping):
        config = sorted((name, value) for name, value in config.items() if name[0] != "_")
    yield repr(config)
    held = adapters.of(module)
    added = held.parameters if held else ()  # what acts of it is among the shapes
    parameters = [p for p in module.parameters() if id(p) not in added]
    yield repr([(tuple(p.shape), str(p.dtype), str(p.device)) for p in parameters])
    last = torch.channels_last
    yield repr([p.is_contiguous(memory_format=last) for p in parameters if p.ndim == 4])
    yield repr(sorted({type(p).__name__ for p in getattr(module, "attn_processors", {}).values()}))
    for part in module.modules():
        switched = (
            part._compiled_call_impl is not None,  # noqa: SLF001 - torch has no public word for it
            hasattr(part, "_hf_hook") or hasattr(part, "_diffusers_hook"),  # offloaded
            getattr(part, "fused_projections", False),
            [] if held else sorted(getattr(part, "peft_config", ())),
        )
        if any(switched):
            yield repr((type(part).__name__, switched))
    yield repr([getattr(module, name, None) for name in ("use_tiling", "use_slicing")])


def _of_machine(device: Any) -> Iterator[str]:
    import torch

    yield from (f"{name} {packages.version(name)}" for name in _LIBRARIES)
    yield device.type
    if device.type == "cpu":
        yield _processor()
        yield f"{torch.get_num_threads()} threads"
    else:
        card = getattr(torch, device.type)
        yield card.get_device_name(device) if hasattr(card, "get_device_name") else ""
    yield repr((
        torch.get_float32_matmul_precision(),
        torch.backends.mkldnn.enabled,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.allow_tf32,
        torch.are_deterministic_algorithms_enabled(),
    ))  # fmt: skip


@cache
def _processor() -> str:
    """The processor's name, and what torch uses of it."""
    import torch

    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    named = (line for line in lines if line.startswith("model name"))
    return " ".join([
        platform.machine(), next(named, platform.processor()),
        torch.backends.cpu.get_cpu_capability(),
    ])  # fmt: skip
