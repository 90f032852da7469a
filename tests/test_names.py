"""Names of files by a pattern."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtool
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.results import names
from nbtool.results.image import GeneratedImage
from nbtool.results.names import Names, Pattern, suggested, values_of

RESERVED = ("CON", "nul", "com1", "LPT9", "aux", "Prn", "con.txt", "COM\N{SUPERSCRIPT TWO}")


def image(prompt="a star", *, created="", **parameters):
    return GeneratedImage(Recipe(prompt=prompt, seed=7, **parameters), Provenance(created=created))


def stem(pattern, *given, **parameters):
    return Pattern(pattern).stem(values_of(image(*given, **parameters)))


@pytest.mark.parametrize(
    ("pattern", "prompt", "expected"),
    [
        ("{prompt:12}-{seed}", "a large red star", "a-large-red-7"),
        ("{prompt:11}-{seed}", "a large red star", "a-large-red-7"),
        ("{prompt:10}-{seed}", "a large red star", "a-large-7"),
        ("{prompt:4}-{seed:4}", "enormous", "enor-0007"),
        ("{prompt}", "日本の城、桜", "日本の城-桜"),
        ("{prompt}", "e\N{COMBINING ACUTE ACCENT}t\N{COMBINING ACUTE ACCENT}e", "ét\N{COMBINING ACUTE ACCENT}e"),
        ("{prompt}", "../../x", "x"),
        ("{prompt}", 'a\\b/c:d*e?f"g<h>i|j\0k\nl', "a-b-c-d-e-f-g-h-i-j-k-l"),
        ("{prompt}", "\u202egnp.exe", "gnp.exe"),
        ("{prompt}", "\ud800", "image"),
        ("{prompt}", "", "image"),
        ("{prompt}-{seed}", "", "7"),
        ("{{{seed}}}", "", "{7}"),
        ("{guidance_scale} at {width}x{height}", "", "7.5 at 64x128"),
        ("{index:3}", "", "001"),
        ("{date}-{time}", "", "undated"),
        ("seed: {seed}.", "", "seed- 7"),
        ("{model}", "", "stabilityai-sdxl"),
    ],
)  # fmt: skip
def test_a_pattern_makes_a_name(pattern, prompt, expected):
    more = {"guidance_scale": 7.5, "width": 64, "height": 128, "model": "stabilityai/sdxl"}
    assert stem(pattern, prompt, **more) == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{prompt:0}", r"may have a width from 1 to 999, as in {prompt:30}; got '{prompt:0}'"),
        ("{seed:000}", r"may have a width from 1 to 999, as in {seed:30}"),
        ("{prompt:1000}", r"may have a width from 1 to 999"),
        ("{prompt!r}", r"may have a width from 1 to 999"),
        (
            "{seed}.gif",
            r"saved as .png, .jpg, .jpeg, .webp, not as .gif; end '{seed}.gif' with one",
        ),
        ("star.7z", "not as .7z"),
        ("{seed}.final.", ""),
        ("v1.{seed}.5", ""),
        ("{seed}.gif.JPG", ""),
    ],
)
def test_what_a_pattern_cannot_mean_is_refused(pattern, message):
    if not message:
        assert Pattern(pattern)
        return
    with pytest.raises(nbtool.RecipeError, match=re.escape(message)):
        Pattern(pattern)


def test_when_it_was_made_is_said_as_clocks_here_say_it():
    assert stem("{date}", created="2026-01-31T12:00:00+00:00") == "2026-01-31"
    assert re.fullmatch(r"\d\d-\d\d-00", stem("{time}", created="2026-01-31T12:00:00+00:00"))


def test_a_key_is_the_one_in_the_store_s_names():
    assert stem("{key}") == image().recipe.key[:32]
    assert stem("{key:8}") == image().recipe.key[:8]


@pytest.mark.parametrize("name", RESERVED)
def test_fault_33_names_that_windows_has_for_devices(name):
    assert stem("{prompt}", name) == "_" + name.replace("\N{SUPERSCRIPT TWO}", "2")


@given(st.lists(st.text(), min_size=1, max_size=4), st.text(max_size=3))
def test_fault_33_any_text_makes_a_name_for_any_system(prompts, text):
    taken = Names()
    pattern = (
        "{prompt:150}"
        + re.sub(r"[{}/\\\x00-\x1f\x7f]", "", text).encode("utf-8", "replace").decode()
        + "_"  # what follows a dot is no kind of file then
    )
    given = [taken.give(stem(pattern, prompt), ".png") for prompt in prompts]
    assert len({name.casefold() for name in given}) == len(prompts)
    for name in given:
        assert len(name.encode("utf-8")) <= 143
        assert name.isprintable()
        assert not set(name) & set('<>:"/\\|?*')
        assert name[0] not in ". -"
        assert not re.match(r"(?i)(con|aux|nul|prn|com\d|lpt\d)\s*\.", name)


def test_a_long_name_leaves_room_for_a_number_where_drives_take_143_bytes():
    long = stem("{prompt:400}-{seed}", "日" * 400)
    assert 120 < len(f"{long}-99999.webp".encode()) <= 143


def test_names_that_are_alike_are_counted_on_and_not_tried_again(monkeypatch):
    compared = names._compared
    tried = []
    monkeypatch.setattr(names, "_compared", lambda name: tried.append(name) or compared(name))
    given = Names(["A-3.png"])
    assert [given.give(stem, ".png") for stem in "aAaa"] == [
        "a.png", "A-2.png", "a-4.png", "a-5.png",
    ]  # fmt: skip
    tried.clear()
    for _ in range(100):
        given.give("a", ".png")
    assert len(tried) < 500


def test_one_image_has_a_suggestion():
    assert suggested(image("a red star, on " + "x" * 400)) == "a-red-star-on-7.png"
