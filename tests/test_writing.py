"""Writing a file: whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import ast
import errno
import io
import os
from pathlib import Path

import pytest

from nbtool import Grid, MetadataError, Provenance, Recipe, Store, StoreError, files


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_takes_its_place_whole_at_the_end(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")
    with files.writing(path) as file:
        file.write(b"af")
        file.write(b"ter")
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError])
def test_what_is_raised_meanwhile_leaves_all_as_it_was(tmp_path, fault):
    path = tmp_path / "a.bin"
    path.write_bytes(b"before")

    def write():
        with files.writing(path) as file:
            file.write(b"half")
            raise fault

    with pytest.raises(fault):
        write()
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_what_the_system_refuses_leaves_nothing_behind(tmp_path, monkeypatch, call):
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        files.write(tmp_path / "a.bin", b"data")
    assert os.listdir(tmp_path) == []


def test_it_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    told = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, r=real: told.append(n) or r(*a))
    files.write(tmp_path / "a.bin", b"data")
    assert told[:2] == ["fsync", "replace"]


def test_a_trial_leaves_what_is_there(tmp_path):
    files.write(tmp_path / "a.bin", b"data")
    files.write(tmp_path / "a.bin", b"", keep=False)
    assert (tmp_path / "a.bin").read_bytes() == b"data"


def test_a_name_may_be_as_long_as_the_system_takes(tmp_path):
    path = tmp_path / ("é" * 120 + ".png")
    files.write(path, b"data")
    assert path.read_bytes() == b"data"


def test_what_the_system_says_is_explained_once():
    with pytest.raises(StoreError) as caught, files.explained("write x.png", "make room"):
        full()
    assert str(caught.value) == "cannot write x.png: No space left on device; make room"
    with pytest.raises(StoreError, match=r"^as it is$"), files.explained("write"):
        raise StoreError("as it is")


def test_an_image_that_cannot_be_saved_leaves_the_file_that_was_there(
    store, complete, picture, tmp_path, monkeypatch
):
    image = store.put(picture, complete, Provenance())
    path = tmp_path / "kept.png"
    image.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot write .*kept\.png: No space left on device"):
        image.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["kept.png"]


@pytest.mark.skipif(os.name == "nt", reason="makes a FIFO and links")
@pytest.mark.parametrize(
    ("name", "what"),
    [("fifo", "a FIFO"), ("link", "a FIFO"), ("folder", "Is a directory")],
)
def test_what_is_no_file_is_not_written_over(store, complete, picture, tmp_path, *, name, what):
    image = store.put(picture, complete, Provenance())
    path = tmp_path / f"{name}.png"
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "fifo.png")
    before = path.stat().st_ino
    for write in (image.save, files.check):
        with pytest.raises(StoreError, match=rf"{name}\.png: .*{what}.*; name another file"):
            write(path)
    assert path.stat().st_ino == before


@pytest.mark.parametrize(
    "name", ["\ud800.png", "a\0.png", b"\0.png", Path("\ud800.png"), io.BytesIO(), 5, ["a.png"]]
)
def test_what_can_be_no_name_of_a_file_is_refused_wherever_a_path_is_taken(
    name, store, complete, picture
):
    image = store.put(picture, complete, Provenance())
    grid = Grid(complete, [], {(): image})
    for take in (image.save, grid.save, Recipe.from_file, Store):
        with pytest.raises(StoreError, match=r"no file can have the name|a path must be") as caught:
            take(name)
        assert str(caught.value).isprintable()


def test_what_is_said_of_a_name_that_is_no_text_can_be_written(tmp_path):
    (folder := tmp_path / os.fsdecode(b"\xff.png")).mkdir()
    with pytest.raises(StoreError, match=r"\\udcff\.png: Is a directory") as caught:
        files.check(folder)
    assert str(caught.value).encode()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has none")
def test_a_recipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(MetadataError, match="is no file"):
        Recipe.from_file(tmp_path / "a.png")


def writes(call):
    """Whether a call, as the source has it, opens or makes a file to write into."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    modes = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if name == "move":  # the store's own only renames
        return isinstance(call.func, ast.Attribute)
    return name in {"copy2", "copyfile", "tofile", "write_bytes", "write_text"} or (
        name in {"fdopen", "open"} and any(set(mode) & set("wxa+") for mode in modes)
    )


def test_there_is_one_way_to_write_a_file():
    package = Path(files.__file__).parent
    found = [
        (path.name, ast.unparse(node))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and writes(node)
    ]
    # The second takes a name that is to be new, and writes nothing.
    assert sorted(found) == [
        ("files.py", "partial.open('xb')"), ("files.py", "path.open('xb')"),
    ]  # fmt: skip
