"""Sweeps: from what a call says to the recipe of every cell."""

from __future__ import annotations

import enum
import itertools
import math
import re
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import nbtool
from nbtool import AxisError, Recipe, RecipeError
from nbtool.recipes.axes import sweep as sweep_of
from nbtool.recipes.ranges import parse_range

DEFAULTS = {
    "num_inference_steps": 20,
    "guidance_scale": 5.0,
    "scheduler": "ddim",
    "width": 64,
    "height": 64,
    "model": "shapes",
}


def sweep(prompt="a star", *axes, defaults=DEFAULTS, **parameters):
    return sweep_of(prompt, axes, parameters, defaults)


def axes_of(swept):
    return {axis.name: axis.labels for axis in swept.axes}


def values(swept, name):
    return [getattr(recipe, name) for _, recipe in swept]


# Ranges


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("7", (7,)),
        ("1, 5,9", (1, 5, 9)),
        ("1-5", (1, 2, 3, 4, 5)),
        ("1-5 (+2)", (1, 3, 5)),
        ("10-1 (-3)", (10, 7, 4, 1)),
        ("1-10 [5]", (1, 3, 5, 7, 10)),
        ("1-10(+2)", (1, 3, 5, 7, 9)),
        ("1-3, 7, 10-8", (1, 2, 3, 7, 10, 9, 8)),
        ("-3--1", (-3, -2, -1)),
        ("5-5", (5,)),
        ("4-9 [1]", (4,)),
        # AUTOMATIC1111 stops this one at 3,
        ("10-1 (-1)", (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)),
        # and crashes on these two.
        ("1-3 [2.0]", (1, 3)),
        ("1,2,", (1, 2)),
    ],
)
def test_whole_ranges(text, numbers):
    parsed = parse_range(text, whole=True)
    assert parsed == numbers
    assert all(type(number) is int for number in parsed)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("0-1 [6]", (0, 0.2, 0.4, 0.6, 0.8, 1)),
        ("1-2 (+0.25)", (1, 1.25, 1.5, 1.75, 2)),
        ("1-2 (+.5)", (1, 1.5, 2)),
        # AUTOMATIC1111 overshoots to 2.2 here,
        ("1-2 (+0.3)", (1, 1.3, 1.6, 1.9)),
        # and gives 0.7999… here.
        ("0-1 (+0.1)", (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)),
        ("1-3 [2.0]", (1, 3)),
        ("7.5,", (7.5,)),
    ],
)
def test_real_ranges(text, numbers):
    parsed = parse_range(text, whole=False)
    assert parsed == numbers
    assert all(type(number) is float for number in parsed)


@pytest.mark.parametrize(
    "text",
    [
        "", ",", "1,,2", "a", "1-", "1-5 (2)", "1-5 (+0)", "1-5 (-1)", "5-1 (+1)", "1-5 [0]",
        "1-5 [-2]", "1-5 [2.5]", "1-5 (+-1)", "1-5 (--1)", "1-5 (+2) [3]", "nan", "inf", "1e5",
        "0-9 [" + "9" * 5000 + "]", "1.5",
    ],
)  # fmt: skip
def test_what_is_no_range_is_refused_with_the_text_in_question(text):
    with pytest.raises(AxisError, match=re.escape(repr(text))):
        parse_range(text, whole=True)


@pytest.mark.parametrize("text", ["0-100000", "0-1e9".replace("1e9", "9" * 40), "0-1 [100001]"])
def test_fault_12_a_range_too_long_is_refused(text):
    with pytest.raises(AxisError, match=r"guidance_scale has more than 100,000 values; take fewer"):
        sweep(guidance_scale=text)


WHOLE = st.integers(-(10**6), 10**6)
PLACES = st.decimals(-1000, 1000, places=4)


@given(WHOLE, st.integers(-60, 60), st.integers(1, 9))
def test_whole_ranges_are_what_python_counts(start, span, step):
    end = start + span
    sign = "-" if span < 0 else "+"
    stride = -step if span < 0 else step
    expected = tuple(range(start, end + (1 if stride > 0 else -1), stride))
    assert parse_range(f"{start}-{end} ({sign}{step})", whole=True) == expected


@given(PLACES, PLACES, st.decimals("0.01", 500, places=4))
def test_real_ranges_equal_decimal_arithmetic_and_stay_within_their_ends(start, end, step):
    assume(abs(end - start) / step < 2000)
    sign = "+" if end >= start else "-"
    parsed = parse_range(f"{start}-{end} ({sign}{step})", whole=False)
    low, high = sorted((start, end))
    stride = step if end >= start else -step
    assert len(parsed) == int(Fraction(end - start) / Fraction(stride)) + 1
    assert parsed == tuple(float(start + i * stride) for i in range(len(parsed)))
    assert all(float(low) <= number <= float(high) for number in parsed)
    assert all(len(repr(number)) <= 10 for number in parsed)  # 0.8, never 0.7999…


@given(PLACES, PLACES, st.integers(2, 300))
def test_a_count_is_met_exactly_from_end_to_end(start, end, count):
    parsed = parse_range(f"{start}-{end} [{count}]", whole=False)
    steps = [Fraction(start) + Fraction(end - start) * i / (count - 1) for i in range(count)]
    assert parsed == pytest.approx([float(step) for step in steps], rel=1e-15, abs=1e-18)
    assert (parsed[0], parsed[-1], len(parsed)) == (float(start), float(end), count)
    assert list(parsed) == sorted(parsed, reverse=end < start)


@given(WHOLE, WHOLE, st.integers(2, 300))
def test_whole_numbers_evenly_spaced_are_truncated(start, end, count):
    expected = [math.trunc(start + Fraction(end - start) * i / (count - 1)) for i in range(count)]
    assert list(parse_range(f"{start}-{end} [{count}]", whole=True)) == expected


@given(st.lists(st.decimals(-(10**6), 10**6, places=6), min_size=1), st.booleans())
def test_written_out_numbers_come_back(numbers, trailing_comma):
    text = ", ".join(format(number, "f") for number in numbers) + "," * trailing_comma
    assert parse_range(text, whole=False) == tuple(map(float, numbers))


# Axes


def test_axes_multiply_in_the_order_given():
    swept = sweep("a {color} star", seed=range(4), color=["red", "blue"], guidance_scale="1-5 (+2)")
    assert axes_of(swept) == {
        "seed": (0, 1, 2, 3),
        "color": ("red", "blue"),
        "guidance_scale": (1.0, 3.0, 5.0),
    }
    assert swept.shape == (4, 2, 3)
    cells = dict(swept)
    assert cells[2, 1, 0] == Recipe(**DEFAULTS | {"guidance_scale": 1}).replace(
        prompt="a blue star", seed=2
    )


SEEDS = st.lists(st.integers(0, 2**64 - 1), unique=True, min_size=1, max_size=5)
SCALES = st.lists(st.floats(0, 50), unique=True, min_size=1, max_size=4)
WORDS = st.lists(st.text(max_size=8), unique=True, min_size=1, max_size=4)


@given(SEEDS, SCALES, WORDS)
def test_there_is_one_cell_for_each_combination_and_labels_tell_them_apart(seeds, scales, words):
    swept = sweep("a {word} star", seed=seeds, guidance_scale=scales, word=words)
    labels = [
        tuple(axis.labels[i] for axis, i in zip(swept.axes, index, strict=True))
        for index, _ in swept
    ]
    assert len(labels) == len(set(labels)) == len(swept) == len(seeds) * len(scales) * len(words)
    for (seed, scale, word), (index, recipe) in zip(labels, swept, strict=True):
        asked = {"prompt": f"a {word} star", "seed": seed, "guidance_scale": scale}
        assert recipe == swept.recipe(index) == Recipe(**DEFAULTS | asked)


@pytest.mark.parametrize(
    "seeds",
    [[1, 2], (1, 2), range(1, 3), np.array([1, 2]), "1-2", "1,2,", [1.0, np.int64(2)]],
    ids=repr,
)
def test_lists_tuples_ranges_arrays_and_range_texts_are_axes(seeds):
    swept = sweep(seed=seeds)
    assert axes_of(swept) == {"seed": (1, 2)}
    assert values(swept, "seed") == [1, 2]


@pytest.mark.parametrize("seed", [1, 1.0, np.int64(1)])
def test_a_scalar_is_fixed(seed):
    swept = sweep(seed=seed)
    assert swept.axes == ()
    assert [(index, recipe.seed) for index, recipe in swept] == [((), 1)]


def test_an_array_of_prompts_is_an_axis():
    assert axes_of(sweep(np.array(["a star", "a ring"]))) == {"prompt": ("a star", "a ring")}


def test_a_list_of_prompts_is_an_axis():
    swept = sweep(["a star", "a {color} ring"], color=["red", "blue"], seed=1)
    assert axes_of(swept) == {"prompt": ("a star", "a {color} ring"), "color": ("red", "blue")}
    assert values(swept, "prompt") == ["a star", "a star", "a red ring", "a blue ring"]


def test_negative_prompts_are_an_axis_and_are_filled_too():
    swept = sweep("a {a}", negative_prompt=["no {b}", "no {a}"], a="star", b=["red", "blue"])
    assert values(swept, "negative_prompt") == ["no red", "no blue", "no star", "no star"]
    assert set(values(swept, "prompt")) == {"a star"}


def test_braces_are_filled_once_and_doubled_braces_are_braces():
    swept = sweep("{{a}} {a} {b} { } {0} {a", a=["{b}"], b=["x", "{a}"], seed=1)
    assert values(swept, "prompt") == ["{a} {b} x { } {0} {a", "{a} {b} {a} { } {0} {a"]


@pytest.mark.parametrize("count", [3, 2.5, "three"])
def test_one_word_or_number_for_a_name_is_fixed(count):
    assert values(sweep("{n} stars", n=count), "prompt") == [f"{count} stars"]


def test_numbers_may_fill_a_prompt():
    assert values(sweep("{n} stars", n=range(2, 4)), "prompt") == ["2 stars", "3 stars"]


def test_paired_moves_parameters_together():
    swept = sweep(nbtool_size := "a star", size=nbtool.paired(width=[128, 64], height="64,128"))
    assert nbtool_size == swept.base.prompt
    assert axes_of(swept) == {"size": ((128, 64), (64, 128))}
    assert [(r.width, r.height) for _, r in swept] == [(128, 64), (64, 128)]
    assert sweep("a", nbtool.paired(width=[64], height=[64])).axes[0].name == "width_height"


def test_paired_prompts_are_filled_like_any_other():
    pairs = nbtool.paired(prompt=["a {c} star", "a ring"], negative_prompt=["x", "{c}"])
    swept = sweep("", pairs, c=["red", "blue"])
    assert values(swept, "prompt") == ["a red star", "a blue star", "a ring", "a ring"]
    assert values(swept, "negative_prompt") == ["x", "x", "red", "blue"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"width": [64, 128], "height": [64]}, "lists of one length"),
        ({"width": [64, 128]}, "two or more lists"),
        ({}, "two or more lists"),
        ({"width": [], "height": []}, "no values"),
        ({"width": 64, "height": 64}, "width needs a list"),
        ({"width": [64, 65], "height": [64, 64]}, "width must be a multiple of 8"),
        ({"width": [64, 64], "height": [64, 64]}, "twice"),
        ({"widht": [64], "height": [64]}, "did you mean 'width'"),
    ],
)
def test_paired_refuses_what_does_not_pair(columns, message):
    with pytest.raises(RecipeError, match=message):
        nbtool.paired(**columns)


def test_replace_is_prompt_search_and_replace():
    swept = sweep(
        "a red star, red", nbtool.replace("red", ["blue", ""]), negative_prompt="not red", seed=1
    )
    assert axes_of(swept) == {"red": ("red", "blue", "")}
    assert values(swept, "prompt") == ["a red star, red", "a blue star, blue", "a  star, "]
    assert values(swept, "negative_prompt") == ["not red", "not blue", "not "]


def test_replacements_leave_what_fills_a_word_alone():
    swaps = nbtool.replace("cat", ["dog"]), nbtool.replace("an", ["one"])
    swept = sweep("{animal} and a cat", *swaps, animal=["cat", "panda"], seed=1)
    assert labelled_prompts(swept) == {
        (cat, an, animal): f"{animal} {an}d a {cat}"
        for cat in ("cat", "dog")
        for an in ("an", "one")
        for animal in ("cat", "panda")
    }
    swept = sweep("a red {c}", nbtool.replace("red", ["{c}"]), c=["red"], negative_prompt="{{c}}")
    assert values(swept, "prompt") == ["a red red", "a {c} red"]
    assert set(values(swept, "negative_prompt")) == {"{c}"}
    several = sweep(["a {c} cat", "a ring"], nbtool.replace("cat", ["dog"]), c=["cat"], seed=1)
    assert values(several, "prompt") == ["a cat cat", "a cat dog", "a ring", "a ring"]
    recipe = sweep(Recipe(prompt="a {cat} in {red|blue}"), nbtool.replace("cat", ["dog"]))
    assert values(recipe, "prompt") == ["a {cat} in {red|blue}", "a {dog} in {red|blue}"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{animal}", r"'\{animal\}' and the word \{animal\} overlap .* vary the word"),
        (
            "a {",
            r"'a \{' and the word \{animal\} overlap in 'a \{animal\} on a Mat'; replace the text beside",
        ),
        ("{animal} on", "overlap"),
        ("cat", r"as it is written: it is a value of `animal`; vary the word instead: animal=\["),
        ("cat on", r"as it is written; what fills \{animal\} is not searched"),
        ("anima", r"as it is written; what fills \{animal\} is not searched"),
        ("mat", "in these capital and small letters"),
    ],
)
def test_a_replacement_that_would_act_on_a_word_is_refused(text, message):
    with pytest.raises(AxisError, match=message):
        sweep("a {animal} on a Mat", nbtool.replace(text, ["x"]), animal=["cat", "wildcat"])


@pytest.mark.parametrize(
    ("text", "replacements", "message"),
    [
        ("", ["x"], "needs the text to look for"),
        (5, ["x"], "needs the text to look for"),
        ("red", "blue", "needs a list of texts"),
        ("red", ["red"], "twice"),
        ("red", [None], "needs texts"),
        ("green", ["x"], "'green' is in no prompt"),
    ],
)
def test_replace_refuses_what_makes_no_sense(text, replacements, message):
    with pytest.raises(AxisError, match=message):
        sweep("a red star", nbtool.replace(text, replacements))


def labelled_prompts(swept):
    return {
        tuple(axis.labels[i] for axis, i in zip(swept.axes, index, strict=True)): recipe.prompt
        for index, recipe in swept
    }


def test_replacements_are_made_at_once_on_the_prompt_as_written():
    swaps = nbtool.replace("red", ["blue"]), nbtool.replace("blue", ["red", "green"])
    prompts = labelled_prompts(sweep("red on blue", *swaps, seed=1))
    assert prompts == {
        (one, other): f"{one} on {other}"
        for one in ("red", "blue")
        for other in ("blue", "red", "green")
    }


@pytest.mark.parametrize(
    ("prompt", "others"),
    [
        ("a red star", ["star"]),
        ("a red star", ["a red"]),
        ("a red star", ["d s"]),
        (["a ring", "no red star"], ["star"]),
    ],
)
def test_replacements_of_the_same_letters_are_refused(prompt, others):
    swaps = [nbtool.replace(text, ["x"]) for text in ("red star", others[-1])]
    with pytest.raises(AxisError, match=rf"replace: .*'{others[-1]}'.* overlap in '.*red star'"):
        sweep(prompt, *swaps)


def test_a_text_that_is_there_in_another_unicode_form_is_named_as_that():
    with pytest.raises(AxisError, match="is in no prompt of this grid in this Unicode form"):
        sweep("a cafe\u0301", nbtool.replace("caf\u00e9", ["bar"]))


# What a Python user hands over


@pytest.mark.parametrize(
    "words",
    [
        np.array(["red", "blue"]), np.array(["red", "blue"], dtype=object),
        (word for word in ("red", "blue")), {"red": 1, "blue": 2}.keys(), map(str, ("red", "blue")),
        enum.Enum("Colour", {"RED": "red", "BLUE": "blue"}, type=str), [np.str_("red"), "blue"],
    ],
    ids=lambda words: type(words).__name__,
)  # fmt: skip
def test_words_in_any_collection_with_an_order_are_an_axis(words):
    swept = sweep("a {color} star", color=words, seed=1)
    assert labelled_prompts(swept) == {("red",): "a red star", ("blue",): "a blue star"}
    assert all(type(label) is str for label in swept.axes[0].labels)


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [
        (np.arange(1, 3), ("1", "2")),
        (np.array([0.1, 0.25], dtype=np.float32), ("0.1", "0.25")),
        ([Decimal("0.50"), Fraction(1, 3), 2, 1.0], ("0.50", "1/3", "2", "1.0")),
        (enum.IntEnum("Count", {"ONE": 1, "TWO": 2}), ("1", "2")),
    ],
)
def test_numbers_fill_a_prompt_as_they_are_written(numbers, texts):
    assert values(sweep("{n} stars", n=numbers), "prompt") == [f"{text} stars" for text in texts]


def test_a_dict_gives_labels_and_texts():
    words = {"oil": "an oil painting of", "ink": "a drawing in ink of"}
    assert labelled_prompts(sweep("{style} a star", style=words)) == {
        (label,): f"{text} a star" for label, text in words.items()
    }
    prompts = {"short": "a star", "long": "a star with five points"}
    assert labelled_prompts(sweep(prompts)) == {(label,): text for label, text in prompts.items()}
    swaps = nbtool.replace("red", {"sea": "blue"})
    assert labelled_prompts(sweep("a red star", swaps)) == {
        ("red",): "a red star", ("sea",): "a blue star"
    }  # fmt: skip
    swept = sweep("a", guidance_scale={"low": 1, "high": 9})
    assert axes_of(swept) == {"guidance_scale": ("low", "high")}
    assert values(swept, "guidance_scale") == [1, 9]
    recipes = {"first": Recipe(prompt="a"), "second": Recipe(prompt="b")}
    assert labelled_prompts(sweep(recipes)) == {("first",): "a", ("second",): "b"}


@pytest.mark.parametrize(
    ("key", "label"),
    [
        (np.str_("a"), "a"), (enum.Enum("E", {"A": "a"}, type=str)("a"), "a"), (np.int64(3), 3),
        (np.float32(0.1), 0.1), (np.float64(0.5), 0.5), (Decimal("0.5"), 0.5), (Fraction(4, 2), 2),
    ],
)  # fmt: skip
def test_a_key_of_any_kind_of_number_or_text_is_a_label(key, label):
    (axis,) = sweep("{word}", word={"other": "x", key: "y"}).axes
    assert axis.labels == ("other", label)
    assert type(axis.labels[1]) is type(label)
    assert [axis.position(one) for one in (key, label, axis.texts[1])] == [1, 1, 1]


class Plain(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("given_words", "message"),
    [
        ({"red", "blue"}, "color needs an order"),
        (frozenset({"red"}), "color needs an order"),
        (itertools.count(), "color has more than 100,000 values"),
        (itertools.cycle(["red"]), "color has more than 100,000 values"),
        (np.array([["red"]]), "color needs one row of values, got 1 × 1"),
        (b"red", "color needs a list of texts, got b'red'"),
        ([b"red"], "color needs texts, got b'red'"),
        (True, "color needs a list of texts, got True"),
        ([True, False], "color needs texts, got True"),
        ([np.bool_(1)], "color needs texts, got .*True"),
        ([math.nan], "color needs texts, got nan"),
        (Plain, "color needs texts, got <Plain.RED"),
        ({True: "red"}, "color needs texts for its labels, got True"),
        ({math.nan: "red"}, "color needs texts for its labels, got nan"),
        ({np.float32("nan"): "red"}, "color needs texts for its labels, got .*nan"),
        ({0.1: "red", np.float32(0.1): "blue"}, "the axis 'color' holds 0.1 twice"),
        ({"a": ["red"]}, r"color needs texts, got \['red'\]"),
    ],
)
def test_what_is_no_list_of_words_is_refused(given_words, message):
    with pytest.raises(AxisError, match=message):
        sweep("a {color} star", color=given_words)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seed": {1, 2}}, "seed needs an order"),
        ({"seed": itertools.count()}, "seed has more than 100,000 values"),
        ({"seed": [True, False]}, "seed must be a whole number .* got True"),
        ({"seed": np.array([True])}, "seed must be a whole number .* got True"),
        ({"seed": np.array([[1, 2]])}, "seed needs one row of values, got 1 × 2"),
        ({"guidance_scale": np.bool_(1)}, "guidance_scale must be a number"),
        ({"guidance_scale": 10**400}, "guidance_scale must be a number"),
        ({"prompt": {"a star", "a ring"}}, "prompt needs an order"),
        ({"prompt": b"a star"}, "prompt must be text, got b'a star'"),
        ({"prompt": None}, "prompt must be given, got None"),
    ],
)
def test_what_is_no_list_of_values_is_refused(parameters, message):
    with pytest.raises(RecipeError, match=message):
        sweep(parameters.pop("prompt", "a"), **parameters)


@pytest.mark.parametrize("seed", [Decimal(2**64 - 1), np.uint64(2**64 - 1), Fraction(2**64 - 1)])
def test_whole_numbers_of_any_kind_are_exact(seed):
    assert sweep(seed=seed).base.seed == 2**64 - 1
    assert values(sweep(seed=np.array([2**31], dtype=np.float32)), "seed") == [2**31]


@given(st.floats(0, 1e6, width=32), st.sampled_from([np.float32, np.float64]))
def test_a_number_of_32_bits_is_the_decimal_it_stands_for(number, kind):
    recorded = sweep(guidance_scale=np.array([number], dtype=kind)).recipe((0,)).guidance_scale
    assert kind(recorded) == number
    assert len(repr(recorded)) <= len(repr(number))
    assert sweep(guidance_scale=np.float32(0.1)).base.guidance_scale == 0.1


@pytest.mark.parametrize("name", ["стиль", "色", "สี", "रंग", "لون", "e\u0301te\u0301", "\ufb01"])
def test_words_are_named_in_any_script(name):
    swept = sweep(f"a {{{name}}} star", **{name: ["x", "y"]}, seed=1)
    assert values(swept, "prompt") == ["a x star", "a y star"]


@pytest.mark.parametrize(
    "prompt",
    [
        "{{masterpiece}}, a star", "{{{a}}} star", r"\frac{a}{b} on a board", "e^{x}", r"$\mathbb{R}$",
        "{", "}", "{}", "{0} { a }", '{"a": 1}', "{red|blue}", "{n:02d} {c!r}", r"\sqrt[3]{x} \sqrt [n] {x}", "a_{n}",
        r"\operatorname*{argmax}_{x}", r"\frac{\sqrt{a}}{b}", r"\sum_{i=1}^{n}", r"f(x)_{n}",
    ],
)  # fmt: skip
def test_braces_that_no_word_is_meant_for_stay_as_they_are(prompt):
    assert sweep(prompt).base.prompt == prompt
    assert values(sweep(f"{prompt} {{word}}", word=["x"]), "prompt") == [f"{prompt} x"]


def test_a_word_beside_latex_is_filled_and_a_misspelt_one_is_caught():
    swept = sweep(r"{b} \frac{\sqrt{a}}{b} in a_{b}^{b}, \textbf{b} {b}, red_{b}, {b}_{b}", b=["x"])
    assert values(swept, "prompt") == [
        r"x \frac{\sqrt{a}}{b} in a_{b}^{b}, \textbf{b} x, red_x, x_x"
    ]
    with pytest.raises(AxisError, match=r"the prompt has \{colr\}, but nothing fills it"):
        sweep(r"\frac{a}{b} in {colr}")
    with pytest.raises(RecipeError, match=r"unknown parameter 'n'; .*braces of LaTeX"):
        sweep("a_{n}", n=[1, 2])


def test_braces_with_spaces_or_other_braces_around_them_are_filled():
    swept = sweep("{ n } {\u00a0n} {{n}|{n}} {{n}}", n=["x"])
    assert values(swept, "prompt") == ["x x {x|x} {n}"]


@pytest.mark.parametrize("braces", ["{{{n}}}", "{{ n }}", "{n:02d}", "{n!r}", "{n.real}", "{n[0]}"])
@pytest.mark.parametrize("beside", ["{n} ", ""])
def test_braces_that_may_be_meant_in_more_than_one_way_are_refused(braces, beside):
    with pytest.raises(
        AxisError, match=r"may mean more than one thing; write \{n\}, and give n as"
    ):
        sweep(f"{beside}{braces}", n=[1, 2])


@pytest.mark.parametrize("braces", ["{seed}", "{ seed }", "{seed:04d}"])
def test_a_parameter_fills_no_braces(braces):
    with pytest.raises(AxisError, match=r"is a parameter's name|more than one thing"):
        sweep(braces, seed=[1, 2])


def test_what_fills_a_word_may_have_braces_of_its_own():
    assert values(sweep("a {c}", c=["{d}", "{{c}}"]), "prompt") == ["a {d}", "a {{c}}"]


def test_a_word_may_be_its_own_braces():
    assert values(sweep("a {color}", color="{color}"), "prompt") == ["a {color}"]


@pytest.mark.parametrize("count", [np.int64(3), 3.0, Decimal(3)])
def test_a_count_of_random_seeds_may_be_a_number_of_any_kind(count):
    assert len(nbtool.random_seeds(count)) == 3


def test_an_axis_object_takes_the_name_it_is_given():
    swept = sweep(
        "a red star",
        colour=nbtool.replace("red", ["blue"]),
        size=nbtool.paired(width=[64, 128], height=[64, 128]),
    )
    assert list(axes_of(swept)) == ["colour", "size"]


def test_random_seeds_are_different_and_are_what_is_recorded():
    seeds = nbtool.random_seeds(50)
    assert len(set(seeds)) == 50
    assert values(sweep(seed=seeds), "seed") == list(seeds)
    for count in (0, -1, 100_001, 1.5, "3"):
        with pytest.raises(AxisError, match=f"random_seeds takes a count .* got {count!r}"):
            nbtool.random_seeds(count)


@pytest.mark.parametrize("prompt", ["a star", Recipe(prompt="a star"), ["a star", "a ring"]])
@pytest.mark.parametrize("seed", [{}, {"seed": -1}, {"seed": None}])
def test_a_seed_left_open_is_drawn_once_for_the_whole_grid(prompt, seed):
    if isinstance(prompt, Recipe) and seed:
        prompt = prompt.replace(**seed)
        seed = {}
    swept = sweep(prompt, guidance_scale=[1, 2], **seed)
    assert len(set(values(swept, "seed"))) == 1
    assert swept.base.seed is not None
    assert dict(swept) == dict(swept)


def test_open_seeds_in_a_list_are_drawn_one_by_one():
    first, second, third = values(sweep(seed=[-1, 5, None]), "seed")
    assert second == 5
    assert len({first, second, third}) == 3
    assert None not in (first, third)


# Recipes in place of prompts


def test_a_recipe_is_taken_as_it_stands_and_only_what_it_leaves_open_is_filled():
    recipe = Recipe(prompt="a {literal} {{star}}", guidance_scale=2, seed=9)
    swept = sweep(recipe, num_inference_steps=[5, 6])
    assert set(values(swept, "prompt")) == {"a {literal} {{star}}"}
    assert set(values(swept, "guidance_scale")) == {2.0}
    assert set(values(swept, "scheduler")) == {"ddim"}
    assert values(swept, "num_inference_steps") == [5, 6]


def test_a_list_of_recipes_is_an_axis_and_parameters_apply_to_each():
    recipes = [Recipe(prompt="a {x}", seed=1), Recipe(prompt="b", eta=0.5)]
    swept = sweep(recipes, guidance_scale=3, num_inference_steps=[5, 6])
    assert swept.axes[0].labels == (0, 1)
    assert values(swept, "prompt") == ["a {x}", "a {x}", "b", "b"]
    assert values(swept, "eta") == [0, 0, 0.5, 0.5]
    assert values(swept, "num_inference_steps") == [5, 6, 5, 6]
    assert set(values(swept, "guidance_scale")) == {3.0}
    assert len(set(values(swept, "seed"))) == 2
    assert values(sweep(recipes, seed=4), "seed") == [4, 4]


def test_recipes_share_the_seed_that_is_drawn_for_them():
    assert len(set(values(sweep([Recipe(prompt="a"), Recipe(prompt="b")]), "seed"))) == 1


def test_prompts_and_recipes_do_not_mix():
    with pytest.raises(AxisError, match="prompts or recipes, not both"):
        sweep(["a", Recipe(prompt="b")])


# Defaults


def test_an_explicit_neutral_value_wins_over_a_default():
    defaults = DEFAULTS | {"guidance_rescale": 0.7, "negative_prompt": "blur", "eta": 1.0}
    recipe = sweep("a", defaults=defaults, guidance_rescale=0, negative_prompt="").base
    assert (recipe.guidance_rescale, recipe.negative_prompt, recipe.eta) == (0.0, "", 1.0)
    assert sweep("a", defaults=defaults, eta=[0, 0.5]).recipe((0,)).eta == 0


def test_a_default_seed_is_used_unless_a_new_one_is_asked_for():
    defaults = DEFAULTS | {"seed": 7}
    assert sweep("a", defaults=defaults).base.seed == 7
    assert len({sweep("a", defaults=defaults, seed=-1).base.seed for _ in range(3)} | {7}) == 4


def test_a_default_prompt_is_used_where_the_call_names_none():
    defaults = DEFAULTS | {"prompt": "a {c} star"}
    assert values(sweep("", defaults=defaults, c=["red", "blue"]), "prompt") == [
        "a red star",
        "a blue star",
    ]


# Refusals


@pytest.mark.parametrize(
    "parameters",
    [
        {"seed": []},
        {"seed": range(0)},
        {"seed": np.array([])},
        {"word": []},
        {"prompt": []},
        {"guidance_scale": ""},
    ],
    ids=repr,
)
def test_fault_12_an_empty_sweep_is_refused(parameters):
    prompt = parameters.pop("prompt", "a {word}" if "word" in parameters else "a")
    with pytest.raises(AxisError, match=r"has no values|is no number or range"):
        sweep(prompt, **parameters)


def test_fault_12_a_million_cells_are_refused_before_any_is_built(monkeypatch):
    built = []
    monkeypatch.setattr(nbtool.recipes.axes.Sweep, "_edited", lambda *_: built.append(1))
    with pytest.raises(AxisError, match=r"1,000,000 cells \(1000 × 1000\) are more than 100,000"):
        sweep(seed=range(1000), num_inference_steps=range(1, 1001))
    assert not built


@pytest.mark.parametrize("seeds", [range(10**6), range(2**64), "0-1000000"], ids=repr)
def test_fault_12_an_axis_of_a_million_values_is_refused(seeds):
    with pytest.raises(AxisError, match=r"^seed has more than 100,000 values; take fewer, or run"):
        sweep(seed=seeds)


def test_the_longest_axis_is_built_in_a_moment():
    """One that takes quadratic time would take minutes, and run into the test's time limit."""
    assert len(sweep(seed=range(100_000))) == 100_000


@pytest.mark.parametrize(
    "parameters",
    [{"seed": [1, 2, 1]}, {"guidance_scale": [1, 1.0]}, {"scheduler": ["euler_a", "Euler a"]},
     {"word": ["1", 1]}, {"num_inference_steps": "1-2 [4]"}],
)  # fmt: skip
def test_a_value_given_twice_is_refused(parameters):
    with pytest.raises(AxisError, match="twice"):
        sweep("a {word}" if "word" in parameters else "a", **parameters)


@pytest.mark.parametrize(
    ("prompt", "parameters", "message"),
    [
        ("a", {"sed": 1}, "unknown parameter 'sed'; did you mean 'seed'"),
        ("a {color}", {"colour": ["red"]}, "unknown parameter 'colour'; did you mean 'color'"),
        ("a", {"color": ["red"]}, "unknown parameter 'color'"),
        ("a {{color}}", {"color": ["red"]}, "unknown parameter 'color'"),
        ("a {color}", {}, r"the prompt has \{color\}, but nothing fills it; give color="),
        ("a {seed}", {"seed": [1, 2]}, r"\{seed\} in the prompt is a parameter's name"),
        ("a {c}", {"c": [["red"]]}, "c needs texts, got"),
        ("a {c}", {"c": None}, "c needs a list of texts, got None"),
        ("a", {"seed": [None, "x"]}, "seed must be a whole number"),
        ("a", {"guidance_scale": [1, None]}, "guidance_scale has a value None"),
        ("a", {"scheduler": ["euler", "eulr"]}, "did you mean 'euler'"),
        (["a", 5], {}, "prompt must be text, got 5"),
    ],
)
def test_mistakes_are_named_with_the_next_step(prompt, parameters, message):
    with pytest.raises(RecipeError, match=message):
        sweep(prompt, **parameters)


def test_a_prompt_that_grows_too_long_in_one_cell_is_refused():
    long = "x" * 20_000
    filled = sweep("a {word}", word=["", long])
    replaced = sweep("a red star", nbtool.replace("red", [long]))
    for swept in (filled, replaced):
        assert len(swept.recipe((0,)).prompt) < 20
        with pytest.raises(RecipeError, match="prompt has 2000"):
            list(swept)


SIZE = nbtool.paired(width=[64, 128], height=[64, 128])


@pytest.mark.parametrize(
    ("axes", "parameters", "message"),
    [
        ([SIZE], {"width": 64}, "width is set twice"),
        ([SIZE], {"height": [64, 128]}, "height is set twice"),
        ([SIZE], {"size": SIZE}, "height, width is set twice"),
        ([], {"recipe": SIZE, "prompt": [Recipe(prompt="a")]}, "two axes are named 'recipe'"),
        ([nbtool.replace("a", ["b"]), nbtool.replace("a", ["c"])], {}, "two axes are named 'a'"),
        (["b"], {}, "after the prompt come axes"),
        ([nbtool.paired(prompt=["a", "b"], seed=[1, 2])], {}, "prompt is set twice"),
    ],
)
def test_axes_in_each_others_way_are_refused(axes, parameters, message):
    with pytest.raises(AxisError, match=message):
        sweep(parameters.pop("prompt", "a"), *axes, **parameters)


def test_float_steps_do_not_depend_on_the_decimal_context_of_the_process():
    code = (
        "import decimal; decimal.getcontext().prec = 3\n"
        "from nbtool.recipes.ranges import parse_range\n"
        "print(parse_range('1000.5-1001.5 (+0.5)', whole=False))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert output.stdout.split() == b"(1000.5, 1001.0, 1001.5)".split()
    assert Decimal(1) / 3  # the context of this process is as it was
