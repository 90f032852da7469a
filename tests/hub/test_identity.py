"""What a model is called where it is shared, and that its images are those of the weights read."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from drives import Drive
from huggingface_hub import snapshot_download
from original import save_checkpoint
from safetensors.torch import load_file, save_file

import nbtool
from nbtool import Provenance, Recipe, catalogue
from nbtool.catalogue import identity
from nbtool.engines.local import cache as loaded
from nbtool.engines.local import loading, placing
from nbtool.engines.local.worker import worker
from nbtool.job.account import Account

SMALL = {"width": 64, "height": 64, "num_inference_steps": 2, "seed": 1}
PRIVATE = "jo-private"
LAYOUT = "stable-diffusion-v1-5/stable-diffusion-v1-5"
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Nothing is shown, added or in memory."""
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    monkeypatch.setattr("nbtool.catalogue._added", {})
    monkeypatch.setattr(identity, "register", identity.Register(_register))
    (_register()).unlink(missing_ok=True)
    nbtool.unload()
    yield
    nbtool.unload()


def _register():
    from nbtool import environment

    return environment.cache_folder() / "places.json"


@pytest.fixture
def generator(tmp_path):
    def make(name, store="images", **options):
        options.setdefault("device", "cpu")
        return nbtool.Generator(str(name), store=tmp_path / store, **options)

    return make


def trained(seed):
    """A tiny pipeline with weights of its own."""
    pipeline = tiny.stable_diffusion()
    generator = torch.Generator().manual_seed(seed)
    for weight in pipeline.unet.parameters():
        weight.data.add_(0.3 * torch.randn(weight.shape, generator=generator))
    return pipeline


@pytest.fixture
def home(tmp_path):
    """Somebody's folder of models."""
    folder = tmp_path / "home" / PRIVATE / "models"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def mine(home):
    trained(1).save_pretrained(home / "harbour-v2")
    return home / "harbour-v2"


def pixels(image):
    return np.asarray(image.image, int).tolist()


def train_on(folder):
    trained(2).save_pretrained(folder)


def overwrite(folder):
    """Other weights into the same file, of the same size and with the same date."""
    path = folder / UNET
    before = path.stat()
    trained(2).unet.save_pretrained(folder / "other")
    path.write_bytes((folder / "other" / Path(UNET).name).read_bytes())
    shutil.rmtree(folder / "other")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def change_the_scheduler(folder):
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"beta_end": 0.02}))


def change_the_tokenizer(folder):
    path = folder / "tokenizer" / "tokenizer.json"
    text = path.read_text()
    assert '"s</w>"' in text
    path.write_text(text.replace('"s</w>"', '"§</w>"').replace('"t</w>"', '"s</w>"'))


def add_half_precision(folder):
    trained(2).unet.save_pretrained(folder / "unet", variant="fp16")


CHANGES = [train_on, overwrite, change_the_scheduler, change_the_tokenizer, add_half_precision]


@pytest.mark.parametrize("change", CHANGES)
def test_fault_53_a_folder_that_changes_is_another_model(mine, generator, change):
    gen = generator(mine)
    before = gen("a s", **SMALL)
    change(mine)
    after = gen("a s", **SMALL)
    assert after.recipe.revision != before.recipe.revision
    assert pixels(after) != pixels(before)
    nbtool.unload()
    fresh = generator(mine, "fresh")("a s", **SMALL)
    assert (fresh.recipe, pixels(fresh)) == (after.recipe, pixels(after))
    assert [pixels(image) for image in gen.store] == [pixels(before), pixels(after)]
    with pytest.raises(nbtool.RecipeError, match="is not known on this machine"):
        gen(before.recipe)


def test_what_decides_no_pixel_changes_nothing(mine, generator, tmp_path):
    before = generator(mine)("a", **SMALL)
    (mine / "README.md").write_text("words")
    (mine / "unet" / "training.log").write_text("words")
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(mine, tmp_path / "elsewhere")
    (tmp_path / "link").symlink_to(moved)
    for name in (moved, f"{moved}/", tmp_path / "link" / ".." / "harbour-v2"):
        assert generator(name)("a", **SMALL).path == before.path
    linked = generator(tmp_path / "link")("a", **SMALL)
    assert (linked.recipe.model, linked.recipe.revision) == ("link", before.recipe.revision)


def test_fault_53_a_file_or_a_branch_that_changes_is_another_model(hub, cache, generator, tmp_path):
    trained(1).save_pretrained(tmp_path / "layout")
    hub.add(LAYOUT, tmp_path / "layout")
    one = tmp_path / "one.safetensors"

    def file(seed):
        save_checkpoint(trained(seed), one)
        return one

    def branch(seed):
        trained(seed).save_pretrained(tmp_path / "v")
        hub.add("me/ft", tmp_path / "v")
        snapshot_download("me/ft", cache_dir=cache)
        return "me/ft"

    for publish in (file, branch):
        gen = generator(publish(1))
        before = gen("a", **SMALL)
        publish(2)
        after = [gen("a", **SMALL), generator(publish(2), "another")("a", **SMALL)]
        nbtool.unload()
        after.append(generator(publish(2), "fresh")("a", **SMALL))
        assert {image.recipe.revision for image in after}.isdisjoint({before.recipe.revision})
        assert len({image.recipe.key for image in after}) == 1
        assert all(pixels(image) == pixels(after[0]) for image in after)
        assert pixels(before) != pixels(after[0])


def test_fault_53_another_safety_checker_looks_at_once_and_makes_no_other_images(home, generator):
    tiny.with_safety_checker(home / "a", unsafe=False)
    gen = generator(home / "a", num_inference_steps=2, width=64, height=64)
    before = gen("a", seed=1)
    tiny.with_safety_checker(home / "a", unsafe=True)
    assert "filtered" in str(gen.submit("a", seed=2).wait().failed[()])
    assert gen("a", seed=1).path == before.path
    free = generator(home / "a", safety_checker=False)
    assert free("a", **SMALL).recipe.revision == before.recipe.revision


def test_fault_53_what_is_in_memory_is_not_the_file_any_more(mine, generator):
    """Safetensors maps files into memory: one that is overwritten in place would show through."""
    gen = generator(mine)
    gen("a", **SMALL)
    kept = gen.engine.placement.load(str)
    before = {n: t.clone() for n, t in kept.pipeline.unet.state_dict().items()}
    overwrite(mine)
    assert all(torch.equal(t, before[n]) for n, t in kept.pipeline.unet.state_dict().items())


def test_fault_53_weights_that_change_while_they_are_read_make_no_image(
    mine, generator, monkeypatch
):
    whole = loading.load

    def load_and_change(model, *more):
        pipeline = whole(model, *more)
        train_on(mine)
        return pipeline

    gen = generator(mine)
    with monkeypatch.context() as patch:
        patch.setattr(loaded, "load", load_and_change)
        with pytest.raises(nbtool.ModelError, match="harbour-v2 was changed while it was in use"):
            gen("a", **SMALL)
    assert len(gen.store) == 0
    image = gen("a", **SMALL)
    nbtool.unload()
    assert pixels(generator(mine, "fresh")(image.recipe)) == pixels(image)


def test_fault_53_a_run_that_must_load_changed_weights_again_stops(mine, generator, monkeypatch):
    gen = generator(mine, num_inference_steps=2, width=64, height=64)
    advance, begun = Account.advance, threading.Event()

    def advance_until_it_is_dropped(account, *step):
        advance(account, *step)
        if not begun.is_set():
            begun.set()
            with worker._changed:
                worker._changed.wait_for(lambda: worker._calls)

    monkeypatch.setattr(Account, "advance", advance_until_it_is_dropped)
    job = gen.submit("a", seed=range(30))
    begun.wait()
    train_on(mine)
    placing.cache.drop(gen.engine.model, gen.engine.placement.plan)
    with pytest.raises(nbtool.ModelError, match="was changed while it was in use"):
        job.wait()
    revisions = {image.recipe.revision for image in job.grid}
    assert gen("a", seed=0).recipe.revision not in revisions


def test_fault_53_images_asked_for_of_other_weights_than_are_loaded_are_not_made(
    mine, generator, monkeypatch
):
    gen = generator(mine)
    whole = gen.engine.run

    def run_after_a_change(*args, **kwargs):
        train_on(mine)
        gen.engine.defaults()  # as another call would
        whole(*args, **kwargs)

    monkeypatch.setattr(gen.engine, "run", run_after_a_change)
    with pytest.raises(nbtool.GenerationError, match=r"were asked for, and harbour-v2 is .* now"):
        gen("a", **SMALL)
    assert len(gen.store) == 0


def test_fault_53_a_run_does_not_look_at_what_lies_there_meanwhile(mine, generator, monkeypatch):
    gen = generator(mine)
    advance = Account.advance

    def advance_while_it_is_written(account, *step):
        advance(account, *step)
        (mine / "model_index.json").write_text("{")
        with pytest.raises(nbtool.ModelError, match="is damaged"):
            gen.plan("another", **SMALL)

    monkeypatch.setattr(Account, "advance", advance_while_it_is_written)
    assert gen("a", **SMALL).provenance.pipeline == "StableDiffusionPipeline"


def test_a_drive_that_fails_for_a_while_changes_no_model(mine, generator, monkeypatch):
    gen = generator(mine)
    before, look = gen("a", **SMALL), Path.stat

    def fail(path, **options):
        if path.is_relative_to(mine):
            raise OSError(errno.EIO, "Input/output error", str(path))
        return look(path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        assert gen("b", **SMALL).recipe.revision == before.recipe.revision  # it is in memory
        with pytest.raises(nbtool.ModelError, match=r"cannot read .*: Input/output error"):
            generator(mine)("c", **SMALL)
    assert gen("d", **SMALL).recipe.revision == before.recipe.revision


def test_weights_are_read_once_for_their_digest_and_again_when_they_may_have_changed(
    mine, generator, monkeypatch
):
    read, opened = [], Path.open

    def counting(path, *args, **kwargs):
        if path.suffix == ".safetensors" and args == ("rb",):
            read.append(path.name)
        return opened(path, *args, **kwargs)

    def digest():
        read.clear()
        return catalogue.find(str(mine)).revision, len(read)

    monkeypatch.setattr(Path, "open", counting)
    monkeypatch.setattr(identity, "RACY", -1)
    found, first = digest()
    assert (digest(), first) == ((found, 0), 3)
    monkeypatch.setattr(identity, "register", identity.Register(_register))  # of a later process
    assert digest() == (found, 0)
    for nonsense in (b"", b"{", b"[]", b'{"files":{"a":[1]},"places":{"b":2}}', b"\xff"):
        _register().write_bytes(nonsense)
        monkeypatch.setattr(identity, "register", identity.Register(_register))
        assert digest() == (found, 3)
    # Just changed, another change need not show in its times.
    monkeypatch.setattr(identity, "RACY", float("inf"))
    monkeypatch.setattr(identity, "register", identity.Register(_register))
    _register().unlink()
    assert [digest(), digest()] == [(found, 3)] * 2


def test_a_long_reading_is_said_and_can_be_stopped(mine, generator, monkeypatch, capsys):
    monkeypatch.setattr(identity, "LONG", 0)
    monkeypatch.setattr(identity, "PIECE", 1000)
    monkeypatch.setenv("NBTOOL_PROGRESS", "plain")
    generator(mine).plan("a", **SMALL)
    assert re.fullmatch(r"reading harbour-v2 \(.* kB\) to know it again\n", capsys.readouterr().out)

    def stop(_):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        catalogue.find(str(mine)).identify(stop)


def shared(image, grid, folder):
    """Everything that is made to be given away, as bytes by what it is."""
    yield "PNG", image.png
    for suffix in ("png", "jpg", "webp"):
        yield suffix, image.save(folder / f"a.{suffix}").read_bytes()
    for suffix in ("png", "jpg", "html", "pdf", "svg", "zip"):
        path = grid.save(folder / f"grid.{suffix}")
        if suffix == "zip":
            with zipfile.ZipFile(path) as archive:
                yield from ((f"zip {name}", archive.read(name)) for name in archive.namelist())
        yield suffix, path.read_bytes()
    for path in image.path.parent.iterdir():
        yield path.name, path.read_bytes() if path.is_file() else b""
    yield "records", repr(grid.records()).encode()
    for shown in (image, grid):
        yield "shown", repr(shown._repr_mimebundle_()).encode()


@pytest.fixture
def layout(hub, cache, mine):
    """The configuration that checkpoints are read with, on the hub."""
    hub.add(LAYOUT, mine)


@pytest.fixture
def names(layout, mine, home, monkeypatch):
    """Ways to name a model on the disk, and what it is called then."""
    save_checkpoint(trained(1), home / "one.safetensors")
    shutil.copytree(mine, home / "港 für v2")
    (home / "link").symlink_to(mine)
    nbtool.add_model("boats", str(mine))
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.chdir(mine)
    return {
        "folder": (f"{mine}/", "harbour-v2"),
        "file": (home / "one.safetensors", "one.safetensors"),
        "added": ("boats", "boats"),
        "link": (home / "link", "link"),
        "home": ("~/models/harbour-v2", "harbour-v2"),
        "here": (".", "harbour-v2"),
        "above": ("unet/..", "harbour-v2"),
        "words": (home / "港 für v2", "港 für v2"),
    }


@pytest.mark.parametrize(
    "how", ["folder", "file", "added", "link", "home", "here", "above", "words"]
)
def test_no_file_that_is_shared_tells_where_a_model_lies(names, generator, tmp_path, how):
    name, called = names[how]
    gen = generator(name, width=64, height=64, num_inference_steps=1)
    grid = gen.grid("a", seed=[1, 2])
    assert grid[0].recipe.model == called
    assert re.fullmatch("[0-9a-f]{12}", grid[0].recipe.revision)
    again = generator(
        name, width=64, height=64, num_inference_steps=1, revision=grid[0].recipe.revision
    )
    assert again("a", seed=1).path == grid[0].path
    for what, data in shared(grid[0], grid, tmp_path):
        assert PRIVATE.encode() not in data, what
    assert PRIVATE not in repr(gen)


def test_a_model_is_found_again_where_it_was_seen(mine, home, generator, tmp_path):
    image = generator(mine)("a", **SMALL)
    again = generator("harbour-v2")
    assert again.engine.model.source == mine
    assert again(image.recipe).path == image.path
    other = home / "other" / "harbour-v2"
    shutil.copytree(mine, other)
    change_the_scheduler(other)
    later = generator(other)("a", **SMALL)
    assert generator("harbour-v2").engine.model.source == other
    for made, place in ((image, mine), (later, other)):
        picked = generator("harbour-v2", revision=made.recipe.revision)
        assert picked.engine.model.source == place
        assert picked(made.recipe).path == made.path
        with pytest.raises(nbtool.RecipeError, match=re.escape(f"Generator({str(place)!r}) makes")):
            generator("shapes")(made.recipe)
        assert str(place) not in made.recipe.generator
        evaluated = eval(made.recipe.generator, {"nbtool": nbtool})
        assert evaluated.engine.defaults()["revision"] == made.recipe.revision
    shutil.rmtree(mine)
    missing = rf"'harbour-v2' with the digest {image.recipe.revision} is not known on this machine"
    with pytest.raises(nbtool.RecipeError, match=missing):
        generator("shapes")(image.recipe)
    with pytest.raises(nbtool.ModelError, match=f"not {image.recipe.revision}"):
        generator(other, revision=image.recipe.revision)("a", **SMALL)


def test_a_path_with_a_digest_is_what_lies_there_or_is_refused(mine, home, generator, monkeypatch):
    image = generator(mine)("a", **SMALL)
    for folder in ("other", "away/harbour-v2"):
        change_the_scheduler(shutil.copytree(mine, home / folder))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    for name in (home / "other", "other", "./other/", "~/other", "away/harbour-v2"):
        with pytest.raises(
            nbtool.ModelError, match=rf"has the digest .*, not {image.recipe.revision}"
        ):
            generator(name, revision=image.recipe.revision)("a", **SMALL)
    # What a recipe says is no path, also where there is a namesake; nor is what is gone.
    monkeypatch.chdir(home / "away")
    for name in ("harbour-v2", "/home/somebody/harbour-v2", "harbour-v1"):
        picked = generator(name, revision=image.recipe.revision).engine.model
        assert (picked.source, picked.name) == (mine, Path(name).name)


@pytest.mark.parametrize("part", ["text_encoder", "unet"])
@pytest.mark.parametrize("indexed", [True, False])
def test_the_digest_is_of_the_files_that_are_loaded(mine, generator, home, part, indexed):
    """Of shards beside one file: with an index by diffusers the shards, by transformers the file."""
    network = getattr(trained(1), part)
    [one] = (mine / part).glob("*.safetensors")
    network.save_pretrained(home / "shards", max_shard_size="10KB")
    shards = sorted((home / "shards").glob("*-of-*"))
    assert len(shards) > 1
    for path in shards + list((home / "shards").glob("*.index.json")) * indexed:
        shutil.copy(path, mine / part)
    before = generator(mine)("a", **SMALL)
    read = []
    for path in (one, mine / part / shards[0].name):
        whole = path.read_bytes()
        save_file({n: t + 0.5 for n, t in load_file(path).items()}, path, {"format": "pt"})
        after = generator(mine)("a", **SMALL)
        read.append(after.recipe.revision != before.recipe.revision)
        assert read[-1] == (pixels(after) != pixels(before))
        path.write_bytes(whole)
    assert sorted(read) == [False, True]


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE])
def test_a_model_that_cannot_be_looked_at_is_not_called_absent(mine, generator, code):
    image = generator(mine)("a", **SMALL)
    ways = [
        lambda: catalogue.find(str(mine)),
        lambda: catalogue.find("harbour-v2"),
        lambda: catalogue.find("harbour-v2", revision=image.recipe.revision),
        lambda: catalogue.find(str(mine), revision=image.recipe.revision),
        lambda: catalogue.where(image.recipe),
        lambda: catalogue.find(str(mine)).fetch(str),
    ]
    for way in ways:
        with Drive(mine) as drive:
            way()
        looks = [place for place, (kind, _) in enumerate(drive.calls) if kind == "stat"]
        for look in looks:
            with Drive(mine, fail=look, code=code), pytest.raises(nbtool.ModelError, match="read"):
                way()


def test_images_of_local_models_stored_before_are_made_again_and_never_served(
    layout, mine, home, generator, picture
):
    one = home / "one.safetensors"
    save_checkpoint(trained(1), one)
    nbtool.add_model("boats", str(one))
    former = identity.register.sha256(one)[:12]
    moved = f"/home/another/{mine.name}"
    windows = rf"C:\Users\another\{mine.name}"
    cases = [
        (mine, str(mine), None), (mine, moved, None), (mine, windows, None),
        (one, str(one), former), ("boats", "boats", former), ("boats", "boats", None),
    ]  # fmt: skip
    for name, model, revision in cases:
        gen = generator(name)
        stored = gen.plan("a", **SMALL).stored
        recipe = Recipe(**{**gen.engine.defaults(), "prompt": "a", **SMALL,
                           "model": model, "revision": revision})  # fmt: skip
        gen.store.prepare()
        gen.store.put(picture, recipe, Provenance())
        assert gen.plan("a", **SMALL).stored == stored
        assert recipe.key in {image.recipe.key for image in gen.store}
        image = gen(gen.store[recipe.key].recipe)
        assert image.recipe == recipe.replace(
            model=gen.engine.model.name, revision=gen.engine.model.revision
        )
        assert image.image.size != picture.size
        assert gen(recipe, seed=1).path == image.path
        assert [cell.path for cell in gen.grid([recipe])] == [image.path]
    with pytest.raises(nbtool.RecipeError, match="this recipe is for the model"):
        generator(one)(recipe.replace(model=str(one), revision="0" * 12))


def test_what_has_the_same_digest_is_the_same_whatever_it_is_called(mine, home, generator):
    image = generator(mine)("a", **SMALL)
    renamed = generator(mine.rename(home / "boats"))(image.recipe)
    assert renamed.recipe == image.recipe.replace(model="boats")
    assert pixels(renamed) == pixels(image)
    for other in ({"model": "sdxl"}, {"model": "sdxl", "revision": "0" * 12}):
        with pytest.raises(nbtool.RecipeError, match="this recipe is for the model 'sdxl'"):
            generator(home / "boats")(Recipe(prompt="a", **other))


def test_a_model_cannot_come_from_itself(mine):
    nbtool.add_model("a", str(mine))
    nbtool.add_model("b", "a")
    nbtool.add_model("c", "b")
    for name, source, way in [("d", "d", "d → d"), ("a", "c", "a → c → b → a")]:
        with pytest.raises(nbtool.ModelError, match=way):
            nbtool.add_model(name, source)
    assert catalogue.find("c").source == mine


def test_a_model_that_cannot_be_used_is_listed_with_the_reason(mine, home, monkeypatch):
    for name in ("index", "config", "list", "controlnet"):
        shutil.copytree(mine, home / name)
    (home / "index" / "model_index.json").write_text("{")
    (home / "config" / "vae" / "config.json").write_text('{"block_out_channels": 3}')
    (home / "list" / "unet" / "config.json").write_text("[]")
    tiny.controlnet().save_pretrained(home / "controlnet")
    reasons = {
        "gone": "there is no folder or file", "index": "is damaged", "config": "TypeError",
        "list": "is damaged", "controlnet": "needs image", "unknown": "no model",
    }  # fmt: skip
    for name in reasons:
        source = {"unknown": "nothing"}.get(name, home / name)
        nbtool.add_model(name, str(source))
    for facts in (
        *({"side": "large"}, {"steps": 4}, {"title": 3}),
        *({"dtypes": dtypes} for dtypes in ("float16", ("float99",), (), ([],))),
        *({"download_gb": gb} for gb in ("x", float("nan"), -5, True, 10**400)),
        *({"row_mib": row} for row in ((1,), ("a", "b"), (1, -1), 3)),
        *({"parameters": parts} for parts in ({"unet": "x"}, {1: 1}, ("unet",))),
        {"decode_mib": None},
    ):
        with pytest.raises(nbtool.ModelError, match="of a model"):
            nbtool.add_model("odd", str(mine), **facts)
    for name, source in (("auto", str(mine)), ("odd", None), ("odd", " "), ("odd", "auto")):
        with pytest.raises(nbtool.ModelError, match=r"name of a model|no name|no folder"):
            nbtool.add_model(name, source)
    nbtool.add_model("mine", str(mine))
    entries = {entry.name: entry for entry in nbtool.models()}
    assert entries["mine"].runs
    for name, reason in reasons.items():
        assert reason in entries[name].summary
        assert not entries[name].runs
        assert entries[name].summary in str(nbtool.models())
    assert nbtool.Generator("auto").reason
