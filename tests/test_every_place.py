"""Every place where a file is touched fails once, and then for good; nothing is lost by it.

The places are not chosen: what the public operations ask of the file system is counted, and each
call fails in its turn with each error. Python's own audit notices what would not be counted.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import shutil
import warnings

import pytest
import tiny
from drives import Drive, contents

import nbtool
from nbtool import NbtoolError, Recipe, Store, catalogue
from nbtool.catalogue import identity
from nbtool.engines.local import tuning
from nbtool.engines.local.classes import Classes
from nbtool.results import index
from nbtool.testing import FakeEngine

CODES = (errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOSPC, errno.EMFILE)
FAULTS = [(code, False) for code in CODES] + [(errno.EIO, True)]  # once, or from then on
TOLD = object()
SEEDS = range(3)


def generator(folder):
    return nbtool.Generator(engine=FakeEngine(), store=folder / "images")


def key(seed):
    return generator_recipe(seed).key


@functools.cache
def generator_recipe(seed):
    return Recipe(prompt="a star", seed=seed, **FakeEngine().defaults())


def opened(folder):
    return Store(folder / "images")


def seeds(images):
    return [image.seed for image in images]


def grid(folder, *wanted):
    made = generator(folder).grid("a star", seed=list(wanted))
    for error in made.failed.values():
        raise error
    return seeds(made)


def marked(folder, **mark):
    opened(folder).set_mark(key(0), **mark)
    return opened(folder).mark(key(0))


def saved(folder, name):
    opened(folder)[key(1)].save(folder / "saved" / name)


def saved_grid(folder, name):
    made = generator(folder).grid("a star", seed=list(SEEDS))
    for error in made.failed.values():
        raise error
    made.save(folder / "saved" / name)


def tuned(folder):
    """Tunings are for this machine; one that is lost is made again, the others must stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        tuning.remember("one more", "fused")


def compared(folder):
    classes = Classes(lambda: folder / "cache" / "nbtool" / "widths.json")
    classes.settle("one more", 4)
    classes.save()


def model(folder, ask, name="model"):
    """What is asked of a model in a folder, by a process that knows nothing of it yet."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        register = identity.Register(identity.register._path)
        patch.setattr(identity, "register", register)
        return ask(catalogue.find(str(folder / name)))


def indexed(folder, find):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "MANY", 1)
        return seeds(find(sort="newest"))


def kept(grid):
    for error in grid.failed.values():
        raise error
    return seeds(grid), grid.missing, grid.base


def named(folder, name):
    made = generator(folder).grid("a star", seed=list(SEEDS))
    for error in made.failed.values():
        raise error
    made.name = name
    return sorted(opened(folder).grids)


def renamed(folder):
    grids = opened(folder).grids
    if "renamed" not in grids or "kept" in grids:
        grids["kept"].name = "renamed"
    return sorted(grids)


def deleted_grid(folder):
    grids = opened(folder).grids
    if "kept" in grids:
        del grids["kept"]
    return sorted(grids)


def checked(folder):
    for problem in opened(folder).check():
        warnings.warn(problem, stacklevel=1)


OPERATIONS = {
    "make": lambda folder: grid(folder, 7),
    "make into a new store": lambda folder: seeds(
        [nbtool.Generator(engine=FakeEngine(), store=folder / "new")("a star", seed=1)]
    ),
    "make what is missing": lambda folder: grid(folder, 2, 8),
    "take from the store": lambda folder: grid(folder, *SEEDS),
    "plan": lambda folder: generator(folder).plan("a star", seed=[0, 9]).stored,
    "open by key": lambda folder: opened(folder)[key(1)].seed,
    "get": lambda folder: seeds(filter(None, [opened(folder).get(key(1))])),
    "has": lambda folder: [opened(folder).has(key(seed)) for seed in (1, 9)],
    "iterate": lambda folder: seeds(opened(folder)),
    "find": lambda folder: seeds(opened(folder).find(seed=2)),
    "find words": lambda folder: seeds(opened(folder).find("best star", sort="newest")),
    "find in an index": lambda folder: indexed(folder, opened(folder).find),
    "latest": lambda folder: seeds(opened(folder).latest(2)),
    "count": lambda folder: len(opened(folder)),
    "check": checked,
    "delete": lambda folder: opened(folder).delete(key(0)),
    "restore": lambda folder: seeds([opened(folder).restore(key(5))]),
    "empty deleted": lambda folder: (opened(folder).empty_deleted(), len(opened(folder).deleted))[1],
    "deleted": lambda folder: seeds(opened(folder).deleted),
    "size": lambda folder: opened(folder).size,
    "name a grid": lambda folder: named(folder, "stars"),
    "name a grid anew": lambda folder: named(folder, "kept"),
    "list grids": lambda folder: opened(folder).grids.records(),
    "open a grid": lambda folder: kept(opened(folder).grids["kept"]),
    "rename a grid": renamed,
    "delete a grid": deleted_grid,
    "restore a grid": lambda folder: kept(opened(folder).grids.restore("deleted")),
    "marks": lambda folder: opened(folder).marks(),
    "starred": lambda folder: seeds(opened(folder).starred),
    "note": lambda folder: marked(folder, note="better"),
    "unmark": lambda folder: marked(folder, starred=False, note=""),
    "pixels": lambda folder: [image.image.tobytes() for image in opened(folder)],
    "keep a tuning": tuned,
    "keep a width": compared,
    "know a model": functools.partial(model, ask=lambda model: model.defaults),
    "know a model's facts": functools.partial(model, ask=lambda model: model.facts),
    "know whether a model is here": functools.partial(model, ask=lambda model: model.is_here),
    "look through a model": functools.partial(model, ask=lambda model: model.fetch(str)),
    "know what a model does without": functools.partial(
        model, ask=lambda model: [model.left_out, model.is_here], name="spare"
    ),
    "save images in a folder": lambda folder: nbtool.save(
        opened(folder).find(), folder / "saved" / "several", metadata=False
    ).name,
    "read a recipe": lambda folder: Recipe.from_file(folder / "saved" / "image.png"),
} | {
    f"save {name}": functools.partial(saved, name=name)
    for name in ("image.png", "image.jpg", "image.webp")
} | {
    f"save {name}": functools.partial(saved_grid, name=name)
    for name in ("grid.png", "grid.html", "grid.zip", "grid.svg")
}  # fmt: skip
ELSEWHERE = {"0123456789ab": ["another", "/elsewhere"]}  # what is known of another model
ENDS = {"png": b"IEND\xaeB`\x82", "html": b"</html>\n", "svg": b"</svg>\n", "zip": b"\0\0"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a store of three images, one of them marked, and files saved before."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NBTOOL_PROGRESS", "off")
        grid(folder, *SEEDS)
    marked(folder, starred=True, note="the best")
    grid(folder, 5)
    opened(folder).set_mark(key(5), note="deleted")
    opened(folder).delete(key(5))
    for name in ("kept", "deleted"):
        named(folder, name)
    del opened(folder).grids["deleted"]
    (folder / "saved").mkdir()
    for name in ("jpg", "webp"):
        (folder / "saved" / f"image.{name}").write_bytes(b"before")
    for name in ("png", "html", "zip", "svg"):
        (folder / "saved" / f"grid.{name}").write_bytes(b"before")
    opened(folder)[key(1)].save(folder / "saved" / "image.png")
    (folder / "cache" / "nbtool").mkdir(parents=True)
    (folder / "cache" / "nbtool" / "tuning.json").write_text(json.dumps({"a": "fused"}))
    places = json.dumps({"files": {}, "places": ELSEWHERE})
    (folder / "cache" / "nbtool" / "places.json").write_text(places)
    tiny.stable_diffusion().save_pretrained(folder / "model")
    tiny.stable_diffusion_3().save_pretrained(folder / "spare")
    (folder / "cache" / "nbtool" / "widths.json").write_text(json.dumps({"a": {"best": 4}}))
    return folder


def told(operation, folder):
    """What an operation gives, or TOLD where it says in an error or in a warning that it cannot."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = operation(folder)
        except NbtoolError:
            return TOLD
    assert all(issubclass(warning.category, UserWarning) for warning in caught)
    return TOLD if caught else result


def is_whole(path, data, *known):
    """Whether a file is as it was or as it becomes; a grid may have cells that say what failed."""
    if path.startswith("saved/grid") and data.endswith(ENDS[path.rpartition(".")[2]]):
        return True
    if path.startswith("images/grids/"):  # it says when that was
        return data is None or json.loads(data)["images"]
    if path == "cache/nbtool/places.json":  # which also says where this folder lies, and when
        return ELSEWHERE.items() <= json.loads(data)["places"].items()
    return data in known


def places(drive):
    """The calls, each kind and file the first and the last time: what lies between is the same."""
    first = {call: number for number, call in reversed(list(enumerate(drive.calls)))}
    last = {call: number for number, call in enumerate(drive.calls)}
    return sorted({*first.values(), *last.values()})


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_call_fails_nothing_is_lost_and_the_same_call_works(
    made, tmp_path, monkeypatch, name
):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    operation = OPERATIONS[name]
    good = shutil.copytree(made, tmp_path / "good")
    before = contents(good)
    with Drive(good) as drive:
        right = operation(good)
    assert drive.escaped == []
    after = contents(good)
    faults = [(place, fault) for place in places(drive) for fault in FAULTS]
    assert faults
    folder = tmp_path / "bad"
    for place, (code, lasting) in faults:
        call = *drive.calls[place], errno.errorcode[code], "lasting" if lasting else "once"
        if not folder.exists():
            shutil.copytree(made, folder, copy_function=os.link)
        with Drive(folder, fail=place, code=code, lasting=lasting):
            result = told(operation, folder)
        # Silence means that all went well.
        assert result in (TOLD, right), call
        now = contents(folder)
        assert "unlink" in call or not any(path.endswith(".partial") for path in now), call
        for path, data in before.items():
            assert is_whole(path, now.get(path), data, after.get(path)), (call, path)
        assert not (folder / "images" / "damaged").exists(), call
        if now != before:
            # The same call again.
            with Drive(folder):
                assert operation(folder) == right, call
                assert opened(folder).check() == [], call
            shutil.rmtree(folder)
    print(f"{name}: {len(drive.calls)} calls, {len(faults)} faults")  # noqa: T201


@pytest.mark.parametrize("name", ["get", "iterate", "check", "latest"])
def test_what_is_damaged_is_never_lost_and_takes_nothing_along(made, tmp_path, monkeypatch, name):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    start = shutil.copytree(made, tmp_path / "start")
    opened(start)[key(1)].path.write_bytes(b"damaged")
    opened(start)[key(2)].path.unlink()
    before = contents(start)
    good = shutil.copytree(start, tmp_path / "good")
    with Drive(good) as drive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OPERATIONS[name](good)
    for place in places(drive):
        for lasting in (False, True):
            call = *drive.calls[place], lasting
            folder = shutil.copytree(start, tmp_path / "bad", copy_function=os.link)
            with Drive(folder, fail=place, lasting=lasting):
                told(OPERATIONS[name], folder)
            now = contents(folder)
            for path, data in before.items():
                set_aside = path.replace("images/", "images/damaged/")
                assert data in (now.get(path), now.get(set_aside)), (call, path)
            aside = [path for path in now if "/damaged/" in path]
            assert all(key(1)[:32] in path or key(2)[:32] in path for path in aside), call
            shutil.rmtree(folder)
