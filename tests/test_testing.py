"""The engine for tests of one's own, held to what the real one does."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading

import pytest

import nbtool
from nbtool import Provenance, Recipe
from nbtool.engines.base import Exacting, Failed, Finished, Loading, Started, Stepped
from nbtool.engines.local import LocalEngine
from nbtool.testing import FakeEngine

SECONDS = 60
TOO_MUCH = 1e38  # guidance that no number can hold
STEPS = 4


def fake():
    return FakeEngine(
        fails=lambda recipe: "NaN" if recipe.guidance_scale == TOO_MUCH else "",
        num_inference_steps=STEPS,
    )


def real():
    return LocalEngine("shapes", device="cpu")


@pytest.fixture(params=[fake, real], ids=["fake", "real"])
def engine(request):
    return request.param()


def complete(engine, **parameters):
    small = {"num_inference_steps": STEPS, "width": 64, "height": 64, "prompt": "a star"}
    return Recipe(**engine.defaults() | {"seed": 1} | small | parameters)


class Heard:
    """Events in the order in which they came."""

    def __init__(self):
        self.events = []
        self.cancelled = set()

    def __call__(self, event):
        self.events.append(event)
        if isinstance(event, Stepped) and event.recipe.seed == 13:
            self.cancelled.add(event.recipe)

    def of(self, recipe):
        return [e for e in self.events if not isinstance(e, Loading) and e.recipe == recipe]

    def run(self, engine, recipes, **options):
        engine.run(iter(recipes), self, self.cancelled.__contains__, **options)
        return self


def test_an_image_is_started_stepped_and_finished(engine):
    recipes = [complete(engine, seed=seed) for seed in range(3)]
    heard = Heard().run(engine, recipes)
    for recipe in recipes:
        events = heard.of(recipe)
        assert [type(e) for e in events] == [Started, *[Stepped] * STEPS, Finished]
        assert [(e.step, e.steps) for e in events[1:-1]] == [(n + 1, STEPS) for n in range(STEPS)]
        assert events[-1].image.size == (64, 64)
        assert events[-1].image.mode == "RGB"
        assert isinstance(events[-1].provenance, Provenance)
        assert events[-1].provenance.seconds > 0
        assert events[-1].provenance.created
    previews = [e.preview for e in heard.events if isinstance(e, Stepped) and e.preview]
    assert previews
    assert {preview().size for preview in previews} == {(8, 8)}


def test_what_is_loaded_is_said_first_and_once():
    """The real one may have been loaded by another test."""
    engine = fake()
    heard = Heard().run(engine, [complete(engine)])
    heard.run(engine, [complete(engine, seed=2)])
    assert [isinstance(event, Loading) for event in heard.events].index(False) == 1
    assert sum(isinstance(event, Loading) for event in heard.events) == 1


def test_the_same_recipe_gives_the_same_picture_and_another_another(engine):
    one, other = complete(engine), complete(engine, seed=2)
    finished = [
        event.image.tobytes()
        for recipe in (one, one, other)
        for event in Heard().run(engine, [recipe]).events
        if isinstance(event, Finished)
    ]
    assert finished[0] == finished[1]
    assert finished[0] != finished[2]


@pytest.mark.parametrize("steps", [1, STEPS])
def test_one_that_is_cancelled_has_no_further_events(engine, steps):
    unlucky = complete(engine, seed=13, num_inference_steps=steps)
    other = complete(engine, seed=14)
    heard = Heard().run(engine, [unlucky, other])
    assert [type(event) for event in heard.of(unlucky)] == [Started, Stepped]
    assert isinstance(heard.of(other)[-1], Finished)


def test_one_that_fails_says_why_and_the_others_go_on(engine):
    bad, good = complete(engine, guidance_scale=TOO_MUCH), complete(engine, seed=2)
    heard = Heard().run(engine, [bad, good])
    assert isinstance(heard.of(bad)[0], Started)
    assert isinstance(heard.of(bad)[-1], Failed)
    assert "NaN" in heard.of(bad)[-1].reason
    assert isinstance(heard.of(good)[-1], Finished)


def test_who_is_ahead_need_not_wait_for_the_end(engine):
    """The other run has no end before this one has."""
    begun, over = threading.Event(), threading.Event()

    def endless():
        for seed in itertools.count():
            if over.is_set():
                return
            yield complete(engine, seed=seed)

    def note(event):
        if isinstance(event, Finished):
            begun.set()

    behind = threading.Thread(
        target=engine.run, args=[endless(), note, lambda _: over.is_set()], daemon=True
    )
    behind.start()
    assert begun.wait(SECONDS)
    heard = Heard()
    ahead = threading.Thread(
        target=lambda: heard.run(engine, [complete(engine, prompt="a ring")], priority=1),
        daemon=True,
    )
    ahead.start()
    ahead.join(SECONDS)
    finished = not ahead.is_alive()
    over.set()
    behind.join(SECONDS)
    assert finished
    assert isinstance(heard.events[-1], Finished)


def test_what_telling_raises_ends_the_run(engine):
    def refuse(event):
        if isinstance(event, Finished):
            raise nbtool.StoreError("full")

    with pytest.raises(nbtool.StoreError, match="full"):
        engine.run(iter([complete(engine)]), refuse, lambda _: False)
    assert isinstance(Heard().run(engine, [complete(engine)]).events[-1], Finished)


def test_both_have_what_an_engine_has(engine):
    assert {*engine.settings(), "model"} <= engine.defaults().keys()
    assert engine.describe()["Model"] == engine.name == engine.defaults()["model"]
    assert isinstance(engine, Exacting)
    engine.check(complete(engine))
    with pytest.raises(nbtool.RecipeError, match="this recipe is for the model 'other'"):
        engine.check(complete(engine, model="other"))


def test_images_wait_at_a_step_until_they_are_released_or_cancelled(tmp_path):
    engine = FakeEngine()
    gen = nbtool.Generator(engine=engine, store=tmp_path / "images")
    engine.hold(2)
    job = gen.submit("a star", seed=range(3))
    assert engine.wait_for_hold(SECONDS)
    assert (job.progress.step, job.progress.made) == (1, 0)
    job.cancel(seed=0)
    engine.release()
    assert job.wait(SECONDS).missing == [(0,)]
    engine.hold(1)
    other = gen.submit("a ring", seed=range(3))
    assert engine.wait_for_hold(SECONDS)
    other.cancel()
    assert len(other.wait(SECONDS)) == 0
    assert not engine.wait_for_hold(0)


def test_others_wait_between_two_images_for_those_ahead(tmp_path):
    engine = FakeEngine()
    engine.hold(1)
    gen = nbtool.Generator(engine=engine, store=tmp_path / "images")
    behind = gen.submit("a star", seed=range(5))
    assert engine.wait_for_hold(SECONDS)
    ahead = threading.Thread(
        target=gen, args=["a ring"], kwargs={"num_inference_steps": 9}, daemon=True
    )
    ahead.start()
    assert engine.wait_for_hold(SECONDS, images=2)
    engine.hold(9)  # which only the ring comes to
    assert engine.wait_for_hold(SECONDS)
    behind.join(0.1)
    assert behind.progress.made <= 1
    engine.release()
    assert len(behind.wait(SECONDS)) == 5
    ahead.join(SECONDS)
    assert "a ring" in [image.recipe.prompt for image in gen.store][:2]


def test_a_run_may_raise(tmp_path):
    gen = nbtool.Generator(
        engine=FakeEngine(error=nbtool.ModelError("gone")), store=tmp_path / "images"
    )
    with pytest.raises(nbtool.ModelError, match="gone"):
        gen("a star")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"model": "shapes"}, "model"),
        ({"device": "cpu", "exact": True}, "device, exact"),
        ({"safety_checker": False}, "safety_checker"),
    ],
)
def test_beside_an_engine_what_decides_another_is_refused(tmp_path, options, named):
    with pytest.raises(nbtool.RecipeError, match=f"leave out {named},"):
        nbtool.Generator(engine=FakeEngine(), store=tmp_path, **options)


def test_a_generator_of_it_does_what_needs_no_model(tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_MODEL", "elsewhere")  # is for those without an engine
    gen = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images", guidance_scale=5)
    image = gen("a star", seed=1)
    assert (image.recipe.model, image.recipe.guidance_scale) == ("fake", 5)
    assert image.vary(seed=2).seed == 2
    assert gen.plan("a star", seed=range(3)).to_make == 1
    assert repr(gen) == "<Generator fake, images in images>"
    for ask in (gen.memory_plan, gen.tune):
        with pytest.raises(nbtool.NbtoolError, match="not in this machine's memory"):
            ask()


def test_it_needs_no_library_of_models(tmp_path):
    code = (
        "import sys, nbtool, nbtool.testing as t;"
        "nbtool.Generator(engine=t.FakeEngine(), store=sys.argv[1])('a star', seed=1);"
        "print(*{'torch', 'diffusers', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "images")],
        capture_output=True, text=True, check=True, env={"NBTOOL_PROGRESS": "off"},
    )  # fmt: skip
    assert done.stdout.split() == []


@pytest.mark.parametrize("engine", [FakeEngine, "comfyui", 7])
def test_what_is_no_engine_is_refused(engine):
    with pytest.raises(nbtool.RecipeError, match="engine must be an engine"):
        nbtool.Generator(engine=engine)


def test_it_is_there_without_being_imported_by_name():
    code = "import nbtool; nbtool.testing.FakeEngine()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_word_may_have_any_name_but_that_of_a_parameter(tmp_path):
    gen = nbtool.Generator(engine=FakeEngine(), store=tmp_path, seed=1)
    words = {"self": ["a", "b"], "cls": "c", "axes": "d", "store": "e"}
    prompt = " ".join(f"{{{name}}}" for name in words)
    grid = gen.submit(prompt, **words).wait()
    assert [str(image.recipe) for image in grid] == ["a c d e", "b c d e"]
    assert grid.sel(self="b") is grid[1]
    assert gen.plan(prompt, **words).stored == 2
    for make in (gen, gen.grid, gen.submit, gen.plan):
        assert make(prompt="a c d e")
        with pytest.raises(nbtool.RecipeError, match="prompt= is given beside a first prompt"):
            make("a {prompt}", prompt=["x"])
    for named in ({"self": 1}, {"cls": 1}):
        for make in (gen, gen.plan, nbtool.Recipe, nbtool.Generator, grid[0].vary, gen.store.find):
            with pytest.raises(nbtool.RecipeError, match="unknown"):
                make(**named)


def test_an_image_in_place_of_a_prompt_is_told_apart(tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    gen = nbtool.Generator(engine=FakeEngine(), store=tmp_path)
    image = gen("a star")
    for call in (lambda: gen(image), lambda: gen.grid([image, image])):
        with pytest.raises(nbtool.RecipeError, match=r"image\.recipe"):
            call()
