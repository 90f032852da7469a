"""Silence: made once, given back by the last, whoever comes and goes in between."""

from __future__ import annotations

import sys
import threading
import warnings

import pytest
from diffusers.utils import logging as diffusers_logging
from huggingface_hub import utils as hub
from huggingface_hub.utils import logging as hub_logging
from transformers.utils import logging as transformers_logging

from nbtool import silence

SECONDS = 20


class HubBars:
    """The bars of the hub's client, in the words of the other libraries."""

    disable_progress_bar = staticmethod(hub.disable_progress_bars)
    enable_progress_bar = staticmethod(hub.enable_progress_bars)


def state():
    return (
        transformers_logging.get_verbosity(),
        diffusers_logging.get_verbosity(),
        hub_logging.get_verbosity(),
        transformers_logging.is_progress_bar_enabled(),
        diffusers_logging.is_progress_bar_enabled(),
        silence.bars_of_the_hub_are_hidden(),
        list(warnings.filters),
        diffusers_logging.tqdm,
    )


@pytest.fixture(autouse=True)
def as_before():
    before = state()
    yield
    assert state() == before


ALL = {
    "libraries": silence.quiet,
    "hub": silence.quiet_hub,
    "figures": silence.quiet_figures,
    "reading": lambda: silence.reading(print),
}


@pytest.mark.parametrize("name", ALL)
def test_the_process_is_given_back_as_it_was(name):
    with ALL[name]():
        pass


@pytest.mark.parametrize("name", ALL)
def test_the_last_to_leave_gives_it_back_in_whatever_order_they_go(name):
    """Each of two threads comes before the other has gone, and the first goes first."""
    before = state()
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))
    seen = []

    def first():
        with ALL[name]():
            first_is_in.set()
            assert second_is_in.wait(SECONDS)
        first_is_out.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert first_is_in.wait(SECONDS)
    with ALL[name]():
        inside = state()
        second_is_in.set()
        assert first_is_out.wait(SECONDS)
        seen.append(state() == inside)
    thread.join(SECONDS)
    assert seen == [True]
    assert inside != before
    assert state() == before


def test_silences_of_different_kinds_may_overlap():
    before = state()
    hub, figures = silence.quiet_hub(), silence.quiet_figures()
    hub.__enter__()
    figures.__enter__()
    hub.__exit__(None, None, None)
    warnings.warn("Glyph 9731 missing from font", stacklevel=1)  # would be an error
    figures.__exit__(None, None, None)
    assert state() == before


def test_filters_that_others_change_meanwhile_stay_changed():
    with warnings.catch_warnings():
        with silence.quiet_hub():
            warnings.filterwarnings("ignore", "of somebody else")
            there = warnings.filters[0]
        assert there in warnings.filters


def test_filters_copied_meanwhile_are_given_back_without_ours():
    """As by a `warnings.catch_warnings` elsewhere that begins before the silence ends."""
    before = list(warnings.filters)
    hub, other = silence.quiet_hub(), warnings.catch_warnings()
    hub.__enter__()
    other.__enter__()
    hub.__exit__(None, None, None)
    assert warnings.filters == before
    other.__exit__(None, None, None)
    assert warnings.filters == before


@pytest.mark.parametrize("missing", ["transformers.utils", "diffusers.utils"])
def test_a_library_that_cannot_be_imported_is_no_reason_to_break(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with silence.quiet():
        pass


def test_what_fails_half_way_is_undone_and_may_be_tried_again():
    done = []

    def make(undo):
        done.append("in")
        undo.callback(done.append, "out")
        if len(done) == 1:
            raise OSError(5, "half-way")

    quiet = silence.Silence(make)
    with pytest.raises(OSError, match="half-way"), quiet():
        pass
    assert done == ["in", "out"]
    with quiet(), quiet():
        assert done == ["in", "out", "in"]
    assert done == ["in", "out", "in", "out"]


@pytest.mark.parametrize("library", [transformers_logging, diffusers_logging, HubBars])
def test_bars_that_were_hidden_stay_hidden(library):
    library.disable_progress_bar()
    try:
        hidden = state()
        with silence.quiet():
            pass
        assert state() == hidden
    finally:
        library.enable_progress_bar()


def test_each_thread_hears_what_it_reads_itself():
    heard = {}

    def read(name):
        heard[name] = []
        with silence.reading(heard[name].append):
            meeting.wait(SECONDS)
            for _ in diffusers_logging.tqdm([(name, "Class")]):
                pass
            meeting.wait(SECONDS)

    meeting = threading.Barrier(2)
    threads = [threading.Thread(target=read, args=[name]) for name in ("unet", "vae")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert heard == {"unet": ["unet, 1 of 1"], "vae": ["vae, 1 of 1"]}
