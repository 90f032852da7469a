"""Images that are taken out of a store, put back, or removed for good."""

from __future__ import annotations

import gzip
import os
from itertools import product

import pytest
from drives import contents, meanwhile
from PIL import Image

import nbtool
from nbtool import Provenance, Recipe, Store, StoreError
from nbtool.panel.collection.changes import Changes
from nbtool.panel.collection.done import Done

needs_symlinks = pytest.mark.skipif(os.name == "nt", reason="makes symbolic links")


@pytest.fixture
def image(gen):
    gen("a star", seed=2)
    image = gen("a star", seed=1)
    image.starred, image.note = True, "the best"
    return image


def seeds(images):
    return [image.seed for image in images]


def test_a_deleted_image_is_not_there_and_comes_back_as_it_was(gen, image):
    store, key = gen.store, image.recipe.key
    before, png = contents(store.path), image.png
    image.delete()
    for look in (store, Store(store.path)):
        assert (seeds(look), seeds(look.find()), look.starred, len(look)) == ([2], [2], [], 1)
        assert (look.get(key), look.has(key), key in look.listing()) == (None, False, False)
        assert (look.marks(), look.check()) == ({}, [])
        assert seeds(look.deleted) == seeds(look.deleted.find("best")) == [1]
    assert gen.plan("a star", seed=[1, 2]).to_make == 1
    assert image.png == png  # what shows it goes on doing so
    assert sum(map(len, contents(store.path / "deleted").values())) == store.deleted.size
    restored = Store(store.path).restore(key)
    assert (restored.png, restored.starred, restored.note) == (png, True, "the best")
    assert contents(store.path) == before
    assert len(store.deleted) == 0


def test_what_was_deleted_is_made_again_when_it_is_asked_for(gen, image):
    key = image.recipe.key
    gen.store.delete(key)
    again = gen("a star", seed=1)
    assert (again.starred, again.note) == (False, "")
    again.note = "another"
    before = contents(gen.store.path)
    with pytest.raises(StoreError, match="was made anew since it was deleted"):
        gen.store.restore(key)
    assert contents(gen.store.path) == before
    gen.store.delete(key)
    restored = gen.store.restore(key)
    assert (restored.note, restored.provenance) == ("another", again.provenance)


def test_what_was_deleted_is_removed_when_that_is_asked_for(gen, image):
    store = gen.store
    assert store.empty_deleted() == 0
    image.delete()
    mine = store.path / "deleted" / "mine.txt"
    mine.write_text("not of nbtool")
    size = store.deleted.size
    assert store.empty_deleted() == size > 0
    assert contents(mine.parent) == {"mine.txt": b"not of nbtool"}
    assert (len(store), len(store.deleted)) == (1, 0)
    with pytest.raises(StoreError, match=r"is gone .*deleted.*; generate its recipe again"):
        image.image.load()
    with pytest.raises(StoreError, match=r"no image with the key .* lies in"):
        store.restore(image.recipe.key)
    assert gen(image.recipe).recipe == image.recipe


def test_the_star_of_what_was_deleted_before_is_not_that_of_the_next(gen, image):
    image.delete()
    gen("a star", seed=1).delete()
    restored = gen.store.restore(image.recipe.key)
    assert (restored.starred, restored.note) == (False, "")


def test_no_prompt_is_left_of_what_was_removed(gen, image, monkeypatch):
    monkeypatch.setattr("nbtool.results.index.MANY", 2)
    store = gen.store
    gen.grid("a secret", seed=[1, 2])
    assert len(store.find("secret")) == 2
    for each in store.find("secret"):
        each.delete()
    assert len(store.deleted.find("secret")) == 2
    indices = [store.path / "nbtool-index-1.json.gz", store.deleted.path / "nbtool-index-1.json.gz"]
    assert all(b"secret" in gzip.decompress(path.read_bytes()) for path in indices)
    store.empty_deleted()
    assert len(store.find()) == 2
    assert b"secret" not in gzip.decompress(indices[0].read_bytes())
    assert not indices[1].exists()


def test_what_is_deleted_is_not_deleted_once_more(gen, image):
    gen.grid("a star", seed=[2]).name = "stars"
    del gen.store.grids["stars"]
    image.delete()
    before = contents(gen.store.path)
    deleted = gen.store.deleted
    for act in (deleted[image.recipe.key].delete, lambda: deleted.grids.__delitem__("stars")):
        with pytest.raises(StoreError, match=r"deleted already .* removes"):
            act()
    assert contents(gen.store.path) == before


def test_what_is_not_there_cannot_be_deleted(gen, image):
    before = contents(gen.store.path)
    known = image.recipe.key
    for key in ("", "../" * 8, "\0", "0" * 64, known[:32], known.upper(), 5, None):
        with pytest.raises(StoreError, match="holds no image with the key"):
            gen.store.delete(key)
        with pytest.raises(StoreError, match="no image with the key"):
            gen.store.restore(key)
    assert contents(gen.store.path) == before
    gen.store.delete(image)
    assert gen.store.restore(image).recipe == image.recipe
    made_nowhere = nbtool.GeneratedImage(image.recipe, image.provenance, png=image.png)
    with pytest.raises(StoreError, match="is not in a store"):
        made_nowhere.delete()


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("way", ["delete", "restore"])
def test_a_kill_in_the_middle_loses_nothing(gen, image, monkeypatch, way, number):
    store, key = gen.store, image.recipe.key
    before, moved, real = contents(store.path), [], os.replace
    if way == "restore":
        store.delete(key)

    def killed(path, place):
        if len(moved) == number // 2:
            if number % 2:
                real(path, place)
            raise KeyboardInterrupt
        moved.append(path)
        real(path, place)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        getattr(store, way)(key)
    monkeypatch.undo()
    store = Store(store.path)
    for path in store.path.rglob("*.*"):
        os.utime(path, (0, 0))  # nobody is at work on it
    assert store.check() == []
    if key not in store:
        assert [i.png for i in store.deleted] == [image.png]
        store.restore(key)
    assert contents(store.path) == before


@pytest.mark.parametrize(
    ("way", "number"), [*product(["delete"], [1, 2, 3]), *product(["restore"], range(1, 5))]
)
def test_who_looks_at_the_deleted_ones_meanwhile_takes_nothing_away(gen, image, way, number):
    store, key = gen.store, image.recipe.key
    before = contents(store.path)
    store.delete(key)
    if way == "delete":
        store.restore(key)
    with meanwhile(lambda: Store(store.path).deleted, "replace", number, after=True):
        getattr(store, way)(key)
    store.restore(key)
    assert contents(store.path) == before


@pytest.mark.parametrize("number", [1, 2, 3])
def test_what_is_removed_for_good_meanwhile_leaves_no_picture_behind(gen, image, number):
    store = gen.store
    with meanwhile(Store(store.path).empty_deleted, "replace", number, after=True):
        store.delete(image.recipe.key)
    assert not [path for path in contents(store.path) if path.startswith(image.recipe.key[:32])]


def test_all_that_can_be_put_back_is_beside_what_cannot(gen):
    grid = gen.grid("a star", seed=range(3))
    for made in grid:
        made.delete()
    next((gen.store.path / "deleted").glob(f"{grid[1].recipe.key[:32]}-*.png")).unlink()
    said = []
    changes = Changes(gen.store, Done(lambda text, _: said.append(text)))
    changes.restore(gen.store.deleted.find().keys)
    assert "2 images put back; 1 could not be: " in said[0]
    assert "its PNG is gone" in said[0]
    assert seeds(gen.store) == [0, 2]


def remake(store, recipe):
    made = Provenance(created="of another notebook")
    image = Store(store.path).put(Image.new("RGB", (64, 64), "blue"), recipe, made)
    image.note = "of another notebook"


@pytest.mark.parametrize(
    ("call", "number"),
    [
        *product(["open"], range(1, 5)),
        *product(["mkdir", "lstat"], [1, 2]),
        *product(["replace"], [1, 2, 3]),
    ],
)
def test_what_another_notebook_makes_anew_meanwhile_stays(gen, image, call, number):
    store, recipe = gen.store, image.recipe
    with meanwhile(lambda: remake(store, recipe), call, number):
        try:
            store.delete(recipe.key)
        except StoreError as error:
            assert "made anew" in str(error)  # noqa: PT017
    made = store.get(recipe.key)
    if (call, number) in (("open", 1), ("open", 2), ("lstat", 1)):  # it was there at the first look
        assert made is None
        made = store.restore(recipe.key)
    assert made.provenance.created == "of another notebook"
    assert store.check() == []


@needs_symlinks
def test_nothing_is_moved_through_a_link_or_in_a_newer_store(gen, image, tmp_path):
    store, key = gen.store, image.recipe.key
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store.path / "deleted").symlink_to(elsewhere)
    before = contents(store.path)
    for act in (lambda: store.delete(key), lambda: store.restore(key), store.empty_deleted):
        with pytest.raises(StoreError, match="deleted is a symbolic link"):
            act()
    (store.path / "deleted").unlink()
    (store.path / "deleted").mkdir()
    (elsewhere / ("0" * 32 + ".json")).write_text("mine")
    (store.path / "deleted" / "grids").symlink_to(elsewhere)
    with pytest.raises(StoreError, match="grids is a symbolic link"):
        store.empty_deleted()
    assert contents(elsewhere) == {"0" * 32 + ".json": b"mine"}
    (store.path / "deleted" / "grids").unlink()
    (elsewhere / ("0" * 32 + ".json")).unlink()
    (store.path / "deleted").rmdir()
    (store.path / "nbtool-store.json").write_text('{"schema": 2}')
    with pytest.raises(StoreError, match="is not changed: a newer nbtool wrote it"):
        store.delete(key)
    assert contents(store.path) == before | {"nbtool-store.json": b'{"schema": 2}'}
    assert contents(elsewhere) == {}


def test_what_a_newer_nbtool_put_into_an_image_comes_back(gen, image):
    path = image.path.with_name(f"{image.recipe.key[:32]}.json")
    path.write_text(path.read_text().replace("{", '{"mask": 1,', 1))
    before = contents(gen.store.path)
    gen.store.delete(image.recipe.key)
    assert gen.store.restore(image.recipe.key).recipe == Recipe(**image.recipe.to_dict())
    assert contents(gen.store.path) == before
