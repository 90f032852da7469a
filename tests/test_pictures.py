"""Pictures are values of recipes: known by their pixels, axes of grids, named so that people read it."""

from __future__ import annotations

import copy
import glob
import json
import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import nbtool
from nbtool import AxisError, Picture, Recipe, RecipeError
from nbtool.testing import FakeEngine


def pixels(shade, size=(64, 64)):
    """A picture with something on it, as an array."""
    values = np.full((size[1], size[0], 3), shade, np.uint8)
    values[: size[1] // 2, :, 0] = 255 - shade
    return values


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that one works in, with a picture in each of two folders."""
    monkeypatch.chdir(tmp_path)
    for shade, place in ((10, "mine"), (90, "yours")):
        (tmp_path / place).mkdir()
        Image.fromarray(pixels(shade)).save(tmp_path / place / "cat.png")
    return tmp_path


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")


def one(**values):
    return Recipe(prompt="a fox", seed=1, width=64, height=64, **values)


# As values of recipes


def test_the_same_pixels_are_the_same_recipe_wherever_they_come_from(folder):
    Image.fromarray(pixels(10)).save(folder / "other.bmp")
    image = Image.open(folder / "mine" / "cat.png")
    sources = ["mine/cat.png", "other.bmp", pixels(10), image, (folder / "other.bmp").read_bytes()]
    assert len({one(image=source).key for source in sources}) == 1
    assert one(image=pixels(11)).key != one(image=pixels(10)).key


def test_a_picture_is_known_by_hash_mode_and_size_in_json():
    recipe = one(image=pixels(10), mask_image=pixels(0)[..., 0], strength=0.5)
    said = json.loads(recipe.to_json())
    assert said["image"] == {"sha256": recipe.image.digest, "mode": "RGB", "size": [64, 64]}
    assert said["mask_image"]["mode"] == "L"
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert hash(Recipe.from_json(recipe.to_json())) == hash(recipe)
    assert Recipe.from_json(recipe.to_json()).key == recipe.key


def test_keys_of_recipes_with_pictures_stay_what_they_are():
    """What is in stores is found by them."""
    picture = Picture(np.zeros((2, 3, 3), np.uint8))
    assert picture.digest == "63d38e52d682dc66625ff4e9577ebd4197901bd49e8a3fbf01140783f5595948"
    assert one(image=picture, strength=0.5).key.startswith("e2c15a4d88d5d31974e6")
    assert one(refine=nbtool.refine(scale=1.5, strength=0.4)).key.startswith("deabb02aa26162ec57a2")
    assert one(image=one()).key.startswith("cd8d93c8c64f01fee586")


def test_a_recipe_without_pictures_has_the_key_that_it_had():
    assert Recipe(prompt="a").to_json() == '{"prompt":"a"}'


def test_the_name_is_no_part_of_it(folder):
    named = Picture("mine/cat.png", name="Tom")
    assert named.name == "Tom"
    assert Picture("mine/cat.png").name == "cat"
    assert named == Picture("mine/cat.png")
    assert "Tom" not in one(image=named).to_json()
    assert "mine" not in one(image=named).to_json()


@pytest.mark.parametrize("text", ["mine/cat.png", "https://example.org/cat.png", "../cat.png"])
@pytest.mark.parametrize(
    "read", [Recipe.from_dict, Recipe.from_record, lambda d: Recipe.from_json(json.dumps(d))]
)
def test_a_path_or_an_address_inside_a_recipe_is_never_opened(folder, text, read):
    for said in (text, [text, text]):
        with pytest.raises(RecipeError, match="which is not opened; give the picture itself"):
            read({"prompt": "a", "image": said})


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"sha256": "A" * 64, "mode": "RGB", "size": [1, 1]},
        {"sha256": "a" * 63, "mode": "RGB", "size": [1, 1]},
        {"sha256": "a" * 64, "mode": "P", "size": [1, 1]},
        {"sha256": "a" * 64, "mode": "RGB", "size": [0, 1]},
        {"sha256": "a" * 64, "mode": "RGB", "size": [True, 1]},
        {"sha256": "a" * 64, "mode": "RGB", "size": [1, 1, 1]},
        {"sha256": "a" * 64, "mode": "RGB", "size": [1, 1], "path": "x"},
        {"sha256": ["a"], "mode": {}, "size": "ab"},
        {"recipe": "a fox"},
        {"recipe": {"steps": "x"}, "more": 1},
    ],
)
def test_what_is_no_picture_in_a_recipe_is_refused(said):
    with pytest.raises(RecipeError):
        Recipe.from_dict({"prompt": "a", "image": said})


def test_replacing_a_picture_by_an_equal_one_that_is_here_brings_its_pixels(folder):
    gone = Recipe.from_json(one(image=pixels(10)).to_json())
    assert not gone.image.is_here
    assert gone.replace(image="mine/cat.png").image.is_here


def test_several_pictures_are_one_value():
    both = nbtool.pictures(pixels(1), pixels(2))
    recipe = one(image=both)
    assert len(recipe.image) == 2
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert one(image=nbtool.pictures(pixels(2), pixels(1))).key != recipe.key
    assert one(image=nbtool.pictures(pixels(1))) == one(image=pixels(1))
    with pytest.raises(RecipeError, match="mask_image is one picture, got 2"):
        one(mask_image=both)
    with pytest.raises(RecipeError, match="one picture or more"):
        nbtool.pictures()


def test_a_picture_given_as_a_recipe_is_known_by_that():
    first = one()
    recipe = one(image=first)
    assert json.loads(recipe.to_json())["image"] == {"recipe": first.to_dict()}
    assert recipe.needs == (first,)
    assert recipe.chain == [first, recipe]
    assert recipe.image.size == (64, 64)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.needs == (first,)


def test_verbs():
    assert one().verb == "text"
    assert one(image=pixels(1)).verb == "image"
    assert one(image=pixels(1), mask_image=pixels(1)).verb == "inpaint"


def test_pixels_of_a_file_that_changed_are_not_taken_for_the_picture(folder):
    picture = Picture("mine/cat.png")
    Image.fromarray(pixels(77)).save("mine/cat.png")
    assert not picture.is_here
    with pytest.raises(RecipeError, match=r"another picture.*give the file it came from"):
        _ = picture.image


def test_pixels_of_a_file_that_is_gone_are_asked_for(folder):
    picture = Picture("mine/cat.png")
    (folder / "mine" / "cat.png").unlink()
    with pytest.raises(RecipeError, match=r"'cat' \(64 × 64, sha256 .*\) is not here.*there is no"):
        _ = picture.image


def test_an_array_that_is_changed_later_changes_nothing():
    array = pixels(3)
    picture = Picture(array)
    array[:] = 0
    assert np.array_equal(np.asarray(picture.image), pixels(3))
    picture.image.putpixel((0, 0), (1, 2, 3))
    assert np.array_equal(np.asarray(picture.image), pixels(3))


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))]
)
def test_a_copy_has_the_pixels(folder, copied):
    again = copied(Picture("mine/cat.png"))
    (folder / "mine" / "cat.png").unlink()
    assert again.name == "cat"
    assert np.array_equal(np.asarray(again.image), pixels(10))
    assert not copied(Picture.from_dict(again.to_dict(), Recipe.from_record)).is_here


@pytest.mark.parametrize("bad", [3, [1]])
def test_a_name_is_a_text(bad):
    with pytest.raises(RecipeError, match="name is a text"):
        Picture(pixels(1), name=bad)


@given(st.binary(max_size=64))
def test_bytes_are_a_picture_or_refused(data):
    with pytest.raises(RecipeError):
        Picture(data)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mask_image": pixels(1)}, "mask_image needs a picture to act on; give image="),
        ({"strength": 0.5}, "strength needs a picture"),
        ({"resize_mode": "pad"}, "resize_mode needs a picture"),
        (
            {"image": pixels(1), "mask_blur": 4},
            "mask_blur needs a mask to act on; give mask_image=",
        ),
        ({"image": pixels(1), "mask_padding": 4}, "mask_padding needs a mask"),
    ],
)
def test_parts_that_need_another_are_refused_before_anything_is_made(gen, values, words):
    with pytest.raises(RecipeError, match=words):
        gen("a fox", seed=1, **values)
    with pytest.raises(RecipeError, match=words):
        gen.plan("a fox", seed=1, **values)
    assert len(gen.store) == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("strength", 1.1, "from 0 to 1"),
        ("strength", -0.1, "from 0 to 1"),
        ("mask_blur", 2.5, "whole number"),
        ("resize_mode", "squeeze", "'crop' or 'pad' or 'stretch'"),
        ("refine", 2, r"refine is a nbtool.refine\(…\)"),
        ("refine", {"scale": 9}, "refine's scale must be a number from 1 to 8"),
        ("refine", {"strenght": 0.5}, "did you mean 'strength'"),
        ("refine", {"scheduler": "eulr"}, "eulr"),
    ],
)
def test_values_out_of_range_are_refused(name, value, words):
    with pytest.raises(RecipeError, match=words):
        Recipe(**{name: value})


def test_a_preset_holds_no_pictures():
    with pytest.raises(RecipeError, match="keeps no image"):
        nbtool.Preset(image="cat.png")
    assert nbtool.Preset(strength=0.5).settings == {"strength": 0.5}


# As axes


def test_a_list_of_pictures_is_an_axis_with_stems_as_labels(gen, folder):
    (folder / "mine" / "cat.png").rename(folder / "mine" / "dog.png")
    grid = gen.grid("a fox", image=["mine/dog.png", "yours/cat.png"], strength=[0.4, 0.6], seed=1)
    assert grid.axes == {"image": ("dog", "cat"), "strength": (0.4, 0.6)}
    assert grid.sel(image="cat", strength=0.4).recipe.image == Picture("yours/cat.png")
    assert len(grid.sel(image="yours/cat.png")) == 2  # asked for by the file itself
    with pytest.raises(AxisError, match="there are: dog, cat"):
        grid.sel(image="bird")


def test_as_much_of_the_folder_as_tells_equal_stems_apart(gen, folder):
    for deep in ("a/one", "b/one"):
        (folder / deep).mkdir(parents=True)
        Image.fromarray(pixels(len(deep) + ord(deep[0]))).save(folder / deep / "dog.png")
    files = ["mine/cat.png", "yours/cat.png", "a/one/dog.png", "b/one/dog.png"]
    assert gen.plan("a fox", image=files, seed=1).cells == 4
    grid = gen.grid("a fox", image=files, seed=1)
    assert grid.axes["image"] == ("mine/cat", "yours/cat", "a/one/dog", "b/one/dog")


def test_the_end_tells_files_of_one_folder_apart(gen, folder):
    Image.fromarray(pixels(33)).save(folder / "mine" / "cat.bmp")
    grid = gen.grid("a fox", image=["mine/cat.png", "mine/cat.bmp"], seed=1)
    assert grid.axes["image"] == ("cat.png", "cat.bmp")


def test_stems_that_look_alike_in_another_unicode_form_are_told_apart(gen, folder):
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    for shade, (place, form) in enumerate(zip(("mine", "yours"), forms, strict=True)):
        Image.fromarray(pixels(shade)).save(folder / place / f"{form}.png")
    files = [f"mine/{forms[0]}.png", f"yours/{forms[1]}.png"]
    labels = gen.grid("a fox", image=files, seed=1).axes["image"]
    assert [label.split("/")[0] for label in labels] == ["mine", "yours"]


def test_two_files_with_the_same_pixels_are_two_labels_and_one_image(gen, folder):
    (folder / "copy.png").write_bytes((folder / "mine" / "cat.png").read_bytes())
    grid = gen.grid("a fox", image=["mine/cat.png", "copy.png"], seed=1)
    assert grid.axes["image"] == ("cat", "copy")
    assert len(gen.store) == 1


def test_a_file_given_twice_is_refused(gen, folder):
    with pytest.raises(AxisError, match="twice"):
        gen.grid("a fox", image=["mine/cat.png", "mine/cat.png"], seed=1)


def test_pictures_of_a_dict_have_its_keys_as_labels(gen):
    grid = gen.grid("a fox", image={"dark": pixels(1), "light": pixels(99)}, seed=1)
    assert grid.axes["image"] == ("dark", "light")


def test_arrays_are_one_picture_and_lists_of_them_an_axis(gen):
    assert gen.grid("a fox", image=pixels(1), seed=1).axes == {}
    assert gen.grid("a fox", image=[pixels(1), pixels(2)], seed=1).axes == {
        "image": ("picture 1", "picture 2")
    }
    assert gen.grid("a fox", image=Image.fromarray(pixels(1)), seed=1).axes == {}
    with pytest.raises(RecipeError, match="give several as a list"):
        gen.grid("a fox", image=np.stack([pixels(1), pixels(2)]), seed=1)


def test_an_array_of_paths_is_an_axis(gen, folder):
    files = np.array(["mine/cat.png", "yours/cat.png"])
    assert gen.grid("a fox", image=files, seed=1).shape == (2,)


def test_several_in_one_value_are_no_axis(gen):
    both = nbtool.pictures(pixels(1), pixels(2))
    assert gen.grid("a fox", image=both, seed=1).axes == {}
    grid = gen.grid("a fox", image=[both, nbtool.pictures(pixels(2), pixels(1))], seed=1)
    assert grid.axes["image"] == ("picture 1 + picture 2", "picture 3 + picture 4")


@pytest.mark.parametrize(
    ("sweep", "labels"),
    [
        ({"seed": [4, 5]}, ("seed 4", "seed 5")),
        ({"prompt": ["a fox", "a dog"], "seed": 4}, ("a fox", "a dog")),
        (
            {"prompt": ["a", "b"], "seed": [4, 5]},
            ("a, seed 4", "a, seed 5", "b, seed 4", "b, seed 5"),
        ),
    ],
)
def test_images_of_nbtool_are_called_by_what_differs(gen, sweep, labels):
    first = gen.grid(**sweep)
    assert gen.grid("anew", image=first, seed=1).axes["image"] == labels
    assert gen.grid("anew", image=[image.recipe for image in first], seed=1).axes["image"] == labels


def test_what_a_glob_finds_is_an_axis(gen, folder):
    grid = gen.grid("a fox", image=sorted(glob.glob("*/cat.png")), seed=1)
    assert grid.axes["image"] == ("mine/cat", "yours/cat")


@pytest.mark.parametrize("name", ["image", "mask_image"])
def test_a_glob_that_matches_nothing_is_refused(gen, folder, name):
    with pytest.raises(AxisError, match=f"{name} has no pictures.*does glob.glob"):
        gen.grid("a fox", **{name: glob.glob("*.nothing")}, seed=1)


def test_pictures_and_masks_move_together(gen):
    both = nbtool.paired(image=[pixels(1), pixels(2)], mask_image=[pixels(3), pixels(4)])
    grid = gen.grid("a fox", both=both, seed=1)
    assert [image.recipe.verb for image in grid] == ["inpaint", "inpaint"]


def test_paired_pictures_are_called_like_those_of_an_axis(gen, folder):
    images = ["mine/cat.png", "mine/cat.png", "yours/cat.png"]
    masks = [Picture(pixels(number), name=f"mask{number}") for number in (3, 4, 4)]
    pairs = nbtool.paired(mask_image=masks, image=images, strength=[0.5, 0.6, 0.7])
    grid = gen.grid("a fox", masked=pairs, seed=1)
    labels = [("mask3", "mine/cat", 0.5), ("mask4", "mine/cat", 0.6), ("mask4", "yours/cat", 0.7)]
    assert list(grid.axes["masked"]) == labels
    assert grid.swept[0].captions[0] == "Mask mask3 · Picture mine/cat · Strength 0.5"
    for found in (grid, _kept(gen, grid)):
        last = found.sel(masked=("mask4", "yours/cat", 0.7))
        assert last.recipe.image == Picture("yours/cat.png")
        assert found.sel(image="yours/cat").recipe == last.recipe
        assert found.sel(image="yours/cat.png").recipe == last.recipe
        assert found.sel(masked=(masks[2], "yours/cat.png", "0.70")).recipe == last.recipe
        assert found.swept[0].captions == grid.swept[0].captions


def _kept(gen, grid):
    grid.name = "kept"
    return nbtool.Store(gen.store.path).grids["kept"]


def test_a_record_says_a_picture_once(gen, folder):
    files = ["mine/cat.png", "yours/cat.png"]
    for record in gen.grid("a fox", image=files, seed=1).records():
        assert record["image"] + ".png" in files
        assert "image_image" not in record
    (record, _) = gen.grid("a fox", image={"left": files[0], "right": files[1]}, seed=1).records()
    assert (record["image"], record["image_image"]) == ("left", "cat")


def test_axes_say_which_pictures_they_have(gen, folder):
    grid = gen.grid("a fox", image=["mine/cat.png", "yours/cat.png"], seed=[1, 2])
    image, seed = grid.swept
    assert image.pictures == {label: Picture(f"{label}.png") for label in ("mine/cat", "yours/cat")}
    assert seed.pictures == {}


def test_a_kept_grid_opens_with_its_pictures(gen, folder):
    grid = gen.grid("a fox", image=["mine/cat.png", "yours/cat.png"], strength=[0.3, 0.6], seed=1)
    grid.name = "cats"
    opened = nbtool.Store(gen.store.path).grids["cats"]
    assert opened.axes == grid.axes
    assert opened.sweep.recipe((1, 0)) == grid.sweep.recipe((1, 0))
    assert opened.sel(image="yours/cat", strength=0.6).recipe.image.is_here


# What is left open


def test_the_size_is_the_pictures_own_in_the_models_range_and_that_is_said_once(gen):
    with pytest.warns(
        UserWarning, match="the picture has 80 × 50 pixels, and is made with 80 × 48"
    ) as said:
        made = gen("a fox", image=pixels(1, (80, 50)), seed=1)
    assert len(said) == 1
    assert (made.recipe.width, made.recipe.height) == made.image.size
    assert made.recipe.width % 8 == made.recipe.height % 8 == 0


def test_a_size_that_fits_is_taken_as_it_is_without_a_word(gen):
    assert gen("a fox", image=pixels(1, (72, 56)), seed=1).image.size == (72, 56)


def test_defaults_for_pictures_leave_words_and_whole_recipes_alone(gen, tmp_path):
    picture, mask = pixels(1), pixels(200)
    for_masks = {"mask_blur": 4, "mask_padding": 8, "strength": 0.7, "resize_mode": "pad"}
    own = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "own", **for_masks)
    assert own("a fox", seed=1).recipe == gen("a fox", seed=1).recipe
    plain = gen("a fox", image=picture, mask_image=mask, seed=1)
    assert own(plain.recipe).recipe == plain.recipe
    asked = own("a fox", image=picture, mask_image=mask, seed=1).recipe
    assert asked == own.grid("a fox", image=[picture], mask_image=[mask], seed=1)[0, 0].recipe
    assert {name: getattr(asked, name) for name in for_masks} == for_masks
    whole = nbtool.Generator(
        engine=FakeEngine(), store=tmp_path / "whole", image=picture, mask_image=mask,
        refine=nbtool.refine(), **for_masks,
    )  # fmt: skip
    words = gen("a fox", seed=1).recipe
    assert whole(words).recipe == words
    assert whole("a fox", image=None, refine=None, seed=1).recipe == words
    assert whole("a fox", seed=1, refine=None).recipe == asked


def test_a_padding_is_worked_at_in_the_models_size_however_it_is_given(gen):
    """Alone, as an axis or from a preset it is the same recipe; the picture keeps its own size."""
    own = {"image": pixels(1, (96, 50)), "mask_image": pixels(2, (96, 50)), "seed": 1}
    alone = gen("a fox", mask_padding=8, **own)
    assert alone.recipe.size == (96, 50)
    assert gen.grid("a fox", mask_padding=[8, 16], **own)[0].recipe == alone.recipe
    pictures = {**own, "image": [own["image"]]}
    assert gen.grid("a fox", mask_padding=[8, 16], **pictures)[0, 0].recipe == alone.recipe
    gen.store.presets["around"] = nbtool.Preset(mask_padding=8)
    assert gen("a fox", preset="around", **own).recipe == alone.recipe
    assert gen.grid("a fox", preset="around", **pictures)[0].recipe == alone.recipe


def test_presets_that_differ_in_padding_are_each_made_as_alone(gen):
    own = {"image": pixels(1, (96, 48)), "mask_image": pixels(2, (96, 48)), "seed": 1}
    gen.store.presets["around"] = nbtool.Preset(mask_padding=8)
    gen.store.presets["ink"] = nbtool.Preset(prompt="{prompt}, ink")
    for order in (["ink", "around", None], [None, "around", "ink"]):
        made = [image.recipe for image in gen.grid("a fox", **own, preset=order)]
        assert made == [gen("a fox", **own, preset=name).recipe for name in order]
        assert len({(recipe.width, recipe.height) for recipe in made}) == 2
    said = gen.grid("a fox", **own, width=32, preset=["ink", "around"])
    assert {image.recipe.width for image in said} == {32}


def test_each_picture_of_an_axis_has_its_own_size(gen):
    sizes = [(64, 64), (72, 56), (56, 72)]
    grid = gen.grid("a fox", image=[pixels(1, size) for size in sizes], seed=1)
    assert [image.image.size for image in grid] == sizes


def test_a_size_that_is_said_counts(gen, tmp_path):
    picture = pixels(1, (72, 56))
    assert gen("a fox", image=picture, width=64, height=32, seed=1).image.size == (64, 32)
    grid = gen.grid(
        "a fox", image=[picture, pixels(2, (56, 72))], width=[32, 40], height=64, seed=1
    )
    assert {image.image.size for image in grid} == {(32, 64), (40, 64)}
    own = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "own", width=48, height=48)
    assert own("a fox", image=picture, seed=1).image.size == (48, 48)


def test_strength_is_filled_in_where_there_is_a_picture_alone(gen):
    assert gen("a fox", seed=1).recipe.strength is None
    assert gen("a fox", image=pixels(1), seed=1).recipe.strength == 0.8
    grid = gen.grid("a fox", image=[pixels(1), pixels(2)], seed=1)
    assert [image.recipe.strength for image in grid] == [0.8, 0.8]


def test_a_recipe_given_as_a_picture_is_completed(gen):
    made = gen("anew", image=Recipe(prompt="first"), seed=5)
    first = made.recipe.image.recipe
    assert first.seed is not None
    assert first.model == "fake"
    assert first.key in gen.store


# Second passes


def test_values_of_a_second_pass_are_axes(gen):
    grid = gen.grid("a fox", refine=nbtool.refine(scale=1.5, strength=[0.3, 0.5]), seed=1)
    assert grid.axes == {"refine_strength": (0.3, 0.5)}
    assert grid.swept[0].called == "Refine strength"
    assert grid.sel(refine_strength=0.5).recipe.refine == nbtool.Refine(scale=1.5, strength=0.5)
    assert grid[0].image.size == (96, 96)


def test_a_range_in_words_and_labels_of_a_dict_work_there_too(gen):
    refine = nbtool.refine(scale="1-2 [3]", strength={"mild": 0.2, "wild": 0.9})
    grid = gen.grid("a fox", refine=refine, seed=1)
    assert grid.axes == {"refine_scale": (1, 1.5, 2), "refine_strength": ("mild", "wild")}


def test_words_and_replacements_act_in_the_prompt_of_a_second_pass(gen):
    def second(grid):
        return [image.recipe.refine and image.recipe.refine.prompt for image in grid]

    sharp = nbtool.refine(prompt="a {c} fox, sharp")
    assert second(gen.grid("a {c} fox", c=["red", "gray"], refine=sharp, seed=1)) == [
        "a red fox, sharp",
        "a gray fox, sharp",
    ]
    several = nbtool.refine(prompt=["{c} fur", "{c} fog"])
    assert second(gen.grid("a fox", c="red", refine=several, seed=1)) == ["red fur", "red fog"]
    replaced = nbtool.replace("sharp", ["soft"])
    grid = gen.grid("a fox", replaced, c="red", refine=[None, sharp], seed=1)
    assert second(grid) == [None, "a red fox, sharp", None, "a red fox, soft"]
    with pytest.raises(nbtool.AxisError, match="nothing fills it"):
        gen("a fox", refine=sharp, seed=1)
    whole = Recipe(prompt="a fox", refine=sharp, seed=1)
    assert gen(whole).recipe.refine == sharp  # the prompts of recipes are literal


def test_a_second_pass_that_would_be_too_large_is_refused(gen):
    with pytest.raises(RecipeError, match=r"16384 × 128; at most .*a scale below 8"):
        gen.plan("a fox", width=2048, height=16, refine=nbtool.refine(scale=8), seed=1)


def test_with_and_without_a_second_pass(gen):
    grid = gen.grid("a fox", refine=[None, nbtool.refine(scale=2)], seed=1)
    assert [image.image.size for image in grid] == [(64, 64), (128, 128)]
    assert grid.swept[0].texts == ("none", "enlarged ×2, strength 0.4")


def test_several_values_need_a_grid(gen):
    with pytest.raises(RecipeError, match=r"gen\.grid"):
        gen("a fox", refine=nbtool.refine(strength=[0.3, 0.5]), seed=1)
    with pytest.raises(AxisError, match="strength has no values"):
        nbtool.refine(strength=[])


def test_the_last_pass_is_image_to_image_from_the_first():
    recipe = one(refine=nbtool.refine(scale=1.5, strength=0.3, prompt="a red fox", seed=9))
    last = recipe.last_pass
    assert (last.verb, last.strength, last.size) == ("image", 0.3, (96, 96))
    assert (last.prompt, last.seed) == ("a red fox", 9)
    assert last.image.recipe == recipe.first_pass == one()
    assert recipe.chain == [one(), recipe]
    assert one().last_pass == one()


def test_a_kept_grid_of_second_passes_opens(gen):
    grid = gen.grid("a fox", refine=nbtool.refine(strength=[0.3, 0.5]), seed=1)
    grid.name = "passes"
    opened = nbtool.Store(gen.store.path).grids["passes"]
    assert opened.axes == grid.axes
    assert opened.sweep.recipe((1,)) == grid.sweep.recipe((1,))
