"""The pictures that images are made from lie once in the store, and travel with saved files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import warnings
import zipfile

import numpy as np
import pytest
from drives import contents
from PIL import Image

import nbtool
from nbtool import Picture, Recipe, Store, StoreError, metadata
from nbtool.results import records
from nbtool.results.folder import INPUTS
from nbtool.testing import FakeEngine

OLDER = frozenset({"schema", "key", "recipe", "provenance", "png_sha256"})


def pixels(shade, size=(64, 64)):
    return np.full((size[1], size[0], 3), shade, np.uint8)


def noise(side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def generator(folder):
    return nbtool.Generator(engine=FakeEngine(), store=folder)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def gen(folder):
    return generator(folder)


def inputs_of(folder):
    return sorted(path.name for path in (folder / INPUTS).iterdir())


def made(gen, **values):
    return gen("a fox", image=Picture(pixels(9), "cat"), **{"seed": 1, "strength": 0.5, **values})


# In the store


def test_the_pixels_lie_once_in_the_store_by_their_hash(gen, folder):
    for seed in range(3):
        image = made(gen, seed=seed)
    digest = image.recipe.image.digest
    assert inputs_of(folder) == [f"{digest[:32]}.png"]
    with Image.open(folder / INPUTS / f"{digest[:32]}.png") as kept:
        assert np.array_equal(np.asarray(kept), pixels(9))
        assert kept.info.keys() <= {"dpi"}


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_pixels_come_back_as_they_were(gen, folder, mode):
    image = Image.fromarray(noise(64)).convert(mode)
    if mode == "RGBA":
        image.putalpha(Image.fromarray(noise(64, 1)[..., 0]))
    gen("a fox", image=image, seed=1)
    again = next(iter(Store(folder))).recipe.image
    assert again.image.mode == mode
    assert again.image.tobytes() == image.tobytes()


def test_a_record_says_names_and_what_made_its_pictures(gen, folder):
    first = made(gen)
    second = gen("anew", image=first, seed=2)
    said = json.loads((folder / f"{second.recipe.key[:32]}.json").read_text())
    assert said["inputs"] == {
        second.recipe.image.digest: {"name": "a fox, seed 1", "recipe": first.recipe.to_dict()},
        first.recipe.image.digest: {"name": "cat"},
    }
    assert said["schema"] == 1
    again = Store(folder)[second.recipe.key].recipe
    assert again.image.name == "a fox, seed 1"
    assert again.chain == [first.recipe, second.recipe]
    assert again.chain[0].image.name == "cat"


def test_a_record_of_words_alone_is_as_it_was(gen, folder):
    image = gen("a fox", seed=1)
    said = json.loads((folder / f"{image.recipe.key[:32]}.json").read_text())
    assert said.keys() == OLDER
    assert not (folder / INPUTS).exists()


def test_to_an_older_nbtool_it_is_newer_and_never_damaged(gen, folder, monkeypatch):
    image = made(gen)
    older = [name for name in records.PARAMETERS if name not in ("image", "strength")]
    for module in ("nbtool.results.records", "nbtool.recipes.recipe"):
        monkeypatch.setattr(f"{module}.PARAMETERS", tuple(older))
    monkeypatch.setattr(records, "FIELDS", OLDER)
    before = contents(folder)
    store = Store(folder)
    (seen,) = store
    assert seen.recipe.unknown.keys() == {"image", "strength"}
    assert seen.recipe.key == image.recipe.key
    assert store.check() == []
    assert contents(folder) == before


def test_two_notebooks_may_add_the_same_picture(folder):
    one, other = generator(folder), generator(folder)
    for gen, seed in ((one, 1), (other, 2)):
        made(gen, seed=seed)
    assert len(inputs_of(folder)) == 1
    assert one.store.check() == []


def test_a_picture_that_appears_while_another_notebook_writes_it_is_whole(folder, monkeypatch):
    """Both write, and the last rename wins: the bytes are the same."""
    gen = generator(folder)
    put = os.replace

    def twice(source, target, **options):
        if INPUTS in str(target):
            monkeypatch.setattr(os, "replace", put)
            made(generator(folder), seed=7)
        return put(source, target, **options)

    monkeypatch.setattr(os, "replace", twice)
    made(gen)
    assert len(inputs_of(folder)) == 1
    assert gen.store.check() == []
    assert len(gen.store) == 2


def test_the_picture_is_written_before_the_record(gen, folder, monkeypatch):
    put, order = os.replace, []

    def noted(source, target, **options):
        order.append(os.path.relpath(target, folder))
        return put(source, target, **options)

    monkeypatch.setattr(os, "replace", noted)
    image = made(gen)
    names = [name for name in order if not name.startswith("nbtool-store")]
    assert names[0].startswith(f"{INPUTS}/")
    assert names[-1] == f"{image.recipe.key[:32]}.json"


def test_a_disk_that_fills_while_an_input_is_written_leaves_nothing_half(gen, folder, monkeypatch):
    gen("before", seed=1)
    put = os.replace

    def full(source, target, **options):
        if INPUTS in str(target):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return put(source, target, **options)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="No space left"):
        made(gen)
    assert inputs_of(folder) == []
    assert len(gen.store) == 1
    monkeypatch.setattr(os, "replace", put)
    assert made(gen).recipe.image.is_here


def test_an_input_that_was_altered_in_the_store_is_set_aside_and_said(gen, folder):
    image = made(gen)
    (name,) = inputs_of(folder)
    Image.fromarray(pixels(200)).save(folder / INPUTS / name)
    assert gen.store.check() == [
        f"inputs/{name}: it is not the picture its name stands for; moved to damaged/ in {folder}"
    ]
    assert inputs_of(folder) == []
    assert made(gen, seed=2).recipe.image == image.recipe.image  # the user's own picture is there
    assert inputs_of(folder) == [name]


def test_one_that_is_altered_between_two_images_is_made_good(gen, folder):
    for seed in (1, 2):
        made(gen, seed=seed)
    (name,) = inputs_of(folder)
    Image.fromarray(pixels(200)).save(folder / INPUTS / name)
    image = made(gen, seed=3)
    with Image.open(folder / INPUTS / name) as kept:
        assert nbtool.Picture(kept) == image.recipe.image
    assert (folder / "damaged" / name).exists()


def test_one_that_cannot_be_read_as_a_picture_is_set_aside(gen, folder):
    image = made(gen)
    (name,) = inputs_of(folder)
    (folder / INPUTS / name).write_bytes(b"nonsense")
    again = Store(folder)[image.recipe.key]
    assert not again.recipe.image.is_here
    assert (folder / "damaged" / name).exists()


def test_a_recipe_whose_input_is_gone_is_shown_and_says_which_file_is_needed(gen, folder):
    image = made(gen)
    shutil.rmtree(folder / INPUTS)
    again = Store(folder)[image.recipe.key]
    assert "from cat" in again.caption
    assert again.image.size == (64, 64)
    with pytest.raises(nbtool.GenerationError, match=r"the picture 'cat' .* is not here .*image="):
        generator(folder)(again.recipe.replace(seed=2))
    with pytest.raises(nbtool.GenerationError):
        generator(folder)(again.recipe, seed=3)
    made_again = generator(folder)(again.recipe.replace(seed=2, image=pixels(9)))
    assert made_again.recipe.image.is_here


def test_a_link_in_place_of_an_input_is_left(gen, folder, tmp_path):
    image = made(gen)
    (name,) = inputs_of(folder)
    (folder / INPUTS / name).rename(tmp_path / name)
    (folder / INPUTS / name).symlink_to(tmp_path / name)
    assert not Store(folder)[image.recipe.key].recipe.image.is_here
    made(gen, seed=2)
    assert (folder / INPUTS / name).is_symlink()


def test_what_lies_there_that_is_not_known_stays(gen, folder):
    made(gen)
    (folder / INPUTS / "notes.txt").write_text("mine")
    assert gen.store.check() == []
    gen.store.empty_deleted()
    assert (folder / INPUTS / "notes.txt").exists()


def test_a_deleted_image_has_its_pictures_and_gets_them_back(gen, folder):
    image = made(gen)
    gen.store.delete(image)
    (deleted,) = gen.store.deleted
    assert deleted.recipe.image.is_here
    assert gen.store.restore(image).recipe.image.is_here


def test_inputs_that_nothing_names_go_with_what_is_deleted_for_good(gen, folder):
    image = made(gen)
    kept = gen("a fox", image=pixels(77), seed=1)
    old = time.time() - 7200
    for name in inputs_of(folder):
        os.utime(folder / INPUTS / name, (old, old))
    gen.store.delete(image)
    size = gen.store.deleted.size + os.path.getsize(
        folder / INPUTS / f"{image.recipe.image.digest[:32]}.png"
    )
    assert gen.store.empty_deleted() == size
    assert inputs_of(folder) == [f"{kept.recipe.image.digest[:32]}.png"]


def test_inputs_of_earlier_steps_and_of_kept_grids_stay(gen, folder):
    first = made(gen)
    gen("anew", image=first, seed=2)
    grid = gen.grid("a fox", image=[pixels(50), pixels(51)], seed=1)
    grid.name = "kept"
    for image in grid:
        gen.store.delete(image)
    gen.store.delete(first)
    old = time.time() - 7200
    for name in inputs_of(folder):
        os.utime(folder / INPUTS / name, (old, old))
    gen.store.empty_deleted()
    assert len(inputs_of(folder)) == 4


def test_a_young_input_may_wait_for_its_record(gen, folder):
    gen.store.prepare()
    gen.store.keep(Picture(pixels(5)))
    gen.store.empty_deleted()
    assert len(inputs_of(folder)) == 1


def test_the_size_of_a_store_counts_its_inputs(gen, folder):
    made(gen)
    assert gen.store.size == sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.name != "nbtool-store.json"
    )


def test_images_are_found_by_the_picture_they_were_made_from(gen):
    image = made(gen)
    gen("a fox", seed=4)
    (found,) = gen.store.find(image=pixels(9))
    assert found.recipe == image.recipe


# In files


def test_a_png_carries_its_pictures_and_the_recipe_brings_them_back(gen, tmp_path):
    image = gen("anew", image=made(gen), mask_image=pixels(255)[..., 0], seed=2)
    path = image.save(tmp_path / "saved.png")
    shutil.rmtree(gen.store.path)
    recipe = Recipe.from_file(path)
    assert recipe == image.recipe
    assert recipe.image.name == "a fox, seed 1"
    assert np.array_equal(np.asarray(recipe.mask_image.image), pixels(255)[..., 0])
    again = generator(tmp_path / "elsewhere")(recipe)
    assert again.image.tobytes() == Image.open(path).convert("RGB").tobytes()
    assert again.chain[0].prompt == "a fox"
    assert len(inputs_of(tmp_path / "elsewhere")) == 2
    assert Recipe.from_image(path.read_bytes()).image.is_here


def test_other_programs_open_a_file_that_carries_pictures(gen, tmp_path):
    image = made(gen)
    path = image.save(tmp_path / "saved.png")
    with Image.open(path) as opened:
        opened.verify()
    with Image.open(path) as opened:
        assert opened.convert("RGB").tobytes() == image.image.tobytes()
        assert "parameters" in opened.info
    assert metadata.read(path)["recipe"] == image.recipe.to_dict()


def test_without_inputs_they_are_not_in_the_file(gen, tmp_path):
    image = made(gen)
    path = image.save(tmp_path / "saved.png", inputs=False)
    assert path.read_bytes() == image.png
    recipe = Recipe.from_file(path)
    assert recipe == image.recipe
    assert not recipe.image.is_here


def test_without_metadata_there_are_no_inputs_either(gen, tmp_path):
    path = made(gen).save(tmp_path / "saved.png", metadata=False)
    assert metadata.carried_in(path.read_bytes()) == metadata.Carried()


@pytest.mark.parametrize("end", ["jpg", "webp"])
def test_a_jpeg_has_its_pictures_beside_it_and_says_so(gen, tmp_path, end):
    image = made(gen)
    lies = f"saved.input-{image.recipe.image.digest[:8]}.png"
    with pytest.warns(UserWarning, match=f"made from pictures that lie beside it: {lies}"):
        path = image.save(tmp_path / f"saved.{end}")
    recipe = Recipe.from_file(path)
    assert recipe == image.recipe
    assert recipe.image.name == "cat"
    assert recipe.image.is_here
    (tmp_path / lies).unlink()
    assert not Recipe.from_file(path).image.is_here


def test_pictures_beyond_what_a_png_carries_lie_beside_it(gen, tmp_path, monkeypatch):
    monkeypatch.setattr(metadata, "MAX_CARRIED", 100)
    with pytest.warns(UserWarning, match="lie beside it"):
        path = made(gen).save(tmp_path / "saved.png")
    assert Recipe.from_file(path).image.is_here
    assert len(list(tmp_path.glob("saved.input-*.png"))) == 1


def test_the_limit_is_sixteen_megabytes():
    assert metadata.MAX_CARRIED == 16 * 2**20


def test_an_image_without_its_picture_is_saved_and_that_is_said(gen, folder, tmp_path):
    image = made(gen)
    shutil.rmtree(folder / INPUTS)
    with pytest.warns(UserWarning, match="saved without a picture that it was made from"):
        path = Store(folder)[image.recipe.key].save(tmp_path / "saved.png")
    assert Recipe.from_file(path) == image.recipe


@pytest.mark.parametrize("name", ["grid.zip", "grid.html"])
def test_what_is_shared_leaves_them_out_and_says_so_once(gen, tmp_path, name):
    grid = gen.grid("a fox", image=pixels(9), seed=[1, 2])
    with pytest.warns(UserWarning, match="2 images were made from are left out") as said:
        grid.save(tmp_path / name)
    assert len(said) == 1
    assert os.path.basename(said[0].filename) == "test_inputs.py"
    without = (tmp_path / name).stat().st_size
    for inputs in (True, False):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            grid.save(tmp_path / name, inputs=inputs)
        assert ((tmp_path / name).stat().st_size > without) == inputs


def test_a_folder_of_images_has_them_and_an_archive_when_asked(gen, tmp_path):
    grid = gen.grid("a fox", image=pixels(9), seed=[1, 2])
    grid.save(f"{tmp_path}/out/")
    for path in (tmp_path / "out").iterdir():
        assert Recipe.from_file(path).image.is_here
    archive = nbtool.save(grid, tmp_path / "all.zip", inputs=True)
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            assert Recipe.from_image(opened.read(name)).image.is_here


def test_jpegs_in_a_folder_or_an_archive_have_theirs_beside_them(gen, tmp_path):
    grid = gen.grid("a fox", image=pixels(9), seed=[1, 2])
    grid.save(f"{tmp_path}/out/", names="{seed}.jpg")
    assert Recipe.from_file(tmp_path / "out" / "1.jpg").image.is_here
    nbtool.save(grid, tmp_path / "all.zip", names="{seed}.jpg", inputs=True)
    with zipfile.ZipFile(tmp_path / "all.zip") as opened:
        opened.extractall(tmp_path / "unpacked")
    assert Recipe.from_file(tmp_path / "unpacked" / "2.jpg").image.is_here


@pytest.mark.parametrize("refine", [None, nbtool.refine(scale=1.5)])
def test_grids_of_words_say_nothing(gen, tmp_path, refine):
    grid = gen.grid("a fox", seed=[1, 2], refine=refine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grid.save(tmp_path / "grid.zip")
        grid.save(tmp_path / "grid.html")


def test_a_file_that_lies_about_its_pictures_is_not_believed(gen, tmp_path):
    image = made(gen)
    other = metadata.Carried({image.recipe.image.digest: image.png}, '{"x": 1, "y": []}')
    path = tmp_path / "false.png"
    path.write_bytes(metadata.carrying(image.png, other))
    recipe = Recipe.from_file(path)
    assert recipe == image.recipe
    assert not recipe.image.is_here


@pytest.mark.parametrize("cut", [1, 40, 100])
def test_broken_chunks_carry_nothing(gen, cut):
    data = made(gen).packed("PNG", metadata=True, inputs=True)[0]
    assert metadata.carried_in(data).pictures
    place = data.index(b"nbIp") + cut
    broken = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    assert not metadata.carried_in(broken).pictures
    assert not metadata.carried_in(data[:place]).pictures
    assert metadata.carried_in(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xff") == metadata.Carried()
