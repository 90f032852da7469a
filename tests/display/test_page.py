from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

import nbtool
from nbtool import Recipe, Store
from nbtool.display import page as module
from nbtool.display import viewer
from nbtool.display.details import as_python, request
from nbtool.display.page import page
from nbtool.errors import StoreError
from nbtool.testing import FakeEngine


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.inside = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside.append("")

    def handle_data(self, data):
        if self.inside:
            self.inside[-1] += data


def _data(text):
    elements = Elements(text)
    place = elements.found.index(("script", {"type": "application/json", "id": "nbtool-data"}))
    return json.loads(elements.inside[place])


@pytest.fixture
def grid(make_grid):
    return make_grid(
        "a {color} star", color=["red", "blue"], seed=[1, 2], guidance_scale=[1, 3],
        failed=[1], missing=[6],
    )  # fmt: skip


def test_the_page_holds_every_cell_and_the_files_as_they_are(grid):
    data = _data(page(grid))
    assert [axis["name"] for axis in data["axes"]] == ["color", "seed", "guidance_scale"]
    assert (data["rows"], data["cols"]) == (1, 2)
    assert data["cells"] == [0, "out of memory", 1, 2, 3, 4, None, 5]
    stored = [base64.b64decode(image["src"].split(",")[1]) for image in data["images"]]
    assert stored == [image.png for image in grid]
    assert data["summary"].startswith("6 images · 1 failed · 1 not made")


def test_the_page_says_what_was_asked_for_in_cells_without_an_image(grid, monkeypatch):
    requests = _data(page(grid))["requests"]
    assert requests.keys() == {"1", "6"}
    assert ["Seed", "2", "seed"] in requests["6"]["recipe"]
    assert "seed=2," in requests["6"]["python"]
    monkeypatch.setattr(module, "MAX_NOT_MADE", 0)  # a cancelled sweep has very many
    assert _data(page(grid))["requests"].keys() == {"1"}


def test_cells_of_one_recipe_share_one_image(make_grid):
    grid = make_grid("a star", seed=[1, 2])
    same = grid.isel(seed=[0, 1])
    same._cells[1,] = same._cells[0,]
    data = _data(page(same))
    assert data["cells"] == [0, 0]
    assert len(data["images"]) == 1


def test_nothing_comes_from_elsewhere(grid):
    text = page(grid)
    elements = Elements(text)
    policy = [a["content"] for t, a in elements.found if "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'; img-src data: blob:;")
    assert not [a for _, a in elements.found if {"src", "href"} & a.keys()]
    script = viewer.page_module()
    assert script in text
    forbidden = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|Function\(|\bfetch\b"
    assert not re.search(forbidden, script)
    assert not re.search(r"http|\bimport\b|url\(", script + viewer.style())


def test_large_images_are_held_as_copies_and_the_page_says_so(grid, monkeypatch):
    monkeypatch.setattr(module, "MAX_STORED", 100)
    data = _data(page(grid))
    assert all(image["src"].startswith("data:image/webp;") for image in data["images"])
    assert all(image["file"].endswith(".webp") for image in data["images"])
    assert data["note"] == module.NOTE
    monkeypatch.setattr(module, "MAX_PAGE", 100)
    with pytest.raises(StoreError, match=r"6 images are too large .* grid.isel\(color=") as caught:
        page(grid)
    assert caught.value.in_shell.endswith("page; save them as a folder/ or as .zip")


def test_a_picture_that_is_gone_leaves_its_reason(grid, tmp_path):
    first = next(iter(grid))
    first._png, first.path = None, tmp_path / "gone.png"
    assert _data(page(grid))["cells"][0] == "cannot be read: gone.png"


def test_a_grid_of_nothing_and_one_without_axes_have_a_page(make_grid):
    nothing = _data(page(make_grid("a star", seed=[1, 2], missing=[0, 1])))
    assert nothing["cells"] == [None, None]
    one = _data(page(make_grid("a star")))
    assert (one["rows"], one["cols"], one["cells"]) == (None, None, [0])


def test_the_python_makes_the_same_recipe(hostile_texts):
    for text in hostile_texts:
        recipe = Recipe(prompt=text, seed=2**64 - 1, guidance_scale=7.5, model="shapes")
        code = as_python(recipe)
        call = re.search(r"nbtool\.Recipe\(.*\)\)\n\Z", code, re.DOTALL)[0][: -len(")\n")]
        nbtool = type("nbtool", (), {"Recipe": Recipe})
        assert eval(call, {"nbtool": nbtool}) == recipe


def test_numbers_are_said_as_they_are_written_everywhere():
    table = request(Recipe(prompt="a star", seed=1, guidance_scale=7, eta=0.5))["recipe"]
    assert {label: text for label, text, _ in table}.items() >= {
        "Prompt": "a star", "Seed": "1", "Guidance": "7", "Eta": "0.5",
    }.items()  # fmt: skip


def test_the_python_says_in_comments_which_pictures_it_needs(picture, tmp_path):
    store = Store(tmp_path / "images")
    gen = nbtool.Generator(engine=FakeEngine(), store=store)
    photo, mask = nbtool.Picture(picture, name="cat\nimport os"), picture.convert("L")
    code = as_python(
        gen("a star", seed=1, image=photo, mask_image=mask, width=48, height=48).recipe
    )
    files = [line.split(": ")[1].split(" in the store")[0] for line in code.splitlines()[:2]]
    assert [nbtool.Picture(store.path / file).size for file in files] == [picture.size] * 2
    said = code.splitlines()[0]
    assert said.startswith("# image: inputs/")
    assert said.endswith(r" in the store (cat\nimport os)")
    deferred = Recipe(prompt="a heart", seed=2, image=Recipe(prompt="a star", seed=1))
    assert as_python(deferred).splitlines()[0] == "# image: made first (a star, seed 1)"


def test_fault_36_hostile_text_stays_data(hostile):
    text = page(hostile)
    text.encode("utf-8")
    elements = Elements(text)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2
    assert not {"img", "iframe", "b"} & set(tags)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u2029\u202e]", text)
    data = _data(text)
    assert data["title"] == hostile.title
    assert data["axes"][1]["labels"][0] == "<img src=x onerror=alert(1)>"
    title = elements.inside[tags.index("title")]
    assert title.startswith("a {thing} <img src=x onerror=alert(1)></script>")


@pytest.mark.skipif(not shutil.which("node"), reason="node reads the script's syntax")
def test_the_script_is_valid(tmp_path):
    path = tmp_path / "viewer.mjs"
    path.write_text(viewer.page_module())
    subprocess.run(["node", "--check", path], check=True)


def test_the_page_remembers_what_was_starred(grid, monkeypatch):
    starred = [image.recipe.key for image in list(grid)[1:3]]
    kept = property(lambda image: image.recipe.key in starred)
    monkeypatch.setattr("nbtool.results.image.GeneratedImage.starred", kept)
    assert _data(page(grid))["stars"] == [2, 3]


def test_the_viewer_is_one_module_that_exports_what_widgets_need():
    assert viewer.module().count("export default viewer;") == 1
    assert "import " not in viewer.module()
    assert viewer.page_module().startswith(viewer.module())
