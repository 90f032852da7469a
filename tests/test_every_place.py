"""Every place where a file is touched fails once, and then for good; nothing is lost by it.

The places are not chosen: what the public operations ask of the file system is counted, and each
call fails in its turn with each error. Python's own audit notices what would not be counted, and
whatever in the sources touches a file must be reached by one of the operations.
"""

from __future__ import annotations

import ast
import errno
import functools
import json
import os
import shutil
import subprocess
import warnings
from pathlib import Path, PurePath

import adapting
import pytest
import tiny
import torch
from drives import CALLS, PACKAGE, Drive, contents
from huggingface_hub import constants
from original import save_checkpoint
from safetensors.torch import load_file

import nbtool
from nbtool import NbtoolError, Recipe, Store, StoreError, catalogue, cli
from nbtool.catalogue import identity, loras, weights
from nbtool.catalogue.hub import Repository
from nbtool.engines.local import LocalEngine, tuning
from nbtool.engines.local.classes import Classes
from nbtool.results import alone, index
from nbtool.testing import FakeEngine

CODES = (errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOSPC, errno.EMFILE)
FAULTS = [(code, False) for code in CODES] + [(errno.EIO, True)]  # once, or from then on
TOLD = object()
LAYOUT = "stable-diffusion-v1-5/stable-diffusion-v1-5"  # what checkpoints are read with
COMMIT = "0123456789abcdef" * 2 + "01234567"
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


def kept_preset(folder):
    presets = opened(folder).presets
    presets["photo"] = nbtool.Preset(prompt="35mm photo")
    return dict(presets)


def kept_preset_without_locks(folder):
    """On a drive that has none."""
    with pytest.MonkeyPatch.context() as patch:
        if os.name != "nt":  # which has none anyway
            patch.setattr("fcntl.flock", refuse)
        patch.setattr(alone, "PATIENCE", 0)
        return kept_preset(folder)


def saved_without_hard_links(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", refuse)
        return saved_in_a_folder(folder)


def refuse(*_):
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))


def saved_in_a_folder(folder):
    return nbtool.save(opened(folder).find(), folder / "saved" / "several", metadata=False).name


def saved(folder, name):
    opened(folder)[key(1)].save(folder / "saved" / name)


def saved_grid(folder, name):
    made = generator(folder).grid("a star", seed=list(SEEDS))
    for error in made.failed.values():
        raise error
    made.save(folder / "saved" / name)


def scenes(folder):
    """A store of images that were made from pictures."""
    return nbtool.Generator(engine=FakeEngine(), store=folder / "scenes")


def scene(folder, **values):
    """An image made from a picture that is in a file."""
    given = {"image": folder / "saved" / "picture.bmp", "seed": 1, "width": 32, "height": 32}
    return scenes(folder)("a scene", **given | values)


def kept_scene(folder):
    """The image that was made from a picture; where it cannot be read, that is said."""
    for image in scenes(folder).store.find(seed=1):
        return image
    raise NbtoolError


def again_from_kept(folder):
    return scenes(folder)(kept_scene(folder).recipe.replace(seed=6)).recipe


def checked_scenes(folder):
    for problem in scenes(folder).store.check():
        warnings.warn(problem, stacklevel=1)


def saved_scene(folder, name):
    """Those that carry no pictures have them beside them, which is said."""
    image = kept_scene(folder)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* lie beside it")
        image.save(folder / "saved" / name)


def tuned(folder):
    """Tunings are for this machine; one that is lost is made again, the others must stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        tuning.remember("one more", "fused")


def compared(folder):
    classes = Classes(lambda: folder / "cache" / "nbtool" / "widths.json")
    classes.settle("one more", 4)
    classes.save()


def model(folder, ask, source="model"):
    """What is asked of a model, by a process that knows nothing of it yet and has no network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
        patch.setattr(constants, "HF_HUB_OFFLINE", True)
        register = identity.Register(identity.register._path)
        patch.setattr(identity, "register", register)
        name = source if source == LAYOUT else str(folder / source)
        return ask(catalogue.find(name, allow_pickle=source.endswith(".ckpt")))


def got(model):
    """Nothing is missing of what the hub lists."""
    with pytest.MonkeyPatch.context() as patch:
        needed = weights.needed(weights.names_in(model.folder), model.parts)
        patch.setattr(Repository, "_listing", lambda *_: (COMMIT, dict.fromkeys(needed, 1)))
        model.source.fetch(model.parts, str)


def sure(answer):
    """What the hub's client cannot see is asked of the hub, or read again: that tells."""
    if not answer:
        raise NbtoolError
    return answer


def generated(model):
    """A real image, of a real pipeline; also when other tests have it in memory."""
    nbtool.unload()
    store = Path(model.source).parent / "real"
    generator = nbtool.Generator(
        str(model.source), store=store, device="cpu", num_inference_steps=1, width=64, height=64
    )
    return generator("a star", seed=1).seed


def adapted(model):
    """The same with a LoRA in PEFT's own form, and others that are looked at."""
    nbtool.unload()
    folder = Path(model.source).parent
    generator = nbtool.Generator(
        str(model.source), store=folder / "real", device="cpu", num_inference_steps=1, width=64,
        height=64,
    )  # fmt: skip
    files = loras.several(folder / "loras")
    assert files == loras.several(folder / "loras" / "*") == loras.several(folder / "lor*" / "*")
    for row in loras.table(files):
        if row.fault:
            raise NbtoolError(row.fault)
    image = generator("a star", seed=1, loras={folder / "peft": 0.5})
    inside = folder / "peft" / "adapter_model.safetensors"
    return image.recipe, [loras.resolve(path, str) for path in (*files, inside)]


def loaded(model):
    nbtool.unload()
    name = LAYOUT if isinstance(model.source, Repository) else str(model.source)
    return type(LocalEngine(name, device="cpu").placement.load(str).pipeline).__name__


def command(folder, *arguments):
    """What a command says; with the fake engine, and nothing in place of JupyterLab."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_generator", lambda _: generator(folder))
        patch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
        if code := cli.main([*arguments]):
            raise NbtoolError(code)


def refused(folder, path, words):
    """A store that cannot be written; why is said whatever fails."""
    try:
        Store(folder / path).put(tiny.picture(), generator_recipe(1), nbtool.Provenance())
    except StoreError as error:
        if words not in str(error):
            raise
        return words


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
    "delete one without a mark": lambda folder: opened(folder).delete(key(1)),
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
    "use a preset": lambda folder: generator(folder)("a star", seed=7, preset="ink").recipe,
    "keep a preset": kept_preset,
    "keep a preset without locks": kept_preset_without_locks,
    "pixels": lambda folder: [image.image.tobytes() for image in opened(folder)],
    "keep a tuning": tuned,
    "keep a width": compared,
    "know a model": functools.partial(model, ask=lambda model: model.defaults),
    "know a model's facts": functools.partial(model, ask=lambda model: model.facts),
    "know whether a model is here": functools.partial(model, ask=lambda model: model.is_here),
    "look through a model": functools.partial(model, ask=lambda model: model.fetch(str)),
    "know what a model does without": functools.partial(
        model, ask=lambda model: [model.left_out, model.is_here], source="spare"
    ),
    "nbtool generate": lambda folder: command(
        folder, "generate", "a star", "seed=1", "-o", str(folder / "saved" / "image.png")
    ),
    "nbtool grid": lambda folder: command(
        folder, "grid", "a star", "seed=0-2", "-o", str(folder / "saved" / "grid.zip")
    ),
    "nbtool grid of pictures": lambda folder: command(
        folder, "grid", "a star", "seed=0", f"image={folder / 'saved' / '*.bmp'}", "width=32",
        "height=32", "-o", str(folder / "saved" / "grid.png")
    ),
    "nbtool grid into a folder": lambda folder: command(
        folder, "grid", "a star", "seed=0-2", "-o", str(folder / "saved")
    ),
    "nbtool lab": lambda folder: command(folder, "lab", str(folder / "lab")),
    "nbtool star": lambda folder: command(
        folder, "star", str(folder / "saved" / "image.png"), "--store", str(folder / "images")
    ),
    "write into a link to nothing": functools.partial(
        refused, path="nothing", words="which is no folder"
    ),
    "write into a folder that is gone": functools.partial(
        refused, path="gone", words="the folder is gone"
    ),
    "save images in a folder": saved_in_a_folder,
    "save images in a folder without hard links": saved_without_hard_links,
    "make from a picture": lambda folder: scene(folder, seed=7).recipe,
    "make from a kept picture": again_from_kept,
    "make a second pass": lambda folder: scene(folder, refine=nbtool.refine(scale=2)).recipe,
    "plan a second pass": lambda folder: scenes(folder).plan(
        "a scene", image=folder / "saved" / "picture.bmp", refine=nbtool.refine(), seed=[1, 2]
    ).to_make,
    "check pictures": checked_scenes,
    "size with pictures": lambda folder: scenes(folder).store.size,
    "empty deleted with pictures": lambda folder: (
        scenes(folder).store.empty_deleted(), len(scenes(folder).store.deleted)
    )[1],
    "read a recipe with its picture": lambda folder: Recipe.from_file(
        folder / "saved" / "scene.jpg"
    ).image.image.tobytes(),
    "read a recipe": lambda folder: Recipe.from_file(folder / "saved" / "image.png"),
} | {
    f"save {name}": functools.partial(saved, name=name)
    for name in ("image.png", "image.jpg", "image.webp")
} | {
    f"save {name} with its picture": functools.partial(saved_scene, name=name)
    for name in ("another.png", "another.jpg")
} | {
    f"save {name}": functools.partial(saved_grid, name=name)
    for name in ("grid.png", "grid.html", "grid.zip", "grid.svg")
}  # fmt: skip
OF_MODELS = {
    "find a model again": functools.partial(
        model, ask=lambda model: (model.revision, catalogue.find(model.name).revision)
    ),
    "generate": functools.partial(model, ask=generated, source="mixed"),
    "generate with a LoRA": functools.partial(model, ask=adapted, source="mixed"),
    "load a checkpoint": functools.partial(model, ask=loaded, source="one.safetensors"),
    "get a model": functools.partial(model, ask=got, source=LAYOUT),
    "load a model of the hub": functools.partial(model, ask=loaded, source=LAYOUT),
} | {
    f"{name} of {source}": functools.partial(model, ask=ask, source=source)
    for source in ("sd3", "sd3/vae/..", "one.safetensors", "one.ckpt", LAYOUT)
    for name, ask in {
        "defaults": lambda model: model.defaults,
        "being here": lambda model: sure(model.is_here),
        "being current": lambda model: (model.is_current, model.revision)[1],  # files are too new
    }.items()
}  # fmt: skip
OPERATIONS |= OF_MODELS
SPOILT = ["get", "iterate", "check", "latest", "note", "make"]
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
    opened(folder).presets["ink"] = nbtool.Preset(prompt="{prompt}, ink drawing")
    (folder / "images" / alone.LOCK).mkdir()  # left of a process that was killed
    (folder / "saved").mkdir()
    for name in ("jpg", "webp"):
        (folder / "saved" / f"image.{name}").write_bytes(b"before")
    for name in ("png", "html", "zip", "svg"):
        (folder / "saved" / f"grid.{name}").write_bytes(b"before")
    opened(folder)[key(1)].save(folder / "saved" / "image.png")
    tiny.picture().save(folder / "saved" / "picture.bmp")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scene(folder).save(folder / "saved" / "scene.jpg")
        unused = scene(folder, image=tiny.picture("blue"), seed=3)
    scenes(folder).store.delete(unused)
    for path in (folder / "scenes" / "inputs").iterdir():
        os.utime(path, (0, 0))
    (folder / "nothing").symlink_to("gone")
    (folder / "cache" / "nbtool").mkdir(parents=True)
    (folder / "cache" / "nbtool" / "tuning.json").write_text(json.dumps({"a": "fused"}))
    places = json.dumps({"files": {}, "places": ELSEWHERE})
    (folder / "cache" / "nbtool" / "places.json").write_text(places)
    tiny.stable_diffusion().save_pretrained(folder / "model")
    tiny.stable_diffusion_3().save_pretrained(folder / "spare")
    (folder / "cache" / "nbtool" / "widths.json").write_text(json.dumps({"a": {"best": 4}}))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with models of every form, and the hub's cache."""
    folder = tmp_path_factory.mktemp("models")
    tiny.stable_diffusion().save_pretrained(folder / "model")
    cached = folder / "hub" / f"models--{LAYOUT.replace('/', '--')}"
    shutil.copytree(folder / "model", cached / "snapshots" / COMMIT)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(COMMIT)
    save_checkpoint(tiny.stable_diffusion(), folder / "one.safetensors")
    torch.save(load_file(folder / "one.safetensors"), folder / "one.ckpt")
    tiny.stable_diffusion_3().save_pretrained(folder / "sd3")
    shutil.copytree(folder / "model", folder / "mixed")
    layers = adapting.matrices(tiny.stable_diffusion().unet, adapting.ATTENTION)
    (folder / "loras").mkdir()
    adapting.save(folder / "loras" / "ink.safetensors", {"unet": layers})
    adapting.save(folder / "peft", {"unet": layers}, form="peft")
    for part, variant in (("unet", "fp16"), ("vae", "bf16")):
        (weights,) = (folder / "mixed" / part).glob("*.safetensors")
        weights.rename(weights.with_suffix(f".{variant}.safetensors"))
    return folder


@pytest.fixture
def start(made, models):
    """The folder that an operation of a name begins with."""
    return lambda name: models if name in OF_MODELS else made


def copied(folder, to):
    """The same files; none is ever written into."""
    return shutil.copytree(folder, to, copy_function=os.link, symlinks=True)


def spoil(folder):
    """A store with a damaged PNG, JSON and mark, without a PNG, and of which a writer was killed."""
    grid(folder, 3)
    spoilt = opened(folder)
    record = spoilt.path / f"{key(3)[:32]}.json"
    for path in (spoilt[key(1)].path, record, *spoilt.path.glob("*.mark.json")):
        path.unlink()
        path.write_bytes(b"damaged")
    spoilt[key(2)].path.unlink()
    half = spoilt.path / f".a.{'0' * 32}.partial"
    half.touch()
    os.utime(half, (0, 0))


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
    start, tmp_path, monkeypatch, name
):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    operation = OPERATIONS[name]
    good = copied(start(name), tmp_path / "good")
    before = contents(good)
    with Drive(good) as drive:
        right = operation(good)
    assert drive.escaped == []
    after = contents(good)
    if name in OF_MODELS:  # that are large: each line of nbtool fails once
        faults = [(drive.lines.index(line), (errno.EIO, True)) for line in {*drive.lines} - {None}]
    else:
        faults = [(place, fault) for place in places(drive) for fault in FAULTS]
    assert faults
    folder = tmp_path / "bad"
    for place, (code, lasting) in faults:
        call = *drive.calls[place], errno.errorcode[code], "lasting" if lasting else "once"
        if not folder.exists():
            copied(start(name), folder)
        index._KNOWN.clear()  # as in the good folder, which nothing was known of either
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
                assert scenes(folder).store.check() == [], call
            shutil.rmtree(folder)
    print(f"{name}: {len(drive.calls)} calls, {len(faults)} faults")  # noqa: T201


# What touches a file is any of these but the harmless.
MODULES = {"os", "shutil", "tempfile"}
# What in nbtool has functions of such names.
OWN = ("identity.", "schedulers.", "self._presets.", "self.sweeps.")
HARMLESS = {
    "os.close", "os.cpu_count", "os.dup2", "os.fsdecode", "os.fsencode", "os.fspath", "os.getcwd",
    "os.geteuid", "os.getpid", "os.path.commonprefix", "os.path.dirname", "os.path.expanduser",
    "os.path.isabs", "os.path.join", "os.register_at_fork", "os.sched_getaffinity", "os.strerror",
}  # fmt: skip
METHODS = {name for name in {*dir(Path)} - {*dir(PurePath)} if name[0] != "_"} - {
    "absolute", "cwd", "expanduser", "home",
}  # fmt: skip
READERS = {
    "fdopen", "from_pretrained", "from_single_file", "hf_hub_download", "open", "truetype",
    "load_single_file_checkpoint", "safe_open", "try_to_load_from_cache",
}  # fmt: skip
NOT_REACHED = {
    "a file of the package": {
        "catalogue/origin.py _identity", "cli/__init__.py _lab", "cli/__init__.py _notebooks",
        "display/page.py page", "display/script.py ", "display/viewer/__init__.py _read",
        "panel/axis_row.py ",
        "panel/entry.py ", "panel/fold.py ", "panel/collection/__init__.py module",
        "panel/collection/__init__.py _read", "panel/flaw.py ", "panel/mark.py ",
        "panel/prompt_help.py ", "panel/root.py ", "panel/stage.py ", "painter/__init__.py _read",
    },
    "a file of another package, or a font of the system": {
        "catalogue/weights.py _is_known", "display/lettering.py font",
    },
    "what the system says of the machine": {
        "engines/local/kernels.py _processor", "engines/local/memory.py peak_resident",
        "environment.py front_end", "machine/containers.py _text", "machine/probe.py _amd_driver",
        "machine/probe.py _nvidia",
    },
    "the null device, for what nobody reads": {"cli/__init__.py _leave_alone"},
    "a folder of Python's own, for a moment": {"cli/benchmark.py pace"},
    "downloads; tests/hub has their faults": {
        "catalogue/hub.py cached", "catalogue/hub.py get",
    },
    "tokenizers, which are read in Rust": {"engines/local/tokens.py _tokenizers"},
    "what a killed process left; test_deleted.py": {"results/deleted.py restore"},
    "a look from what is deleted; test_deleted.py": {"results/folder.py refuse_deleted"},
    "a click in the panel, which says what went wrong; tests/widgets": {"panel/detail.py _save"},
}  # fmt: skip


def touches(call):
    """Whether a call, as the source has it, may touch a file."""
    name, attribute = ast.unparse(call.func), getattr(call.func, "attr", "")
    if any(argument.startswith("io.BytesIO(") for argument in map(ast.unparse, call.args)):
        return False
    if name.partition(".")[0] in MODULES:
        return name not in HARMLESS and not name.startswith("os.environ.")
    if name.startswith(OWN):
        return False
    if attribute == "replace":  # not that of texts and of recipes
        return len(call.args) == 1 and not call.keywords
    return (attribute in METHODS) or (attribute or name) in READERS


def touching():
    """Each such call in the package: its module, its function, its lines, and what it is."""
    for path in Path(PACKAGE).rglob("*.py"):
        module = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and touches(call):
                around = [f for f in functions if f.lineno <= call.lineno <= f.end_lineno]
                function = around[-1].name if around else ""
                yield module, function, range(call.lineno, call.end_lineno + 1), call


def test_whatever_touches_a_file_is_reached_by_an_operation(made, start, tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    reached = set()
    for number, (name, operation) in enumerate(OPERATIONS.items()):
        folder = copied(start(name), tmp_path / str(number))
        with Drive(folder) as drive:
            operation(folder)
        reached |= {*drive.lines}
    for name in SPOILT:
        folder = copied(made, tmp_path / name)
        spoil(folder)
        with Drive(folder) as drive:
            told(OPERATIONS[name], folder)
        reached |= {*drive.lines}
    left = {
        f"{module} {function}"
        for module, function, lines, _ in touching()
        if not any((module, line) in reached for line in lines)
    }
    assert left == set.union(*NOT_REACHED.values())


def test_what_touches_a_file_is_what_the_drive_counts():
    """`dir_fd` and calls on descriptors would pass it by."""
    for module, function, _, call in touching():
        called = ast.unparse(call.func)
        place = f"{module} {function}: {called}"
        if called.startswith("os.") and not called.startswith("os.path."):
            assert called[3:] in (*CALLS, "fdopen"), place
        assert not any("dir_fd" in (keyword.arg or "") for keyword in call.keywords), place


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_damaged_is_never_lost_and_takes_nothing_along(made, tmp_path, monkeypatch, name):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    start = copied(made, tmp_path / "start")
    spoil(start)
    before = {path: data for path, data in contents(start).items() if ".partial" not in path}
    good = copied(start, tmp_path / "good")
    with Drive(good) as drive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        OPERATIONS[name](good)
    for place in places(drive):
        for lasting in (False, True):
            call = *drive.calls[place], lasting
            folder = copied(start, tmp_path / "bad")
            with Drive(folder, fail=place, lasting=lasting):
                told(OPERATIONS[name], folder)
            now = contents(folder)
            for path, data in before.items():
                set_aside = path.replace("images/", "images/damaged/")
                assert data in (now.get(path), now.get(set_aside)), (call, path)
            aside = [path for path in now if "/damaged/" in path]
            whole = key(0)[:32]  # its mark is not
            assert not any(whole in path and ".mark." not in path for path in aside), call
            shutil.rmtree(folder)
