"""What a store does after something failed once: nothing is lost, nothing is said wrongly."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest
from drives import Drive, contents
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import nbtool
from nbtool import Provenance, Recipe, RecipeError, Store, StoreError, files
from nbtool.recipes.recipe import key_of
from nbtool.testing import FakeEngine

UNREADABLE = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES, errno.ENAMETOOLONG)
NEWER = {"loras": {"outline": 0.8, "a": [1, True, None]}}
needs_symlinks = pytest.mark.skipif(os.name == "nt", reason="makes symbolic links")


@pytest.fixture(autouse=True)
def _quietly(monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")


@pytest.fixture
def image(gen):
    gen("a star", seed=2)
    return gen("a star", seed=1)


def record_of(image):
    return image.path.with_name(f"{image.recipe.key[:32]}.json")


def mark_of(image):
    return image.path.with_name(f"{image.recipe.key[:32]}.mark.json")


def edit(path, change):
    said = json.loads(path.read_text())
    change(said)
    path.write_text(json.dumps(said))


@pytest.fixture
def broken(monkeypatch):
    """Makes opening a file fail: a number of times, or for as long as the context lasts."""

    def broken(path, code=errno.EIO, times=sys.maxsize):
        real, left = os.open, [times]

        def refuse(name, *rest, **options):
            if os.fspath(name) == os.fspath(path) and left[0]:
                left[0] -= 1
                raise OSError(code, os.strerror(code), name)
            return real(name, *rest, **options)

        patch = pytest.MonkeyPatch.context()
        context = patch.__enter__()
        context.setattr(os, "open", refuse)
        return patch

    return broken


# Unreadable now


@pytest.mark.parametrize("code", UNREADABLE, ids=errno.errorcode.get)
@pytest.mark.parametrize("file_of", [record_of, lambda image: image.path], ids=["JSON", "PNG"])
def test_fault_51_what_cannot_be_read_now_is_said_and_left(gen, image, broken, code, file_of):
    store, key, before = gen.store, image.recipe.key, contents(gen.store.path)
    said = f"cannot be read now .{os.strerror(code)}"
    patch = broken(file_of(image), code)
    with pytest.warns(UserWarning, match=said):
        assert store.get(key) is None
    with pytest.raises(StoreError, match=said):
        store[key]
    [problem] = store.check()
    assert key[:32] in problem
    grid = gen.grid("a star", seed=[1, 2])
    assert [made.seed for made in grid] == [2]
    assert said.replace(".", "(") in str(grid.failed[1,])
    patch.__exit__(None, None, None)
    assert contents(store.path) == before
    assert store[key].png == image.png
