"""Widgets of a panel share their layouts and styles, and the ones that change have their own."""

from __future__ import annotations

import threading

import ipywidgets
import pytest
from people import within

import nbtool
from nbtool.panel.looks import shared_looks
from nbtool.panel.panel import Panel
from nbtool.testing import FakeEngine


@pytest.fixture
def panel(tmp_path):
    panel = Panel(nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images"))
    panel.join(600)
    yield panel
    panel.close()


def test_a_panel_has_few_layouts_and_styles(panel):
    widgets = [each for tab in panel.tabs.children for each in within(tab)]
    looks = {id(each.layout) for each in widgets}
    looks |= {id(each.style) for each in widgets if hasattr(each, "style")}
    assert len(widgets) > 100
    assert len(looks) < 16


def test_what_is_set_of_a_panel_or_hidden_in_it_is_of_that_alone(panel):
    tools = panel.generate.detail._tools
    assert tools.layout.visibility == "hidden"  # there is no image yet
    panel.layout.width = "500px"
    others = [each for tab in panel.tabs.children for each in within(tab) if each is not tools]
    assert not any(each.layout.visibility == "hidden" for each in others)
    assert not any(each.layout.width == "500px" for each in others)


def test_widgets_made_elsewhere_or_later_have_looks_of_their_own():
    made = []
    with shared_looks():
        one, other = ipywidgets.Button(), ipywidgets.Button()
        given = ipywidgets.Button(layout={"width": "9px"})
        thread = threading.Thread(target=lambda: made.append(ipywidgets.Button()))
        thread.start()
        thread.join()
    later = ipywidgets.Button()
    assert one.layout is other.layout
    assert one.style is other.style
    assert len({id(each.layout) for each in (one, given, made[0], later)}) == 4


def test_another_panel_shares_nothing_with_the_first(panel, tmp_path):
    another = Panel(nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images"))
    another.join(600)
    assert another.generate.generate.layout is not panel.generate.generate.layout
    another.close()
