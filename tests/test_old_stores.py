"""Stores of other versions: those of earlier ones are read, what is unknown is left alone."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nbtool
from nbtool import Provenance, Recipe, Store
from nbtool.imaging import reading
from nbtool.metadata import infotext
from nbtool.recipes.parameters import ROWS
from nbtool.results import folder as module
from nbtool.results.image import encoded
from nbtool.schedulers import SHORT_NAMES

# Written by nbtool 0.1.0 at commit ae951cc, with the embedded model: three images and a mark.
OLD = Path(__file__).parent / "stores" / "0.1"
STAR = "c4fc224dafb5316556a127f7c4def45780547062908e6a97200f345de69a4d10"
KEYS = {
    "a red circle on a white background": (
        "d17a481c8cb204ece910db39588d11224770ba41099a011fed663d25f0b62952"
    ),
    "a blue star": STAR,
    "ein grüner Stern": "755ab35e0aaba45fe4bf4c1eb6b36c4ea9c2f4c1a89d7c61353d54a66b9f25c3",
}
AGES = module.ABANDONED * 10  # seconds


@pytest.fixture
def old(tmp_path):
    return Store(shutil.copytree(OLD, tmp_path / "old"))


def everything(folder):
    """Every file below a folder, with a digest of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_an_old_store_opens_and_its_images_are_found(old):
    before = everything(old.path)
    assert {image.recipe.prompt: image.recipe.key for image in old} == KEYS
    (star,) = old.find(prompt="star", scheduler="ddim", eta=0.5, clip_skip=1)
    assert star.recipe.key == STAR
    assert star.image.size == (64, 64)
    assert star.provenance.versions["nbtool"] == "0.1.0"
    assert (star.starred, star.note) == (True, "the best")
    assert [image.recipe.key for image in old.starred] == [STAR]
    assert old.check() == []
    old.prepare()
    assert everything(old.path) == before


def test_its_images_are_made_again(old, tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    gen = nbtool.Generator(store=tmp_path / "new", device="cpu")
    for image in old:
        assert image.recipe.past == {}
        again = gen(image.recipe)
        difference = np.asarray(again.image, int) - np.asarray(image.image, int)
        assert np.abs(difference).max() <= 1
        once_more = nbtool.Generator(store=tmp_path / "other", device="cpu")(again.recipe)
        assert once_more.image.tobytes() == again.image.tobytes()


def test_what_it_holds_is_written_the_same_today(old, tmp_path, monkeypatch):
    """Keys, names and bytes: a store that is copied image by image is the same store.

    But for the schedule and eta in the infotext, which were wrong then, and the hash of the pixels,
    which PNGs did not have.
    """
    monkeypatch.setattr(reading, "digest", None)
    monkeypatch.setitem(ROWS, "eta", replace(ROWS["eta"], infotext="Eta"))
    monkeypatch.setattr(infotext, "_ORDER", (*infotext._ORDER, "Eta"))
    then = SHORT_NAMES["dpm++2m"]._replace(schedule_type="Automatic")
    monkeypatch.setitem(SHORT_NAMES, "dpm++2m", then)
    new = Store(tmp_path / "new")
    new.prepare()
    for image in old:
        assert Recipe.from_file(image.path) == image.recipe
        assert encoded(image.image, image.recipe, image.provenance) == image.png
        new.put(image.image, image.recipe, image.provenance)
    new.set_mark(STAR, starred=True, note="the best")
    assert everything(new.path) == everything(old.path)


STRANGERS = (
    *(f"{folder}/a/b.bin" for folder in (
        module.INPUTS, module.GRIDS, module.MEASURES, module.WORKFLOWS, module.TICKETS,
        module.DELETED, "unheard-of",
    )),
    module.PRESETS,
    "notes.txt",
    f"{STAR[:32]}.depth.png",
    f"{STAR[:32]}.measures.json",
    f"{module.INPUTS}/.a.{'0' * 32}.partial",
    f".folder.{'0' * 32}.partial/kept.bin",
)  # fmt: skip


@pytest.fixture
def strange(old):
    """An old store with what a newer version, or somebody, has put beside the images."""
    for name in STRANGERS:
        path = old.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"theirs")
        os.utime(path, (path.stat().st_mtime - AGES,) * 2)
        os.utime(path.parent, (path.stat().st_mtime - AGES,) * 2)
    return old


def theirs(store):
    return {name: digest for name, digest in everything(store.path).items() if name in STRANGERS}


def test_what_is_unknown_is_left_untouched(strange, complete, picture):
    before = theirs(strange)
    assert before.keys() == set(STRANGERS)
    abandoned = strange.path / f".a.{'0' * 32}.partial"
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (abandoned.stat().st_mtime - AGES,) * 2)
    strange.prepare()
    assert not abandoned.exists()
    assert len(strange) == len(list(strange)) == 3
    assert len(strange.latest(5)) == 3
    assert all(key in strange.listing() for key in KEYS.values())
    assert strange.marks().keys() == {STAR}
    assert strange.check() == []
    strange.put(picture, complete, Provenance())
    assert theirs(strange) == before


def test_what_lies_beside_a_damaged_image_is_not_moved_with_it(strange):
    before = theirs(strange)
    strange.find(prompt="a blue star")[0].path.write_bytes(b"damaged")
    (problem,) = strange.check()
    assert "does not match its hash" in problem
    assert theirs(strange) == before
    assert strange.mark(STAR).starred
    assert len(list((strange.path / module.DAMAGED).iterdir())) == 2


def test_no_folder_is_made_before_there_is_something_for_it(store, complete, picture):
    store.put(picture, complete, Provenance())
    assert [path for path in store.path.iterdir() if path.is_dir()] == []
