"""What is found in a store, in which order, and what is read for it."""

from __future__ import annotations

import datetime as dt
import gzip
import json

import pytest
from drives import Drive

from nbtool import Provenance, RecipeError, Store, StoreError
from nbtool.results import index

NOW = dt.datetime.now(dt.timezone.utc)


@pytest.fixture
def library(store, complete, picture):
    """Four images; the first one was made last, and each day before it one more."""
    prompts = ["A red Fox with a hat", "a hat on a fox", "ein Füchslein", "a blue star"]
    for seed, prompt in enumerate(prompts):
        recipe = complete.replace(prompt=prompt, seed=seed, negative_prompt=f"blur {seed}")
        made = NOW - dt.timedelta(days=seed)
        store.put(picture, recipe, Provenance(created=made.isoformat()))
    return store


def seeds(images):
    return [image.seed for image in images]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", [0, 1, 2, 3]), ("fox hat", [0, 1]), ("HAT fox Red", [0]), ("f\u00dcchs", [2]),
        ("fu\u0308chs", [2]), ("fox star", []), ("blur 3", [3]), ("keeper", [1]),
        ("fox keeper \ud800", [1]), ("shapes", [0, 1, 2, 3]),
    ],
)  # fmt: skip
def test_words_are_found_in_every_text_in_any_order_and_case(library, words, found):
    library.set_mark(library.find(seed=1).keys[0], note="the KEEPER\ud800")
    for store in (library, Store(library.path)):
        assert seeds(store.find(words, sort="newest")) == found


def test_what_is_asked_for_together_must_all_be_so(library):
    library.set_mark(library.find(seed=1).keys[0], starred=True)
    assert seeds(library.find(starred=True)) == seeds(library.starred) == [1]
    assert seeds(library.find("fox", starred=False)) == [0]
    assert seeds(library.find("hat", seed=1, model="shapes")) == [1]
    assert seeds(library.find("hat", model="another")) == []
    assert library.models == ["shapes"]
    library.set_mark(library.find(seed=0).keys[0], starred=True)
    library.set_mark(library.find(seed=1).keys[0], starred=False)
    assert seeds(library.find(starred=True)) == [0]


def test_images_are_found_by_when_they_were_made(library):
    yesterday = NOW - dt.timedelta(days=1)
    assert seeds(library.find(since=yesterday)) == [1, 0]
    assert seeds(library.find(since=yesterday.isoformat(), sort="newest")) == [0, 1]
    assert seeds(library.find(since=(NOW - dt.timedelta(days=9)).date())) == [3, 2, 1, 0]
    midnight = dt.datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    assert seeds(library.find(since="today")) == seeds(library.find(since=midnight))
    for wrong in ("yesterday", 3, "2026-13-01"):
        with pytest.raises(RecipeError, match='since is a date, a time, "today"'):
            library.find(since=wrong)


def test_images_are_sorted_by_time_and_by_any_parameter(library):
    assert seeds(library.find()) == [3, 2, 1, 0]
    assert seeds(library.find(sort="newest")) == seeds(library.find(sort="seed")) == [0, 1, 2, 3]
    assert seeds(library.find(sort="prompt")) == [3, 1, 0, 2]
    assert seeds(library.find(sort="eta")) == [3, 2, 1, 0]
    for wrong in ({"sort": None}, {"sort": 5}):
        with pytest.raises(RecipeError, match='sort is "oldest", "newest" or a parameter'):
            library.find(**wrong)
    with pytest.raises(RecipeError, match="words are a text, got 5"):
        library.find(5)
    with pytest.raises(RecipeError, match="did you mean 'newest'"):
        library.find(sort="newst")


def test_what_was_found_is_a_sequence_that_reads_what_is_taken(library):
    with Drive(library.path) as drive:
        found = library.find(sort="newest")
    assert len([call for call in drive.calls if call[0] == "open"]) == 4
    with Drive(library.path) as drive:
        assert (len(found), len(found[1:]), len(found.keys)) == (4, 3, 4)
        again = library.find("fox", sort="newest")
        assert repr(again) == "<Found: 2 images>"
        assert seeds(found[1:3]) == [1, 2]
        assert found[-1].recipe.key == found.keys[-1]
    opened = [name for call, name in drive.calls if call == "open"]
    assert sorted(opened) == sorted(f"{key[:32]}.json" for key in found.keys[1:])
    assert found[:2] == again == list(again) != found
    assert [image in found[:2] for image in found] == [True, True, False, False]
    assert [found.index(image) for image in found] == [0, 1, 2, 3]
    assert found.index(found[3], 1, 4) == 3
    for missing in (found[3], "fox"):
        with pytest.raises(ValueError, match="not in"):
            again.index(missing)
    assert "fox" not in found


def test_what_others_do_meanwhile_is_found_at_the_next_look(library, complete, picture):
    found = library.find(sort="newest")
    other = Store(library.path)
    other.put(picture, complete.replace(seed=9), Provenance(created="2999"))
    other.set_mark(found.keys[1], note="a zebra")
    (other.path / f"{found.keys[0][:32]}.json").unlink()
    assert seeds(library.find(sort="newest")) == [9, 1, 2, 3]
    assert seeds(library.find("zebra")) == [1]
    other.set_mark(found.keys[1], note="a lion")
    assert seeds(library.find("zebra")) == []
    assert seeds(found) == [1, 2, 3]
    with pytest.raises(StoreError, match=r"is not in .* any more; look again"):
        found[0]
    other.put(picture, complete.replace(seed=9), Provenance(created="1999"))
    assert seeds(library.find()) == [9, 3, 2, 1]


def in_another_process(store):
    """The same store to one that has looked at nothing yet."""
    index._KNOWN.clear()
    return Store(store.path)


def test_what_one_store_knows_of_a_folder_another_in_this_process_knows(library):
    keys = library.find().keys
    with Drive(library.path) as drive:
        assert Store(library.path).find().keys == keys
    assert not [name for call, name in drive.calls if call == "open"]


@pytest.fixture
def indexed(library, monkeypatch):
    monkeypatch.setattr(index, "MANY", 3)
    library.find()
    return next(library.path.glob("nbtool-index*"))


def test_a_large_store_is_known_to_the_next_process(library, indexed):
    with Drive(library.path) as drive:
        assert seeds(in_another_process(library).find("fox")[:1]) == [1]
    opened = [name for call, name in drive.calls if call == "open"]
    assert len(opened) == 2
    assert indexed.name in opened


def test_images_that_are_made_one_by_one_are_known_to_the_next_process(
    store, complete, picture, monkeypatch
):
    monkeypatch.setattr(index, "MANY", 3)
    for seed in range(7):
        store.put(picture, complete.replace(seed=seed), Provenance())
        store.find()
    with Drive(store.path) as drive:
        assert len(in_another_process(store).find()) == 7
    assert len([call for call in drive.calls if call[0] == "open"]) == 1 + 7 % 3


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"[]",
        gzip.compress(b"[]", mtime=0),
        gzip.compress(b'{"a": 1}', mtime=0),
        gzip.compress(b"{", mtime=0)[:-3],
        gzip.compress(b"{}", mtime=0)[:10] + b"\xff" * 20,
    ],
)
def test_an_index_that_is_nonsense_is_made_again(library, indexed, nonsense):
    whole = indexed.read_bytes()
    indexed.write_bytes(nonsense)
    assert seeds(in_another_process(library).find(sort="newest")) == [0, 1, 2, 3]
    assert gzip.decompress(indexed.read_bytes()) == gzip.decompress(whole)


def test_an_index_is_never_trusted_over_a_record(library, indexed):
    path = library.path / f"{library.find(seed=2).keys[0][:32]}.json"
    said = json.loads(path.read_text())
    said["provenance"]["created"] = "2999-01-01"
    path.write_text(json.dumps(said))
    assert seeds(in_another_process(library).find(sort="newest")) == [2, 0, 1, 3]


def test_a_glance_sees_what_came_and_went_and_a_record_written_over_when_it_was_found(
    library, indexed, complete, picture
):
    keys = library.find(sort="newest").keys
    Store(library.path).delete(keys[1])
    Store(library.path).put(picture, complete.replace(seed=9), Provenance(created="1999"))
    seen = in_another_process(library)
    with Drive(library.path) as drive:
        assert seen.glance().keys[:3] == (keys[0], *keys[2:])
    assert len([name for call, name in drive.calls if call == "open"]) == 2  # index, new record
    assert seeds(seen.glance()) == [0, 2, 3, 9]
    path = library.path / f"{keys[2][:32]}.json"
    said = json.loads(path.read_text())
    said["provenance"]["created"] = "2999-01-01"
    path.write_text(json.dumps(said))
    assert seeds(seen.glance()) == [0, 2, 3, 9]
    assert seeds(seen.find(sort="newest")) == seeds(seen.glance()) == [2, 0, 3, 9]


def test_a_newer_store_is_searched_and_not_written_to(library, monkeypatch):
    monkeypatch.setattr(index, "MANY", 3)
    (library.path / "nbtool-store.json").write_text('{"schema": 2}')
    assert seeds(library.find("fox")) == [1, 0]
    assert list(library.path.glob("nbtool-index*")) == []
