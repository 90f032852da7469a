"""What the browser is told of a panel, and when; looks are shared by all that do not change theirs."""

from __future__ import annotations

import threading

import comm
import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances
from people import within

import nbtool
from nbtool.panel.panel import Panel
from nbtool.panel.telling import Telling, hold_too, put_off
from nbtool.testing import FakeEngine


@pytest.fixture
def panel(tmp_path):
    panel = Panel(nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images"))
    panel.join(600)
    yield panel
    panel.close()


@pytest.fixture
def told(monkeypatch):
    """What a browser is told, in order: the widget's name, the kind of message, what it says."""
    messages = []

    class Told(comm.base_comm.BaseComm):
        def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
            messages.append((self.comm_id, msg_type, data))

    monkeypatch.setattr(comm, "create_comm", Told)
    return messages


def names(messages):
    return [name for name, kind, _ in messages if kind == "comm_open"]


def test_nothing_is_told_twice_and_no_widget_is_named_before_it_is_told_of(told, tmp_path):
    panel = Panel(nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images"))
    folded = panel.settings.picture.widget.children[1].children
    assert folded
    assert not any(widget.model_id in names(told) for widget in folded)
    panel.join(600)
    known = set()
    for name, kind, data in told:
        if kind == "comm_open":
            assert name not in known
            known.add(name)
        assert {part[:32] for part in str(data).split("IPY_MODEL_")[1:]} <= known
    assert all(widget.model_id in known for tab in panel.tabs.children for widget in within(tab))
    panel.close()


def test_what_happens_before_it_is_told_is_told_with_it(told):
    telling = Telling()
    with telling.holding():
        text, inside = ipywidgets.Text(), ipywidgets.Text()
        box = ipywidgets.VBox([text, put_off(ipywidgets.VBox([inside]))])
    text.value = "early"
    text.send({"lead": True})
    assert not told
    telling.tell(box)
    opened = {name: data["state"] for name, kind, data in told if kind == "comm_open"}
    assert opened[text.model_id]["value"] == "early"
    assert (text.model_id, "comm_msg", {"method": "custom", "content": {"lead": True}}) in told
    assert opened[box.children[1].model_id]["children"] == []
    assert inside.model_id not in opened

    inside.value = "late"
    telling.tell_rest()
    *_, (name, _, data) = told
    assert (name, data["state"]) == (
        box.children[1].model_id, {"children": [f"IPY_MODEL_{inside.model_id}"]}
    )  # fmt: skip
    assert {n: d for n, k, d in told if k == "comm_open"}[inside.model_id]["state"][
        "value"
    ] == "late"
    before = len(told)
    telling.tell_rest()
    assert len(told) == before


def test_a_widget_that_is_named_is_told_of_at_once(told):
    telling = Telling()
    with telling.holding():
        inside = ipywidgets.Text()
        box = ipywidgets.VBox([put_off(ipywidgets.VBox([inside]))])
    telling.tell(box)
    box.children = [inside]
    assert [name for name, *_ in told[-2:]] == [inside.model_id, box.model_id]


def test_a_widget_that_is_closed_is_not_told_of(told):
    telling = Telling()
    with telling.holding():
        gone = ipywidgets.Text()
    name = gone.model_id
    gone.close()
    telling.tell_rest()
    assert name not in names(told)


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
    with Telling().holding():
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


def test_a_front_end_that_makes_the_comms_of_all_widgets_goes_on_doing_so(told, monkeypatch):
    made = []

    def take(widget):
        made.append(widget)
        if isinstance(widget, ipywidgets.Text):
            widget.comm = comm.create_comm(target_name="its own")

    monkeypatch.setattr(ipywidgets.Widget, "_widget_construction_callback", None)
    ipywidgets.Widget.on_widget_constructed(hold_too(take))
    with Telling().holding():
        text, button = ipywidgets.Text(), ipywidgets.Button()
    assert [text, button] == [one for one in made if one in (text, button)]
    assert text.model_id in names(told)
    assert button.model_id not in names(told)


def test_a_closed_panel_leaves_no_widget_whose_state_cannot_be_told(tmp_path):
    before = set(_instances)
    panel = Panel(nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images"))
    panel.sweep.add.click()
    panel.join(600)
    assert len(_instances) > len(before) + 100
    panel.close()
    panel.close()
    left = [_instances[name] for name in set(_instances) - before]
    assert len(left) < 10
    assert all(widget.get_state() for widget in left)
    panel.join(600)
