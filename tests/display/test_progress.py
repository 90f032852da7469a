"""What is shown while images are made, and the line that stays."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from nbtool.display import progress
from nbtool.results.progress import Progress
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
