"""The store: plain files that survive crashes, damage, other programs and other notebooks."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nbtool import Provenance, Recipe, RecipeError, Store, StoreError
from nbtool.metadata import encode

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
FILE_NAME = re.compile(r"nbtool-store\.json|[0-9a-f]{32}(\.json|-[0-9a-f]{8}\.png)")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks to be killed")
needs_symlinks = pytest.mark.skipif(os.name == "nt", reason="makes symbolic links")


@pytest.fixture
def fill(store, complete, picture):
    """Puts images with the seeds 0, 1, … into the store; returns them."""

    def fill(count=3):
        return [
            store.put(picture, complete.replace(seed=i), Provenance(created=f"2025-01-0{i + 1}"))
            for i in range(count)
        ]

    return fill


def names(folder, pattern="*"):
    return sorted(path.name for path in folder.glob(pattern) if path.is_file())


def record_of(image):
    """The JSON file of a stored image."""
    return image.path.with_name(f"{image.recipe.key[:32]}.json")


def make_old(path):
    os.utime(path, (time.time() - 86_400,) * 2)


# What it keeps


def test_what_is_put_can_be_found_again(store, complete, picture):
    made = Provenance(engine="test", seconds=1.5, notes=("cut",), versions={"torch": "2.4"})
    put = store.put(picture, complete, made)
    assert put.image.tobytes() == picture.tobytes()
    for found in (store[complete.key], store.get(complete.key), *store, *Store(store.path)):
        assert (found.recipe, found.provenance, found.path) == (complete, made, put.path)
        assert found.png == put.png
    assert complete.key in store
    assert store.has(complete.key)
    assert len(store) == 1
    assert repr(store) == "<Store images: 1 image>"


def test_what_is_not_there_is_not_found(store, complete, fill):
    fill(1)
    other = complete.replace(prompt="another").key
    assert store.get(other) is None
    assert other not in store
    assert not store.has(other)
    for key in (other, "", "0" * 32, "../" * 8, "\0", complete.replace(seed=0).key.upper()):
        assert key not in store
        with pytest.raises(KeyError, match="holds no image"):
            store[key]


def test_a_store_that_was_never_written_is_empty(tmp_path):
    store = Store(tmp_path / "nothing" / "here")
    assert (len(store), list(store), store.find(seed=1), store.check()) == (0, [], [], [])
    assert not store.path.exists()


def test_images_come_oldest_first_and_latest_newest_first(store, complete, picture):
    for seed, day in [(1, 3), (2, 1), (3, 2)]:
        image = store.put(picture, complete.replace(seed=seed), Provenance(created=f"2025-0{day}"))
        os.utime(record_of(image), (day, day))
    assert [image.seed for image in store] == [2, 3, 1]
    assert [image.seed for image in store.latest(2)] == [1, 3]


def test_the_latest_images_are_the_newest_that_are_whole(store, fill):
    images = fill(4)
    for age, image in enumerate(reversed(images)):
        os.utime(record_of(image), (time.time() - age,) * 2)
    images[3].path.unlink()
    with pytest.warns(UserWarning, match="its PNG is missing"):
        assert [image.seed for image in store.latest(2)] == [2, 1]
    assert store.latest(0) == []


@needs_symlinks
def test_a_listing_says_of_every_key_what_the_store_says(store, fill, complete, tmp_path):
    images = fill(4)
    keys = [image.recipe.key for image in images] + [complete.key, "", "0" * 64]
    shutil.move(record_of(images[1]), tmp_path / "linked")
    record_of(images[1]).symlink_to(tmp_path / "linked")
    record_of(images[2]).unlink()
    record_of(images[2]).mkdir()
    listing = store.listing()
    assert [key in listing for key in keys] == [store.has(key) for key in keys]
    assert [key in listing for key in keys] == [True, False, False, True, False, False, False]
    assert keys[0] not in Store(tmp_path / "nowhere").listing()


def test_find_takes_parts_of_texts_and_exact_numbers(store, complete, picture):
    for seed, prompt in enumerate(["a red star", "a RED circle", "a blue star"]):
        store.put(picture, complete.replace(prompt=prompt, seed=seed), Provenance())
    assert [image.seed for image in store.find(prompt="red")] in ([0, 1], [1, 0])
    assert [image.seed for image in store.find(prompt="star", seed=2.0)] == [2]
    assert store.find(prompt="star", guidance_scale=6) == []
    assert len(store.find()) == 3
    with pytest.raises(RecipeError, match="did you mean 'prompt'"):
        store.find(promt="red")


def test_plain_json_and_pillow_read_everything(store, fill):
    for image in fill(2):
        record = json.loads(record_of(image).read_text(encoding="ascii"))
        assert record["schema"] == 1
        assert record["key"] == image.recipe.key
        assert record["recipe"] == image.recipe.to_dict()
        assert record["provenance"]["created"] == image.provenance.created
        [picture] = store.path.glob(record["key"][:32] + "-*.png")
        assert hashlib.sha256(picture.read_bytes()).hexdigest() == record["png_sha256"]
        with Image.open(picture) as opened:
            assert json.loads(opened.text["nbtool"])["recipe"] == record["recipe"]
    assert json.loads((store.path / "nbtool-store.json").read_text()) == {"schema": 1}
    assert len(names(store.path)) == 5


def test_every_stored_file_can_be_made_again_from_itself(store, fill):
    for image in fill(2):
        assert Recipe.from_file(image.path) == image.recipe


@given(ANY_TEXT, ANY_TEXT)
def test_fault_35_any_prompt_is_kept_losslessly(tmp_path_factory, complete, picture, one, other):
    store = Store(tmp_path_factory.mktemp("store"))
    recipe = complete.replace(prompt=one, negative_prompt=other)
    store.put(picture, recipe, Provenance(notes=(other,)))
    [found] = Store(store.path)
    assert found.recipe == recipe
    assert found.provenance.notes == (other,)
    assert Recipe.from_file(found.path) == recipe


@pytest.mark.parametrize(
    "prompt",
    [
        "../../x",
        "/etc/passwd",
        "a\0b",
        "CON",
        "x" * 5000,
        "\u202egnp.exe",
        "\ud800",
        ".",
        "",
        "a/b\\c:d*?",
    ],
    ids=ascii,
)
def test_fault_33_names_come_from_the_key_only(store, complete, picture, prompt):
    recipe = complete.replace(prompt=prompt, model=prompt, revision=prompt)
    image = store.put(picture, recipe, Provenance())
    assert image.path.parent == store.path
    assert all(map(FILE_NAME.fullmatch, names(store.path)))
    assert names(store.path.parent) == []
    assert store[recipe.key].recipe == recipe


# Writing goes wrong


class HalfWriting:
    """A file on a disk that is full after the first half of what is written."""

    def __init__(self, file, fail_in_time):
        self._file = file
        self._fail_in_time = fail_in_time

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        self._file.write(data[: len(data) // 2])
        self._fail_in_time()
        return self._file.write(data[len(data) // 2 :])


def failing(monkeypatch, call, number, code):
    """Makes the n-th write, fsync or rename fail."""
    count = itertools.count(1)
    open_, function = pathlib.Path.open, getattr(os, call)

    def fail_in_time():
        if next(count) == number:
            raise OSError(code, os.strerror(code))

    def open_half(path, mode="r", *rest, **options):
        file = open_(path, mode, *rest, **options)
        return HalfWriting(file, fail_in_time) if "x" in mode else file

    def patched(*arguments, **options):
        fail_in_time()
        return function(*arguments, **options)

    if call == "write":
        monkeypatch.setattr(pathlib.Path, "open", open_half)
    else:
        monkeypatch.setattr(os, call, patched)


# fsync is called for each file and then for the folder, where a failure does no harm.
PLACES = [("write", 1), ("write", 2), ("fsync", 1), ("fsync", 3), ("replace", 1), ("replace", 2)]


@pytest.mark.parametrize(
    "failure",
    [(*place, code) for place in PLACES for code in (errno.ENOSPC, errno.EIO)],
    ids=lambda failure: f"{failure[0]}-{failure[1]}-{errno.errorcode[failure[2]]}",
)
def test_fault_25_a_failed_write_leaves_nothing_half_done_and_the_image_in_memory(
    store, complete, picture, monkeypatch, failure
):
    for seed in range(2):
        store.put(picture, complete.replace(seed=seed), Provenance())
    recipe = complete.replace(prompt="one more")
    with monkeypatch.context() as patch:
        failing(patch, *failure)
        with pytest.raises(StoreError, match=os.strerror(failure[2])) as caught:
            store.put(picture, recipe, Provenance(engine="test"))
    message = str(caught.value)
    assert str(store.path) in message
    assert "what was stored before is kept" in message
    assert not list(store.path.glob(".*"))

    unsaved = caught.value.unsaved
    assert (unsaved.recipe, unsaved.provenance.engine, unsaved.path) == (recipe, "test", None)
    assert unsaved.image.getpixel((16, 16)) == (220, 40, 40)
    rescued = unsaved.save(store.path.parent / "rescued.png")
    assert Recipe.from_file(rescued) == recipe

    assert store.get(recipe.key) is None
    assert len(list(store)) == len(store) == 2
    store.prepare()
    store.put(picture, recipe, Provenance(engine="test"))
    assert store[recipe.key].recipe == recipe
    assert store.check() == []
    assert len(names(store.path, "*.png")) == 3


@pytest.mark.parametrize("number", [2, 4])
def test_a_folder_that_cannot_be_synced_is_no_failure(
    store, complete, picture, monkeypatch, number
):
    failing(monkeypatch, "fsync", number, errno.EINVAL)
    store.put(picture, complete, Provenance())
    assert complete.key in store


def _write_until_killed(folder, boundary, torn):
    """Runs in a child: prepares and fills a store, and dies at the n-th write boundary."""
    calls = []

    def deadly(function):
        def patched(*arguments):
            calls.append(arguments)
            if len(calls) == boundary:
                if torn and function is fsync:  # what the disk may hold without the fsync
                    with contextlib.suppress(OSError):  # a folder
                        os.truncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return patched

    fsync = os.fsync
    for name in ("fsync", "replace", "mkdir", "unlink"):
        setattr(os, name, deadly(getattr(os, name)))
    store = Store(folder)
    store.prepare()
    for seed in range(2):
        image = Image.new("RGB", (16, 16), (seed, 0, 0))
        store.put(image, _seeded(seed), Provenance(created="2025"))


def _seeded(seed):
    return Recipe(prompt="a", seed=seed, num_inference_steps=2, guidance_scale=3,
                  scheduler="ddim", width=16, height=16, model="m")  # fmt: skip


def _kill_at_every_boundary(root, statuses, torn):
    """Runs in a process of its own, without threads, and forks the writers to be killed."""
    for boundary in range(1, 100):
        child = os.fork()
        if not child:
            try:
                _write_until_killed(root / f"{boundary:02}", boundary, torn)
            finally:
                os._exit(0)
        status = os.waitpid(child, 0)[1]
        statuses.put(status)
        if status == 0:
            break


@needs_fork
@pytest.mark.parametrize("torn", [False, True])
def test_fault_26_killed_at_any_write_boundary_it_opens_clean(tmp_path, torn):
    context = multiprocessing.get_context("spawn")
    statuses = context.SimpleQueue()
    process = context.Process(target=_kill_at_every_boundary, args=(tmp_path, statuses, torn))
    process.start()
    process.join()
    killed = []
    while not statuses.empty():
        killed.append(statuses.get())
    # At least: the folder, and a marker, two PNG and two JSON files with three boundaries each.
    assert len(killed) > 16
    assert killed == [signal.SIGKILL] * (len(killed) - 1) + [0]
    folders = sorted(tmp_path.iterdir())

    committed = []
    for folder in folders:
        store = Store(folder)
        store.prepare()
        images = list(store)  # a warning about damage would be an error
        assert store.check() == []
        committed.append(sorted(image.seed for image in images))
        for image in images:
            assert image.image.getpixel((0, 0)) == (image.seed, 0, 0)
        for seed in range(2):  # the same call makes only what is missing
            if store.get(_seeded(seed).key) is None:
                store.put(Image.new("RGB", (16, 16)), _seeded(seed), Provenance(created="2026"))
        assert [image.provenance.created for image in store].count("2025") == len(images)
        assert len(store) == 2
    assert committed == sorted(committed)
    assert [] in committed
    assert [0] in committed
    assert committed[-1] == [0, 1]


ROUNDS = 40


def _write_the_same(folder, number, barrier):
    store = Store(folder)
    try:
        for seed in range(ROUNDS):
            barrier.wait()
            store.prepare()
            image = Image.new("RGB", (16, 16), (number, seed, 0))
            store.put(image, _seeded(seed), Provenance(device=f"notebook {number}"))
            assert store.get(_seeded(seed).key) is not None
    except BaseException:
        barrier.abort()  # the other is not to wait for ever
        raise


def test_fault_27_two_notebooks_making_the_same_image_leave_one_valid_result(tmp_path):
    context = multiprocessing.get_context("spawn")
    folder, barrier = tmp_path / "images", context.Barrier(2)
    processes = [
        context.Process(target=_write_the_same, args=(folder, number, barrier), daemon=True)
        for number in (1, 2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    store = Store(folder)
    assert store.check() == []
    assert len(store) == ROUNDS
    for seed in range(ROUNDS):
        [image] = store.find(seed=seed)
        writer = int(image.provenance.device.split()[1])
        assert image.image.getpixel((0, 0)) == (writer, seed, 0)
        assert Recipe.from_file(image.path) == image.recipe
    assert not list(folder.glob(".*"))
    assert not (folder / "damaged").exists()


def test_fault_28_orphaned_temporary_files_are_ignored_and_swept_when_old(store, fill):
    fill(2)
    old = store.path / f".{'0' * 32}.json.{'a' * 32}.partial"
    young = store.path / f".{'0' * 32}.json.{'b' * 32}.partial"
    foreign = store.path / "download.partial"
    for path in (old, young, foreign):
        path.write_bytes(b"{")
    make_old(old)
    make_old(foreign)
    assert (len(store), len(list(store)), store.check()) == (2, 2, [])
    store.prepare()
    assert [path.exists() for path in (old, young, foreign)] == [False, True, True]


def test_fault_29_a_missing_folder_is_refused_before_anything_is_made(tmp_path):
    store = Store(tmp_path / "drive" / "images")
    with pytest.raises(StoreError, match=r"there is no folder .*drive; make it \(or mount"):
        store.prepare()
    assert names(tmp_path) == []


def test_fault_29_a_path_that_is_a_file_or_lies_under_one_is_refused(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "images"):
        with pytest.raises(StoreError, match="cannot"):
            Store(path).prepare()
    assert file.read_text() == ""


@pytest.mark.parametrize("exists", [False, True])
def test_fault_29_a_read_only_folder_is_refused_but_read(
    tmp_path, complete, picture, monkeypatch, exists
):
    store = Store(tmp_path / "images")
    if exists:
        store.prepare()
        store.put(picture, complete, Provenance())
        damaged = complete.replace(seed=8)
        store.put(picture, damaged, Provenance()).path.write_bytes(b"damaged")
    read_only(monkeypatch)
    with pytest.raises(StoreError, match="Read-only file system"):
        store.prepare()
    if exists:
        with pytest.warns(UserWarning, match="its PNG does not match its hash") as warned:
            assert store.get(damaged.key) is None
        assert "moved" not in str(warned[0].message)
        assert store[complete.key].recipe == complete
        assert len(list(store)) == 2
        assert len(store.check()) == 1


def read_only(monkeypatch):
    """Makes every change of files fail as on a read-only disk, which root would not notice."""
    open_ = pathlib.Path.open

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    def open_to_read(path, mode="r", *rest, **options):
        return open_(path, mode, *rest, **options) if mode in ("r", "rb") else refuse()

    for name in ("mkdir", "replace", "rename", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(pathlib.Path, "open", open_to_read)


def flip(path, place=-200):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGE = {
    "a flipped byte": (lambda i: flip(i.path), "its PNG does not match its hash"),
    "a flipped byte in the text": (lambda i: flip(i.path, 100), "its PNG does not match its hash"),
    "a PNG cut short": (
        lambda i: i.path.write_bytes(i.path.read_bytes()[:-4]),
        "its PNG does not match its hash",
    ),
    "a JSON without its PNG": (lambda i: i.path.unlink(), "its PNG is missing"),
    "a JSON cut short": (
        lambda i: record_of(i).write_bytes(record_of(i).read_bytes()[:-9]),
        "its JSON cannot be read",
    ),
    "an empty JSON": (lambda i: record_of(i).write_bytes(b""), "its JSON cannot be read"),
    "a JSON that is not ASCII": (
        lambda i: record_of(i).write_bytes(b'{"\xff": 1}'),
        "its JSON cannot be read",
    ),
    "another recipe": (
        lambda i: edit(record_of(i), recipe=i.recipe.replace(seed=99).to_dict()),
        "its recipe is not the one its name stands for",
    ),
} | {
    f"a JSON with {changes}": (
        lambda i, changes=changes: edit(record_of(i), **changes),
        "its JSON cannot be used",
    )
    for changes in (
        {"recipe": []},
        {"recipe": {"width": 513}},
        {"recipe": {"prompt": None}},
        {"png_sha256": "\0"},
        {"png_sha256": "\ud800"},
        {"png_sha256": "../../../x"},
        {"png_sha256": 5},
    )
}  # fmt: skip


CASES = [
    pytest.param(*DAMAGE[name], how, id=f"{how}-{name}")
    for name in DAMAGE
    for how in ("get", "iterate", "check")
    if how != "iterate" or ("byte" not in name and "PNG cut" not in name)  # it reads no pixels
]


@pytest.mark.parametrize(("damage", "reason", "how"), CASES)
def test_fault_30_what_is_damaged_is_set_aside_and_named_and_the_rest_is_read(
    store, fill, damage, reason, how
):
    images = fill(3)
    bad = images[1]
    name = bad.recipe.key[:32]
    kept = [path.name for path in (bad.path, record_of(bad))]
    damage(bad)
    kept = [file for file in kept if (store.path / file).exists()]
    if how == "check":
        [message] = store.check()
    else:
        with pytest.warns(UserWarning, match=name) as warned:
            assert store.get(bad.recipe.key) is None if how == "get" else len(list(store)) == 2
        [message] = [str(warning.message) for warning in warned]
    assert message.startswith(f"{name}: {reason}")
    assert message.endswith(f"moved to damaged/ in {store.path}")
    assert sorted(path.name for path in (store.path / "damaged").iterdir()) == sorted(kept)
    assert [image.recipe for image in store] == [images[0].recipe, images[2].recipe]
    assert store.check() == []


def test_fault_30_a_png_without_its_json_is_set_aside_once_it_is_old(store, fill):
    images = fill(2)
    record_of(images[0]).unlink()
    assert store.check() == []  # its JSON may be on the way
    make_old(images[0].path)
    assert [image.recipe for image in store] == [images[1].recipe]
    [message] = store.check()
    assert (
        message
        == f"{images[0].path.name}: a PNG without its JSON; moved to damaged/ in {store.path}"
    )
    assert names(store.path / "damaged") == [images[0].path.name]
    assert store.check() == []


def test_fault_30_files_of_others_are_left_alone(store, fill):
    [image] = fill(1)
    others = ["holiday.png", "notes.json", f"{'g' * 32}.json", f"copy of {image.path.name}"]
    for name in others:
        (store.path / name).write_bytes(b"?")
        make_old(store.path / name)
    assert (len(store), len(list(store)), store.check()) == (1, 1, [])
    assert set(others) < set(names(store.path))


def test_fault_30_an_image_removed_after_it_was_found_says_how_to_have_it_back(store, fill):
    [image] = fill(1)
    image.path.unlink()
    with pytest.raises(
        StoreError, match=r"is gone or cannot be read .*; generate its recipe again"
    ):
        image.png  # noqa: B018


def test_fault_31_no_locks_are_needed(store, complete, picture, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    for name in ("flock", "lockf", "fcntl"):
        monkeypatch.setattr(fcntl, name, refuse)
    for name in ("link", "symlink", "lockf"):
        monkeypatch.setattr(os, name, refuse, raising=False)
    store.prepare()
    store.put(picture, complete, Provenance())
    assert complete.key in Store(store.path)
    assert store.check() == []


def test_fault_32_a_store_of_a_newer_nbtool_is_read_but_not_written(store, fill):
    fill(2)
    (store.path / "nbtool-store.json").write_text('{"schema": 2, "index": "x"}')
    before = {path: path.read_bytes() for path in store.path.iterdir()}
    again = Store(store.path)
    assert len(list(again)) == 2
    with pytest.raises(StoreError, match=r"newer nbtool \(schema 2, known: 1\); it can be read"):
        again.prepare()
    assert {path: path.read_bytes() for path in store.path.iterdir()} == before


def test_fault_32_a_newer_record_is_read_as_far_as_it_is_known(store, fill):
    [image] = fill(1)
    recipe = image.recipe.to_dict() | {"lora": [{"name": "x"}], "seed": 5}
    edit(record_of(image), schema=2, recipe=recipe, mask="x.png",
         provenance={"engine": "new", "energy": 5})  # fmt: skip
    [found] = store
    assert (found.seed, found.recipe.prompt) == (5, image.recipe.prompt)
    assert found.provenance == Provenance(engine="new")


@pytest.mark.parametrize("changes", [{"recipe": {"width": 10**6}}, {"png_sha256": ["?"]}], ids=repr)
def test_fault_32_a_newer_record_that_cannot_be_read_is_left_where_it_is(store, fill, changes):
    image, other = fill(2)
    edit(record_of(image), schema=2, **changes)
    before = sorted(store.path.iterdir())
    with pytest.warns(UserWarning, match="a newer nbtool wrote it"):
        assert [found.recipe for found in store] == [other.recipe]
    assert len(store.check()) == 1
    assert sorted(store.path.iterdir()) == before


@pytest.mark.parametrize("marker", ["", "{", "[]", "{}", '{"schema": "x"}'])
def test_a_damaged_marker_does_no_harm(store, fill, marker):
    fill(1)
    (store.path / "nbtool-store.json").write_text(marker)
    store.prepare()
    assert len(list(store)) == 1


@needs_symlinks
def test_fault_34_linked_files_are_never_followed(store, fill, tmp_path):
    images = fill(3)
    secret = tmp_path / "secret"
    secret.mkdir()
    for image, linked in [(images[0], images[0].path), (images[1], record_of(images[1]))]:
        target = secret / linked.name
        shutil.move(linked, target)
        linked.symlink_to(target)
        with pytest.warns(UserWarning, match=f"{image.recipe.key[:32]}: .* is a symbolic link"):
            assert store.get(image.recipe.key) is None
    before = {path: path.read_bytes() for path in secret.iterdir()}
    with pytest.warns(UserWarning, match="symbolic link"):
        assert [image.recipe for image in store] == [images[2].recipe]
    assert not store.has(images[1].recipe.key)
    assert len(store.check()) == 2
    assert not (store.path / "damaged").exists()
    store.prepare()
    for image in images[:2]:
        store.put(image_of((1, 2, 3)), image.recipe, Provenance(created="2026"))
    assert [store[image.recipe.key].provenance.created for image in images[:2]] == ["2026"] * 2
    assert len(store) == 3
    assert {path: path.read_bytes() for path in secret.iterdir()} == before


def image_of(colour):
    return Image.new("RGB", (32, 32), colour)


@needs_symlinks
def test_fault_34_damaged_files_are_not_moved_through_a_link(store, fill, tmp_path):
    images = fill(2)
    flip(images[0].path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.path / "damaged").symlink_to(outside)
    with pytest.warns(UserWarning, match="does not match its hash; left in"):
        assert store.get(images[0].recipe.key) is None
    assert names(outside) == []


@needs_symlinks
def test_fault_34_linked_temporary_and_marker_files_are_not_followed(store, tmp_path):
    outside = tmp_path / "outside.json"
    outside.write_text('{"schema": 9}')
    (store.path / "nbtool-store.json").unlink()
    (store.path / "nbtool-store.json").symlink_to(outside)
    link = store.path / f".x.{'a' * 32}.partial"
    link.symlink_to(outside)
    os.utime(link, (0, 0), follow_symlinks=False)
    store.prepare()
    assert not link.is_symlink()
    assert outside.read_text() == '{"schema": 9}'


def test_fault_38_a_png_that_is_another_image_is_refused_by_its_hash(store, complete, fill):
    [image] = fill(1)
    other = encode(image_of((9, 9, 9)), complete.to_dict(), Provenance().to_dict(), "0")
    assert Image.open(io.BytesIO(other)).size == (32, 32)
    image.path.write_bytes(other)
    with pytest.warns(UserWarning, match="does not match its hash"):
        assert store.get(image.recipe.key) is None


def test_stars_and_notes_are_kept_beside_the_image(store, complete, picture):
    first, second = (
        store.put(picture, complete.replace(seed=seed), Provenance()) for seed in (1, 2)
    )
    assert (first.starred, first.note) == (False, "")
    first.starred = True
    first.note = "the \ud800 one <b>"
    again = Store(store.path)[first.recipe.key]
    assert (again.starred, again.note) == (True, "the \ud800 one <b>")
    assert [image.recipe for image in store.starred] == [first.recipe]
    assert store.marks() == {first.recipe.key: (True, "the \ud800 one <b>")}
    second.starred = True
    second.starred = False
    assert len(names(store.path, "*.mark.json")) == 1  # nothing is kept of nothing
    assert len(store) == 2
    assert store.check() == []


def test_a_mark_needs_an_image_and_survives_damage(store, complete, picture):
    with pytest.raises(StoreError, match="no image with the key"):
        store.set_mark(complete.key, starred=True)
    with pytest.raises(StoreError, match="no image with the key"):
        store.set_mark("../../x", starred=True)
    image = store.put(picture, complete, Provenance())
    image.starred = True
    image.path.write_bytes(b"torn")
    with pytest.warns(UserWarning, match="does not match its hash"):
        assert store.get(complete.key) is None
    store.put(picture, complete, Provenance())
    assert store[complete.key].starred
    (store.path / f"{complete.key[:32]}.mark.json").write_text("[")
    with pytest.warns(
        UserWarning, match=r"mark\.json: its JSON cannot be read .* moved to damaged"
    ):
        assert not store[complete.key].starred
    assert store.marks() == {}
    assert (store.path / "damaged" / f"{complete.key[:32]}.mark.json").read_text() == "["
