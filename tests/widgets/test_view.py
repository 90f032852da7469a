from __future__ import annotations

import io
import threading

import pytest
from PIL import Image

from nbtool import Generator, Store
from nbtool.display.page import starred
from nbtool.errors import AxisError, GenerationError
from nbtool.grid import Grid
from nbtool.live import feed as module
from nbtool.live.thumbnails import Thumbnails, thumbnail
from nbtool.live.view import GridView
from nbtool.recipes import axes
from nbtool.recipes.provenance import Provenance
from nbtool.results.image import GeneratedImage
from nbtool.results.progress import Progress
from nbtool.testing import FakeEngine

SECONDS = 600  # on a busy machine
DEFAULTS = {
    "num_inference_steps": 4,
    "guidance_scale": 5.0,
    "scheduler": "ddim",
    "width": 64,
    "height": 48,
    "model": "shapes",
}


class Sent:
    """What a view sends, instead of a browser."""

    def __init__(self):
        self.messages = []
        self._came = threading.Condition()

    def __call__(self, content, buffers=None):
        with self._came:
            self.messages.append((content, buffers or []))
            self._came.notify_all()

    def wait(self, kind, count=1):
        """The first messages of a kind, once they are there."""
        with self._came:
            assert self._came.wait_for(lambda: len(self._of(kind)) >= count, SECONDS)
            return self._of(kind)[:count]

    def wait_for_cells(self, kind, cells):
        with self._came:
            assert self._came.wait_for(lambda: set(cells) <= self.cells(kind), SECONDS)

    def cells(self, kind):
        return {n for content, _ in self._of(kind) for n in content["cells"]}

    def _of(self, kind):
        return [message for message in self.messages if message[0]["kind"] == kind]


@pytest.fixture
def sweep():
    return axes.sweep(
        "a {color} star", (), {"color": ["red", "blue"], "seed": range(3)}, DEFAULTS
    )  # fmt: skip


@pytest.fixture
def images(sweep, tmp_path):
    """The images of the sweep by index, in a store."""
    store = Store(tmp_path)
    store.prepare()
    return {
        index: store.put(Image.new("RGB", (64, 48), (40 * n, 90, 90)), recipe, Provenance())
        for n, (index, recipe) in enumerate(sweep)
    }


@pytest.fixture
def grid(sweep, images):
    """Four images, one failed cell, one that was not made."""
    cells = images | {(0, 1): GenerationError("out of memory <b>")}
    del cells[1, 2]
    return Grid(sweep.base, sweep.axes, cells)


@pytest.fixture
def opened(monkeypatch):
    """A function that makes a view whose messages are kept in `view.sent`."""
    views = []

    def make(*args, **options):
        sent = Sent()
        monkeypatch.setattr(GridView, "send", lambda _, *message: sent(*message))
        view = GridView(*args, **options)
        view.sent = sent
        views.append(view)
        return view

    yield make
    for view in views:
        view.close()


def _say(view, **content):
    view._handle_custom_msg(content, [])


class FakeJob:
    """A job whose images come when the test says so."""

    def __init__(self, sweep):
        self.sweep = sweep
        self.previews = {}
        self.done = self.cancelled = False
        self._settled = []

    @property
    def grid(self):
        return Grid(self.sweep.base, self.sweep.axes, dict(self._settled))

    @property
    def progress(self):
        return Progress(total=len(self.sweep), made=len(self._settled), activity="generating")

    def changes(self, seen=0):
        fresh = self._settled[seen:]
        return fresh, seen + len(fresh)

    def settle(self, index, cell):
        self.previews.pop(index, None)
        self._settled.append((index, cell))

    def cancel(self):
        self.cancelled = True


def _until(view, name, check):
    """Waits until a trait of a view is as wanted; the value."""
    came = threading.Event()
    view.observe(lambda change: came.set() if check(change["new"]) else None, name)
    if not check(getattr(view, name)):
        assert came.wait(SECONDS), getattr(view, name)
    return getattr(view, name)


def test_a_view_knows_the_state_of_every_cell(opened, grid):
    view = opened(grid)
    assert view.states == "dfddd."
    assert view.failures == {"1": "out of memory <b>"}
    assert view.info["size"] == [64, 48]
    assert (view.info["rows"], view.info["cols"]) == (0, 1)
    assert view.info["axes"][0] == {"name": "color", "called": "color", "labels": ["red", "blue"]}
    assert view.summary.startswith("4 images · 1 failed · 1 not made")
    assert repr(view).startswith("<GridView 'a {color} star': color 2 × seed 3; 4 images")


def test_axes_can_be_placed(opened, grid):
    view = opened(grid, rows="seed", cols="color")
    assert (view.info["rows"], view.info["cols"]) == (1, 0)
    with pytest.raises(AxisError, match="colour"):
        opened(grid, rows="colour")


def test_thumbnails_come_when_asked_for(opened, grid):
    view = opened(grid)
    assert view.sent.messages == []
    _say(view, kind="want", cells=[0, 1, 4, 5, 99, "x"], edge=192)
    ((content, buffers),) = view.sent.wait("thumbnails")
    assert content["cells"] == [0, 4]
    assert content["edge"] == 192
    with Image.open(io.BytesIO(bytes(buffers[0]))) as picture:
        assert picture.size == (64, 48)


def test_many_thumbnails_come_in_chunks(opened, grid, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 2)
    view = opened(grid)
    _say(view, kind="want", cells=[0, 2, 3, 4], edge=192)
    view.sent.wait("thumbnails", 2)
    assert view.sent.cells("thumbnails") == {0, 2, 3, 4}


def test_a_whole_image_comes_as_it_is_with_its_recipe(opened, grid):
    grid[1, 0].note = "the best"
    view = opened(grid)
    _say(view, kind="whole", cell=3)
    ((content, buffers),) = view.sent.wait("whole")
    assert buffers == [grid[1, 0].png]
    assert ["Prompt", "a blue star", "prompt"] in content["recipe"]
    assert content["file"] == "color=blue,seed=0.png"
    assert content["note"] == "the best"
    assert "nbtool.Recipe(" in content["python"]


def test_a_whole_image_is_named_by_its_labels_or_as_the_only_one(opened, tmp_path):
    gen = Generator(engine=FakeEngine(), store=tmp_path / "made")
    for grid, name in {
        gen.grid("a {time} sky", time=["dawn"], seed=1): "time=dawn.png",
        gen.grid("a sky", seed=1): "image-1.png",
    }.items():
        view = opened(grid)
        _say(view, kind="whole", cell=0)
        ((content, _),) = view.sent.wait("whole")
        assert content["file"] == name


def test_a_file_that_is_gone_becomes_a_failed_cell(opened, grid):
    view = opened(grid)
    grid[0, 0].path.unlink()
    _say(view, kind="want", cells=[0, 2], edge=192)
    view.sent.wait_for_cells("thumbnails", [2])
    assert _until(view, "states", lambda s: s[0] == "f") == "ffddd."
    assert _until(view, "failures", lambda f: "0" in f)["0"].startswith("cannot be read: ")
    _say(view, kind="whole", cell=0)
    ((content, buffers),) = view.sent.wait("whole")
    assert content["error"].startswith("cannot be read")
    assert buffers == []


def test_a_cell_that_failed_shows_its_recipe_and_can_be_tried_again(opened, tmp_path):
    broken = {2}
    engine = FakeEngine(fails=lambda recipe: "no memory" if recipe.seed in broken else "")
    grid = Generator(engine=engine, store=tmp_path).grid(
        "a {color} star", color="red", seed=range(4)
    )
    view = opened(grid)
    _say(view, kind="whole", cell=2)
    [(content, _)] = view.sent.wait("whole")
    assert ["Prompt", "a red star", "prompt"] in content["recipe"]
    assert "seed=2," in content["python"]
    assert content["again"] is True
    _say(view, kind="again", cell=2)
    assert view.join(SECONDS)
    assert view.failures == {"2": "no memory"}
    broken.clear()
    _say(view, kind="again", cell=0)  # did not fail
    _say(view, kind="again", cell=2)
    _say(view, kind="again", cell=2)
    assert view.join(SECONDS)
    assert (view.states, view.failures) == ("dddd", {})
    assert (grid.failed, grid.sel(seed=2).seed, view.summary.split(" · ")[0]) == ({}, 2, "4 images")


def test_a_job_has_what_was_tried_again_whoever_asks_it(opened, tmp_path):
    broken = {2}
    engine = FakeEngine(fails=lambda recipe: "no memory" if recipe.seed in broken else "")
    job = Generator(engine=engine, store=tmp_path).submit("a star", seed=range(4))
    job.join(SECONDS)
    view = opened(job.grid, job=job)
    assert view.join(SECONDS)
    assert view.states == "ddfd"
    broken.clear()
    _say(view, kind="again", cell=2)
    assert view.join(SECONDS)
    assert (view.states, view.failures) == ("dddd", {})
    for grid in (view.grid, job.grid, job.wait()):
        assert (grid.failed, [image.seed for image in grid]) == ({}, [0, 1, 2, 3])
    assert (job.progress.made, job.progress.failed, job.progress.left) == (4, 0, 0)
    assert [image.seed for image in job][-1] == 2
    assert "failed" not in view.progress["text"]


def test_what_fails_without_a_generator_shows_its_recipe_alone(opened, grid):
    view = opened(grid)
    _say(view, kind="whole", cell=1)
    _say(view, kind="whole", cell=5)  # was not made
    for (content, _), seed in zip(view.sent.wait("whole", 2), "12", strict=True):
        assert ["Seed", seed, "seed"] in content["recipe"]
        assert content["again"] is False
    _say(view, kind="again", cell=1)
    assert view.join(SECONDS)
    assert view.states == "dfddd."


def test_a_page_opens_as_the_viewer_was_arranged(opened, grid, tmp_path):
    view = opened(grid)
    view.arrangement = {"rows": [], "cols": [0, 1], "blocks": [], "hidden": [[], [2]]}
    page = grid.save(tmp_path / "x.html").read_text()
    assert '"arrangement":{"rows":[],"cols":[0,1],"blocks":[],"hidden":[[],[2]]}' in page
    assert opened(view.grid).arrangement == view.arrangement


def test_selected_and_starred_are_images_in_the_order_of_the_axes(opened, grid):
    view = opened(grid)
    view.selection = [4, 0, 1, 5]
    assert [image.recipe.prompt for image in view.selected] == ["a red star", "a blue star"]
    assert [image.seed for image in view.selected] == [0, 1]
    view.stars = [3, 2]
    assert view.starred == [grid[0, 2], grid[1, 0]]
    assert view.starred == grid.starred
    assert starred(grid) == [2, 3]
    view.stars = [3]
    assert [image.starred for image in grid] == [False, False, True, False]
    assert opened(grid).stars == [3]


def test_a_star_that_comes_late_leaves_the_stars_of_other_images(opened, grid):
    view = opened(grid)
    grid[1, 0].starred = True
    view.show_starred([3])  # as the feed does; the browser has not heard of it
    _say(view, kind="star", cell=2, starred=True)
    assert view.starred == [grid[0, 2], grid[1, 0]] == grid.starred
    _say(view, kind="star", cell=2, starred=False)
    assert view.starred == [grid[1, 0]] == grid.starred
    assert [content["cell"] for content, _ in view.sent.wait("starred", 2)] == [2, 2]


def test_a_star_for_what_has_no_image_is_answered_and_not_kept(opened, grid):
    view = opened(grid)
    for cell in (1, 5, 99, -1, "2", None):  # failed, not made, no such cell
        _say(view, kind="star", cell=cell, starred=True)
    assert view.stars == []
    assert [content["cell"] for content, _ in view.sent.wait("starred", 2)] == [1, 5]


def test_what_cannot_be_starred_is_not(opened, grid):
    view = opened(grid)
    view.stars = [1, 3, 5]
    assert view.stars == [3]
    grid[0, 0].store = None
    view.stars = [0, 3]
    assert view.stars == [3]
    assert view.summary.startswith("the star was not kept")


def test_cells_fill_while_a_job_runs(opened, sweep, images):
    job = FakeJob(sweep)
    view = opened(job.grid, job=job)
    assert view.states == "......"
    assert view.info["size"] == [64, 48]
    assert view.info["cancellable"]
    _say(view, kind="want", cells=[0, 1, 2], edge=192)
    job.previews = {(0, 0): lambda: Image.new("RGB", (8, 6)), (1, 0): None}
    assert _until(view, "states", lambda s: "r" in s) == "r..r.."
    ((content, _),) = view.sent.wait("previews")
    assert content["cells"] == [0]
    assert content["types"] == ["image/jpeg"]
    job.settle((0, 0), images[0, 0])
    job.settle((1, 0), GenerationError("no"))
    assert _until(view, "states", lambda s: "d" in s and "f" in s) == "d..f.."
    view.sent.wait_for_cells("thumbnails", [0])
    assert view.failures == {"3": "no"}
    assert _until(view, "progress", lambda p: p["fraction"] > 0.3)["running"]
    images[0, 1].starred = True
    job.settle((0, 1), images[0, 1])
    job.done = True
    _until(view, "progress", lambda p: not p["running"])
    assert (view.states, view.stars) == ("dd.f..", [1])
    view.sent.wait_for_cells("thumbnails", [1])
    assert view.summary.startswith("2 images · 1 failed · 3 not made")
    assert view.starred == [images[0, 1]]
    assert view.join(SECONDS)


def test_a_job_can_be_cancelled_from_its_view(opened, sweep):
    job = FakeJob(sweep)
    view = opened(job.grid, job=job)
    _say(view, kind="cancel")
    assert job.cancelled
    job.done = True


def test_a_view_that_pushes_is_not_asked(opened, sweep, images, monkeypatch):
    monkeypatch.setattr(module, "MAX_PUSHED", 2)
    job = FakeJob(sweep)
    view = opened(job.grid, job=job, push=True)
    assert not view.info["cancellable"]
    for index in [(0, 0), (0, 1), (0, 2)]:
        job.settle(index, images[index])
    job.done = True
    _until(view, "progress", lambda p: not p["running"])
    view.sent.wait_for_cells("thumbnails", [0, 1])
    assert view.sent.cells("thumbnails") == {0, 1}


def test_a_closed_view_leaves_the_job_alone(opened, sweep):
    job = FakeJob(sweep)
    view = opened(job.grid, job=job)
    assert not view.join(0)
    view.close()
    assert view.join(SECONDS)
    assert not job.cancelled


def test_the_bundle_holds_the_pictures_beside_the_widget(opened, grid):
    data, _ = opened(grid)._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert data["text/html"].count("<img") == len(grid)
    assert data["text/plain"].startswith("<GridView")


def test_in_a_notebook_the_pictures_stand_beside_the_widget(opened, grid, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, **_: shown.append(data))
    view = opened(grid)
    view._ipython_display_()
    widget, still = shown
    assert "text/html" not in widget
    assert f"nbtool-still-{view.info['token']}" in still["text/html"]
    assert still["text/html"].count("<img") == len(grid)


def test_text_that_no_message_can_carry_is_made_sendable(opened, sweep):
    cells = {(0, 0): GenerationError("half \ud800")}
    base = sweep.base.replace(prompt="a {color} \ud800")
    view = opened(Grid(base, sweep.axes, cells))
    for text in (view.info["title"], view.failures["0"], view.summary):
        text.encode("utf-8")


def test_thumbnails_are_small_and_kept_within_a_bound(images):
    image = images[0, 0]
    assert thumbnail(image, 192) == ("image/png", image.png)
    kind, data = thumbnail(image, 32)
    assert kind == "image/jpeg"
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (32, 24)
    kept = Thumbnails(limit=len(data) + 1)
    first = kept.get(0, image, 32)
    assert kept.get(0, image, 32) is first
    kept.get(1, image, 32)
    assert kept._bytes <= len(data) + 1
    assert kept.get(0, image, 32) is not first


def test_ten_thousand_cells_are_ready_at_once(opened, sweep, images):
    image = images[0, 0]
    wide = axes.sweep("a star", (), {"seed": range(200), "guidance_scale": range(50)}, DEFAULTS)
    cells = {index: GeneratedImage(image.recipe, Provenance(), png=image.png) for index, _ in wide}
    view = opened(Grid(wide.base, wide.axes, cells))
    assert view.states == "d" * 10_000
    assert sum(len(str(value)) for value in view.get_state(view.keys).values()) < 200_000
