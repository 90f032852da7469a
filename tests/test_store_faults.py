"""What a store does after something failed once: nothing is lost, nothing is said wrongly."""

from __future__ import annotations

import errno
import io
import itertools
import json
import os
import shutil
import sys
from contextlib import contextmanager

import numpy as np
import pytest
from drives import Drive, contents, meanwhile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import nbtool
from nbtool import GenerationError, Provenance, Recipe, RecipeError, Store, StoreError
from nbtool.metadata import read
from nbtool.recipes.recipe import key_of
from nbtool.testing import FakeEngine

UNREADABLE = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES, errno.ENAMETOOLONG)
NEWER = {"later": {"outline": 0.8, "a": [1, True, None]}}
pytestmark = pytest.mark.usefixtures("quiet")
needs_symlinks = pytest.mark.skipif(os.name == "nt", reason="makes symbolic links")


@pytest.fixture
def image(gen):
    gen("a star", seed=2)
    return gen("a star", seed=1)


def record_of(image):
    return image.path.with_name(f"{image.recipe.key[:32]}.json")


def picture_of(image):
    return image.path


def mark_of(image):
    return image.path.with_name(f"{image.recipe.key[:32]}.mark.json")


def edit(path, change):
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))


@contextmanager
def broken(path, code=errno.EIO, times=sys.maxsize):
    """Opening a file fails, some times or until the end."""
    real, left = os.open, [times]

    def refuse(name, *rest, **options):
        if os.fspath(name) == os.fspath(path) and left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code), name)
        return real(name, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", refuse)
        yield


# Unreadable now


@pytest.mark.parametrize("code", UNREADABLE, ids=errno.errorcode.get)
@pytest.mark.parametrize("file_of", [record_of, picture_of])
def test_fault_51_what_cannot_be_read_now_is_said_and_left(gen, image, code, file_of):
    store, key = gen.store, image.recipe.key
    before = contents(store.path)
    said = rf"{key[:32]}: its \w+ cannot be read now \({os.strerror(code)}\)"
    with broken(file_of(image), code):
        with pytest.warns(UserWarning, match=said):
            assert store.get(key) is None
        with pytest.raises(StoreError, match=said):
            store[key]
        assert len(store.check()) == 1
        grid = gen.grid("a star", seed=[1, 2])
    assert [made.seed for made in grid] == [2]
    with pytest.raises(GenerationError, match=said):
        grid.sel(seed=1)
    assert contents(store.path) == before
    assert store[key].png == image.png


@pytest.mark.parametrize("file_of", [record_of, picture_of])
def test_fault_51_a_drive_that_stumbles_once_is_asked_again(gen, image, file_of):
    with broken(file_of(image), times=1):
        assert gen.store[image.recipe.key].png == image.png
    with broken(image.path, times=1):
        assert image.image.size == (64, 64)


def test_fault_51_a_note_is_not_lost_by_a_read_that_failed(gen, image):
    image.note = "three hours of comparing"
    before = contents(gen.store.path)
    with broken(mark_of(image)):
        with pytest.raises(StoreError, match=r"is not changed: .* cannot be read now"):
            image.starred = True
        with pytest.warns(UserWarning, match="cannot be read now"):
            assert image.note == ""
    assert contents(gen.store.path) == before
    with broken(mark_of(image), times=1):
        image.starred = True
    assert gen.store.mark(image.recipe.key) == (True, "three hours of comparing")


def test_a_damaged_note_is_set_aside_before_there_is_another(gen, image):
    mark_of(image).write_text('{"note": "half of')
    with pytest.warns(UserWarning, match=r"mark\.json: .* moved to damaged"):
        image.starred = True
    assert (gen.store.path / "damaged" / mark_of(image).name).read_text() == '{"note": "half of'
    assert gen.store.mark(image.recipe.key) == (True, "")


def test_what_is_damaged_and_cannot_be_set_aside_is_not_written_over(gen, image):
    (gen.store.path / "damaged").write_text("a file in its place")
    mark_of(image).write_text("[")
    with pytest.raises(StoreError, match=r"is not changed: .*; left in"):
        image.starred = True
    assert mark_of(image).read_text() == "["


def test_a_marker_that_cannot_be_read_is_not_taken_for_ours(gen, image):
    marker = gen.store.path / "nbtool-store.json"
    marker.write_text('{"schema": 2}')
    before = contents(gen.store.path)
    with broken(marker), pytest.raises(StoreError, match=r"nbtool-store\.json: .*cannot be read"):
        gen("a circle", seed=1)
    assert contents(gen.store.path) == before


# Other notebooks


def remake(folder, recipe):
    """What another notebook does that makes the same image."""
    picture = Image.new("RGB", (64, 64), "blue")
    return Store(folder).put(picture, recipe, Provenance(created="of another notebook"))


@pytest.mark.filterwarnings("ignore:.*(moved to|left in)")
@pytest.mark.parametrize(
    "scene",
    list(
        itertools.product(
            ["PNG", "JSON", "no PNG"],
            ["made", "copied back"],
            [("open", 2), ("mkdir", 1), ("replace", 1)],
        )
    ),
    ids=str,
)
def test_what_another_notebook_has_just_committed_is_not_moved(image, tmp_path, scene):
    damage, again, (call, number) = scene
    store, recipe = image.store, image.recipe
    backup = shutil.copytree(store.path, tmp_path / "backup")
    if damage == "no PNG":
        image.path.unlink()
    else:
        (image.path if damage == "PNG" else record_of(image)).write_bytes(b"damaged")

    def commit():
        if again == "made":
            remake(store.path, recipe)
        else:
            shutil.copytree(backup, store.path, dirs_exist_ok=True)

    with meanwhile(commit, call, number):
        store.get(recipe.key)
    made = store[recipe.key].provenance.created
    assert made == ("of another notebook" if again == "made" else image.provenance.created)


@pytest.mark.parametrize("file_of", [record_of, picture_of])
def test_a_file_that_a_copy_program_is_writing_is_left(gen, image, monkeypatch, file_of):
    path, whole, real = file_of(image), file_of(image).read_bytes(), os.open
    written = iter(range(10, 100))

    def grown(name, *rest, **options):
        if os.fspath(name) == os.fspath(path):
            path.write_bytes(whole[: next(written)])
        return real(name, *rest, **options)

    monkeypatch.setattr(os, "open", grown)
    with pytest.warns(UserWarning, match="is being written"):
        assert gen.store.get(image.recipe.key) is None
    monkeypatch.setattr(os, "open", real)
    path.write_bytes(whole)
    assert gen.store[image.recipe.key].png == image.png


def test_a_png_that_waits_for_its_json_is_not_moved_with_a_damaged_one(gen, image):
    record_of(image).write_text("{")
    waiting = image.path.with_name(f"{image.recipe.key[:32]}-00000000.png")
    waiting.write_bytes(b"of another notebook, its JSON is next")
    later = record_of(image).stat().st_mtime + 1
    os.utime(waiting, (later, later))
    with pytest.warns(UserWarning, match="moved to damaged"):
        assert gen.store.get(image.recipe.key) is None
    assert waiting.exists()
    assert not image.path.exists()


# Newer


def with_warmth(said):
    said["recipe"]["warmth"] = 0.5


def with_a_mask(said):
    said["mask"] = {"sha256": "0"}


def with_energy(said):
    said["provenance"]["energy"] = [1.5]


def with_another_kind_of_device(said):
    said["provenance"] |= {"device": {"name": "cuda"}, "seconds": None, "notes": 5, "widths": [2]}


@pytest.mark.parametrize(
    "change", [with_warmth, with_a_mask, with_energy, with_another_kind_of_device]
)
def test_fault_57_an_unknown_field_is_newer_never_damaged(gen, image, change):
    edit(record_of(image), change)
    before = contents(gen.store.path)
    assert gen.store.get(image.recipe.key).seed == 1
    assert len(list(gen.store)) == len(gen.store.find(prompt="star")) == 2
    assert gen.store.check() == []
    assert contents(gen.store.path) == before


@pytest.mark.parametrize(
    "unheard",
    [{"schema": "1"}, {"schema": 1.5}, {"schema": None}, {"provenance": None}, {"provenance": []}],
    ids=str,
)
def test_fault_57_a_record_of_another_kind_is_newer_never_damaged(gen, image, unheard):
    edit(record_of(image), lambda said: said.update(unheard))
    before = contents(gen.store.path)
    with pytest.warns(UserWarning, match="a newer nbtool wrote it; update nbtool"):
        assert gen.store.get(image.recipe.key) is None
    grid = gen.grid("a star", seed=[1, 2])
    assert "a newer nbtool wrote it" in str(grid.failed[1,])
    assert contents(gen.store.path) == before


def test_fault_57_a_value_of_another_kind_is_kept_where_it_is_written_again(gen, image):
    edit(record_of(image), with_another_kind_of_device)
    found = gen.store[image.recipe.key]
    assert (found.provenance.device, found.provenance.seconds) == ("", 0.0)
    stored = gen.store.put(image.image, found.recipe.replace(seed=9), found.provenance)
    said = json.loads(record_of(stored).read_text())["provenance"]
    assert (said["device"], said["seconds"], said["notes"]) == ({"name": "cuda"}, None, 5)


def test_fault_57_a_newer_recipe_is_shown_and_saved_but_not_made(gen, image, tmp_path):
    recipe = Recipe.from_record(image.recipe.to_dict() | NEWER)
    provenance = Provenance.from_dict(image.provenance.to_dict() | {"energy": 5})
    assert recipe.key == key_of(recipe.to_dict()) != image.recipe.key
    stored = gen.store.put(image.image, recipe, provenance)
    found = gen.store[recipe.key]
    assert found.recipe == recipe != image.recipe
    assert found.recipe.unknown == NEWER
    assert "later" in found.caption
    for make in (lambda: gen(found.recipe), lambda: gen.plan([found.recipe]), lambda: gen.grid(
        found.recipe, seed=[1, 2])):  # fmt: skip
        with pytest.raises(RecipeError, match=r"a newer nbtool: it has later=.*; update nbtool"):
            make()
    for suffix in ("png", "jpg", "webp"):
        said = read(stored.save(tmp_path / f"saved.{suffix}"))
        assert said["recipe"] == recipe.to_dict()
        assert said["provenance"]["energy"] == 5
    archived = gen.store.latest(1)
    assert [made.recipe for made in archived] == [recipe]


def test_fault_57_what_a_file_says_beside_is_kept_when_it_is_saved_again(image, tmp_path):
    data = image.png.replace(b'{"provenance"', b'{"mask": 5, "provenance"')
    with Image.open(io.BytesIO(image.png)) as opened:
        texts = PngInfo()
        texts.add_text("nbtool", json.dumps(json.loads(opened.text["nbtool"]) | {"mask": 5}))
        buffer = io.BytesIO()
        opened.save(buffer, "PNG", pnginfo=texts)
    data = buffer.getvalue()
    again = nbtool.GeneratedImage(image.recipe, image.provenance, png=data)
    assert read(again.save(tmp_path / "saved.jpg"))["mask"] == 5


def test_fault_57_a_scheduler_that_is_unheard_of_is_newer_too(gen, image):
    parameters = image.recipe.to_dict() | {"scheduler": "euler_of_tomorrow"}
    key = key_of(parameters)
    said = json.loads(record_of(image).read_text()) | {"recipe": parameters, "key": key}
    image.path.with_name(f"{key[:32]}.json").write_text(json.dumps(said))
    before = contents(gen.store.path)
    with pytest.warns(UserWarning, match=r"a newer nbtool wrote it; .*'euler_of_tomorrow'\)"):
        assert len(list(gen.store)) == 2
    assert contents(gen.store.path) == before


def test_fault_57_a_request_is_not_served_what_is_more_than_it(gen, image):
    edit(record_of(image), with_warmth)
    before = contents(gen.store.path)
    grid = gen.grid("a star", seed=[1, 2])
    assert [made.seed for made in grid] == [2]
    assert "a newer nbtool wrote it" in str(grid.failed[1,])
    assert contents(gen.store.path) == before


def test_fault_57_unknown_fields_are_kept_when_a_record_or_a_mark_is_written_again(gen, image):
    edit(record_of(image), with_a_mask)
    remake(gen.store.path, image.recipe)
    said = json.loads(record_of(image).read_text())
    assert (said["mask"], said["provenance"]["created"]) == ({"sha256": "0"}, "of another notebook")

    image.starred = True
    edit(mark_of(image), lambda said: said.update(rating=5))
    image.note = "better"
    image.starred, image.note = False, ""
    said = json.loads(mark_of(image).read_text())
    assert (said["rating"], said["starred"], said["note"]) == (5, False, "")


def test_fault_57_what_asks_for_a_newer_reader_is_not_written_again(gen, image):
    image.note = "x"
    for path in (record_of(image), mark_of(image)):
        edit(path, lambda said: said.update(schema=2, rating=5))
    before = contents(gen.store.path)
    with pytest.raises(StoreError, match="is not changed: a newer nbtool wrote it"):
        image.note = "y"
    with pytest.raises(StoreError, match="is not changed: a newer nbtool wrote it") as caught:
        remake(gen.store.path, image.recipe)
    assert caught.value.unsaved.recipe == image.recipe
    assert contents(gen.store.path) == before
    assert gen.store.mark(image.recipe.key).note == "x"
    image.path.write_bytes(b"another kind of file")
    with pytest.warns(UserWarning, match="a newer nbtool wrote it"):
        assert gen.store.get(image.recipe.key) is None
    assert record_of(image).exists()


@pytest.mark.parametrize(
    "value",
    [
        {"note": {"text": "x"}},
        {"note": None},
        {"starred": 0.5},
        {"key": 5, "schema": 2},
        {"key": 5, "image": "y"},
    ],
    ids=str,
)
def test_fault_57_a_mark_of_another_kind_is_left(gen, image, value):
    image.note = "x"
    edit(mark_of(image), lambda said: said.update(value))
    before = contents(gen.store.path)
    with pytest.raises(StoreError, match="is not changed: a newer nbtool wrote it"):
        image.starred = True
    assert contents(gen.store.path) == before


# PNGs that other programs rewrote


def rewritten(png, *, texts=True, extra=False, instead=(), mode="RGB", pixel=None, **options):
    with Image.open(io.BytesIO(png)) as opened:
        opened.load()
        kept = PngInfo()
        if extra:
            kept.add_text("Software", "an optimizer")
        for name, text in opened.text.items() if texts else ():
            kept.add_text(name, "theirs" if name in instead else text)
        picture = opened.convert(mode)
    if pixel:
        picture.putpixel((0, 0), pixel)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=kept, **options)
    assert buffer.getvalue() != png
    return buffer.getvalue()


@pytest.mark.parametrize(
    "how",
    [
        {"optimize": True},
        {"compress_level": 9},
        {"texts": False},
        {"extra": True},
        {"instead": ["parameters"]},
        {"instead": ["nbtool", "parameters"]},
        {"mode": "RGBA"},
        {"dpi": (72, 72), "texts": False},
    ],
    ids=str,
)
def test_a_png_rewritten_with_the_same_pixels_is_not_damaged(gen, image, tmp_path, how):
    png = image.png
    image.path.write_bytes(rewritten(png, **how))
    before = contents(gen.store.path)
    assert gen.store.check() == []
    assert gen("a star", seed=1).png == png
    assert Recipe.from_file(gen.store[image.recipe.key].save(tmp_path / "a.png")) == image.recipe
    assert contents(gen.store.path) == before


@pytest.mark.parametrize("how", [None, {"optimize": True}, {"texts": False}], ids=str)
@pytest.mark.parametrize("tail", [b"\n", bytes(9), "another"], ids=str)
def test_what_follows_the_end_of_a_png_is_no_damage(gen, image, how, tail):
    png = image.png
    tail = rewritten(png, pixel=(1, 2, 3)) if tail == "another" else tail
    image.path.write_bytes((rewritten(png, **how) if how else png) + tail)
    before = contents(gen.store.path)
    assert gen.store.check() == []
    assert gen.store[image.recipe.key].png == png
    assert contents(gen.store.path) == before


def test_a_json_rewritten_by_an_editor_is_not_damaged(gen):
    image = gen("ein grüner Stern ★", seed=1)
    image.note = "schön"
    for path in (record_of(image), mark_of(image)):
        said = json.dumps(json.loads(path.read_text()), ensure_ascii=False, indent=4)
        path.write_bytes(b"\xef\xbb\xbf" + said.replace("\n", "\r\n").encode())
    assert gen.store[image.recipe.key].note == "schön"
    assert gen.store.check() == []


def test_a_png_rewritten_with_other_pixels_is_damaged(gen, image):
    image.path.write_bytes(rewritten(image.png, pixel=(1, 2, 3)))
    with pytest.raises(StoreError, match="does not match its hash"):
        image.image  # noqa: B018
    with pytest.warns(UserWarning, match="does not match its hash; moved to damaged"):
        assert gen.store.get(image.recipe.key) is None


# Drives and copies


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_drive_without_fsync_keeps_images(gen, monkeypatch, code):
    def refuse(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    assert gen("a star", seed=1).recipe.key in gen.store


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("number", range(1, 7))
def test_a_drive_that_fails_to_sync_stops_the_run(gen, monkeypatch, code, number):
    left, real = [number], os.fsync

    def refuse(descriptor):
        left[0] -= 1
        if not left[0]:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=os.strerror(code)):
        gen("a star", seed=1)


def test_the_newest_are_those_that_were_made_last_whatever_the_files_say(gen, tmp_path):
    made = [gen("a star", seed=seed) for seed in range(4)]
    copy = tmp_path / "copy"
    copy.mkdir()
    for number, image in enumerate(reversed(made)):
        for path in (image.path, record_of(image)):
            shutil.copyfile(path, copy / path.name)
            os.utime(copy / path.name, (number, number))
    store = Store(copy)
    assert [image.seed for image in store] == [0, 1, 2, 3]
    assert [image.seed for image in store.latest(2)] == [3, 2]
    gen.store.put(made[0].image, made[0].recipe, Provenance(created="2999"))
    assert [image.seed for image in gen.store.latest(2)] == [0, 3]


@needs_symlinks
def test_a_store_of_links_says_why_it_looks_empty(gen, image, tmp_path):
    for name, linked in (("all", ("*",)), ("annex", ("*.png",))):
        folder = tmp_path / name
        shutil.copytree(gen.store.path, folder)
        for pattern in linked:
            for path in folder.glob(pattern):
                path.unlink()
                path.symlink_to(gen.store.path / path.name)
        before = contents(folder)
        store = Store(folder)
        assert "symbolic links, which a store does not follow" in repr(store)
        assert "symbolic links, which a store does not follow" in store.check()[0]
        with pytest.warns(UserWarning, match="symbolic link"):
            assert list(store) == []
        assert contents(folder) == before


def test_fault_58_a_store_that_may_only_be_read_gives_what_it_has(gen, image, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    engine = FakeEngine(fails=lambda recipe: "it must not come to this")
    gen = nbtool.Generator(engine=engine, store=gen.store.path)
    image.path.write_bytes(rewritten(image.png, pixel=(1, 2, 3)))
    open_ = io.open
    for name in ("mkdir", "replace", "rename", "unlink"):
        monkeypatch.setattr(os, name, refuse)

    def open_to_read(path, mode="r", *rest, **options):
        return refuse(path) if "x" in mode else open_(path, mode, *rest, **options)

    monkeypatch.setattr(io, "open", open_to_read)
    assert len(list(gen.store)) == 2
    assert gen("a star", seed=2).seed == 2
    assert gen.grid("a star", seed=[2]).shape == (1,)
    with pytest.raises(StoreError, match="Read-only file system"):
        gen("a star", seed=3)
    with (
        pytest.warns(UserWarning, match="does not match its hash; left in"),
        pytest.raises(StoreError, match="Read-only file system"),
    ):
        gen("a star", seed=1)


# Paths


def test_a_tilde_is_the_home_folder(image, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("NBTOOL_STORE", "~/by-variable")
    monkeypatch.chdir(tmp_path)
    assert Store("~/x").path == tmp_path / "x"
    assert nbtool.Generator(engine=FakeEngine()).store.path == tmp_path / "by-variable"
    assert nbtool.Generator(engine=FakeEngine(), store="~/y").store.path == tmp_path / "y"
    assert image.save("~/a.png") == tmp_path / "a.png"
    assert Recipe.from_file("~/a.png") == image.recipe
    grid = nbtool.Generator(engine=FakeEngine(), store="~/y").grid("a star", seed=[1, 2])
    assert grid.save("~/a.html") == tmp_path / "a.html"
    assert not (tmp_path / "~").exists()
    for use in (lambda: Store("a\0b"), lambda: image.save("a\0.png")):
        with pytest.raises(StoreError, match="NUL"):
            use()


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps a working folder")
def test_a_working_folder_that_is_gone_is_named(image, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for use in (Store, lambda: Store("x"), lambda: image.save("a.png")):
        with pytest.raises(StoreError, match=r"the working folder is gone; go to another"):
            use()
    assert Store(tmp_path / "images")[image.recipe.key].save(tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (lambda folder: None, "the folder is gone; make it again, or mount the drive"),
        (lambda folder: folder.write_text(""), "it is a file; mount the drive, or name another"),
        (lambda folder: (folder.parent.rmdir(), folder.parent.write_text("")), "folder is gone"),
    ],
)
def test_a_folder_that_goes_in_mid_run_is_named_and_what_is_made_stays(tmp_path, end, said):
    (tmp_path / "drive").mkdir()
    engine = FakeEngine()
    engine.hold(1, lambda recipe: recipe.seed == 2)
    store = tmp_path / "drive" / "images"
    job = nbtool.Generator(engine=engine, store=store).submit("a star", seed=[1, 2])
    assert engine.wait_for_hold(60)
    shutil.rmtree(store)
    end(store)
    engine.release()
    with pytest.raises(StoreError, match=said):
        job.wait(60)
    assert job.grid.sel(seed=2).save(tmp_path / "kept.png").exists()
    with pytest.raises(StoreError, match=r"gone or cannot be read .*generate its recipe again"):
        job.grid.sel(seed=1).save(tmp_path / "lost.png")


# What is read


def test_listing_images_reads_no_png(gen, image):
    gen.plan("a star", seed=[1, 9])
    for list_ in (
        list, len, repr, lambda store: store.latest(5), lambda store: store.find(seed=1),
        lambda store: store.starred, lambda _: gen.plan("a star", seed=[1, 9]),
    ):  # fmt: skip
        with Drive(gen.store.path) as drive:
            list_(gen.store)
        assert not [name for call, name in drive.calls if call == "open" and ".png" in name]


def test_the_newest_are_found_again_without_reading_the_others(gen, image):
    gen("a star", seed=3)
    gen.store.latest(1)
    with Drive(gen.store.path) as drive:
        assert [image.seed for image in gen.store.latest(1)] == [3]
    assert len([call for call in drive.calls if call[0] == "open"]) == 1


def test_a_jpeg_keeps_the_colour_of_every_pixel(image, tmp_path):
    with Image.open(image.save(tmp_path / "a.jpg")) as saved:
        assert [layer[1:3] for layer in saved.layer] == [(1, 1)] * 3


def test_a_store_is_asked_by_key_and_says_so(gen, image):
    with pytest.raises(KeyError, match=r"asked by key, got 0; list\(store\)"):
        gen.store[0]
    for ask in (gen.store.get, gen.store.has, gen.store.mark, gen.store.set_mark):
        for wrong in (5, None, b"x", image):
            with pytest.raises(StoreError, match=r"by an image's key, such as image\.recipe\.key"):
                ask(wrong)
    assert 5 not in gen.store.listing()


@pytest.mark.parametrize("wrong", ["x", None, 1.5, -1, [1]])
def test_how_many_of_the_latest_is_a_number(gen, image, wrong):
    with pytest.raises(RecipeError, match="latest takes how many images, a whole number, got"):
        gen.store.latest(wrong)
    assert len(gen.store.latest(np.int64(1))) == 1
