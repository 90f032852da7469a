"""Grids that have a name: kept, listed, opened again, renamed, deleted."""

from __future__ import annotations

import json
import os
import shutil

import pytest
from drives import as_kept_before, contents

import nbtool
from nbtool import GenerationError, Grid, Store, StoreError
from nbtool.live.view import GridView
from nbtool.testing import FakeEngine

SECONDS = 60
NAMES = ["stars", "../../x", "/etc/passwd", "CON", "a" * 100, "星 ★ зв", "e\u0301", "<b>$x$", "."]
NO_LINES = ["nul\0", "a" * 101, "\u202eabc", "a\ud800b", "line\nbreak", "con.txt "]
needs_symlinks = pytest.mark.skipif(os.name == "nt", reason="makes symbolic links")


@pytest.fixture
def gen(tmp_path, quiet):
    engine = FakeEngine(fails=lambda recipe: "too red" if recipe.seed == 3 else "")
    return nbtool.Generator(engine=engine, store=tmp_path / "images", guidance_scale=2)


def swept(gen, **more):
    size = nbtool.paired(width=[64, 128], height=[128, 64])
    fox = nbtool.replace("fox", {"the cat": "cat"})
    return gen.grid(
        "a {color} fox {at}", fox, color=["red", "blue"], at="home", size=size, seed=[1, 3], **more
    )


def described(grid):
    """All that a grid says, images by their keys."""
    cells = {index: grid.cell(index) for index in grid.indices()}
    return (
        type(grid), grid.axes, grid.title, grid.missing,
        [(axis.called, axis.captions) for axis in grid.swept],
        {labels: str(error) for labels, error in grid.failed.items()},
        {i: cell.recipe for i, cell in cells.items() if not isinstance(cell, GenerationError)},
        [grid.sweep.recipe(index) for index in grid.indices()],
    )  # fmt: skip


def opened(gen, name="stars"):
    return Store(gen.store.path).grids[name]


def file_of(gen):
    (path,) = (gen.store.path / "grids").iterdir()
    return path


def test_a_grid_with_a_name_is_opened_again_as_it_was(gen, tmp_path):
    grid = swept(gen)
    assert grid.name is None
    grid.name = "stars"
    again = opened(gen)
    assert (again.name, described(again)) == ("stars", described(grid))
    assert (len(again), len(again.failed)) == (8, 8)
    small = again.sel(color="red", width=64)
    assert described(small) == described(grid.sel(color="red", width=64))
    assert small.name is None
    again.sel(color="red", size=(64, 128), fox="fox", seed=1).starred = True
    assert len(opened(gen).starred) == 1
    assert again.save(tmp_path / "grid.html").exists()
    view = GridView(again)
    assert view.join(SECONDS)
    assert sorted(view.states) == sorted("d" * 8 + "f" * 8)


@pytest.mark.parametrize("sides", [("width", "height"), ("height", "width")])
@pytest.mark.parametrize("others", [[96, 128], [64, 96]])
def test_the_parts_of_a_paired_label_stay_with_their_parameters(gen, sides, others):
    gen.grid(
        "a star", nbtool.paired(**dict(zip(sides, ([64, 96], others), strict=True)))
    ).name = "stars"
    (axis,) = opened(gen).swept
    for caption, edit in zip(axis.captions, axis.edits, strict=True):
        both = {f"{name.capitalize()} {side}" for name, side in edit.parameters.items()}
        assert set(caption.split(" · ")) == both
    if others != [64, 96]:
        assert axis.called == " × ".join(map(str.capitalize, sides))


def test_what_is_kept_is_enough_to_go_on_with_it(gen):
    grid = gen.grid("a {color} star", color=["red", "blue"], seed=nbtool.random_seeds(2))
    grid.name = "stars"
    said = json.loads(file_of(gen).read_text())
    assert said["generator"] == {
        "model": "fake", "engine": "FakeEngine", "exact": False,
        "defaults": {"guidance_scale": 2},
    }  # fmt: skip
    assert said["base"] == grid.base.to_dict()
    assert said["axes"][0]["edits"] == [{"words": {"color": c}} for c in ("red", "blue")]
    assert said["axes"][1]["labels"] == list(grid.axes["seed"])
    drawn = gen.grid("a star", guidance_scale=[1, 2])
    drawn.name = "drawn"
    assert opened(gen, "drawn").sweep.drawn == drawn[0].seed
    assert opened(gen, "drawn").sweep == drawn.sweep


def test_a_part_is_kept_with_what_was_chosen_of_the_whole(gen):
    part = swept(gen).sel(color="blue", fox="the cat", seed=[1])
    part.name = "part"
    again = opened(gen, "part")
    assert described(again) == described(part)
    assert {recipe.prompt for recipe in map(again.sweep.recipe, again.indices())} == {
        "a blue cat home"
    }
    assert [recipe for _, recipe in again.sweep] == [image.recipe for image in again]
    recipes = gen.grid([image.recipe for image in part], guidance_scale=[3, 4])
    recipes.isel(recipe=1).name = "recipes"
    assert described(opened(gen, "recipes")) == described(recipes.isel(recipe=1))


def test_images_that_go_and_come_are_so_in_the_grid(gen, tmp_path):
    grid = gen.grid("a star", seed=range(3))
    grid.name = "stars"
    grid[1].delete()
    assert opened(gen).missing == [(1,)]
    moved = tmp_path / "elsewhere"
    shutil.copytree(gen.store.path, moved)
    there = Store(moved).grids["stars"]
    assert [image.path.parent for image in there] == [moved] * 2
    gen("a star", seed=1)
    assert opened(gen).missing == []
    grid[0].path.unlink()
    with pytest.warns(UserWarning, match="its PNG is missing"):
        assert gen.store.get(grid[0].recipe.key) is None
    assert opened(gen).missing == [(0,)]


def test_a_grid_is_named_while_it_is_made(gen):
    gen.engine.hold(1, lambda recipe: recipe.seed == 1)
    job = gen.submit("a star", seed=range(4))
    assert gen.engine.wait_for_hold(SECONDS)
    job.grid.name = "stars"
    assert job.grid.name == "stars"
    assert opened(gen).missing == [(1,), (2,), (3,)]
    gen.engine.release()
    grid = job.wait(SECONDS)
    assert described(opened(gen)) == described(grid)
    assert list(opened(gen).failed) == [(3,)]


def test_a_grid_that_was_deleted_while_it_was_made_does_not_come_back(gen):
    gen.engine.hold(1, lambda recipe: recipe.seed == 1)
    job = gen.submit("a star", seed=range(4))
    assert gen.engine.wait_for_hold(SECONDS)
    job.grid.name = "stars"
    del gen.store.grids["stars"]
    gen.engine.release()
    job.join(SECONDS)
    assert list(gen.store.grids) == []


@pytest.mark.parametrize("name", NAMES)
def test_fault_33_any_name_is_kept_and_stays_in_its_folder(gen, name):
    grid = gen.grid("a star", seed=[1, 2])
    before = contents(gen.store.path.parent)
    grid.name = name
    new = contents(gen.store.path.parent).keys() - before.keys()
    assert [path.startswith("images/grids/") for path in new] == [True]
    assert list(Store(gen.store.path).grids) == [name]
    assert name in gen.store.grids
    assert len(opened(gen, name)) == 2
    assert "<b>" not in gen.store.grids._repr_mimebundle_()["text/html"]
    assert "\n" not in repr(gen.store.grids).splitlines()[1]
    del gen.store.grids[name]
    assert len(gen.store.grids) == 0


@pytest.mark.parametrize("name", NO_LINES)
def test_fault_33_a_name_that_older_versions_took_stays_and_can_be_changed(gen, name):
    grid = gen.grid("a star", seed=[1, 3])
    grid.name = "stars"
    as_kept_before(gen.store, "stars", name)
    grid = opened(gen, name)
    assert (grid.name, list(gen.store.grids)) == (name, [name])
    assert "\n" not in repr(gen.store.grids).splitlines()[1]
    grid.name = name
    del gen.store.grids[name]
    gen.store.grids.restore(name).name = "stars"
    assert list(gen.store.grids) == ["stars"]


def test_one_name_in_two_unicode_forms_is_one_name(gen):
    gen.grid("a star", seed=[1, 2]).name = "\u00e9"
    assert len(opened(gen, "e\u0301")) == 2
    with pytest.raises(StoreError, match="another grid"):
        gen.grid("a star", seed=[1]).name = "e\u0301"


@pytest.mark.parametrize("name", [*NO_LINES, "", " \n", None, 3, ["a"]])
def test_what_is_no_name_is_refused(gen, name):
    grid = gen.grid("a star", seed=[1])
    with pytest.raises(
        nbtool.RecipeError, match=r"a grid's name (is a line of text|has at most 100)"
    ):
        grid.name = name
    with pytest.raises(StoreError, match="came of no job and no store"):
        Grid(grid.base, [], {}).name = "a"
    assert not (gen.store.path / "grids").exists()


def test_a_name_is_not_taken_from_another_grid(gen):
    first, second = gen.grid("a star", seed=[1, 2]), gen.grid("a star", seed=[1, 4])
    first.name = "stars"
    before = contents(gen.store.path)
    with pytest.raises(StoreError, match=r"another grid .* has the name 'stars'; take another, or"):
        second.name = "stars"
    assert (second.name, contents(gen.store.path)) == (None, before)
    gen.grid("a star", seed=[1, 2]).name = "stars"  # a cell that is run again
    assert contents(gen.store.path) == before


def test_another_name_takes_the_place_of_the_first(gen):
    grid, other = gen.grid("a star", seed=[1, 2]), gen.grid("a star", seed=[4])
    grid.name, other.name = "stars", "suns"
    created = gen.store.grids.summaries()[0].created
    again = opened(gen)
    again.name = "more stars"
    assert (list(gen.store.grids), again.name) == (["more stars", "suns"], "more stars")
    assert gen.store.grids.summaries()[0].created == created
    with pytest.raises(StoreError, match="another grid"):
        again.name = "suns"
    assert list(gen.store.grids) == ["more stars", "suns"]


def test_a_deleted_grid_comes_back_unless_another_has_its_name(gen):
    gen.grid("a star", seed=[1, 2]).name = "stars"
    before = contents(gen.store.path)
    grids = gen.store.grids
    with pytest.raises(KeyError, match=r"no grid 'sters'; it has: 'stars'"):
        del grids["sters"]
    del grids["stars"]
    assert (list(grids), "stars" in grids, len(gen.store)) == ([], False, 2)
    assert list(gen.store.deleted.grids) == ["stars"]
    for ask in (grids.__getitem__, grids.__delitem__):
        with pytest.raises(KeyError, match="no grid 'stars'; it has: none"):
            ask("stars")
    assert len(grids.restore("stars")) == 2
    assert contents(gen.store.path) == before
    del grids["stars"]
    gen.grid("a star", seed=[4]).name = "stars"
    with pytest.raises(StoreError, match="another grid"):
        grids.restore("stars")
    del grids["stars"]
    gen.grid("a star", seed=[5, 6, 7]).name = "stars"
    del grids["stars"]
    for n in (3, 1, 2):  # the last that was deleted comes first
        again = grids.restore("stars")
        assert len(again) == n
        again.name = f"{n} stars"
    for n in (1, 2, 3):
        grids[f"{n} stars"].name = "stars"
        del grids["stars"]
    assert gen.store.empty_deleted() > 0
    assert contents(gen.store.path / "deleted") == {}
    with pytest.raises(KeyError, match="no grid 'stars' lies in"):
        grids.restore("stars")


@pytest.mark.parametrize("number", [1, 2])
def test_a_kill_while_a_grid_is_deleted_loses_none(gen, monkeypatch, number):
    grids, real, calls = gen.store.grids, os.replace, []
    gen.grid("a star", seed=[1]).name = "stars"
    del grids["stars"]
    gen.grid("a star", seed=[1, 2]).name = "stars"

    def killed(path, place):
        calls.append(path)
        if len(calls) == number:
            raise KeyboardInterrupt
        real(path, place)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        del grids["stars"]
    monkeypatch.undo()
    if "stars" not in grids:
        grids.restore("stars")
    assert len(grids["stars"]) == 2
    grids["stars"].name = "two stars"
    assert len(grids.restore("stars")) == 1


def test_what_is_not_there_makes_no_folder(tmp_path):
    store = Store(tmp_path / "typo")
    for ask in (store.grids.__delitem__, store.grids.__getitem__, store.grids.restore):
        for name in ("stars", 0):
            with pytest.raises(KeyError, match=r"no grid ('stars'|0)"):
                ask(name)
    assert contents(tmp_path) == {}
    assert not store.path.exists()


def test_the_grids_are_listed_with_what_is_there_of_them(gen, monkeypatch):
    monkeypatch.setenv("NBTOOL_STORE", str(gen.store.path))
    assert "has a name" in repr(nbtool.grids())
    swept(gen).name = "foxes"
    grid = gen.grid("a star", seed=range(5, 9))
    grid.name = "stars"
    grid[0].delete()
    assert [(r["name"], r["axes"], r["images"], r["there"]) for r in nbtool.grids().records()] == [
        ("foxes", {"fox": 2, "color": 2, "size": 2, "seed": 2}, 16, 8),
        ("stars", {"seed": 4}, 4, 3),
    ]
    text, page = (nbtool.grids()._repr_mimebundle_()[f"text/{kind}"] for kind in ("plain", "html"))
    for said in (text, page):
        assert "2 fox × 2 colors × 2 sizes × 2 seeds" in said
        assert "3 of 4 images" in said
    assert repr(nbtool.grids()) == text
    assert sorted(nbtool.grids()) == ["foxes", "stars"]


def test_a_list_says_parameters_by_their_labels(gen):
    grid = gen.grid(
        "a {seeds} star", seeds=["a", "b"], guidance_scale=[1, 2], preset={"a": None, "b": None}
    )
    grid.name = "stars"
    assert "  2 seeds × 2 guidance × 2 presets  " in repr(gen.store.grids)


def test_a_list_has_the_name_of_an_axis_that_only_a_newer_nbtool_knows(gen, kept):
    edit(kept, lambda said: said["axes"][0].update(name="lora", edits=[{"lora": [1]}, "newer"]))
    assert "  2 loras  " in repr(gen.store.grids)
    edit(kept, lambda said: said["axes"][0].update(edits=["newer"]))
    assert "  2 loras  " in repr(gen.store.grids)


# What newer versions wrote, what is damaged


@pytest.fixture
def kept(gen):
    gen.grid("a star", seed=[1, 2]).name = "stars"
    return file_of(gen)


def edit(path, change):
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))
    return said


def newer_fields(said):
    said["colour"] = "blue"
    said["base"]["later"] = {"a": 1}
    said["axes"][0]["unit"] = "px"
    said["axes"][0]["edits"][0]["mask"] = {"of": 1}


def test_fault_57_what_a_newer_nbtool_kept_is_used_and_kept(gen, kept):
    said = edit(kept, newer_fields)
    grid = opened(gen)
    assert len(grid) == 2
    assert grid.base.unknown == {"later": {"a": 1}}
    grid.name = "suns"
    assert json.loads(file_of(gen).read_text()) == said | {"name": "suns"}
    with pytest.raises(StoreError, match="another grid"):  # what it does is not known here
        gen.grid("a star", seed=[1, 2]).name = "suns"


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["axes"].append({"name": "a", "labels": [1, 2]}),
        lambda said: said.update(axes="in another form"),
        lambda said: said["base"].update(scheduler="of tomorrow"),
        lambda said: said["images"].pop(),
        lambda said: said.pop("base"),
        lambda said: said.update(name=None, schema=2),
        lambda said: said.update(created=5),
        lambda said: said["base"].update(prompt=5),
        lambda said: said.update(images=[1, 2]),
        lambda said: said["axes"][0].update(name=5),
    ],
)
def test_fault_57_what_only_a_newer_nbtool_can_open_is_named_and_left(gen, kept, change):
    edit(kept, change)
    before = contents(gen.store.path)
    with pytest.raises(StoreError, match="a newer nbtool wrote it; update nbtool"):
        opened(gen)
    with pytest.raises(StoreError, match=r"another grid|a newer nbtool wrote it"):
        gen.grid("a star", seed=[1, 4]).name = "stars"
    gen("a star", seed=4).delete()
    assert {path for path in contents(gen.store.path) if "deleted" not in path} == set(before)
    assert kept.read_bytes() == before[f"grids/{kept.name}"]


@pytest.mark.parametrize("field", ["created", "images"])
def test_a_grid_that_cannot_be_used_leaves_the_others_in_the_list(gen, kept, field):
    gen.grid("a star", seed=[4]).name = "suns"
    edit(kept, lambda said: said.update({field: 5 if field == "created" else [1, 2]}))
    with pytest.warns(UserWarning, match=rf"a newer nbtool wrote it.*in {field} a text is needed"):
        assert [record["name"] for record in gen.store.grids.records()] == ["suns"]


def test_a_grid_that_says_nothing_of_failures_and_generator_is_opened(gen, kept):
    edit(kept, lambda said: (said.pop("failed"), said.pop("generator")))
    assert len(opened(gen)) == 2
    edit(kept, lambda said: said.update(failed=[1]))
    with pytest.raises(StoreError, match="failed and generator have names in braces"):
        opened(gen)


def test_a_grid_that_asks_for_a_newer_reader_is_not_written(gen, kept):
    edit(kept, lambda said: said.update(schema=2))
    before = kept.read_bytes()
    grid = opened(gen)
    assert len(grid) == 2
    for name in ("stars", "suns"):
        with pytest.raises(StoreError, match="is not changed: a newer nbtool wrote it"):
            grid.name = name
    assert (kept.read_bytes(), list(gen.store.grids)) == (before, ["stars"])


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema": 1}', b"\xff", b'{"name": "a"}'])
def test_a_damaged_grid_is_set_aside_and_the_others_stay(gen, kept, data):
    gen.grid("a star", seed=[4]).name = "suns"
    kept.write_bytes(data)
    with pytest.warns(UserWarning, match="moved to damaged/"):
        assert list(gen.store.grids) == ["suns"]
    assert (gen.store.path / "damaged" / kept.name).read_bytes() == data
    gen.grid("a star", seed=[1]).name = "stars"
    assert len(opened(gen)) == 1


@needs_symlinks
def test_fault_34_a_folder_of_grids_that_is_a_link_is_not_followed(gen, kept, tmp_path):
    grid = opened(gen)
    shutil.move(kept.parent, tmp_path / "elsewhere")
    kept.parent.symlink_to(tmp_path / "elsewhere")
    before = contents(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match="its folder is a symbolic link"):
        assert list(gen.store.grids) == []
    with pytest.raises(StoreError, match="symbolic link"):
        opened(gen)
    with pytest.raises(StoreError, match="is a symbolic link"):
        grid.name = "suns"
    with pytest.raises(StoreError, match="is a symbolic link"):
        del gen.store.grids["stars"]
    assert contents(tmp_path / "elsewhere") == before
