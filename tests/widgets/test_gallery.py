"""The gallery without a browser: what it lists, and what is done with images, sweeps and jobs."""

from __future__ import annotations

import errno
import os

import pytest
from people import say, tile

import nbtool
from nbtool.panel.collection.sweeps import suggested
from nbtool.panel.panel import Panel
from nbtool.testing import FakeEngine

SECONDS = 600  # on a busy machine


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def generator(tmp_path, engine):
    return nbtool.Generator(engine=engine, store=tmp_path / "images")


@pytest.fixture
def images(generator):
    """Five that are there before, the newest first."""
    asked = [(prompt, seed) for prompt in ("a red fox", "a blue hat") for seed in (1, 2)]
    return [generator(prompt, seed=seed) for prompt, seed in [*asked, ("a green owl", 3)]][::-1]


@pytest.fixture
def panel(generator, images):
    panel = Panel(generator)
    panel.join(SECONDS)
    yield panel
    panel.generate.gallery.section = "images"
    panel.cancel()
    panel.join(SECONDS)
    panel.close()


@pytest.fixture
def gallery(panel):
    return panel.generate.gallery


@pytest.fixture
def do(panel, gallery):
    """Does what the browser asks for, and waits until it is done."""

    def act(kind, *images, **more):
        say(gallery, kind=kind, cells=[image.recipe.key for image in images], **more)
        panel.join(SECONDS)

    return act


def listed(gallery):
    """The keys that the browser has."""
    stored = gallery.stored.hex()
    return [*gallery.recent, *(stored[i : i + 64] for i in range(0, len(stored), 64))]


def keys(images):
    return [image.recipe.key for image in images]


def _refused(path, *_, **__):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


def prompts(gallery):
    return [image.recipe.prompt for image in gallery.images.values()]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"words": "FOX a"}, {"a red fox"}),
        ({"words": "sharp"}, {"a green owl"}),
        ({"starred": True}, {"a green owl"}),
        ({"starred": True, "words": "fox"}, set()),
        ({"model": "fake", "today": True}, {"a red fox", "a blue hat", "a green owl"}),
        ({"model": "another"}, set()),
    ],
)
def test_it_lists_what_is_searched_for_and_all_again(panel, gallery, images, asked, found):
    images[0].starred, images[0].note = True, "sharp"
    gallery.asked = asked
    panel.join(SECONDS)
    assert set(prompts(gallery)) == found
    assert listed(gallery) == list(gallery.images)
    assert (gallery.total, gallery.found, gallery.models) == (5, asked, ["fake"])
    gallery.asked = {"sort": "oldest"}
    panel.join(SECONDS)
    assert listed(gallery) == keys(images)[::-1]


def test_what_others_did_to_the_store_is_seen_at_the_next_look(gallery, generator, images, do):
    other = nbtool.Generator(engine=FakeEngine(), store=generator.store.path)("from elsewhere")
    images[1].delete()
    do("look")
    assert listed(gallery) == keys([other, images[0], *images[2:]])
    assert gallery.deleted["images"] == 1


def test_images_keep_their_places_while_they_are_made_and_when_others_look(
    panel, gallery, engine, images
):
    engine.hold(2, lambda recipe: recipe.seed == 8)
    panel.generate._submit("a new one", seed=[7, 8])
    assert engine.wait_for_hold(SECONDS)
    until(lambda: len(gallery.making) == 1 and len(listed(gallery)) == 7)
    second, first = listed(gallery)[:2]
    assert (gallery.making, gallery.images[first].seed) == ([second], 7)
    say(gallery, kind="look")
    gallery._searching.join(SECONDS)
    assert listed(gallery) == [second, first, *keys(images)]
    assert list(gallery.images) == [first, *keys(images)]
    engine.release()
    panel.join(SECONDS)
    assert listed(gallery) == [second, first, *keys(images)]
    assert gallery.making == []
    assert gallery.total == len(gallery.images) == 7


def until(true):
    """Waits for what a thread does in its time."""
    import threading

    for _ in range(100 * SECONDS):
        if true():
            return
        threading.Event().wait(0.01)
    raise TimeoutError


def test_what_is_made_while_others_are_searched_for_is_listed_where_it_matches(panel, gallery):
    gallery.asked = {"words": "moon"}
    panel.join(SECONDS)
    panel.generate._submit("a moon", seed=1)
    panel.join(SECONDS)
    panel.generate._submit("no such thing", seed=1)
    panel.join(SECONDS)
    assert prompts(gallery) == ["a moon"]
    assert panel.generate.detail.image.recipe.prompt == "no such thing"
    gallery.asked = {}
    panel.join(SECONDS)
    assert gallery.total == len(listed(gallery)) == 7


def test_several_are_deleted_put_back_and_removed_for_good(panel, gallery, generator, images, do):
    images[1].note = "kept with it"
    gallery.selected = images[1].recipe.key
    do("delete", *images[:3])
    assert listed(gallery) == keys(images[3:])
    assert gallery.selected == images[3].recipe.key
    place = panel.generate.detail.stage.count
    gallery.selected = images[0].recipe.key  # by a browser that has not heard yet that it is gone
    assert gallery.selected == images[3].recipe.key
    assert panel.generate.detail.stage.count == place == f"1 of {len(images) - 3}"
    assert gallery.said["images"] == {"text": "3 images deleted", "undo": True}
    assert gallery.deleted["images"] == 3
    generator("a green owl", seed=3)  # asked for anew, it is made again
    do("undo", section="images")
    said = "2 images put back; 1 was made anew meanwhile"
    assert gallery.said["images"] == {"text": said, "undo": False}
    assert set(listed(gallery)) == set(keys(images))
    assert images[1].note == "kept with it"
    do("delete", images[2])
    do("restore all")
    assert images[2].recipe.key in listed(gallery)
    do("delete", images[2])
    do("empty")
    assert "removed for good" in gallery.said["images"]["text"]
    assert (gallery.said["images"]["undo"], gallery.deleted["images"]) == (False, 0)
    do("undo", section="images")
    assert len(gallery.images) == 4
    assert panel.notice.text == ""


def test_several_are_starred_and_noted_and_a_note_comes_back(panel, gallery, images, do):
    images[0].note = "the old one"
    do("star", *images[:2], starred=True)
    do("note", *images[:2], note="both")
    assert [tile(panel, key)["note"] for key in keys(images[:3])] == ["both", "both", ""]
    assert [image.starred for image in images] == [True, True, False, False, False]
    assert panel.generate.detail.star.value
    assert panel.generate.detail.note.value == "both"
    do("undo", section="images")
    assert [image.note for image in images[:2]] == ["the old one", ""]


def test_what_the_disk_refuses_is_said_and_nothing_is_lost(panel, gallery, images, do, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", _refused)
        for kind, more in (("delete", {}), ("star", {"starred": True}), ("note", {"note": "no"})):
            do(kind, images[0], **more)
            assert "Read-only file system" in panel.notice.text
    assert listed(gallery) == keys(images)
    assert gallery.said == {}
    do("star", images[0], starred=True)
    assert images[0].starred


def test_what_cannot_be_undone_any_more_is_said_and_blocks_nothing(
    panel, generator, images, do, monkeypatch
):
    gallery, deleted = panel.generate.gallery, generator.store.path / "deleted"
    do("delete", *images[:2])
    for name in ("pins", "needles"):
        generator.grid(name, seed=[1, 2]).name = name
        do("delete sweep", name=name)
    (deleted / images[0].path.name).unlink()
    newest = max((deleted / "grids").iterdir(), key=lambda path: "needles" in path.read_text())
    newest.unlink()
    do("undo", section="sweeps")
    assert gallery.said["sweeps"] == {"text": "That cannot be undone any more", "undo": True}
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", _refused)
        do("undo", section="sweeps")
    assert "Read-only file system" in panel.notice.text
    do("undo", section="sweeps")
    assert gallery.said["sweeps"] == {"text": "1 sweep put back", "undo": False}
    assert list(generator.store.grids) == ["pins"]
    do("undo", section="images")
    assert gallery.said["images"]["text"].startswith("1 image put back; 1 could not be: ")
    assert images[1].recipe.key in listed(gallery)
    assert not gallery.said["images"]["undo"]


def test_what_only_tells_goes_with_the_next_thing_that_is_done(gallery, generator, images, do):
    generator.grid("a pin", seed=[1, 2]).name = "pins"
    do("delete", *images[:2])
    do("delete sweep", name="pins")
    offered = [gallery.said[section]["undo"] for section in ("images", "sweeps")]
    assert offered == [True, True]  # each in its own section, and both stay
    do("undo", section="images")
    assert gallery.said["images"]["text"] == "2 images put back"
    do("star", images[0], starred=True)
    assert gallery.said["images"]["text"] == ""
    assert gallery.said["sweeps"]["undo"]


def test_all_that_can_be_is_put_back(gallery, images, do):
    do("delete", *images[:3])
    deleted = images[1].path.parent / "deleted"
    (deleted / images[1].path.name).unlink()
    do("restore all")
    assert gallery.said["images"]["text"].startswith("2 images put back; 1 could not be: ")
    assert "its PNG is gone" in gallery.said["images"]["text"]
    assert {images[0].recipe.key, images[2].recipe.key} <= set(listed(gallery))


def test_what_was_deleted_is_looked_through_and_some_of_it_put_back(
    panel, gallery, generator, images, do
):
    images[1].starred = True
    do("delete", *images[:3])
    gallery.asked = {"deleted": True, "sort": "oldest"}
    panel.join(SECONDS)
    assert listed(gallery) == keys(images[:3])[::-1]
    assert (gallery.total, gallery.found["deleted"]) == (2, True)
    assert tile(panel, images[1].recipe.key)["starred"]
    gallery.selected = images[1].recipe.key
    assert panel.generate.detail.stage.picture == images[1].png
    do("restore", images[1])
    assert gallery.said["images"]["text"] == "1 image put back"
    assert listed(gallery) == [images[2].recipe.key, images[0].recipe.key]
    assert images[1].recipe.key in generator.store
    say(panel.generate.detail.star, key=images[1].recipe.key, value=False)  # what is looked at
    assert not images[1].starred
    generator("while one looks through it", seed=9)
    panel.generate._submit("and from the panel", seed=9)
    panel.join(SECONDS)
    assert listed(gallery) == [images[2].recipe.key, images[0].recipe.key]
    gallery.asked = {"deleted": True, "words": "owl"}
    panel.join(SECONDS)
    assert prompts(gallery) == ["a green owl"]


def test_who_looks_through_what_is_removed_is_back_at_all_images(panel, gallery, images, do):
    do("delete", *images[:2])
    gallery.asked = {"deleted": True}
    panel.join(SECONDS)
    gallery.selected = images[0].recipe.key
    do("empty")
    assert "2 images removed for good" in gallery.said["images"]["text"]
    assert listed(gallery) == keys(images[2:])
    assert (gallery.asked, gallery.deleted["images"]) == ({}, 0)
    assert gallery.selected == images[2].recipe.key
    assert panel.generate.detail.stage.picture == images[2].png


def test_the_first_tiles_come_unasked_until_they_are_others(panel, gallery, images, do):
    assert gallery.ahead["cells"] == keys(images)
    assert gallery.ahead["words"][images[0].recipe.key]["caption"].startswith("a green owl")
    assert len(gallery.ahead["files"]) == len(gallery.ahead["types"]) == 5
    do("star", images[0], starred=True)
    assert gallery.ahead == {}


def test_all_tiles_of_a_large_screen_are_sent(panel, gallery, images):
    sent = []
    gallery.send = lambda content, *_: sent.extend(content["words"])
    say(gallery, kind="want", cells=[*(f"{n:064x}" for n in range(300)), *keys(images)], edge=192)
    panel.join(SECONDS)
    del gallery.send
    assert set(keys(images)) <= set(sent)


def test_a_tile_says_that_its_file_is_gone_and_the_others_come(panel, images):
    images[0].path.unlink()
    assert "PNG is missing" in tile(panel, images[0].recipe.key)["gone"]
    said = tile(panel, images[1].recipe.key)
    assert said["caption"].startswith("a blue hat")
    assert "gone" not in said


def test_paths_are_copied_and_settings_used(panel, gallery, images, do, monkeypatch):
    copied = []
    monkeypatch.setattr(gallery._desk, "_copy", copied.append)
    do("paths", *images[:2])
    assert copied == ["\n".join(str(image.path) for image in images[:2])]
    do("use", images[1])
    assert panel.settings.prompt.value == images[1].recipe.prompt


def test_a_sweep_is_kept_by_itself_opened_renamed_and_deleted(panel, gallery, generator, do):
    name = "a red fox · 3 seeds"
    for extra in (3, 4, 3):  # another of the same axes gets another name, the same keeps its own
        grid = generator.grid("a red fox", seed=[1, 2, extra])
        gallery.keep_sweep(grid)
        panel.join(SECONDS)
    assert [sweep["name"] for sweep in gallery.sweeps] == [f"{name} (2)", name]
    assert (gallery.sweeps[1]["axes"], gallery.sweeps[1]["there"]) == ("3 seeds", 3)
    do("open sweep", name=name)
    (view,) = gallery.sweep.children
    assert (len(view.grid), gallery.opened) == (3, name)
    do("rename sweep", name=name, to=f"{name} (2)")
    assert "another grid" in panel.notice.text
    do("rename sweep", name=name, to=" foxes ")
    assert {sweep["name"] for sweep in gallery.sweeps} == {"foxes", f"{name} (2)"}
    gallery.keep_sweep(generator.grid("a red fox", seed=[1, 2, 3]))  # as after Resume
    panel.join(SECONDS)
    assert {sweep["name"] for sweep in gallery.sweeps} == {"foxes", f"{name} (2)"}
    do("delete sweep", name="foxes")
    assert (gallery.opened, gallery.sweep.children) == ("", ())
    assert "foxes" not in generator.store.grids
    do("undo", section="sweeps")
    assert len(generator.store.grids["foxes"]) == 3


def test_a_sweep_of_any_prompt_and_axes_has_a_name_that_can_be(panel, gallery, generator):
    swap = nbtool.replace("fox " * 50, ["hat"])
    for seed in (1, 2):
        gallery.keep_sweep(generator.grid("a\n" + "fox " * 50, swap, seed=seed))
        panel.join(SECONDS)
    first, second = sorted(generator.store.grids)
    assert first.startswith("a fox fox")
    assert second == f"{first} (2)"
    gallery.keep_sweep(generator.grid("", seed=1))
    panel.join(SECONDS)
    assert "one image" in generator.store.grids


def test_a_closed_panel_looks_at_nothing_any_more(panel, gallery):
    gallery.section = "queue"
    until(lambda: gallery._desk.queue._loop.running)
    panel.close()
    assert not gallery.is_open("queue")
    assert gallery._desk.queue._loop.join(SECONDS)
    closed = (gallery, panel.generate.detail.stage, panel.prompt_help, panel.root)
    assert [part.comm for part in closed] == [None] * 4


def test_the_queue_has_every_job_and_moves_or_cancels_it(panel, gallery, generator, engine):
    engine.hold(2)
    jobs = [generator.submit(f"job {n}", seed=range(3)) for n in range(3)]
    assert engine.wait_for_hold(SECONDS)
    gallery.section = "queue"
    until(lambda: [job["prompt"] for job in gallery.queue] == ["job 0", "job 1", "job 2"])
    assert (gallery.queue[0]["state"], gallery.queue[1]["axes"]) == ("running", "3 seeds")
    say(gallery, kind="move up", name=gallery.queue[2]["id"])
    until(lambda: gallery.queue[0]["prompt"] == "job 2")
    named = {job["prompt"]: job["id"] for job in gallery.queue}
    say(gallery, kind="cancel job", name=named["job 1"])
    until(lambda: "job 1" not in [job["prompt"] for job in gallery.queue])
    assert jobs[1].cancelled
    engine.release()
    for job in jobs:
        job.join(SECONDS)
    until(lambda: gallery.queue == [])


def test_what_is_varied_together_is_said_in_words(panel, gallery, generator, do):
    pair = nbtool.paired(guidance_scale=[1, 2], num_inference_steps=[4, 8])
    generator.grid("a fox", pair, seed=[1, 2]).name = "pairs"
    generator.grid("a fox", size=nbtool.paired(width=[64, 72], height=[72, 64])).name = "sizes"
    generator.grid("a {guidance_fox}", guidance_fox=["fox", "owl"]).name = "words"
    panel.generate.gallery.section = "sweeps"
    panel.join(SECONDS)
    axes = {sweep["name"]: sweep["axes"] for sweep in gallery.sweeps}
    assert axes["pairs"] == "2 guidance and steps × 2 seeds"
    assert axes["words"] == "2 guidance_fox"
    assert suggested(generator.grid("a fox", pair)) == "a fox · 2 guidance and steps"
