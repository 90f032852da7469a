"""What all our own widgets are: anywidgets, many of which are made at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import anywidget


class Widget(anywidget.AnyWidget):
    """An anywidget that adds the traits of its module and style once, not to each of its kind.

    To add traits is to make a class, and half of the time that an anywidget takes.
    """

    def add_traits(self, **traits: Any) -> None:
        kind = type(self)
        if "_anywidget_id" not in traits:  # not of anywidget, but of somebody's own
            super().add_traits(**traits)
            return
        texts = {name: trait.default_value for name, trait in traits.items()}
        done = _DONE.get(kind)
        if done is None or done.texts != texts:  # a module may be set later, or by an instance
            super().add_traits(**traits)
            _DONE[kind] = _Done(type(self), traits, texts)
            return
        self.__class__ = done.kind
        for trait in done.traits.values():
            trait.instance_init(self)


class _Done(NamedTuple):
    """A kind of widget with its traits, and what they have by default."""

    kind: type
    traits: dict[str, Any]
    texts: dict[str, str]


_DONE: dict[type, _Done] = {}
