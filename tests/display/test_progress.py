"""What is shown while images are made, and the line that stays."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient
from tqdm import tqdm

import nbtool
from nbtool import watch
from nbtool.display import progress
from nbtool.job import Job
from nbtool.results.progress import Progress
from nbtool.testing import FakeEngine
from nbtool.text import duration

SWEEP = """
import nbtool
gen = nbtool.Generator("shapes", store="images", device="cpu", num_inference_steps=4)
grid = gen.grid("a star & <b>more</b>", seed=range(3))
image = gen("a star", seed=1)
"""


def test_status_names_images_steps_and_time_left():
    now = Progress(
        total=10, stored=2, made=2, begun=0.5, step=5, steps=20, seconds=10, activity="generating"
    )
    assert progress.status(now) == "generating · 4 of 10 images · 22 s left"
    assert now.fraction == pytest.approx(0.45)


def test_the_step_is_named_where_there_is_but_one_image():
    now = Progress(total=1, begun=0.25, step=5, steps=20, activity="generating")
    assert progress.status(now) == "generating · 0 of 1 image · step 5 of 20"


def test_no_time_is_promised_before_the_first_image():
    assert progress.status(Progress(total=1)) == "waiting · 0 of 1 image"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.84, "0.8 s"), (42.3, "42 s"), (180, "3 min"), (7500, "2 h 05 min")],
)
def test_durations_are_as_short_as_is_useful(seconds, text):
    assert duration(seconds) == text


def test_a_line_holds_text_as_text():
    line = progress.line_html("<img src=x onerror=alert(1)>", 0.5)
    assert "<img" not in line
    assert "width:50.0%" in line


def test_in_a_notebook_one_output_is_updated_in_place(tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "notebook")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SWEEP)])
    folder = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=600, startup_timeout=600, resources=folder)
    client.execute()
    several, single = notebook.cells[0].outputs
    assert several.data["text/plain"].startswith("3 images · ")
    assert single.data["text/plain"].startswith("a star · seed 1 · guidance")
    assert "<b>" not in several.data["text/html"]
    assert "width:" not in several.data["text/html"].replace("max-width:", "")


class Shown:
    """What an output of a notebook showed, one after the other."""

    def __init__(self):
        self.texts = []

    def display(self, data, *, raw=False, display_id):
        self.texts.append(data.get("text/plain") if raw else type(data).__name__)
        return self

    def update(self, data, *, raw):
        self.texts.append(data["text/plain"])


@pytest.fixture
def engine():
    """Makes three images, and holds the fourth."""
    engine = FakeEngine()
    engine.hold(2, which=lambda recipe: recipe.seed == 3)
    yield engine
    engine.release()


@pytest.fixture
def interrupted(engine, tmp_path, monkeypatch, capsys):
    """Runs a grid that is interrupted where it is waited for; returns what was shown of it."""

    def interrupted(style, *, looks, error=KeyboardInterrupt):
        join, taken, shown = Job.join, [], Shown()

        def interrupted_join(job, timeout=None):
            if timeout == watch.REFRESH:
                taken.append(timeout)
                if len(taken) > looks:
                    assert engine.wait_for_hold(60)
                    raise error
            join(job, timeout)

        gen = nbtool.Generator(engine=engine, store=tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(Job, "join", interrupted_join)
            patch.setattr("IPython.display.display", shown.display)
            patch.setenv("NBTOOL_PROGRESS", style)
            with pytest.raises(error) as kept:  # as a session keeps the last error, with its frames
                gen.grid("a star", seed=range(8))
        assert len(gen.store) == 3
        out, err = capsys.readouterr()
        ways = {"terminal": err.splitlines(), "plain": out.splitlines(), "off": [err + out]}
        return ways.get(style, shown.texts), kept

    return interrupted


LEFT = "interrupted: 3 of 8 images; the same call goes on"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, TimeoutError])
@pytest.mark.parametrize("looks", [0, 1, 3])
@pytest.mark.parametrize("style", ["terminal", "notebook", "live", "plain"])
def test_an_interrupted_run_says_at_last_how_far_it_came(style, looks, error, interrupted):
    shown, _ = interrupted(style, looks=looks, error=error)
    assert shown[-1].partition(" · ")[0] == LEFT
    assert not tqdm._instances


def test_what_shows_nothing_shows_no_interrupt(interrupted):
    assert interrupted("off", looks=1)[0] == [""]


def test_after_an_interrupt_the_same_call_goes_on_with_a_bar_of_its_own(
    interrupted, engine, tmp_path, monkeypatch, capsys
):
    _, kept = interrupted("terminal", looks=2)
    monkeypatch.setenv("NBTOOL_PROGRESS", "terminal")
    engine.release()
    grid = nbtool.Generator(engine=engine, store=tmp_path).grid("a star", seed=range(8))
    err = capsys.readouterr().err
    assert len(grid) == 8
    assert "\x1b[A" not in err  # no bar above it
    assert "8 images · 3 already in the store" in err.splitlines()[-1]
    assert kept.traceback
