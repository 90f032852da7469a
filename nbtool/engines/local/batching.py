"""Calls of one network as the rows of one batch: described, merged, told apart, split. Pure.

A call is what one pipeline asks of a network: arguments whose tensors hold one or more samples
along their first dimension, the rows. Some networks take lists with a tensor for each sample. Calls
of equal signature can be answered by one forward.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from nbtool.engines.local.adapters import WEIGHTS, Acting, applied

if TYPE_CHECKING:
    from torch import Tensor

# Arguments of transformers that have no batch dimension: positions of the tokens.
SHARED = frozenset({"img_ids", "txt_ids"})
# Arguments of transformers that are lists of equal entries, however many rows there are.
ALIKE = frozenset({"img_shapes"})
_PLAIN = (type(None), bool, int, float, str)
ALIGNED = 64  # bytes


@dataclass(frozen=True)
class Call:
    """The arguments of one call, taken apart.

    Attributes:
        leaves: Every tensor and value among the arguments, in order.
        kinds: For each leaf "rows", "list" (of a tensor for each row), "scalar" (a tensor without
            dimensions, one value for all rows), "acting" (adapters and their weights for each row),
            or "same" (equal in all calls of this signature).
        traits: For each leaf what calls of one signature have in common.
        rows: How many samples the call asks about.
        signature: Equal for calls that one forward can answer together.
    """

    leaves: tuple[Any, ...]
    kinds: tuple[str, ...]
    traits: tuple[Hashable, ...]
    names: tuple[int | str, ...]  # of the arguments: positions, then keywords
    specs: tuple[Any, ...]  # how the leaves of each argument are put together; None: it is one
    rows: int
    signature: Hashable

    @property
    def shapes(self) -> Hashable:
        """What decides how much work a row is: the shapes and kinds of its tensors."""
        return tuple(
            trait
            for trait, kind in zip(self.traits, self.kinds, strict=True)
            if kind in ("rows", "list", "acting")
        )

    @property
    def is_listed(self) -> bool:
        """Whether the network takes lists of samples, and answers with one."""
        return "list" in self.kinds

    @property
    def adapters(self) -> frozenset[str]:
        """The adapters that act on any of its rows."""
        return self.leaves[-1].names if self.kinds[-1:] == ("acting",) else frozenset()

    def apart(self) -> Call:
        """The same call, to be answered beside none in which adapters act otherwise."""
        without = self.kinds[:-1], self.traits[:-1], self.names[:-1], self.specs[:-1]
        plain = Call(self.leaves[:-1], *without, self.rows, without)
        return plain.with_adapters(self.leaves[-1].apart())

    def with_adapters(self, acting: Acting) -> Call:
        """The same call of a network on which adapters act."""
        traits, kinds = (*self.traits, (acting.trait, Acting)), (*self.kinds, "acting")
        shared = kinds, traits, (*self.names, WEIGHTS), (*self.specs, None)
        return Call((*self.leaves, acting), *shared, self.rows, signature=shared)


def is_plain(value: Any) -> bool:
    """Whether a value says all there is to know of it, and can be compared."""
    return isinstance(value, _plain_types())


@cache
def _plain_types() -> tuple[type, ...]:
    import torch

    return (*_PLAIN, torch.device, torch.dtype)


def describe(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
    """The call of these arguments. The first tensor among them says how many rows it has.

    A call with an argument that cannot be told from its value gets a signature of its own.
    """
    import torch
    from torch.utils._pytree import tree_flatten

    names = (*range(len(args)), *kwargs)
    leaves: list[Any] = []
    kinds: list[str] = []
    specs: list[Any] = []
    traits: list[Hashable] = []
    rows = 0
    in_lists = False  # whether samples come in lists

    def add(leaf: Any, kind: str, trait: Hashable) -> None:
        leaves.append(leaf)
        kinds.append(kind)
        traits.append((trait, type(leaf)))

    for name, value in zip(names, (*args, *kwargs.values()), strict=True):
        if _are_samples(value) and (not rows or (in_lists and len(value) == rows)):
            # The first is what is denoised; of others, such as prompts, the lengths may differ.
            shape = None if in_lists else tuple(value[0].shape)
            in_lists, rows = True, len(value)
            add(value, "list", (shape, value[0].dtype, value[0].device))
            specs.append(None)
            continue
        if name in ALIKE and isinstance(value, list) and all(v == value[0] for v in value):
            add(value, "same", repr(value[:1]))
            specs.append(None)
            continue
        alone = isinstance(value, torch.Tensor) or is_plain(value)  # tree_flatten takes its time
        found, spec = ([value], None) if alone else tree_flatten(value)
        specs.append(spec)
        for leaf in found:
            if isinstance(leaf, torch.Tensor):
                rows = rows or (leaf.shape[0] if leaf.ndim else 0)
                add(leaf, *_tensor(name, leaf, rows))
            elif is_plain(leaf) and (alone or isinstance(value, dict)):
                add(leaf, "same", leaf)
            else:  # a list of numbers could hold one for each row
                add(leaf, "same", object())
    shared = tuple(kinds), tuple(traits), names, tuple(specs)
    return Call(tuple(leaves), *shared, rows, signature=shared)


def _are_samples(value: Any) -> bool:
    import torch

    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(entry, torch.Tensor) for entry in value)


def _tensor(name: int | str, tensor: Tensor, rows: int) -> tuple[str, Hashable]:
    if tensor.ndim == 0:
        return "scalar", None
    trait = (tuple(tensor.shape), tensor.dtype, tensor.device)
    if name in SHARED or tensor.shape[0] != rows:
        return "same", (*trait, _content(tensor))
    return "rows", (trait[0][1:], *trait[1:])


def merge(calls: Sequence[Call], keep: Sequence[int]) -> Call:
    """One call whose rows are the `keep`-th of all rows of calls of one signature, in order."""
    import torch

    first = calls[0]
    at = next(i for i, kind in enumerate(first.kinds) if kind in ("rows", "list"))
    sample = first.leaves[at]
    device = (sample[0] if first.kinds[at] == "list" else sample).device
    rows = [(call, row) for call in calls for row in range(call.rows)]
    parts: list[tuple[Call, int, int]] = []  # calls, and the first and the last of their rows
    for call, row in (rows[place] for place in keep):
        if parts and parts[-1][0] is call and parts[-1][2] == row:
            parts[-1] = call, parts[-1][1], row + 1
        else:
            parts.append((call, row, row + 1))
    leaves = []
    for i, kind in enumerate(first.kinds):
        if kind == "same":
            leaves.append(first.leaves[i])
        elif kind == "scalar":
            values = [call.leaves[i] for call, start, stop in parts for _ in range(start, stop)]
            leaves.append(torch.stack(values).to(device, non_blocking=True))
        elif kind == "list":
            leaves.append([row for call, *part in parts for row in call.leaves[i][slice(*part)]])
        elif kind == "acting":
            acting: Acting = first.leaves[i]
            leaves.append(acting.joined(call.leaves[i][slice(*part)] for call, *part in parts))
        else:
            pieces = [_rows(call.leaves[i], start, stop) for call, start, stop in parts]
            leaves.append(_cat(pieces).to(device, non_blocking=True))
    kinds = tuple("rows" if kind == "scalar" else kind for kind in first.kinds)
    return replace(first, leaves=tuple(leaves), kinds=kinds, rows=len(keep))


def arguments(
    call: Call, start: int, stop: int, width: int = 0
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of rows `start` to `stop` of a merged call, the last row repeated to `width`.

    They are laid out in memory in one way, whatever they were cut from: sums may depend on it.
    """
    from torch.utils._pytree import tree_unflatten

    leaves = iter(
        _padded(leaf[start:stop], width) if kind in ("rows", "list", "acting") else leaf
        for leaf, kind in zip(call.leaves, call.kinds, strict=True)
    )
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for name, spec in zip(call.names, call.specs, strict=True):
        if spec is None:
            value = next(leaves)
        else:
            value = tree_unflatten([next(leaves) for _ in range(spec.num_leaves)], spec)
        if isinstance(name, str):
            kwargs[name] = value
        else:
            args.append(value)
    return args, kwargs


def _padded(rows: Any, width: int) -> Any:
    import torch

    short = max(0, width - len(rows))
    if isinstance(rows, Acting):
        return rows.joined([rows, *[rows[-1:]] * short])
    if isinstance(rows, list):
        return [_laid_out(row) for row in rows + rows[-1:] * short]
    if short:
        rows = torch.cat([rows, rows[-1:].expand(short, *rows.shape[1:])])
    return _laid_out(rows)


def _laid_out(tensor: Tensor) -> Tensor:
    """A tensor without gaps, from a border of what a processor loads at once."""
    import torch

    if tensor.is_contiguous() and tensor.data_ptr() % ALIGNED == 0:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def one_row(call: Call, row: int) -> Call:
    """A row of a merged call, by itself: a copy that keeps nothing else in memory."""

    def copy(leaf: Any, kind: str) -> Any:
        if kind == "list":
            return [leaf[row].clone()]
        if kind == "acting":
            return leaf[row : row + 1]
        return leaf[row : row + 1].clone() if kind == "rows" else leaf

    leaves = (copy(leaf, kind) for leaf, kind in zip(call.leaves, call.kinds, strict=True))
    return replace(call, leaves=tuple(leaves), rows=1)


def row_digests(calls: Sequence[Call]) -> list[bytes]:
    """A digest of each row of calls of one signature: equal where the same is asked."""
    import torch

    if not calls:
        return []
    first = calls[0]
    columns: list[Any] = []  # each has something of each row
    for i, kind in enumerate(first.kinds):
        if kind == "scalar":
            each = [call.leaves[i].reshape(1).double().expand(call.rows) for call in calls]
            columns.append(_bytes(torch.cat(each)))
        elif kind == "rows":
            columns.append(_bytes(torch.cat([call.leaves[i] for call in calls])))
        elif kind == "list":
            columns.append([_bytes(row) for call in calls for row in call.leaves[i]])
        elif kind == "acting":
            columns.append([row for call in calls for row in call.leaves[i].digests])
    return [
        hashlib.sha256(
            b"".join(part if isinstance(part, bytes) else part.tobytes() for part in parts)
        ).digest()
        for parts in zip(*columns, strict=True)
    ]


def unique(digests: Iterable[Hashable]) -> tuple[list[int], list[int]]:
    """The positions of the first of each, and for every one its place among those.

    None is equal to nothing, not to another None either.
    """
    keep: list[int] = []
    places: list[int] = []
    known: dict[Hashable, int] = {}
    for position, digest in enumerate(digests):
        place = len(keep) if digest is None else known.setdefault(digest, len(keep))
        if place == len(keep):
            keep.append(position)
        places.append(place)
    return keep, places


@cache
def register_distributions() -> None:
    """Tells torch that the distribution a VAE encodes to is made of one tensor."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
    from torch.utils._pytree import register_pytree_node

    register_pytree_node(
        DiagonalGaussianDistribution,
        lambda distribution: ([distribution.parameters], distribution.deterministic),
        lambda parameters, deterministic: DiagonalGaussianDistribution(
            next(iter(parameters)), deterministic
        ),
    )


def call(module: Any, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a network answers, with the adapters that act on it."""
    function = module if method == "forward" else getattr(module, method)
    acting = kwargs.get(WEIGHTS)
    if acting is None:
        return function(*args, **kwargs)
    with applied(module, acting):
        return function(*args, **{name: v for name, v in kwargs.items() if name != WEIGHTS})


class Rows(NamedTuple):
    """Some rows of an output: a tensor, or tuples, dicts and model outputs of them."""

    output: Any
    start: int
    stop: int


def gather(parts: Sequence[Rows]) -> Any:
    """The rows of several outputs as one output, a copy: whoever gets it may change it in place."""
    import torch
    from torch.utils._pytree import tree_map

    joined: list[Rows] = []
    for part in parts:
        if joined and joined[-1].output is part.output and joined[-1].stop == part.start:
            part = joined.pop()._replace(stop=part.stop)  # noqa: PLW2901
        joined.append(part)

    def join(*whole: Any) -> Any:
        if not isinstance(whole[0], torch.Tensor):
            return whole[0]
        pairs = zip(whole, joined, strict=True)
        pieces = [_rows(tensor, part.start, part.stop) for tensor, part in pairs]
        return pieces[0].clone() if len(pieces) == 1 else torch.cat(pieces)

    outputs = [part.output for part in joined]
    if type(outputs[0]) is tuple and len(outputs[0]) == 1:  # of most; tree_map takes its time
        return (join(*(output[0] for output in outputs)),)
    return tree_map(join, *outputs)


def fingerprint(output: Any, row: int) -> bytes:
    """A digest of one row of an output."""
    import torch
    from torch.utils._pytree import tree_leaves

    digest = hashlib.sha256()
    for leaf in tree_leaves(output):
        if isinstance(leaf, torch.Tensor):
            digest.update(_bytes(leaf[row : row + 1]).tobytes())
    return digest.digest()


def stacked(output: Any) -> Any:
    """An output whose lists of samples, of one shape, are tensors."""
    import torch
    from torch.utils._pytree import tree_map

    def stack(leaf: Any) -> Any:
        return torch.stack(leaf) if _are_samples(leaf) else leaf

    return tree_map(stack, output, is_leaf=_are_samples)


def unstacked(output: Any) -> Any:
    """An output whose tensors are lists of samples."""
    from torch.utils._pytree import tree_map

    return tree_map(list, output)


def repeated(output: Any, times: int) -> Any:
    """A copy of one row's output with several equal rows; what has no single row stays as it is."""
    import torch
    from torch.utils._pytree import tree_map

    def repeat(leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor) and leaf.ndim and leaf.shape[0] == 1:
            return leaf.repeat(times, *[1] * (leaf.ndim - 1))
        return leaf

    return tree_map(repeat, output)


def _rows(tensor: Tensor, start: int, stop: int) -> Tensor:
    return tensor if stop - start == tensor.shape[0] else tensor[start:stop]


def _cat(pieces: list[Tensor]) -> Tensor:
    import torch

    return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


def _content(tensor: Tensor) -> bytes:
    return hashlib.sha256(_bytes(tensor).tobytes()).digest()


def _bytes(tensor: Tensor) -> Any:
    """The content as a NumPy array of bytes, rows first."""
    import torch

    return tensor.detach().cpu().contiguous().reshape(len(tensor), -1).view(torch.uint8).numpy()
