"""Adapters in networks, such as LoRAs, each with a weight of its own for every row of a forward.

PEFT's layers add what an adapter makes of their input, times `layer.scaling[adapter]`. With a factor
for each row in place of that number, one forward answers for rows with different weights: to a row
of weight 0 a zero is added. Between forwards all adapters rest.

https://huggingface.co/docs/peft/developer_guides/lora
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

WEIGHTS = "nbtool_adapters"  # the argument of a call that says which adapters act on it

Weights = Mapping[str, float]  # by adapter


class Acting:
    """Which adapters act on each row, and how strongly.

    Args:
        rows: For each row its weights.
        trait: Equal for what one forward can compute.
    """

    def __init__(self, rows: Iterable[Weights], trait: Hashable) -> None:
        self.rows = tuple(rows)
        self.trait = trait

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice) -> Acting:
        return Acting(self.rows[rows], self.trait)

    def apart(self) -> Acting:
        """The same, to be computed beside nothing but what has the same weights."""
        return Acting(self.rows, (self.trait, tuple(self.digests[:1])))

    def joined(self, parts: Iterable[Acting]) -> Acting:
        """The rows of several."""
        return Acting(chain.from_iterable(part.rows for part in parts), self.trait)

    @property
    def names(self) -> frozenset[str]:
        """The adapters that act on any row."""
        return frozenset(chain.from_iterable(self.rows))

    @property
    def digests(self) -> list[bytes]:
        """Of each row: equal where the same adapters act as strongly."""
        return [repr(sorted(row.items())).encode() for row in self.rows]


class NotByRowError(Exception):
    """A layer cannot have another weight for each row."""


class Adapters:
    """The adapters in one network."""

    def __init__(self) -> None:
        self._layers: list[Any] = []
        self._shapes: dict[str, str] = {}
        self._by_row: dict[str, bool] = {}

    def look(self, network: Module) -> None:
        """Finds what is in the network now, and lets all of it rest."""
        from peft.tuners.tuners_utils import BaseTunerLayer

        named = [
            (name, part)
            for name, part in network.named_modules()
            if isinstance(part, BaseTunerLayer)
        ]
        self._layers = [layer for _, layer in named]
        adapters = sorted({own for layer in self._layers for own in _in(layer)})
        self._shapes = {own: _shape(own, named) for own in adapters}
        self._by_row = {
            own: self._by_row.get(own, True)
            and all(_is_by_row(layer, own) for layer in self._layers if own in _in(layer))
            for own in adapters
        }
        for layer in self._layers:
            layer._disable_adapters = True  # noqa: SLF001 - PEFT's own way walks about much more

    @property
    def names(self) -> Iterable[str]:
        """The adapters that are in it."""
        return self._shapes

    def size(self, name: str) -> int:
        """How many layers an adapter acts on."""
        return sum(name in _in(layer) for layer in self._layers)

    def is_variant(self, name: str) -> bool:
        """Whether an adapter is of a kind that is not linear in its weight, such as DoRA."""
        return any(name in getattr(layer, "lora_variant", {}) for layer in self._layers)

    def acting(self, weights: Weights, rows: int) -> Acting | None:
        """What of these acts here on so many rows; None for nothing."""
        own = {name: weight for name, weight in weights.items() if name in self._shapes and weight}
        if not own:
            return None
        shapes = tuple(sorted(self._shapes[name] for name in own))
        by_row = all(self._by_row[name] for name in own)
        return Acting([own] * rows, (shapes, () if by_row else tuple(sorted(own.items()))))

    def refuse_rows(self, names: Iterable[str]) -> None:
        """Adapters cannot have a weight for each row here: their rows get forwards of their own."""
        self._by_row |= dict.fromkeys(names, False)

    @property
    def parameters(self) -> set[int]:
        """What is no part of the network itself, by the identity of the tensors."""
        return {id(tensor) for layer in self._layers for tensor in _own(layer)}

    @contextmanager
    def applied(self, acting: Acting, *, alike: bool = False) -> Iterator[None]:
        """While it lasts, adapters act on the rows of a forward.

        Args:
            acting: On which of them, and how strongly.
            alike: Whether what is said of the first row holds for all, however many there are.

        Raises:
            NotByRowError: A layer cannot have another weight for each row.
        """
        names = sorted(acting.names)  # by their digests: equal stacks are added in one order
        by_row = not alike and all(self._by_row[name] for name in names)
        if not (by_row or all(row == acting.rows[0] for row in acting.rows)):
            raise NotByRowError
        columns = {name: [row.get(name, 0.0) for row in acting.rows] for name in names}
        factors: dict[Hashable, _ByRow] = {}
        before: list[tuple[Any, dict[str, Any], Any]] = []
        try:
            for layer in self._layers:
                own = [name for name in names if name in _in(layer)]
                if not own:
                    continue
                before.append((layer, dict(layer.scaling), layer._active_adapter))  # noqa: SLF001
                layer._active_adapter = own  # noqa: SLF001
                layer._disable_adapters = False  # noqa: SLF001
                for name in own:
                    if by_row:
                        known = name, layer.scaling[name]
                        if known not in factors:
                            factors[known] = _ByRow(columns[name], layer.scaling[name])
                        layer.scaling[name] = factors[known]
                    else:
                        layer.scaling[name] *= columns[name][0]
            yield
        finally:
            for layer, scaling, active in before:
                layer.scaling.update(scaling)
                layer._active_adapter = active  # noqa: SLF001
                layer._disable_adapters = True  # noqa: SLF001


class _ByRow:
    """What stands in place of a layer's scaling: a factor for each row of its output."""

    def __init__(self, weights: Sequence[float], scale: float) -> None:
        self._factors = [weight * scale for weight in weights]
        self._known: dict[Hashable, Tensor] = {}

    def __rmul__(self, output: Tensor) -> Tensor:
        """Called by torch, which gives way to it: the output of an adapter times the factors."""
        import torch

        if output.shape[0] != len(self._factors):
            raise NotByRowError
        # As torch multiplies by a number: in single precision, whatever the tensor is.
        wide = output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
        known = wide.dtype, wide.device, wide.ndim
        if known not in self._known:
            values = torch.tensor(self._factors, dtype=wide.dtype).to(wide.device)
            self._known[known] = values.view(-1, *[1] * (wide.ndim - 1))
        return (wide * self._known[known]).to(output.dtype)


def _in(layer: Any) -> Iterable[str]:
    """The adapters in a layer."""
    scaling: Mapping[str, Any] = layer.scaling
    return scaling


def _own(layer: Any) -> Iterator[Any]:
    """The tensors of a layer's adapters."""
    base = {id(tensor) for tensor in layer.get_base_layer().parameters()}
    return (tensor for tensor in layer.parameters() if id(tensor) not in base)


def _shape(name: str, layers: Iterable[tuple[str, Any]]) -> str:
    """Equal for adapters whose rows are computed by the same kernels."""
    lines = [
        f"{place} {type(layer).__name__} {part} {tuple(tensor.shape)} {tensor.dtype}"
        for place, layer in layers
        if name in _in(layer)
        for part, tensor in layer.named_parameters()
        if f".{name}" in part
    ]
    text = "\n".join(line.replace(f".{name}", "") for line in lines)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_by_row(layer: Any, name: str) -> bool:
    """Whether a layer adds what an adapter makes of each row, times a factor."""
    from peft.tuners.lora import LoraLayer

    return isinstance(layer, LoraLayer) and name not in getattr(layer, "lora_variant", {})


_known: WeakKeyDictionary[Any, Adapters] = WeakKeyDictionary()


def of(network: Any) -> Adapters | None:
    """The adapters in a network; None where there are none."""
    return None if network is None else _known.get(network)


def look(network: Any) -> Adapters:
    """The adapters that are in a network now; all of them rest."""
    own = _known.setdefault(network, Adapters())
    own.look(network)
    return own


def leave(network: Any) -> None:
    """There are none in a network any more."""
    _known.pop(network, None)


def applied(network: Any, acting: Acting) -> AbstractContextManager[None]:
    """While it lasts, adapters act on the rows of a network's forward.

    Raises:
        NotByRowError: A layer cannot have another weight for each row.
    """
    return _known[network].applied(acting)


def present(networks: Iterable[Any], weights: Weights) -> Weights:
    """Those of some adapters that change any of these networks."""
    held = [own for network in networks if (own := of(network))]
    return {
        n: weight for n, weight in weights.items() if weight and any(n in o.names for o in held)
    }


@contextmanager
def acting_on(networks: Iterable[Any], weights: Weights) -> Iterator[None]:
    """While it lasts, adapters act on all that some networks compute."""
    with ExitStack() as stack:
        for network in networks:
            if (own := of(network)) and (acting := own.acting(weights, 1)):
                stack.enter_context(own.applied(acting, alike=True))
        yield
