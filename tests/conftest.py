"""What several test modules share: a complete recipe, a picture, a store ready for use, and a generator."""

from __future__ import annotations

import asyncio
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import settings
from PIL import Image, ImageDraw

import nbtool
from nbtool import Recipe, Store
from nbtool.testing import FakeEngine

# No deadline: a busy machine is no failure. Derandomized: a test says the same thing every time.
settings.register_profile("nbtool", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("nbtool")

# Where a shell without job control started the tests with `&`, an interrupt would be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

BROWSER = "tests/ui/"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Side by side, the tests in a browser go first and stay together: they share one JupyterLab."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        # Not `xdist_group`: xdist 3.8 writes groups into ids where pytest 9.2 does not read them.
        def _split_scope(self, nodeid):
            return BROWSER if nodeid.startswith(BROWSER) else nodeid

    return Scheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """What the user's own machine remembers is neither used nor changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def complete():
    """A recipe with nothing left open."""
    return Recipe(
        prompt="a red star",
        seed=7,
        num_inference_steps=20,
        guidance_scale=5,
        scheduler="euler_a",
        width=32,
        height=32,
        model="shapes",
        revision="0123456789ab",
    )


@pytest.fixture(scope="session")
def picture():
    """A small flat picture."""
    image = Image.new("RGB", (32, 32), (250, 250, 250))
    ImageDraw.Draw(image).ellipse((6, 6, 25, 25), fill=(220, 40, 40))
    return image


@pytest.fixture
def held(monkeypatch):
    """An event: until it is set no more images are made than the first few, on any machine."""
    from nbtool.engines.local.worker import Worker

    go_on, done = threading.Event(), Worker._done

    def done_and_wait(*args):
        done(*args)
        go_on.wait()

    monkeypatch.setattr(Worker, "_done", done_and_wait)
    yield go_on
    go_on.set()


@pytest.fixture
def quiet(monkeypatch):
    """No progress is shown."""
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")


@pytest.fixture
def gen(tmp_path, quiet):
    """A generator that needs no model, and its store."""
    return nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "images")
    store.prepare()
    return store


@pytest.fixture(scope="session")
def learned(own_cache):
    """The local engine knows small pictures of the embedded model: widths that agree, the best."""
    from nbtool.engines.local import LocalEngine, comparing, forwards, widths
    from nbtool.engines.local.worker import worker

    engine = LocalEngine("shapes", device="cpu")
    settings = {"prompt": "a", "seed": 0, "num_inference_steps": 3, "width": 64, "height": 64}
    with pytest.MonkeyPatch.context() as patch:
        for module, name in ((comparing, "SHARE"), (widths, "QUICK"), (forwards, "BRISK")):
            patch.setattr(module, name, float("inf"))  # whatever else the machine does
        engine.run([Recipe(**engine.defaults() | settings)], lambda _: None, lambda _: False)
        while worker.call(worker.forwards.compare):
            pass
    choosing = worker.forwards._choosing
    for key, text in choosing._texts.items():
        best = 32 if key[1] == "forward" else 4
        choosing._classes.settle(text, best)
        choosing._widths.fix(key, best)


@pytest.fixture
def in_a_loop():
    """Runs a coroutine in an event loop of its own: the browser's tests leave theirs running."""
    with ThreadPoolExecutor(1) as thread:
        yield lambda coroutine: thread.submit(asyncio.run, coroutine).result()
