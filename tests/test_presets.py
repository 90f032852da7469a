"""Presets: kept in a readable file, put around prompts, and an axis like any other."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import subprocess
import sys
import threading

import pytest
from drives import meanwhile

import nbtool
from nbtool import Preset, Store, cli
from nbtool.results import alone
from nbtool.results import presets as module
from nbtool.testing import FakeEngine

SECONDS = 60


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images", guidance_scale=6)


@pytest.fixture
def presets(gen):
    presets = gen.store.presets
    presets["ink"] = Preset(prompt="{prompt}, ink drawing", negative_prompt="photo")
    presets["soft"] = Preset(prompt="soft light", guidance_scale=2, num_inference_steps=7)
    return presets


def prompts(grid):
    return [image.recipe.prompt for image in grid]


@pytest.mark.parametrize(
    ("added", "text", "whole"),
    [
        ("{prompt}, ink drawing", "a fox", "a fox, ink drawing"),
        ("ink drawing of {prompt} in snow", "a fox", "ink drawing of a fox in snow"),
        ("ink drawing", "a fox", "a fox, ink drawing"),
        ("{prompt}, ink drawing", "", "ink drawing"),
        ("", "a fox", "a fox"),
        ("{prompt}: {thing}", "{prompt}", "{prompt}: {thing}"),
    ],
)
def test_what_is_added_stands_around_the_prompt(added, text, whole):
    assert Preset(prompt=added).around("prompt", text) == whole
    assert Preset(negative_prompt=added).around("negative_prompt", text) == whole


def test_the_recipe_holds_what_came_of_it(gen, presets):
    image = gen("a fox", preset="ink", negative_prompt="blurry", seed=1)
    wanted = nbtool.Recipe(
        prompt="a fox, ink drawing", negative_prompt="blurry, photo", seed=1,
        **FakeEngine().defaults() | {"guidance_scale": 6},
    )  # fmt: skip
    assert image.recipe == wanted
    assert gen("a fox", preset=None, seed=1).recipe.prompt == "a fox"
    assert gen("a fox", preset=Preset(prompt="x"), seed=1).recipe.prompt == "a fox, x"


def test_it_goes_before_defaults_and_recipes_and_after_what_is_given_or_varied(gen, presets):
    def guidance(*asked, **given):
        return [image.recipe.guidance_scale for image in gen.grid(*asked, seed=1, **given)]

    assert guidance("a fox", preset="soft") == [2]
    assert guidance("a fox", preset="soft", guidance_scale=3) == [3]
    assert guidance("a fox", preset=["soft", "ink"], guidance_scale=[3, 4]) == [3, 4, 3, 4]
    assert guidance("a fox", preset=["soft", "ink"]) == [2, 6]
    recipe = nbtool.Recipe(prompt="a {fox}", guidance_scale=9)
    assert guidance(recipe, preset="soft") == [2]
    assert guidance([recipe, recipe.replace(prompt="b")], preset=["soft", None]) == [2, 9, 2, 9]
    assert gen(recipe, preset="ink", seed=1).recipe.prompt == "a {fox}, ink drawing"


@pytest.mark.parametrize("words", [{}, {"mood": "dark"}])
@pytest.mark.parametrize("preset", ["moody", ["ink", "moody"]])
def test_words_in_it_are_not_left_as_they_are_beside_a_recipe(gen, presets, preset, words):
    presets["moody"] = Preset(prompt="{prompt}, {mood} ink")
    recipe = nbtool.Recipe(prompt="a {fox}", seed=1)
    for asked in (recipe, [recipe, recipe.replace(seed=2)]):
        with pytest.raises(
            nbtool.AxisError, match=r"the preset has \{mood\}, .*its prompt instead"
        ):
            gen.grid(asked, preset=preset, **words)
    assert len(gen.store) == 0


def test_several_are_an_axis_beside_prompts_words_and_replacements(gen, presets):
    presets["medium"] = Preset(prompt="{prompt} in {medium}")
    grid = gen.grid(
        ["a {size} fox", "a cat"], nbtool.replace("ink", ["pen"]),
        preset=["ink", "medium", None], medium="ink", size=["big"], seed=1,
    )  # fmt: skip
    assert grid.axes["preset"] == ("ink", "medium", None)
    assert prompts(grid.sel(prompt="a cat")) == [
        "a cat, ink drawing", "a cat in ink", "a cat",
        "a cat, pen drawing", "a cat in ink", "a cat",
    ]  # fmt: skip
    fox = grid.sel(prompt="a {size} fox", ink="pen", size="big")
    assert fox.sel(preset="medium").recipe.prompt == "a big fox in ink"
    assert fox.sel(preset=None) is fox.sel(preset="none")
    assert [record["preset"] for record in fox.records()] == ["ink", "medium", None]
    labelled = gen.grid("a fox", preset={"one": "ink", "two": Preset(prompt="pen")}, seed=1)
    assert labelled.axes["preset"] == ("one", "two")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"preset": "inc"}, "unknown preset 'inc'; did you mean 'ink'"),
        ({"preset": ["ink", "inc"]}, "did you mean 'ink'"),
        ({"preset": 3}, "a name, a nbtool.Preset or None, got 3"),
        ({"preset": ["ink", "ink"]}, "twice"),
        ({"prest": "ink"}, "did you mean 'preset'"),
        ({"prompt": "a {preset}", "preset": "ink"}, "take another word"),
        ({"preset": Preset(prompt="in {medium}")}, "give medium="),
    ],
)
def test_what_cannot_be_meant_is_refused(gen, presets, asked, message):
    with pytest.raises(nbtool.RecipeError, match=message):
        gen.plan(**{"prompt": "a fox"} | asked)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"guidance_scal": 3}, "did you mean 'guidance_scale'"),
        ({"guidance_scale": "x"}, "guidance_scale must be a number"),
        ({"eta": None}, "eta must be given"),
        ({"width": None}, "width has no value"),
        ({"seed": 3}, "keeps no seed"),
        ({"model": "x"}, "keeps no model"),
    ],
)
def test_a_preset_is_checked(said, message):
    with pytest.raises(nbtool.RecipeError, match=message):
        Preset(**said)


@pytest.mark.parametrize("name", ["", "none", "NONE", " ink", "a|b", "a\nb", "x" * 101, None])
def test_a_name_is_a_line_that_can_be_chosen(presets, name):
    with pytest.raises(nbtool.RecipeError, match="preset"):
        presets[name] = Preset()
    with pytest.raises(nbtool.RecipeError, match="preset"):
        presets.rename("ink", name)
    assert list(presets) == ["ink", "soft"]


def test_they_are_kept_in_order_renamed_and_deleted(presets):
    presets["../né"] = Preset(prompt="été \ud800")
    presets.rename("soft", "softer")
    presets["ink"] = Preset(prompt="pen")
    assert list(presets) == ["ink", "softer", "../né"]
    assert presets["../né".replace("é", "e\u0301")] == Preset(prompt="été \ud800")
    assert "été" in presets.path.read_text("utf-8")
    with pytest.raises(nbtool.RecipeError, match="already"):
        presets.rename("softer", "ink")
    for gone in (lambda: presets["soft"], lambda: presets.rename("soft", "x")):
        with pytest.raises(KeyError, match="no preset 'soft'"):
            gone()
    for wrong in (5, None, b"ink", ["ink"]):
        for ask in (
            presets.__delitem__,
            presets.__getitem__,
            lambda name: presets.rename(name, "x"),
        ):
            with pytest.raises(KeyError, match="has no preset"):
                ask(wrong)
    del presets["ink"]
    assert len(presets) == 2
    assert "softer" in repr(presets)


WRITER = """
import errno, os, sys, nbtool

def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")

if sys.argv[3] == "without locks" and os.name != "nt":
    import fcntl
    fcntl.flock = refuse
presets = nbtool.Store(sys.argv[1]).presets
print("ready", flush=True)
for n in range(20):
    presets[f"{sys.argv[2]} {n}"] = nbtool.Preset(eta=1)
"""


@pytest.fixture
def without_locks(monkeypatch):
    """A drive that has none, as some that several machines share; and Windows."""

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if os.name != "nt":
        monkeypatch.setattr("fcntl.flock", refuse)


@pytest.mark.parametrize("drive", ["with locks", "without locks"])
def test_two_processes_lose_nothing_of_each_other(tmp_path, drive, request):
    if drive == "without locks":
        request.getfixturevalue("without_locks")
    store = Store(tmp_path / "images")
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, store.path, "theirs", drive], stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        for n in range(20):
            store.presets[f"mine {n}"] = Preset(eta=1)
    assert other.returncode == 0
    assert set(store.presets) == {f"{who} {n}" for who in ("mine", "theirs") for n in range(20)}


def test_who_comes_while_another_writes_waits_for_it(tmp_path, without_locks, monkeypatch):
    """Also where a drive has no locks. The other one is a thread that does not know of this one's."""
    store, waits, done = Store(tmp_path / "images"), threading.Event(), threading.Event()
    monkeypatch.setattr(module, "_writing", contextlib.nullcontext())
    monkeypatch.setattr(alone.time, "sleep", lambda _: waits.set())

    def write():
        store.presets["theirs"] = Preset(eta=1)
        done.set()
        waits.set()

    other = threading.Thread(target=write)

    def let_it_come():
        other.start()
        assert waits.wait(SECONDS)
        assert not done.is_set()

    store.prepare()
    with meanwhile(let_it_come, "replace"):
        store.presets["mine"] = Preset(eta=1)
    other.join(SECONDS)
    assert list(store.presets) == ["mine", "theirs"]
    assert not [path for path in store.path.iterdir() if alone.LOCK in path.name]


def test_what_a_killed_process_leaves_locked_is_opened(tmp_path, without_locks, monkeypatch):
    store = Store(tmp_path / "images")
    store.prepare()
    (lock := store.path / alone.LOCK).mkdir()
    monkeypatch.setattr(alone, "GIVE_UP", 0)
    with pytest.raises(nbtool.StoreError, match=rf"{alone.LOCK} in it is left of .*; remove it"):
        store.presets["ink"] = Preset(eta=1)
    monkeypatch.setattr(alone, "GIVE_UP", SECONDS)
    monkeypatch.setattr(alone, "PATIENCE", 0)
    store.presets["ink"] = Preset(eta=1)
    assert list(store.presets) == ["ink"]
    assert not lock.exists()
    assert store.check() == []


def test_a_mistake_is_named_and_the_others_work(gen, presets):
    said = json.loads(presets.path.read_text())
    said["presets"] |= {"bad": {"guidance_scale": "x"}, "newer": {"prompt": "y", "later": {"a": 1}}}
    said["since"] = "2.0"
    presets.path.write_text(json.dumps(said))
    assert gen("a fox", preset="ink").recipe.prompt == "a fox, ink drawing"
    with pytest.raises(nbtool.StoreError, match=r"'bad' cannot be used: guidance_scale.*'x'"):
        gen("a fox", preset="bad")
    with pytest.warns(UserWarning, match="'bad'|'newer'"):
        assert list(presets) == ["ink", "soft"]
    assert presets.names() == ["ink", "soft", "bad", "newer"]
    assert "'later'" in repr(presets)
    with pytest.raises(nbtool.StoreError, match="'newer' is not changed: it has 'later'"):
        presets["newer"] = Preset(prompt="z")
    presets.rename("bad", "still bad")
    said["presets"]["still bad"] = said["presets"].pop("bad")
    assert json.loads(presets.path.read_text()) == said
    presets["still bad"] = Preset(prompt="good now")
    del presets["newer"]
    presets["newer"] = Preset(prompt="z")
    assert list(presets) == ["ink", "soft", "still bad", "newer"]


@pytest.mark.parametrize("name", ["self", "cls", "name", "settings", "", "parameters"])
def test_no_name_in_a_preset_keeps_the_others_from_use(presets, name):
    said = json.loads(presets.path.read_text())
    said["presets"]["bad"] = {name: 1}
    presets.path.write_text(json.dumps(said))
    with pytest.warns(UserWarning, match=rf"'bad' cannot be used: unknown parameter '{name}'"):
        assert list(presets) == ["ink", "soft"]
    assert "not usable" in repr(presets)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"presets": {"a": {},\n}}', "line 2"),
        ('{"presets": {"a": {}, "a": {}}}', "'a' is given twice"),
        ('{"schema": 2, "presets": {"a": {}}}', "newer"),
        ('{"presets": []}', "nothing is changed"),
    ],
)
def test_what_is_there_is_never_written_over(gen, presets, text, message):
    presets.path.write_text(text)
    with pytest.raises(nbtool.StoreError, match=message):
        presets["b"] = Preset()
    assert presets.path.read_text() == text
    gen("a fox")


@pytest.mark.parametrize("mistake", ['"ink": {"prompt": "x",}', '"ink": {"prompt": x}', '"ink": {'])
def test_what_is_whole_works_beside_a_mistake_in_the_json(gen, presets, mistake):
    text = f'{{"presets": {{\n"one": {{"prompt": "{{prompt}}, a"}},\n{mistake},\n"two": {{"eta": 1}}}}}}'
    presets.path.write_text(text)
    assert gen("a fox", preset="one").recipe.prompt == "a fox, a"
    assert presets["two"].settings == {"eta": 1}
    with pytest.raises(nbtool.StoreError, match="line 3"):
        gen("a fox", preset="ink")
    with pytest.warns(UserWarning, match="line 3"):
        assert list(presets) == ["one", "two"]
    with pytest.raises(nbtool.StoreError, match="nothing is changed"):
        del presets["one"]
    assert presets.path.read_text() == text


def test_the_default_store_has_them_and_the_command_takes_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    nbtool.presets()["ink"] = Preset(prompt="{prompt}, ink drawing")
    assert cli.main(["presets"]) == 0
    assert "{prompt}, ink drawing" in capsys.readouterr().out
    assert cli.main(["generate", "a fox", "preset=ink", "num_inference_steps=2"]) == 0
    (image,) = nbtool.Store()
    assert image.recipe.prompt == "a fox, ink drawing"
    assert cli.main(["grid", "a fox", "preset=ink|none", "seed=1", "--plan"]) == 0
    assert "2 images" in capsys.readouterr().out
    assert cli.main(["generate", "a fox", "preset=inc"]) == 2
    nbtool.presets()["place"] = Preset(prompt="{prompt} in {city}")
    capsys.readouterr()
    assert cli.main(["generate", "a fox", "preset=place"]) == 2
    assert "add 'city=red|blue'" in capsys.readouterr().err


def test_the_command_says_how_to_get_a_preset(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["presets"]) == 0
    said, example = capsys.readouterr().out.splitlines()
    assert said.startswith(f"no presets in {tmp_path / 'nbtool-images'}; ")
    path = tmp_path / "nbtool-images" / "presets.json"
    assert path.name in said
    path.parent.mkdir()
    path.write_text(example)
    assert cli.main(["generate", "a fox", "preset=ink", "num_inference_steps=1"]) == 0
    path.write_text("{")
    capsys.readouterr()
    assert cli.main(["presets"]) == 0
    assert "mend it there" in capsys.readouterr().out


def test_a_named_grid_keeps_what_its_presets_change(gen, presets):
    grid = gen.grid(["a fox", "a cat"], preset=["ink", None], seed=1)
    grid.name = "foxes"
    gen.grid("a fox", preset="soft", guidance_scale=[3, 4], seed=1).name = "soft"
    del presets["ink"]
    opened = gen.store.grids["foxes"]
    assert opened.axes == grid.axes
    assert opened.sel(prompt="a cat", preset="ink").recipe.prompt == "a cat, ink drawing"
    recipes = [recipe for _, recipe in opened.sweep]
    assert recipes == [image.recipe for image in grid]
    soft = gen.store.grids["soft"]
    assert [recipe for _, recipe in soft.sweep] == [image.recipe for image in soft]
