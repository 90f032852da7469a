"""The LoRAs that a loaded pipeline has, for as long as something is made with them."""

from __future__ import annotations

import itertools
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nbtool.catalogue import loras, weights
from nbtool.catalogue.facts import DENOISERS
from nbtool.engines.local import adapters, memory
from nbtool.engines.local.loading import networks
from nbtool.errors import GenerationError, NbtoolError, log, said
from nbtool.recipes.loras import Lora
from nbtool.silence import quiet_peft
from nbtool.text import count

KEPT = 4  # LoRAs that are there at once, unless one image needs more
_OF_PEFT = "base_model.model."  # begins the names in PEFT's own files
_numbers = itertools.count()


class Rack:
    """The LoRAs of one pipeline. Used from the worker's thread.

    Args:
        pipeline: Loaded and placed.
        model: Its name, for people.
        changed: Told when LoRAs went that its networks may have been asked with.
        offload: How its networks are moved about.
    """

    def __init__(
        self, pipeline: Any, model: str, changed: Callable[[], None], offload: str = "none"
    ) -> None:
        self._offload = offload
        self._pipeline = pipeline
        self._model = model
        self._changed = changed
        # Other pipelines may have some of its networks, with LoRAs of their own.
        self._number = next(_numbers)
        self._notes: dict[str, str] = {}  # by adapter, in the order in which they were last used
        self._faults: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._used: Counter[str] = Counter()

    def adapter(self, lora: Lora) -> str:
        """What a LoRA is called in the networks; in their order they are applied."""
        return f"{lora.digest}_{self._number}"

    def has_room(self, wanted: Iterable[Lora]) -> bool:
        """Whether LoRAs can join those that images in the making need."""
        return len({*self._used, *map(self.adapter, wanted)}) <= KEPT or not self._used

    def take(self, wanted: Iterable[Lora], say: Callable[[str], None]) -> list[str]:
        """Makes sure that LoRAs are there until they are given back; what is to be known of them.

        Raises:
            GenerationError: One is of no use for this model.
        """
        named = {self.adapter(lora): lora for lora in wanted}
        for adapter, lora in named.items():
            if adapter not in self._notes:
                self._make_room()
                self._notes[adapter] = self._load(adapter, lora, say)
            self._notes[adapter] = self._notes.pop(adapter)
        self._used.update(named.keys())
        return [note for adapter in named if (note := self._notes[adapter])]

    def fault(self, lora: Lora, say: Callable[[str], None]) -> str:
        """Why a LoRA is of no use for this model; "" if it is of use."""
        try:
            self.take([lora], say)
        except NbtoolError as error:
            return said(error)
        self.give_back([lora])
        return ""

    def hashes(self, wanted: Iterable[Lora]) -> dict[str, str]:
        """By the names of LoRAs what other programs know them by."""
        return {one.name: hashed for one in wanted if (hashed := self._hashes.get(one.digest))}

    def give_back(self, wanted: Iterable[Lora]) -> None:
        """An image that was made with them is done."""
        self._used.subtract(map(self.adapter, wanted))
        self._used = +self._used

    def clear(self) -> None:
        """Leaves the networks as they were; for when nothing is made with them any more."""
        self._faults.clear()  # files may be mended
        if not self._used:
            self._drop([*self._notes])

    def _make_room(self) -> None:
        """Lets go of what was not used for longest."""
        idle = [adapter for adapter in self._notes if not self._used[adapter]]
        self._drop(idle[: max(0, len(self._notes) + 1 - KEPT)])

    def _drop(self, names: list[str]) -> None:
        if names:
            self._remove(names)
            for name in names:
                del self._notes[name]
            self._changed()

    def _remove(self, names: list[str]) -> None:
        """Takes adapters out of the networks; the last leaves each as it was."""
        from diffusers.utils import recurse_remove_peft_layers

        with quiet_peft():
            self._pipeline.delete_adapters(names)
        for network in networks(self._pipeline).values():
            if adapters.of(network) is None:
                continue
            if not any(adapters.look(network).names):
                recurse_remove_peft_layers(network)
                vars(network).pop("peft_config", None)
                vars(network)["_hf_peft_config_loaded"] = False  # as both libraries have it
                adapters.leave(network)

    def _look(self) -> None:
        for network in networks(self._pipeline).values():
            if hasattr(network, "peft_config") or adapters.of(network):
                adapters.look(network)

    def _load(self, adapter: str, lora: Lora, say: Callable[[str], None]) -> str:
        """Loads one; what is to be known of it.

        Raises:
            GenerationError: It is of no use for this model.
        """
        if known := self._faults.get(adapter):
            raise GenerationError(known)
        if self._offload == "sequential":
            raise GenerationError(
                f"{self._model} is moved to the device layer by layer, for want of memory, and takes "
                f"no LoRAs so; free memory (nbtool.unload() lets go of other models), or take a "
                f"smaller model"
            )
        parts = loras.parts_of(lora)
        self._hashes[lora.digest] = weights.tensors_hash(parts[""])
        say(f"loading the LoRA {lora.name}")
        heard = _Heard()
        fault = ""
        try:
            with heard, quiet_peft():
                self._pipeline.load_lora_weights(
                    self._readable(parts[""]), adapter_name=adapter, local_files_only=True
                )
                if settings := parts.get(loras.SETTINGS):
                    self._set_alpha(adapter, settings)
        except Exception as error:  # diffusers and PEFT raise many kinds
            log(f"while the LoRA {lora.name} was loaded", error)
            if memory.is_out_of_memory(error):
                raise
            fault = _fault(error)
        self._look()
        if not fault and not self._layers(adapter):
            fault = "none of its parts belongs to this model"
        elif not fault and loras.facts(lora).dora and not self._scales(adapter):
            fault = "it is a DoRA in a form of which diffusers leaves out the scales"
        if fault:
            if self._layers(adapter):
                self._remove([adapter])
            text = (
                f"the LoRA {lora.name} does not fit {self._model}: {fault}; take one that was "
                f"trained for this model"
            )
            self._faults[adapter] = text
            raise GenerationError(text)
        return heard.note(lora.name, self._model)

    def _readable(self, path: Path) -> str | dict[str, Any]:
        """What diffusers reads: the file, or of PEFT's own form its tensors by diffusers' names."""
        if not any(name.startswith(_OF_PEFT) for name in weights.header(path)):
            return str(path)
        from safetensors.torch import load_file

        own = next(name for name in DENOISERS if hasattr(self._pipeline, name))
        tensors = load_file(path)
        return {name.replace(_OF_PEFT, f"{own}.", 1): value for name, value in tensors.items()}

    def _layers(self, adapter: str) -> int:
        held = map(adapters.of, networks(self._pipeline).values())
        return sum(own.size(adapter) for own in held if own)

    def _scales(self, adapter: str) -> bool:
        """Whether it is a DoRA in any network."""
        held = map(adapters.of, networks(self._pipeline).values())
        return any(own.is_variant(adapter) for own in held if own)

    def _set_alpha(self, adapter: str, settings: Path) -> None:
        """Scales as PEFT's own settings say, which diffusers does not read."""
        known = json.loads(settings.read_bytes())
        alpha = known.get("lora_alpha")
        if not isinstance(alpha, (int, float)):
            return
        patterns = known.get("alpha_pattern") or {}
        for network in networks(self._pipeline).values():
            for name, layer in network.named_modules():
                if adapter in getattr(layer, "lora_alpha", {}):
                    own = next((a for part, a in patterns.items() if name.endswith(part)), alpha)
                    layer.lora_alpha[adapter] = own
                    layer.use_rslora[adapter] = bool(known.get("use_rslora"))
                    layer.set_scale(adapter, 1.0)


class _Heard(logging.Handler):
    """What diffusers says while it loads, in place of raising an error."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._unused = 0
        self._logger = logging.getLogger("diffusers.utils.peft_utils")

    def __enter__(self) -> None:
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.WARNING)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._before[0])
        self._logger.propagate = self._before[1]

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if "unexpected keys" in text:
            listed = text.partition("unexpected keys")[2]
            self._unused += listed.count(".weight")

    def note(self, name: str, model: str) -> str:
        """That some of a LoRA has no effect; "" where all of it has."""
        if not self._unused:
            return ""
        return (
            f"{count(self._unused, 'tensor')} of the LoRA {name} found no place in {model}, and "
            f"have no effect"
        )


def _fault(error: Exception) -> str:
    text = said(error)
    if "size mismatch" in text or "shape" in text:
        return "its matrices are of other sizes"
    if "Target modules" in text or "target modules" in text:
        return "none of its parts belongs to this model"
    return text.splitlines()[0]
