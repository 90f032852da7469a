"""Loaded pipelines, kept for the whole process within the memory there is."""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbtool.catalogue import identity, weights
from nbtool.catalogue.facts import DENOISERS
from nbtool.engines.local import memory
from nbtool.engines.local.loading import load, networks
from nbtool.engines.local.previews import Previews
from nbtool.engines.local.rack import Rack
from nbtool.engines.local.siblings import sibling
from nbtool.engines.local.tuning import AS_IT_IS, WORDS, switch, unswitch
from nbtool.fitting.plans import how_placed

if TYPE_CHECKING:
    from nbtool.catalogue import Model
    from nbtool.fitting.plans import MemoryPlan

_ORIGIN = re.compile("^_|version|dtype")
SharedBy = tuple[str, ...]  # what must be equal for pipelines to share a component


@dataclass(eq=False)
class Loaded:
    """A pipeline in memory.

    Attributes:
        plan: How it was placed.
        revision: Of the model that was read, whatever lies on the disk by now.
        files: For each component what its files are, equal for equal files.
        tuned: How its denoiser runs, as in `tuning.WORDS`.
        users: How many runs use it now.
        leaving: Whether it is to go when nobody uses it any more.
        gone: Whether the cache has let go of it.
    """

    pipeline: Any
    plan: MemoryPlan
    revision: str
    files: Mapping[str, Hashable] = field(default_factory=dict)
    tuned: str = AS_IT_IS
    users: int = 0
    leaving: bool = False
    gone: bool = False

    @property
    def previews(self) -> Previews:
        """The previews of its latents."""
        if self._previews is None:
            self._previews = Previews(self.pipeline)
        return self._previews

    @property
    def placement(self) -> str:
        """What of its placement can move a pixel, in words."""
        plan = self.plan
        words = {
            f"VAE in {plan.vae_dtype}": plan.vae_dtype != plan.dtype,
            f"weights in {plan.quantization}": plan.quantization,
            "decoded in tiles": plan.tiling,
            "sliced attention": plan.attention == "sliced",
            WORDS[self.tuned]: self.tuned != AS_IT_IS,
        }
        return ", ".join(text for text, true in words.items() if true)

    def as_class(self, class_name: str) -> Any:
        """A pipeline of a class of its family, on the same networks."""
        if class_name not in self._siblings:
            self._siblings[class_name] = sibling(self.pipeline, class_name)
        return self._siblings[class_name]

    def rack(self, model: str, changed: Callable[[], None]) -> Rack:
        """The LoRAs that it has; see `Rack`."""
        if self._rack is None:
            self._rack = Rack(self.pipeline, model, changed, self.plan.offload)
        return self._rack

    def untune(self) -> None:
        """Takes back how its denoiser was tuned, for LoRAs, which do not go with that."""
        self._untuned, self.tuned = self.tuned, AS_IT_IS
        unswitch(self.denoiser, self._untuned)

    def tune_again(self) -> bool:
        """Tunes its denoiser as it was before LoRAs came; False where it was not."""
        if self._untuned == AS_IT_IS:
            return False
        self.tuned, self._untuned = self._untuned, AS_IT_IS
        switch(self.denoiser, self.tuned)
        return True

    @property
    def denoiser(self) -> Any:
        """The network that denoises."""
        parts = self.pipeline.components
        return next(parts[name] for name in DENOISERS if parts.get(name) is not None)

    _untuned: str = AS_IT_IS  # how it is tuned when no LoRA is there

    _rack: Rack | None = None
    _previews: Previews | None = None
    _siblings: dict[str, Any] = field(default_factory=dict)


class Cache:
    """Pipelines by model and plan; the least recently used go first.

    Args:
        dropped: Told of each pipeline that goes.
    """

    def __init__(self, dropped: Callable[[Any], None]) -> None:
        self._dropped = dropped
        self._lock = threading.RLock()
        self._loaded: OrderedDict[Hashable, Loaded] = OrderedDict()
        self.clearings = 0

    def get(self, model: Model, plan: MemoryPlan) -> Loaded | None:
        """A pipeline that is in memory already."""
        with self._lock:
            key = _key(model, plan)
            if key in self._loaded:
                self._loaded.move_to_end(key)
            return self._loaded.get(key)

    def load(self, model: Model, plan: MemoryPlan, say: Callable[[str], None]) -> Loaded:
        """Loads a pipeline; what others have in common with it is not loaded again.

        One after the other, on one thread: others may look what there is meanwhile.

        Raises:
            ModelError: It cannot be loaded, or its files are changed before all is read.
            MemoryError: The memory does not suffice.
        """
        model.confirm(say)
        files = _files(model)
        with self._lock:
            shared = self._shared(files, _placement(plan))
        loaded = Loaded(load(model, plan, shared, say), plan, model.revision, files)
        model.confirm(say)
        with self._lock:
            self._loaded[_key(model, plan)] = loaded
        return loaded

    def drop_oldest(self) -> bool:
        """Lets go of the pipeline that nobody uses now or has used for longest; False if none is."""
        with self._lock:
            idle = next((key for key, one in self._loaded.items() if not one.users), None)
        if idle is not None:
            self._drop(idle)
        return idle is not None

    def drop(self, model: Model, plan: MemoryPlan) -> None:
        """Lets go of one pipeline."""
        self._drop(_key(model, plan))

    def clear(self) -> bool:
        """Lets go of all of them, of those in use when they are no more; whether any was idle."""
        with self._lock:
            self.clearings += 1
            for one in self._loaded.values():
                one.leaving = True
            idle = [key for key, one in self._loaded.items() if not one.users]
        for key in idle:
            self._drop(key)
        return bool(idle)

    def use(self, loaded: Loaded) -> None:
        """A run uses it from now on."""
        with self._lock:
            loaded.users += 1

    def leave(self, loaded: Loaded) -> None:
        """A run uses it no more."""
        with self._lock:
            loaded.users -= 1
            left = loaded.leaving and not loaded.users
            key = next((key for key, one in self._loaded.items() if one is loaded), None)
        if left and key is not None:
            self._drop(key)
            memory.release()

    def _drop(self, key: Hashable) -> None:
        with self._lock:
            loaded = self._loaded.pop(key, None)
        if loaded:
            loaded.gone = True
            self._dropped(loaded.pipeline)

    def bytes(self, device: str) -> int:
        """What the weights take on a device, those that pipelines share counted once."""
        with self._lock:
            place = device.removesuffix(":0")
            loaded = [one for one in self._loaded.values() if one.plan.device == place]
        parts = {part for one in loaded for part in networks(one.pipeline).values()}
        return sum(size(part) for part in parts)

    def _shared(self, files: Mapping[str, Hashable], placement: SharedBy) -> dict[str, Any]:
        """Components in memory that were read from the same files, placed in the same way."""
        found: dict[str, Any] = {}
        for loaded in self._loaded.values():
            if placement and _placement(loaded.plan) == placement:
                for name, there in loaded.files.items():
                    if files.get(name) == there:
                        found[name] = loaded.pipeline.components[name]
        return found


def size(part: Any) -> int:
    """The bytes of a network's weights."""
    return sum(t.nbytes for tensors in (part.parameters(), part.buffers()) for t in tensors)


def _key(model: Model, plan: MemoryPlan) -> Hashable:
    """By what was read, not by where it lies or what its branch is called."""
    layout = (model.folder.name, model.facts.pipeline) if model.checkpoint else ()
    return model.revision, layout, model.checker, how_placed(plan)


def _placement(plan: MemoryPlan) -> SharedBy:
    """Empty where components cannot be shared: they are moved about, or not as they were read."""
    if plan.offload != "none" or plan.quantization:
        return ()
    return plan.device, plan.dtype, plan.vae_dtype, str(plan.tiling), plan.attention


def _files(model: Model) -> dict[str, Hashable]:
    if model.checkpoint:
        return {}
    return dict(_identities(model))


def _identities(model: Model) -> Iterator[tuple[str, Hashable]]:
    names = weights.names_in(model.folder)
    for part in weights.have_weights(model.parts):
        choice = weights.choose(names, part)
        if choice and choice.complete:
            identify = identity.register.sha256 if model.is_local else _published
            files = tuple(identify(model.folder / name) for name in choice.files)
            # Some classes of pipelines change the networks that they are given.
            kind = model.facts.pipeline, model.parts[part]
            yield part, (kind, _settings(model.folder / part / "config.json"), files)


def _settings(path: Path) -> str:
    """A component's configuration without what only says where it comes from."""
    config = weights.read_json(path)
    return json.dumps(
        {name: value for name, value in config.items() if not _ORIGIN.search(name)}, sort_keys=True
    )


def _published(path: Path) -> str:
    """The hub's cache never changes a file, and names large ones by their SHA-256."""
    real = path.resolve()
    return real.name if real.parent.name == "blobs" else str(real)
