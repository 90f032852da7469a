"""What all our own widgets are: anywidgets, many of which are made at once."""

from __future__ import annotations

from typing import Any

import anywidget

_DONE: dict[type, tuple[type, dict[str, Any]]] = {}


class Widget(anywidget.AnyWidget):
    """An anywidget that adds the traits of its module and style once, not to each of its kind.

    To add traits is to make a class, and half of the time that an anywidget takes.
    """

    def add_traits(self, **traits: Any) -> None:
        kind = type(self)
        if "_anywidget_id" not in traits:  # not of anywidget, but of somebody's own
            super().add_traits(**traits)
            return
        if kind not in _DONE:
            super().add_traits(**traits)
            _DONE[kind] = type(self), traits
        self.__class__, known = _DONE[kind]
        for trait in known.values():
            trait.instance_init(self)
