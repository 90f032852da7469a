"""A panel as people meet it: fields and buttons by their labels."""

from __future__ import annotations

SECONDS = 600  # on a busy machine


def find(widget, label):
    """The one field or button of this label among all that is inside of a widget."""
    (found,) = [each for each in within(widget) if getattr(each, "description", None) == label]
    return found


def press(widget, label):
    find(widget, label).click()


def say(widget, **content):
    """What the browser sends."""
    widget._handle_custom_msg(content, [])


def tile(panel, key):
    """What the browser is told of an image in the gallery when it asks."""
    gallery, sent = panel.generate.gallery, []
    gallery.send = lambda content, *_: sent.append(content)
    say(gallery, kind="want", cells=[key], edge=192)
    panel.join(SECONDS)
    del gallery.send
    return sent[-1]["words"][key]


def within(widget):
    """A widget and all that is inside of it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from within(child)
