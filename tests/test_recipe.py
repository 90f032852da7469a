"""Recipes: what they accept, how they are spelled, and that nothing is lost on the way."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtool import Picture, Recipe, RecipeError, Refine
from nbtool.recipes.checks import CHOICE, PARTS, PICTURE, REAL, TEXT, WHOLE
from nbtool.recipes.loras import Lora, Loras
from nbtool.recipes.parameters import PARAMETERS, ROWS
from nbtool.schedulers import CLASS_NAMES, SHORT_NAMES, canonical

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)  # lone surrogates too
HUGE = pytest.param(10**5000, id="huge")  # too long for Python to print


PICTURES = [
    Picture(np.zeros((2, 3, 3), np.uint8), "black"),
    Picture(np.ones((4, 4), np.uint8)),
    Picture(Recipe(prompt="first", width=64, height=64, seed=1)),
]
SIDES = st.integers(2, 1024).map(lambda n: 8 * n)


WEIGHTS = st.floats(-20, 20)
LORA = st.builds(
    Lora,
    st.text(max_size=9),
    st.text("0123456789abcdef", min_size=12, max_size=12),
    WEIGHTS,
    st.none() | WEIGHTS,
)
WITH_PARTS = {
    "refine": st.builds(Refine, scale=st.floats(1, 8), strength=st.floats(0, 1)),
    "loras": st.lists(LORA, max_size=3, unique_by=lambda lora: lora.digest).map(Loras),
}


def values(row):
    """All that a parameter may be."""
    low, high = row.check.low, row.check.high
    found = {
        WHOLE: lambda: st.integers(-(-low // row.step), high // row.step).map(
            lambda number: number * row.step
        ),
        REAL: lambda: st.floats(low, None if high == math.inf else high, allow_infinity=False),
        TEXT: lambda: ANY_TEXT,
        CHOICE: lambda: st.sampled_from(
            [*row.check.choices, *(sorted(CLASS_NAMES) if row.name == "scheduler" else [])]
        ),
        PICTURE: lambda: st.sampled_from(PICTURES),
        PARTS: lambda: WITH_PARTS[row.name],
    }[row.kind]()
    return st.none() | found if row.rest is None else found


RECIPES = st.builds(Recipe, **{name: values(row) for name, row in ROWS.items()})


def test_canonical_json_and_key_never_change():
    recipe = Recipe(
        prompt="a réd ★",
        negative_prompt="blur",
        seed=7,
        num_inference_steps=20,
        guidance_scale=5,
        scheduler="Euler a",
        width=128,
        height=64,
        eta=0.5,
        model="shapes",
    )
    assert recipe.to_json() == (
        '{"eta":0.5,"guidance_scale":5.0,"height":64,"model":"shapes","negative_prompt":"blur",'
        '"num_inference_steps":20,"prompt":"a r\\u00e9d \\u2605","scheduler":"euler_a","seed":7,'
        '"width":128}'
    )
    assert recipe.key == "f4f80109793768d021039f6f5e336404e28130488c44315c798f6e98da27033d"


def test_values_at_rest_are_left_out_of_the_json():
    at_rest = Recipe(prompt="", negative_prompt="", guidance_rescale=0, clip_skip=0, eta=-0.0)
    assert at_rest.to_json() == "{}"
    assert at_rest.key == Recipe().key


@pytest.mark.parametrize(
    "same",
    [
        {"seed": 5.0, "guidance_scale": 5, "width": 64.0},
        {"seed": np.int64(5), "guidance_scale": np.float32(5), "width": np.uint16(64)},
        {"seed": np.float64(5), "guidance_scale": np.int8(5), "width": np.int32(64)},
    ],
)
def test_a_number_has_one_key_whatever_its_type(same):
    assert Recipe(**same).key == Recipe(seed=5, guidance_scale=5.0, width=64).key


@given(RECIPES)
def test_fault_35_dict_and_json_round_trip_any_text(recipe):
    text = recipe.to_json()
    assert text.isascii()
    for again in (
        Recipe.from_json(text),
        Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))),
        pickle.loads(pickle.dumps(recipe)),
        copy.deepcopy(recipe),
    ):
        assert again == recipe
        assert again.key == recipe.key


@pytest.mark.parametrize("prompt", ["\ud800", "a\udfffb\0", "\udc00\ud800"])
def test_fault_35_a_lone_surrogate_is_kept(prompt):
    assert Recipe.from_json(Recipe(prompt=prompt).to_json()).prompt == prompt


def test_a_split_surrogate_pair_is_the_character_it_stands_for():
    split = Recipe(prompt="\ud83d\ude00")
    assert split == Recipe(prompt="\N{GRINNING FACE}")
    assert Recipe.from_json(split.to_json()) == split


@given(RECIPES)
def test_canonical_json_is_what_json_dumps_writes(recipe):
    plain = json.dumps(recipe.to_dict(), sort_keys=True, separators=(",", ":"))
    assert recipe.to_json() == plain
    assert recipe.key == hashlib.sha256(plain.encode("ascii")).hexdigest()


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "prompt": ANY_TEXT,
        "seed": st.sampled_from([None, -1, 5.0, np.int64(5), 2**64 - 1]),
        "guidance_scale": st.none() | st.integers(0, 9) | st.floats(0, 9).map(np.float32),
        "scheduler": st.sampled_from([None, "Euler a", "ddim"]),
        "width": SIDES.map(float),
        "eta": st.sampled_from([-0.0, 1]),
    },
)


@given(RECIPES, CHANGES)
def test_a_recipe_with_changes_is_the_one_made_anew(recipe, changes):
    changed = recipe.replace(**changes)
    anew = Recipe(**{name: getattr(recipe, name) for name in PARAMETERS} | changes)
    assert changed == anew
    assert changed.key == anew.key
    for again in (pickle.loads(pickle.dumps(changed)), copy.copy(changed), changed.replace()):
        assert (again, hash(again), repr(again)) == (anew, hash(anew), repr(anew))


@pytest.mark.parametrize("wrong", [{"seed": 2**64}, {"prompt": None}, {"prompt": "x" * 20_001}])
def test_changes_are_refused_like_values(complete, wrong):
    for build in (complete.replace, Recipe):
        with pytest.raises(RecipeError, match=next(iter(wrong))):
            build(**wrong)


@given(RECIPES, RECIPES)
def test_different_recipes_have_different_keys(one, other):
    assert (one.key == other.key) == (one == other)


def test_a_recipe_is_frozen_and_hashable(complete):
    with pytest.raises(dataclasses.FrozenInstanceError):
        complete.seed = 8
    assert complete.replace(seed=8).seed == 8
    assert complete.seed == 7
    assert len({complete, complete.replace(seed=7), complete.replace(seed=8)}) == 2


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("guidence_scale", "guidance_scale"), ("steps", "num_inference_steps"), ("Seed", "seed")],
)
@pytest.mark.parametrize(
    "build", [lambda p: Recipe(**p), Recipe.from_dict, lambda p: Recipe().replace(**p)]
)
def test_an_unknown_name_is_refused_with_a_near_one(wrong, right, build):
    with pytest.raises(RecipeError, match=rf"unknown parameter '{wrong}'.*{right}"):
        build({wrong: 1})


@pytest.mark.parametrize("name", ["width", "height"])
@pytest.mark.parametrize(
    ("side", "message"),
    [
        (513, "multiple of 8, got 513; try 512 or 520"),
        (0, "from 16 to 8192, got 0"),
        (-8, "from 16 to 8192, got -8"),
        (10**6, "from 16 to 8192, got 1000000"),
        (64.5, "got 64.5"),
        ("64", "got '64'"),
        (math.nan, "got nan"),
    ],
)
def test_fault_07_impossible_sizes_are_refused(name, side, message):
    with pytest.raises(RecipeError, match=f"{name} must be .*{message}"):
        Recipe(**{name: side})


@pytest.mark.parametrize("seed", [-1, -1.0, np.int64(-1), None])
def test_fault_08_seed_minus_one_means_drawn(seed):
    assert Recipe(seed=seed).seed is None


@pytest.mark.parametrize("seed", ["abc", "1", True, False, 2**64, -2, 1.5, HUGE, [1], b"1"])
def test_fault_08_what_is_no_seed_is_refused(seed):
    with pytest.raises(
        RecipeError, match=r"seed must be a whole number from 0 to 1844674407370955"
    ):
        Recipe(seed=seed)


def test_fault_08_the_largest_seed_is_kept():
    assert Recipe.from_json(Recipe(seed=2**64 - 1).to_json()).seed == 2**64 - 1


@pytest.mark.parametrize("name", ["guidance_scale", "guidance_rescale", "eta"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.1, True, "5", HUGE, b"5"])
def test_fault_09_only_finite_numbers_are_accepted(name, value):
    with pytest.raises(RecipeError, match=f"{name} must be a number"):
        Recipe(**{name: value})


@pytest.mark.parametrize("name", ["prompt", "negative_prompt", "clip_skip", "eta"])
def test_what_has_a_neutral_value_cannot_be_none(name):
    with pytest.raises(RecipeError, match=f"{name} must be given"):
        Recipe(**{name: None})


def test_a_prompt_too_long_to_embed_is_refused():
    assert len(Recipe(prompt="x" * 20_000).prompt) == 20_000
    with pytest.raises(RecipeError, match="prompt has 20001 characters; at most 20000"):
        Recipe(prompt="x" * 20_001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"prompt": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
        ('{"seed": 1, "seed": 2}', "'seed' is given twice"),
        ('{"seed": ' + "9" * 10_000 + "}", "not usable JSON"),
        ('{"seed": ' + "9" * 4000 + "}", "seed must be"),
        ('{"guidance_scale": NaN}', "NaN is not JSON"),
        ('{"guidance_scale": -Infinity}', "-Infinity is not JSON"),
        ('{"guidance_scale": 1e999}', "1e999 is too large"),
        ('{"prompt": "' + "x" * 1_000_000 + '"}', "more than 1000000"),
        ("[1]", "a JSON object is needed, got list"),
        ("{", "not JSON"),
        ("", "not JSON"),
        ('{"": 1}', "unknown parameter ''"),
        ('{"prompt": {"prompt": 1}}', "prompt must be text"),
        ("{" + ",".join(f'"{i}":0' for i in range(60_000)) + "}", "unknown parameter"),
    ],
    ids=lambda value: value[:24],
)
def test_fault_39_hostile_json_is_a_schema_error(text, message):
    with pytest.raises(RecipeError, match=message) as caught:
        Recipe.from_json(text)
    assert len(str(caught.value)) < 1000


@given(ANY_TEXT | st.recursive(st.none() | st.integers() | ANY_TEXT, st.lists).map(json.dumps))
def test_fault_39_any_text_is_a_recipe_or_a_recipe_error(text):
    with contextlib.suppress(RecipeError):
        Recipe.from_json(text)


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("DPM++ 2M Karras", "dpm++2m_karras"),
        ("DPM++ 2M SDE Karras", "dpm++2m_sde_karras"),
        ("dpm++_2m", "dpm++2m"),
        ("Euler a", "euler_a"),
        ("Euler", "euler"),
        ("EULER-A", "euler_a"),
        ("DPM2 a Karras", "dpm2_a_karras"),
        ("UniPC", "unipc"),
        ("EulerDiscreteScheduler", "EulerDiscreteScheduler"),
        ("FlowMatchEulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"),
    ],
)
def test_schedulers_go_by_the_names_people_use(given_name, name):
    assert Recipe(scheduler=given_name).scheduler == name


def test_every_scheduler_name_is_its_own_and_is_found_by_its_infotext_name():
    for name, scheduler in SHORT_NAMES.items():
        assert canonical(name) == name
        schedule = scheduler.schedule_type.replace("Automatic", "")
        assert canonical(f"{scheduler.sampler} {schedule}") == name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("euler_b", "unknown scheduler 'euler_b'; did you mean 'euler"),
        ("EulerDiscretScheduler", "did you mean 'EulerDiscreteScheduler'"),
        ("qqqq", "there are: ddim"),
        (5, "got 5"),
    ],
)
def test_an_unknown_scheduler_is_refused_with_a_near_one(wrong, message):
    with pytest.raises(RecipeError, match=message):
        Recipe(scheduler=wrong)


@given(ANY_TEXT)
def test_fault_36_a_recipe_prints_on_one_line_without_control_characters(prompt):
    recipe = Recipe(prompt=prompt)
    for shown in (str(recipe), repr(recipe)):
        assert shown.isprintable()
        shown.encode("utf-8")


def test_fault_36_escapes_and_line_breaks_are_spelled_out():
    assert str(Recipe(prompt="a\x1b[31m\nred\u202e")) == r"a\x1b[31m\nred\u202e"
    assert str(Recipe()) == "(no prompt)"


def test_fault_57_what_a_newer_nbtool_wrote_is_part_of_a_recipe(complete):
    given = complete.to_dict()
    newer = Recipe.from_record(given | {"later": {"b": 1, "a": [True, None]}})
    assert newer != complete
    assert newer.key != complete.key
    assert newer.to_json().startswith('{"guidance_scale":5.0,"height":32,"later":{"a":[true,null],')
    assert newer == Recipe.from_record(newer.to_dict())
    assert len({newer, Recipe.from_record(newer.to_dict()), complete}) == 2
    changed = newer.replace(seed=8)
    assert (changed.unknown, changed.seed) == (newer.unknown, 8)
    assert newer.with_past({"unet": 4}).unknown == newer.unknown
    said = ", ".join(f"{name}={value!r}" for name, value in newer.unknown.items())
    assert repr(newer).endswith(f"; of a newer nbtool: {said})")
    assert (
        Recipe.from_record(given | {"odd": 1}).key != Recipe.from_record(given | {"odd": True}).key
    )
    assert Recipe.from_record(given) == complete
    complete.require_known()
    with pytest.raises(RecipeError, match="did you mean 'prompt'"):
        Recipe.from_dict(given | {"promt": "x"})
    for wrong in (5, None, "a star", ["prompt"]):
        with pytest.raises(RecipeError, match="a recipe is read from a dict of parameters, got"):
            Recipe.from_dict(wrong)
