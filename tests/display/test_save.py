from __future__ import annotations

import json
import zipfile

import pytest
from PIL import Image

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
    safe = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-=,")
    assert all(set(name) <= safe and len(name) < 200 and ".." not in name for name in names)
    assert len({name.lower() for name in names}) == len(words) + 1


def test_fault_36_hostile_grids_are_saved_in_every_form(hostile, tmp_path):
    for suffix in ("png", "html", "pdf", "svg", "zip"):
        assert hostile.save(tmp_path / f"grid.{suffix}").stat().st_size > 1000


def test_pictures_can_be_read_back(grid, tmp_path):
    for suffix in ("png", "jpg", "webp"):
        with Image.open(grid.save(tmp_path / f"grid.{suffix}")) as picture:
            assert picture.size == grid.to_image().size
