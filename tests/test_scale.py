"""Large plans, stores and grids: what is held, read and compared does not grow with them."""

from __future__ import annotations

import json
import tracemalloc
import weakref

import pytest

import nbtool
from nbtool import GeneratedImage, Grid, Provenance, files
from nbtool.recipes.axes import Sweep, sweep

CELLS = {"seed": range(1000), "guidance_scale": [scale / 10 for scale in range(100)]}


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator("shapes", store=tmp_path / "images", device="cpu")


def test_a_plan_of_100_000_cells_takes_little_memory(gen):
    gen.plan("a star")  # what is read once
    tracemalloc.start()
    plan = gen.plan("a star", **CELLS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (plan.cells, plan.images, plan.stored) == (100_000, 100_000, 0)
    assert peak < 32e6


def test_a_plan_keeps_no_recipes_alive(gen, monkeypatch):
    alive, counts, made = weakref.WeakSet(), [], Sweep._edited

    def edited(*args):
        alive.add(recipe := made(*args))
        counts.append(len(alive))
        return recipe

    monkeypatch.setattr(Sweep, "_edited", edited)
    assert gen.plan("a star", seed=range(500)).cells == len(counts) == 500
    assert max(counts) <= 3


@pytest.fixture
def crowded(store, complete, picture):
    """A store of five images among thousands that nobody needs to read."""
    for seed in range(5):
        made = Provenance(seconds=1, created=f"2025-0{seed + 1}")
        path = store.put(picture, complete.replace(seed=seed), made).path
    said = json.loads(path.with_name(f"{path.name[:32]}.json").read_text())
    said["provenance"]["created"] = "2024"
    for seed in range(5, 3005):
        recipe = complete.replace(seed=seed)
        said |= {"key": recipe.key, "recipe": recipe.to_dict()}
        (store.path / f"{recipe.key[:32]}.json").write_text(json.dumps(said))
    return store


def test_a_large_store_is_opened_without_reading_its_images(crowded, complete, monkeypatch):
    read = []
    real = files.read
    monkeypatch.setattr(files, "read", lambda path: read.append(path.name) or real(path))
    store = nbtool.Store(crowded.path)
    assert repr(store) == "<Store images: 3,005 images>"
    assert complete.replace(seed=4).key in store.listing()
    assert read == []
    store.prepare()
    assert read == ["nbtool-store.json"]
    read.clear()
    assert len(store.latest(2)) == 2
    assert not any(name.endswith(".png") for name in read)
    read.clear()
    assert [image.seed for image in store.latest(2)] == [4, 3]
    assert len(read) == 2


class Counted(int):
    """A number that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return int(self) == other

    __hash__ = int.__hash__


@pytest.mark.parametrize("name", ["seed", "num_inference_steps"])
def test_labels_are_looked_up_not_searched_for(monkeypatch, complete, name):
    count = 1000
    axis = (
        {"seed": range(1, count + 1)}
        if name == "seed"
        else {"n": nbtool.paired(seed=range(count), num_inference_steps=range(1, count + 1))}
    )
    swept = sweep("a star", (), axis, complete.to_dict())
    images = {index: GeneratedImage(recipe, Provenance(), png=b"") for index, recipe in swept}
    grid = Grid(swept.base, swept.axes, images)
    monkeypatch.setattr(Counted, "compared", 0)
    assert len(grid.sel(**{name: [Counted(label) for label in range(1, count + 1)]})) == count
    assert Counted.compared <= 10 * count
