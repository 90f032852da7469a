from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import zipfile

import pytest
from PIL import Image

import nbtool
from nbtool import Recipe
from nbtool.errors import RecipeError, StoreError


@pytest.fixture
def grid(make_grid):
    return make_grid("a star", seed=[1, 2], guidance_scale=[1, 7.5], failed=[1], missing=[2])


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("grid.png", b"\x89PNG"),
        ("grid.jpg", b"\xff\xd8\xff"),
        ("grid.JPEG", b"\xff\xd8\xff"),
        ("grid.webp", b"RIFF"),
        ("grid.html", b"<!DOCTYPE html>"),
        ("grid.pdf", b"%PDF"),
        ("grid.svg", b"<?xml"),
        ("grid.zip", b"PK"),
    ],
)
def test_the_suffix_says_as_what(grid, make_grid, tmp_path, name, start):
    path = grid.save(tmp_path / name)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]
    empty = make_grid("a star", seed=[1, 2], missing=[0, 1])
    assert empty.save(path).read_bytes().startswith(start)


def test_another_suffix_is_refused_with_the_list(grid, tmp_path):
    with pytest.raises(RecipeError, match=r"\.png, .*\.html, .*\.zip; got 'grid.bmp'"):
        grid.save(tmp_path / "grid.bmp")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_named_with_the_cause(grid, tmp_path):
    with pytest.raises(StoreError, match=r"nowhere.*: No such file or directory"):
        grid.save(tmp_path / "nowhere" / "grid.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(StoreError, match=r"folder\.png: "):
        grid.save(tmp_path / "folder.png")
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_what_was_there_stays_when_writing_fails(grid, tmp_path, monkeypatch):
    path = tmp_path / "grid.zip"
    path.write_text("precious")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(StoreError, match="No space left on device"):
        grid.save(path)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_zip_holds_images_with_readable_names_and_a_manifest(grid, tmp_path):
    with zipfile.ZipFile(grid.save(tmp_path / "grid.zip")) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
        archive.extractall(tmp_path)
    assert names == [
        "seed=1,guidance_scale=1.png",
        "seed=2,guidance_scale=7.5.png",
        "manifest.json",
    ]
    assert manifest["axes"][1] == {"name": "guidance_scale", "labels": [1.0, 7.5]}
    first = manifest["images"][0]
    assert first["labels"] == {"seed": 1, "guidance_scale": 1.0}
    assert Recipe.from_dict(first["recipe"]) == Recipe.from_file(tmp_path / first["file"])
    assert manifest["failed"] == [
        {"labels": {"seed": 1, "guidance_scale": 7.5}, "error": "out of memory"}
    ]
    assert manifest["missing"] == [{"labels": {"seed": 2, "guidance_scale": 1.0}}]


def test_fault_36_hostile_labels_make_safe_and_unique_names(make_grid, hostile_texts, tmp_path):
    words = [*hostile_texts, "../../etc/passwd", "A/B", "a\\b", "a b", "é", "è"]
    grid = make_grid("a {thing}", thing=words, seed=[1])
    with zipfile.ZipFile(grid.save(tmp_path / "grid.zip")) as archive:
        names = archive.namelist()
    safe = re.compile(r"[^\W_][\w.+=,-]{0,130}\.(png|json)")
    assert all(safe.fullmatch(name) and ".." not in name for name in names)
    assert len({name.lower() for name in names}) == len(words) + 1


def test_fault_36_hostile_grids_are_saved_in_every_form(hostile, tmp_path):
    for suffix in ("png", "html", "pdf", "svg", "zip"):
        assert hostile.save(tmp_path / f"grid.{suffix}").stat().st_size > 1000


def test_pictures_can_be_read_back(grid, tmp_path):
    for suffix in ("png", "jpg", "webp"):
        with Image.open(grid.save(tmp_path / f"grid.{suffix}")) as picture:
            assert picture.size == grid.to_image().size


def opened(data):
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture


HARMLESS = {"loop", "background", "timestamp", "duration"}  # what any WebP file has
HARMLESS |= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
TELLING = [b"a star", b"guidance", b"nbtool", b"seed", b"shapes", b"ddim", b"atplotlib", b"/tmp"]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_without_metadata_an_image_is_its_pixels_alone(grid, tmp_path, suffix):
    image = grid.sel(seed=1, guidance_scale=1)
    bare = image.save(tmp_path / f"bare.{suffix}", metadata=False).read_bytes()
    full = image.save(tmp_path / f"full.{suffix}").read_bytes()
    assert opened(bare).convert("RGB").tobytes() == opened(full).convert("RGB").tobytes()
    assert not any(word in bare for word in TELLING)
    assert not opened(bare).getexif()
    assert opened(bare).info.keys() <= HARMLESS
    with pytest.raises(nbtool.MetadataError, match="carries no nbtool recipe"):
        Recipe.from_file(tmp_path / f"bare.{suffix}")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "pdf", "svg", "html", "zip", ""])
def test_without_metadata_a_grid_tells_nothing_that_is_not_seen(grid, tmp_path, suffix):
    path = tmp_path / f"grid.{suffix}" if suffix else f"{tmp_path}/grid/"
    path = grid.save(path, metadata=False)
    if suffix in ("png", "jpg", "webp"):
        assert not opened(path.read_bytes()).getexif()
        assert opened(path.read_bytes()).info.keys() <= HARMLESS
        assert suffix != "png" or opened(path.read_bytes()).tobytes() == grid.to_image().tobytes()
    elif suffix in ("pdf", "svg"):
        data = path.read_bytes().lower()
        assert suffix != "svg" or not [
            w for w in (b"a star", b"ddim", b"out of memory") if w in data
        ]
        assert not [w for w in (b"matplotlib", b"/creator", b"/producer", b"metadata") if w in data]
    elif suffix == "html":
        text = path.read_text("utf-8")
        data = json.loads(re.search(r'id="nbtool-data">(.*?)</script>', text)[1])
        assert not any(
            word in json.dumps(data["images"]) for word in ("recipe", "python", "a star")
        )
        assert all(
            word not in text for word in ("a star", "ddim", "shapes", "out of memory", 'generator"')
        )
        pictures = [opened_uri(image["src"]) for image in data["images"]]
        assert [image["file"] for image in data["images"]] == ["image-1.png", "image-2.png"]
        assert not any(picture.info for picture in pictures)
    else:
        if suffix:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(tmp_path / "grid")
        files = sorted((tmp_path / "grid").iterdir())
        assert [file.name for file in files] == ["image-1.png", "image-2.png"]
        for file, image in zip(files, grid, strict=True):
            assert not any(word in file.read_bytes() for word in TELLING)
            assert opened(file.read_bytes()).tobytes() == image.image.tobytes()


def opened_uri(uri):
    import base64

    return opened(base64.b64decode(uri.partition(",")[2]))


@pytest.mark.parametrize(
    ("prompt", "axis", "labels"),
    [
        ("a {time} sky", {"time": ["dawn", "noon"]}, ("time=dawn", "time=noon")),
        ("a {key} sky", {"key": ["dawn", "noon"]}, ("key=dawn", "key=noon")),
        ("a sky", {"guidance_scale": {"low": 1, "high": 7}}, ("guidance_scale=low", "guidance_scale=high")),
        ("a sky", {"width": nbtool.paired(width=[64, 128], height=[128, 64])}, ("width=64-128", "width=128-64")),
    ],
)  # fmt: skip
def test_names_say_the_labels_alike_everywhere(make_grid, tmp_path, prompt, axis, labels):
    from nbtool.display.page import viewer_data

    grid = make_grid(prompt, **axis)
    wanted = [f"{label}.png" for label in labels]
    assert sorted(os.listdir(grid.save(f"{tmp_path}/grid/"))) == sorted(wanted)
    with zipfile.ZipFile(grid.save(tmp_path / "grid.zip")) as archive:
        assert archive.namelist() == [*wanted, "manifest.json"]
    assert [image["file"] for image in viewer_data(grid)["images"]] == wanted


def test_a_folder_holds_images_under_names_of_a_pattern(make_grid, tmp_path):
    words = ["a very large and quite unusual red", "A VERY large and quite unusual red", "con"]
    grid = make_grid("{thing} star", thing=words, seed=[1, 20])
    folder = tmp_path / "stars"
    folder.mkdir()
    (folder / "A-VERY-large-001.jpg").write_text("somebody's")
    assert grid.save(f"{folder}/", names="{thing:14}-{seed:3}.jpg") == folder
    assert {path.name for path in folder.iterdir()} == {
        "A-VERY-large-001.jpg", "a-very-large-001-2.jpg", "a-very-large-020.jpg",
        "A-VERY-large-001-3.jpg", "A-VERY-large-020-2.jpg", "con-001.jpg", "con-020.jpg",
    }  # fmt: skip
    assert (folder / "A-VERY-large-001.jpg").read_text() == "somebody's"
    assert Recipe.from_file(folder / "con-020.jpg") == grid.sel(thing="con", seed=20).recipe
    grid.save(folder, names="{thing:14}-{seed:3}.jpg")
    assert len(list(folder.iterdir())) == 13


def refuse(*_):
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def kill(*_):
    raise KeyboardInterrupt


def test_who_is_killed_while_images_are_saved_leaves_no_empty_one(make_grid, tmp_path, monkeypatch):
    image = make_grid("a star", seed=[1, 2])[0]
    folder = tmp_path / "stars"
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill)
        patch.setattr(os, "link", kill)
        patch.setattr(os, "unlink", refuse)  # nor does it tidy up
        with pytest.raises(KeyboardInterrupt):
            nbtool.save(image, folder, names="{prompt}")
    assert [path.name for path in folder.iterdir() if path.suffix != ".partial"] == []
    nbtool.save(image, folder, names="{prompt}")
    assert Recipe.from_file(folder / "a-star.png") == image.recipe


@pytest.mark.parametrize("drive", ["with hard links", "without"])
def test_what_another_writes_into_a_folder_meanwhile_stays(make_grid, tmp_path, monkeypatch, drive):
    if drive == "without":
        monkeypatch.setattr(os, "link", refuse)
    first, second = make_grid("a star", seed=[1, 2])
    folder = nbtool.save([first], tmp_path / "stars", names="{prompt}")
    there = os.listdir
    monkeypatch.setattr(os, "listdir", lambda _: [])  # as it was before the first was there
    nbtool.save([second], folder, names="{prompt}")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        patch.setattr(os, "link", refuse)
        with pytest.raises(StoreError, match="No space left on device"):
            nbtool.save([second], folder, names="another")
    assert sorted(there(folder)) == ["a-star-2.png", "a-star.png"]
    assert Recipe.from_file(folder / "a-star.png") == first.recipe
    assert Recipe.from_file(folder / "a-star-2.png") == second.recipe


def test_images_of_any_origin_are_saved_together(make_grid, tmp_path):
    image = make_grid("a star", seed=[1, 2])[0]
    digest = hashlib.sha256(image.png).hexdigest()
    folder = nbtool.save([image, image], tmp_path / "stars", names="{prompt}")
    assert sorted(os.listdir(folder)) == ["a-star-2.png", "a-star.png"]
    assert {hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()} == {digest}
    assert os.listdir(nbtool.save(image, tmp_path / "one/")) == ["a-star-1.png"]
    with zipfile.ZipFile(nbtool.save([image], tmp_path / "stars.zip")) as archive:
        assert archive.namelist() == ["a-star-1.png"]
    assert zipfile.ZipFile(nbtool.save([], tmp_path / "none.zip")).namelist() == []


@pytest.mark.parametrize(
    ("path", "names", "message"),
    [
        ("stars/", "{sede}", "unknown name 'sede' in names='{sede}'; did you mean 'seed'.*there are: clip_skip.*"),
        ("stars/", "{zzz}", "unknown name 'zzz'.*; there are: "),
        ("stars/", "../{seed}", "no '/' in"),
        ("stars/", "{seed", "is no pattern: "),
        ("stars/", "", "a pattern such as"),
        ("stars/", "{seed!r}", "may have a width"),
        ("stars/", "{prompt:x}", "may have a width"),
        ("stars.zip", "{0}", "unknown name '0'"),
        ("stars.html", "{sede}", "did you mean 'seed'"),
        ("stars.png", "{seed}", "names are for images in a folder"),
        ("stars.gif", None, "saved as a folder"),
    ],
)  # fmt: skip
def test_what_cannot_be_named_is_told_before_anything_is_written(
    grid, tmp_path, path, names, message
):
    with pytest.raises(RecipeError, match=message):
        grid.save(f"{tmp_path}/{path}", names=names)
    assert not list(tmp_path.iterdir())
