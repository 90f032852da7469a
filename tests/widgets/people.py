"""A panel as people meet it: fields and buttons by their labels."""

from __future__ import annotations


def find(widget, label):
    """The one field or button of this label among all that is inside of a widget."""
    (found,) = [each for each in _within(widget) if getattr(each, "description", None) == label]
    return found


def press(widget, label):
    find(widget, label).click()


def _within(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _within(child)
