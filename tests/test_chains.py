"""Images made from images: what is needed first is made first, once, and kept pixels are used."""

from __future__ import annotations

import json
import shutil
import struct
import warnings

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import nbtool
from nbtool import GenerationError, Recipe, RecipeError, Store
from nbtool.imaging import reading
from nbtool.results.folder import INPUTS
from nbtool.testing import FakeEngine


class Counting(FakeEngine):
    """A fake engine that notes the prompts of what it makes, in turn."""

    def __init__(self, **options):
        super().__init__(**options)
        self.made = []

    def run(self, recipes, emit, cancelled, *, priority=0):
        def noted(event):
            if type(event).__name__ == "Finished":
                self.made.append(event.recipe.prompt or "?")
            emit(event)

        super().run(recipes, noted, cancelled, priority=priority)


class Another(Counting):
    """The same on another machine: other pixels come of the same recipe."""

    def run(self, recipes, emit, cancelled, *, priority=0):
        from dataclasses import replace

        def other(event):
            if type(event).__name__ == "Finished":
                event = replace(event, image=event.image.point(lambda value: value ^ 1))
            emit(event)

        super().run(recipes, other, cancelled, priority=priority)


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator(engine=Counting(), store=tmp_path / "images")


def again(gen, engine=None):
    """A generator with the same store that knows nothing yet."""
    return nbtool.Generator(engine=engine or Counting(), store=gen.store.path)


def forget(gen, *images):
    """Deletes images, and the pixels that were kept of them."""
    for image in images:
        gen.store.delete(image)
    gen.store.empty_deleted()
    shutil.rmtree(gen.store.path / INPUTS, ignore_errors=True)


def test_the_chain_goes_from_words_to_the_last_step(gen):
    one = gen("one", seed=1)
    two = gen("two", image=one, seed=2)
    three = two.refine(scale=1.5, strength=0.3)
    assert [recipe.prompt for recipe in three.chain] == ["one", "two", "two"]
    assert three.chain[-1] == three.recipe
    assert one.chain == [one.recipe]
    assert Store(gen.store.path)[three.recipe.key].chain == three.chain


@pytest.mark.parametrize("painted", [False, True])
def test_the_chain_leads_through_a_picture_that_was_extended(gen, tmp_path, painted):
    one = gen("one", seed=1)
    between = gen("between", image=one, seed=3)
    two = gen("two", seed=2, mask_padding=16, **extended(between, painted=painted))
    three = gen("three", seed=4, mask_padding=16, **extended(two, painted=painted))
    way = ["one", "between", "two", "three"]
    assert [recipe.prompt for recipe in three.chain] == way
    assert three.recipe.image.recipe is None  # that recipe gives other pixels
    stored = Store(gen.store.path)[three.recipe.key]
    assert stored.chain == three.chain
    for name in ("three.png", "three.jpg"):
        read = Recipe.from_file(stored.save(tmp_path / name, inputs=name.endswith("png")))
        assert [recipe.prompt for recipe in read.chain] == (way if "png" in name else ["three"])
    forget(gen, one, between, two)
    with pytest.raises(GenerationError, match="is not here"):
        again(gen)(stored.recipe.replace(seed=9))


def extended(image, *, painted):
    """An image with more to its right, as a recipe takes it."""
    if painted:
        painter = nbtool.paint(image)
        painter.outpaint(right=64)
        return {"image": painter.picture, "mask_image": painter.mask}
    picture, mask = nbtool.outpaint(image, right=64)
    return {"image": picture, "mask_image": mask}


@pytest.mark.parametrize("end", ["png", "jpg", "webp"])
@pytest.mark.parametrize("given", ["path", "bytes", "opened"])
def test_the_chain_leads_through_a_file_that_was_saved(gen, tmp_path, end, given):
    two = gen("two", image=gen("one", seed=1), seed=2)
    path = saved(two, tmp_path / f"two.{end}")
    source = path.read_bytes() if given == "bytes" else path
    other = nbtool.Generator(engine=Counting(), store=tmp_path / "others")
    with Image.open(path) as opened:
        three = other("three", image=opened if given == "opened" else source, seed=3)
    assert [recipe.prompt for recipe in three.chain] == ["one", "two", "three"]
    assert three.chain[:-1] == two.chain
    assert three.recipe.image.name == ("two, seed 2" if given == "bytes" else "two")
    assert Store(other.store.path)[three.recipe.key].chain == three.chain


def saved(image, path):
    """An image in a file, with what it was made from."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a JPEG's pictures, which lie beside it
        return image.save(path)


def test_a_file_that_was_saved_and_is_gone_is_made_again(gen, tmp_path):
    path = gen("one", seed=1).save(tmp_path / "one.png")
    picture = nbtool.Picture(path)
    path.unlink()
    other = nbtool.Generator(engine=Counting(), store=tmp_path / "others")
    two = other("two", image=picture, seed=2)
    assert other.engine.made == ["one", "two"]
    assert two.provenance.inputs == {}


@pytest.mark.parametrize("end", ["png", "jpg"])
def test_a_file_has_the_pixels_of_what_it_was_made_from(gen, tmp_path, end):
    one = gen("one", seed=1)
    path, pixels = (
        saved(gen("two", image=one, seed=2), tmp_path / f"two.{end}"),
        one.image.tobytes(),
    )
    (first,) = nbtool.Picture(path).recipe.pictures
    shutil.rmtree(gen.store.path)
    assert first.image.tobytes() == pixels
    for file in tmp_path.glob("two*"):
        file.unlink()
    assert not first.is_here


@pytest.mark.parametrize("end", ["png", "jpg", "webp"])
def test_a_file_whose_pixels_were_changed_begins_a_chain(gen, tmp_path, end):
    path = gen("one", seed=1).save(tmp_path / f"one.{end}")
    with Image.open(path) as opened:
        texts, edited = opened.info.get("nbtool"), opened.convert("RGB")
        kept = {"exif": opened.getexif()}
    if end == "png":
        kept = {"pnginfo": PngInfo()}
        kept["pnginfo"].add_text("nbtool", texts)
    edited.paste("white", (8, 8, 24, 24))
    edited.save(path, **kept)
    assert Recipe.from_file(path).prompt == "one"
    two = gen("two", image=path, seed=2)
    assert [recipe.prompt for recipe in two.chain] == ["two"]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{",
        '{"recipe": 5, PIXELS}',
        '{"recipe": {"prompt": 5}, PIXELS}',
        '{"recipe": {"image": "cat.png"}, PIXELS}',
        '{"recipe": {"image": {"recipe": {"image": 5}}}, PIXELS}',
        '{"recipe": {}, "schema": 2, PIXELS}',
        '{"recipe": {"later": {}}, PIXELS}',
        '{"recipe": {}, "provenance": {"widths": 5}, "pixels": {}}',
        pytest.param('{"recipe": ' * 5000, id="deep"),
    ],
)
def test_what_others_have_written_there_makes_no_picture_unusable(gen, tmp_path, said):
    picture = Image.new("RGB", (64, 64), "red")
    texts = PngInfo()
    texts.add_text("nbtool", said.replace("PIXELS", f'"pixels": "{reading.digest(picture)}"'))
    picture.save(tmp_path / "red.png", pnginfo=texts)
    image = gen("one", image=tmp_path / "red.png", seed=1)
    assert image.chain == [image.recipe]
    assert image.recipe.image == nbtool.Picture(picture)


def test_pictures_that_all_name_each_other_are_read_in_no_time(gen, tmp_path):
    picture = Image.new("RGB", (64, 64), "red")
    digests = [f"{number:064x}" for number in range(16)]
    each = [{"sha256": digest, "mode": "RGB", "size": [64, 64]} for digest in digests]
    recipe = {**Recipe(prompt="one", seed=1).to_dict(), "image": each}
    origins = {digest: {"name": digest[-2:], "recipe": recipe} for digest in digests}
    texts = PngInfo()
    said = {"schema": 1, "recipe": recipe, "provenance": {}, "inputs": origins}
    texts.add_text("nbtool", json.dumps({**said, "pixels": reading.digest(picture)}))
    picture.save(tmp_path / "red.png", pnginfo=texts)
    image = gen("two", image=tmp_path / "red.png", seed=2)
    (found,) = Store(gen.store.path)
    assert [one.name for one in found.recipe.image.recipe.image] == [n[-2:] for n in digests]
    assert found.chain[-1] == image.recipe


def test_exif_that_leads_nowhere_makes_no_picture_unusable(gen, tmp_path):
    pointer = struct.pack("<HHHIi", 1, 0x8769, 9, 1, -1)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + pointer + bytes(4)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.jpg", exif=exif)
    image = gen("one", image=tmp_path / "red.jpg", seed=1)
    assert image.chain == [image.recipe]


def test_a_picture_and_its_mask_may_both_be_made(gen):
    scene, mask = gen("scene", seed=1), gen("mask", seed=2)
    image = gen("both", image=scene, mask_image=mask, seed=3)
    assert [recipe.prompt for recipe in image.chain] == ["scene", "mask", "both"]


def test_a_picture_given_as_a_recipe_is_made_first_and_kept(gen):
    image = gen("two", image=Recipe(prompt="one", seed=1), seed=2)
    assert gen.engine.made == ["one", "two"]
    assert len(gen.store) == 2
    assert gen.store[image.recipe.image.recipe.key].image.size == (64, 64)
    gen("three", image=Recipe(prompt="one", seed=1), seed=2)
    assert gen.engine.made == ["one", "two", "three"]


def test_a_sweep_over_a_later_step_makes_the_earlier_ones_once(gen):
    two = Recipe(prompt="two", seed=2, image=Recipe(prompt="one", seed=1), strength=0.5)
    grid = gen.grid("three", image=two, strength=[0.2, 0.4, 0.6], seed=range(4))
    assert gen.engine.made[:2] == ["one", "two"]
    assert gen.engine.made[2:] == ["three"] * 12
    assert len(grid) == 12


def test_a_sweep_over_the_second_pass_makes_the_first_once(gen):
    gen.grid("a fox", refine=nbtool.refine(scale=[1.5, 2], strength=[0.2, 0.4]), seed=1)
    assert len(gen.engine.made) == 5
    assert len(gen.store) == 5


def test_a_first_pass_that_is_a_cell_too_is_made_once(gen):
    grid = gen.grid("a fox", refine=[None, nbtool.refine()], seed=[1, 2])
    assert len(gen.engine.made) == 4
    assert len(grid) == 4


def test_refining_an_image_makes_the_second_pass_alone(gen):
    image = gen("a fox", seed=1)
    refined = image.refine(scale=2, strength=0.25, prompt="a red fox")
    assert gen.engine.made == ["a fox", "a fox"]
    assert refined.image.size == (128, 128)
    larger = np.asarray(image.image.resize((128, 128), Image.Resampling.LANCZOS), int)
    last = refined.recipe.last_pass
    assert last.prompt == "a red fox"
    assert np.abs(np.asarray(refined.image, int) - larger).mean() < 80


def test_an_image_may_be_refined_again_and_again(gen):
    image = gen("a fox", seed=1).refine(scale=1.5).refine(scale=1.5).refine(scale=1.1)
    assert image.image.size == (160, 160)
    assert len(image.chain) == 4


def test_refining_an_image_that_is_too_large_is_refused(gen):
    with pytest.raises(RecipeError, match="width"):
        gen("a fox", seed=1, width=4096, height=64, num_inference_steps=1).refine(scale=4)
    assert len(gen.engine.made) == 1


def test_kept_pixels_are_used_where_the_earlier_image_is_gone(gen):
    one = gen("one", seed=1)
    gen("two", image=one, seed=2)
    gen.store.delete(one)
    gen.store.empty_deleted()
    later = again(gen)
    two = next(iter(later.store))
    three = later(two.recipe.replace(seed=3))
    assert later.engine.made == ["two"]
    assert three.provenance.inputs == {}
    assert two.chain[0] == one.recipe


def test_a_picture_that_is_gone_is_made_again_from_its_recipe(gen):
    one = gen("one", seed=1)
    two = gen("two", image=one, seed=2)
    pixels = one.image.tobytes()
    forget(gen, one)
    later = again(gen)
    assert later.plan(two.recipe.replace(seed=3)).to_make == 2
    three = later(Store(gen.store.path)[two.recipe.key].recipe.replace(seed=3))
    assert later.engine.made == ["one", "two"]
    assert three.provenance.inputs == {}
    assert later.store[one.recipe.key].image.tobytes() == pixels


def test_where_other_pixels_come_of_it_that_is_said_with_both_hashes(gen):
    one = gen("one", seed=1)
    two = gen("two", image=one, seed=2)
    forget(gen, one)
    later = again(gen, Another())
    with pytest.warns(UserWarning, match="made again from its recipe, they differ"):
        three = later(Store(gen.store.path)[two.recipe.key].recipe.replace(seed=3))
    was = one_digest = two.recipe.image.digest
    now = nbtool.Picture(later.store[one.recipe.key]).digest
    assert three.provenance.inputs == {was: now}
    assert one_digest != now
    assert three.recipe.image.digest == was
    kept = Store(gen.store.path)[three.recipe.key].provenance
    assert kept.inputs == {was: now}
    assert "they differ" in kept.notes[-1]


def test_a_whole_chain_is_made_again_from_its_last_file(gen, tmp_path):
    one = gen("one", seed=1)
    two = gen("two", image=one, seed=2)
    three = gen("three", image=two, seed=3)
    forget(gen, one, two)
    later = again(gen)
    later(Store(gen.store.path)[three.recipe.key].recipe.replace(seed=4))
    assert later.engine.made == ["one", "two", "three"]


def test_deleting_an_earlier_image_breaks_no_later_one(gen, tmp_path):
    one = gen("one", seed=1)
    two = gen("two", image=one, seed=2)
    deferred = gen("three", image=one.recipe, seed=3)
    refined = one.refine(scale=2)
    for image in (one,):
        gen.store.delete(image)
    gen.store.empty_deleted()
    store = Store(gen.store.path)
    assert store.check() == []
    for image in (two, deferred, refined):
        found = store[image.recipe.key]
        assert found.image.tobytes() == image.image.tobytes()
        assert found.chain[0] == one.recipe
        found.save(tmp_path / "saved.png")


def test_an_earlier_step_that_fails_fails_what_is_made_from_it_and_no_other(tmp_path):
    engine = Counting(fails=lambda recipe: "no such luck" if recipe.prompt == "bad" else "")
    gen = nbtool.Generator(engine=engine, store=tmp_path / "images")
    pictures = {"bad": Recipe(prompt="bad", seed=1), "good": Recipe(prompt="good", seed=1)}
    grid = gen.grid("later", image=pictures, seed=[1, 2])
    assert len(grid) == 2
    assert {labels[0] for labels in grid.failed} == {"bad"}
    (error, _) = grid.failed.values()
    assert str(error) == "what it is made from could not be made: no such luck"


def test_a_step_of_another_model_is_refused_before_anything_is_made(gen):
    other = Recipe(prompt="one", seed=1, model="other")
    with pytest.raises(RecipeError, match="is for the model 'other'"):
        gen("two", image=other, seed=2)
    with pytest.raises(RecipeError, match="is for the model 'other'"):
        gen.plan("two", image=other, seed=2)
    assert gen.engine.made == []


def test_a_lost_picture_that_another_model_made_says_so(gen, tmp_path):
    one = gen("one", seed=1)
    two = gen("two", image=one, seed=2)
    forget(gen, one)
    other = nbtool.Generator(engine=Counting(name="other"), store=gen.store.path)
    with pytest.raises(GenerationError, match="made from could not be made: this recipe is for"):
        other("anew", image=Store(gen.store.path)[two.recipe.key].recipe.image, seed=1)
    assert other.engine.made == []


def test_a_plan_counts_what_is_made_first(gen):
    refine = nbtool.refine(scale=1.5, strength=[0.3, 0.5])
    plan = gen.plan("a fox", refine=refine, seed=1)
    assert (plan.cells, plan.images, plan.stored) == (2, 3, 0)
    gen("a fox", seed=1)
    assert gen.plan("a fox", refine=refine, seed=1).to_make == 2
    two = Recipe(prompt="two", seed=2, image=Recipe(prompt="one", seed=1), strength=0.5)
    assert gen.plan("three", image=two, seed=range(4)).to_make == 6


def test_progress_counts_what_is_made_first(gen):
    job = gen.submit("a fox", refine=nbtool.refine(strength=[0.3, 0.5]), seed=1)
    grid = job.wait()
    assert (job.progress.total, job.progress.made) == (3, 3)
    assert len(grid) == 2
    assert len(list(job)) == 2
    assert len(job.changes()[0]) == 2


def test_two_jobs_make_a_step_that_both_need_once(gen):
    gen.engine.hold(1)
    jobs = [gen.submit("later", image=Recipe(prompt="one", seed=1), seed=seed) for seed in (1, 2)]
    assert gen.engine.wait_for_hold(60)
    gen.engine.release()
    for job in jobs:
        assert len(job.wait()) == 1
    assert gen.engine.made.count("one") == 1


def test_a_cancelled_job_begins_no_later_step(gen):
    gen.engine.hold(2)
    job = gen.submit("later", image=Recipe(prompt="one", seed=1), seed=range(3))
    assert gen.engine.wait_for_hold(60)
    job.cancel()
    gen.engine.release()
    job.join()
    assert gen.engine.made == []
    assert job.progress.cancelled == 4


def test_a_step_that_no_wanted_cell_needs_is_given_up(gen):
    gen.engine.hold(1)
    pictures = {"one": Recipe(prompt="one", seed=1), "two": Recipe(prompt="two", seed=1)}
    job = gen.submit("later", image=pictures, seed=[1, 2])
    assert gen.engine.wait_for_hold(60)
    job.cancel(image="two")
    gen.engine.release()
    assert len(job.wait()) == 2
    assert "two" not in gen.engine.made


def test_an_image_in_no_store_is_refined_too(gen):
    image = gen("a fox", seed=1)
    gen.store.delete(image)
    assert image.refine(scale=1.5).image.size == (96, 96)


def test_an_image_read_without_a_generator_says_how_to_refine_it(gen):
    image = next(iter(Store(gen("a fox", seed=1).store.path)))
    with pytest.raises(GenerationError, match="without a generator"):
        image.refine(scale=1.5)


def test_a_recipe_says_what_it_needs(gen):
    one = gen("one", seed=1)
    deferred = Recipe(prompt="two", image=one.recipe, strength=0.5)
    assert deferred.needs == (one.recipe,)
    assert gen.store.known(deferred).needs == ()
    refined = one.recipe.replace(refine=nbtool.refine())
    assert refined.needs == (one.recipe,)
    assert gen.store.known(refined).needs == ()


@pytest.mark.parametrize("altered", [False, True])
def test_a_file_that_changes_between_plan_and_run_fails_its_own_cells_alone(gen, tmp_path, altered):
    files = [tmp_path / "cat.png", tmp_path / "dog.png"]
    for colour, file in zip(("red", "blue"), files, strict=True):
        Image.new("RGB", (64, 64), colour).save(file)
    asked = {"image": [nbtool.Picture(file) for file in files], "strength": 0.5, "seed": [1, 2]}
    assert gen.plan("a fox", **asked).to_make == 4
    was = files[1].read_bytes()
    files[1].unlink()
    if altered:
        Image.new("RGB", (64, 64), "green").save(files[1])

    grid = gen.grid("a fox", **asked)

    assert [image.recipe.image.name for image in grid] == ["cat", "cat"]
    why = "what lies there now is another picture" if altered else f"there is no picture {files[1]}"
    for labels, error in grid.failed.items():
        assert labels[0] == "dog"
        assert f"({why}); give the file it came from: image=… or mask_image=…" in str(error)
    files[1].write_bytes(was)
    assert gen.plan("a fox", **asked).to_make == 2
    assert len(gen.grid("a fox", **asked)) == 4
