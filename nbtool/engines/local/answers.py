"""What networks have answered before: text encodings, encoded images, first denoising rows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

LIMIT_BYTES = 256 * 2**20


class Answers:
    """Outputs of single rows by what was asked; the least recently used go first.

    They are copied on their way in and out: pipelines may change in place what they are given.

    Args:
        limit: The memory that the outputs may take together, in bytes, on the device they are on.
    """

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self._limit = limit
        self._held = 0
        self._outputs: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __contains__(self, question: Hashable) -> bool:
        return question in self._outputs

    def get(self, question: Hashable) -> Any | None:
        """The output of one row, if it is known."""
        from torch.utils._pytree import tree_map

        if question not in self._outputs:
            return None
        self._outputs.move_to_end(question)
        return tree_map(_copy, self._outputs[question][0])

    def put(self, question: Hashable, output: Any) -> None:
        """Keeps an output."""
        from torch.utils._pytree import tree_map

        if question in self._outputs:
            return
        output = tree_map(_copy, output)
        size = _size(output)
        self._outputs[question] = output, size
        self._held += size
        while self._held > self._limit:
            _, (_, freed) = self._outputs.popitem(last=False)
            self._held -= freed

    def clear(self) -> None:
        self._outputs.clear()
        self._held = 0


def _copy(leaf: Any) -> Any:
    return leaf.clone() if hasattr(leaf, "clone") else leaf


def _size(output: Any) -> int:
    from torch.utils._pytree import tree_leaves

    return sum(leaf.nbytes for leaf in tree_leaves(output) if hasattr(leaf, "nbytes"))
