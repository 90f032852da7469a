"""Models from a hub, from folders and from single files, and what can be wrong with them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pickle
import re
import shutil
import threading
import time
import traceback
import warnings
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import tiny
import torch
from fake_hub import let_connections_end
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import are_progress_bars_disabled
from huggingface_hub.utils import logging as hub_logging
from machines import MACHINES
from original import save_checkpoint
from safetensors.torch import load_file, save_file

import nbtool
from nbtool import ModelError, files, silence
from nbtool.catalogue import weights
from nbtool.engines.local import placing
from nbtool.engines.local.cache import size
from nbtool.engines.local.loading import networks
from nbtool.fitting.roster import choose_model
from nbtool.job.work import Work

SMALL = {"width": 64, "height": 64, "num_inference_steps": 2, "seed": 1}
TOKEN = "hf_accepted"


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """Folders of tiny models, as their makers publish them."""
    folder = tmp_path_factory.mktemp("published")
    tiny.with_safety_checker(folder / "sd", unsafe=False)
    tiny.flux().save_pretrained(folder / "flux")
    tiny.stable_diffusion_xl().save_pretrained(folder / "sdxl", variant="fp16")
    tiny.stable_diffusion_xl().save_pretrained(folder / "sdxl")
    return folder


@pytest.fixture
def sd(published, tmp_path):
    """A folder of a tiny Stable Diffusion that a test may spoil."""
    return shutil.copytree(published / "sd", tmp_path / "sd")


@pytest.fixture
def generator(tmp_path):
    def make(name, **options):
        return nbtool.Generator(str(name), store=tmp_path / "images", device="cpu", **options)

    return make


def pixels(image):
    return np.asarray(image.image, int)


def refused(name, generator, match, **options):
    """The error of a model that cannot be used, which names it."""
    with pytest.raises(ModelError, match=match) as caught:
        generator(name, **options)("a", **SMALL)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))  # fault 41
    return str(caught.value)


def test_a_model_of_the_hub_is_got_once_and_makes_what_its_folder_makes(
    hub, cache, published, generator
):
    commit = hub.add("org/model", published / "sd")
    image = generator("org/model")("a", **SMALL)
    assert image.recipe.revision == commit
    assert image.recipe.model == "org/model"
    local = generator(published / "sd")("a", **SMALL)
    assert np.array_equal(pixels(local), pixels(image))
    nbtool.unload()
    hub.requests.clear()
    generator("org/model")("a", **SMALL | {"seed": 2})
    assert hub.requests == []


@pytest.mark.parametrize("kind", ["flux", "sdxl"])
def test_other_kinds_of_models_make_images_with_their_own_defaults(kind, published, generator):
    gen = generator(published / kind)
    grid = gen.grid("a", seed=range(2), **{k: v for k, v in SMALL.items() if k != "seed"})
    assert len(grid) == 2
    flow = kind == "flux"
    assert grid[0].recipe.scheduler == ("FlowMatchEulerDiscreteScheduler" if flow else "euler")
    assert grid[0].recipe.guidance_scale == (3.5 if flow else 5)


def test_what_a_pipeline_does_not_take_is_refused_before_loading(published, generator):
    gen = generator(published / "flux")
    for wrong, message in [
        ({"clip_skip": 1}, "has no clip_skip"),
        ({"negative_prompt": "b"}, "has no negative_prompt"),
        ({"width": 72}, "multiple of 16"),
        ({"scheduler": "euler"}, "flow-matching"),
    ]:
        with pytest.raises(nbtool.RecipeError, match=message):
            gen("a", **SMALL | wrong)
    assert gen.engine.describe()["State"].startswith("not loaded")


def test_only_the_files_that_are_needed_come_in_half_precision_where_there_is(
    hub, cache, published, tmp_path, generator
):
    folder = shutil.copytree(published / "sdxl", tmp_path / "sdxl")
    (folder / "sd_xl_base.safetensors").write_bytes(b"another program's")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    (folder / "README.md").write_text("words")
    hub.add("org/xl", folder)
    generator("org/xl")("a", **SMALL)
    got = {path.name for path in (cache / "models--org--xl").rglob("snapshots/*/**/*")}
    assert "diffusion_pytorch_model.fp16.safetensors" in got
    assert not got & {
        "sd_xl_base.safetensors", "diffusion_pytorch_model.safetensors",
        "diffusion_pytorch_model.bin", "README.md",
    }  # fmt: skip


def test_a_download_says_how_far_it_is(hub, cache, published, generator, monkeypatch):
    monkeypatch.setattr("nbtool.catalogue.hub.TOLD_EVERY", 0.001)
    hub.add("org/model", published / "sd")
    said = []
    job = generator("org/model").submit("a", **SMALL)
    while not job.done:
        said.append(job.progress.activity)
        job.join(0.001)
    assert job.error is None
    downloading = [text for text in said if text.startswith("downloading org/model: ")]
    assert downloading
    assert all(text.endswith("B/s") and " of " in text for text in downloading)


def test_a_dropped_connection_is_taken_up_again(hub, cache, published, generator, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.add("org/model", published / "sd")
    hub.spoil("unet/diffusion_pytorch_model.safetensors", "dropped")
    hub.spoil("vae/diffusion_pytorch_model.safetensors", "reset", times=1)
    assert generator("org/model")("a", **SMALL)
    assert hub.ranges


def test_two_requests_for_a_model_get_and_load_it_once(hub, cache, published, generator):
    hub.add("org/model", published / "sd")
    gens = [generator("org/model"), generator("org/model")]
    barrier = threading.Barrier(2)
    grids = []

    def make(gen, seed):
        barrier.wait()
        grids.append(gen.submit("a", **SMALL | {"seed": seed}).wait())

    threads = [threading.Thread(target=make, args=pair) for pair in zip(gens, (1, 2), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(grid) for grid in grids] == [1, 1]
    weights_got = [r for r in hub.requests if r.startswith("GET /cdn") and "unet" in r]
    assert len(weights_got) == 1
    assert gens[0].engine.placement.load(str) is gens[1].engine.placement.load(str)


def test_a_download_stops_when_the_job_is_cancelled(hub, cache, published, generator, monkeypatch):
    monkeypatch.setattr("nbtool.catalogue.hub.TOLD_EVERY", 0.001)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    hub.add("org/model", published / "sd")
    hub.spoil(".safetensors", "slow")
    handle_event = Work._handle

    def handle_and_cancel(work, event):
        handle_event(work, event)
        if getattr(event, "what", "").startswith("downloading"):
            nbtool.cancel()

    monkeypatch.setattr(Work, "_handle", handle_and_cancel)
    job = generator("org/model").submit("a", **SMALL)
    assert len(job.wait()) == 0
    assert job.cancelled
    let_connections_end()
    assert not list(cache.rglob("*.incomplete"))


@pytest.fixture
def here(hub, cache, published):
    """The cache of a client for whom there is a model on the hub."""
    hub.add("org/model", published / "sd")
    return cache


@pytest.fixture
def connection(here, monkeypatch):
    """Something to do in the place of a download, by the name of the file."""
    real, instead = huggingface_hub.hf_hub_download, {}

    def download(repository, name, **options):
        return instead.get(name, real)(repository, name, **options)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return instead


@pytest.fixture
def stalled(connection):
    """A connection on which nothing comes, until the test is over."""
    over, waits = threading.Event(), threading.Event()

    def wait(*_, **__):
        waits.set()
        over.wait()
        raise InterruptedError

    connection[UNET] = wait
    yield waits
    over.set()


def raising(error, after):
    def fail(*_, **__):
        assert after.wait(60)
        raise error

    return fail


UNET, VAE = (f"{part}/diffusion_pytorch_model.safetensors" for part in ("unet", "vae"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_the_first_error_is_heard_while_another_connection_waits(
    generator, connection, stalled, number
):
    connection[VAE] = raising(OSError(number, os.strerror(number)), after=stalled)
    refused("org/model", generator, "is full|is used up")


def test_a_cancelled_download_is_left_while_its_connection_waits(generator, stalled):
    job = generator("org/model").submit("a", **SMALL)
    assert stalled.wait(60)
    job.cancel()
    assert len(job.wait()) == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_heard_while_a_connection_waits(generator, connection, error, monkeypatch):
    over = threading.Event()
    connection["unet/config.json"] = lambda *_, **__: over.wait()

    def interrupt(*_, **__):
        raise error

    monkeypatch.setattr("nbtool.catalogue.hub._Tally.tell", interrupt)  # where the signal arrives
    with pytest.raises(error):
        _ = generator("org/model").engine.defaults()
    over.set()


def noise():
    """What of the process a download changes while it lasts."""
    bars = are_progress_bars_disabled()
    return list(warnings.filters), hub_logging.get_verbosity(), bars, huggingface_hub.utils.tqdm


@pytest.mark.parametrize("failing", [(), (UNET,)])
def test_downloads_that_overlap_leave_the_process_as_it_was(
    hub, published, generator, connection, failing
):
    """Both are under way at once, whichever ends first and however."""
    for name in ("org/one", "org/two"):
        hub.add(name, published / "sd")
    meeting, real = threading.Barrier(2), huggingface_hub.file_download.hf_hub_download

    def meet(repository, name, **options):
        meeting.wait(60)
        if repository == "org/two" and name in failing:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(repository, name, **options)

    connection.update(dict.fromkeys(failing or (UNET,), meet))
    while silence.quiet_hub._users or silence.quiet._users:  # jobs that a test before has left
        time.sleep(0.01)
    before = noise()
    jobs = [threading.Thread(target=get, args=(generator(f"org/{n}"),)) for n in ("one", "two")]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    let_connections_end()
    assert noise() == before


def get(gen):
    """Gets a model's files, or fails."""
    with contextlib.suppress(ModelError):
        gen.engine.model.fetch(lambda _: None)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (lambda whole: whole[: len(whole) // 2], "corrupt"),
        (lambda whole: whole[:-1], "corrupt"),
        (lambda whole: whole + b"x", "corrupt"),
        (lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:4\n", "git-LFS"),
        (lambda whole: b"<!DOCTYPE html><html>Please log in</html>", "web page"),
        (lambda whole: b"", "corrupt"),
    ],
    ids=["half", "a byte less", "a byte more", "pointer", "page", "empty"],
)
def test_fault_15_16_weights_that_are_none_are_named_with_their_path(sd, generator, content, what):
    path = sd / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(content(path.read_bytes()))
    assert str(path) in refused(sd, generator, what)


def reshape(path):
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    save_file(tensors | {name: torch.zeros(1, 1)}, path)


def lose(path):
    tensors = load_file(path)
    tensors.pop(next(name for name, tensor in tensors.items() if tensor.ndim > 1))
    save_file(tensors, path)


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        (UNET, lose, "lack some of the weights; get it again"),
        ("text_encoder/model.safetensors", lose, "text_encoder lack some of the weights"),
        ("vae/diffusion_pytorch_model.safetensors", lose, "lack some of the weights; get it again"),
        (UNET, reshape, "unet/config.json says; get both from one place"),
        ("text_encoder/model.safetensors", reshape, "text_encoder/config.json says; get both"),
        (UNET, Path.unlink, "no weights for its unet; get it again"),
        (UNET, lambda path: path.rename(f"{path}.part"), f"only {UNET}.part, which nbtool does not"),
        (UNET, lambda path: path.rename(path.with_stem(f"{path.stem}-00002-of-00002")),
         f"no {UNET.replace('.', '-00001-of-00002.')}; get it again"),
        ("tokenizer/tokenizer.json", lambda path: path.write_text("version https://git-lfs"),
         "tokenizer.json is damaged"),
        ("tokenizer/tokenizer.json", Path.unlink, "no vocabulary for its tokenizer; get it again"),
        ("tokenizer", shutil.rmtree, "no files for its tokenizer; get it again"),
    ],
)  # fmt: skip
def test_a_folder_that_is_half_there_says_what_it_lacks_and_what_to_do(
    sd, generator, name, spoil, said
):
    spoil(sd / name)
    assert said in refused(sd, generator, r"\w")


def test_a_component_that_a_model_does_without_can_be_deleted(tmp_path, generator):
    tiny.stable_diffusion_3().save_pretrained(tmp_path / "sd3")
    (tmp_path / "sd3" / "text_encoder_3" / "model.safetensors").unlink()
    refused(tmp_path / "sd3", generator, "delete the folder text_encoder_3 to do without")
    shutil.rmtree(tmp_path / "sd3" / "text_encoder_3")
    assert generator(tmp_path / "sd3")("a", **SMALL)


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_fault_17_a_pickle_under_another_name_is_not_opened(sd, generator, tmp_path):
    path = sd / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    refused(sd, generator, "a pickle under a wrong name")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("start", [b"\x80\x02", b"\x80\x04", b" <"])
def test_weights_whose_header_has_the_length_of_a_pickles_first_bytes_are_read(tmp_path, start):
    length = int.from_bytes(start, "little")
    content = json.dumps({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + content.ljust(length) + bytes(12))
    assert load_file(path)["w"].tolist() == [0, 0, 0]
    assert weights.parameters(path) == 3


def test_fault_18_pickles_need_a_word_of_the_user(hub, cache, sd, generator, tmp_path):
    for path in sd.rglob("*.safetensors"):
        torch.save(load_file(path), path.with_suffix(".bin").with_stem(_bin_stem(path)))
        path.unlink()
    hub.add("org/old", sd)
    assert "allow_pickle=True" in refused("org/old", generator, r"\.bin is a pickle")
    assert "allow_pickle=True" in refused(sd, generator, r"\.bin is a pickle")
    assert not list(cache.rglob("*.bin"))
    assert generator("org/old", allow_pickle=True)("a", **SMALL)
    checkpoint = tmp_path / "model.ckpt"
    checkpoint.write_bytes(b"\x80\x02")
    refused(checkpoint, generator, "is a pickle")


def _bin_stem(path):
    return "pytorch_model" if path.stem == "model" else path.stem


@pytest.mark.parametrize(
    "change", [{"unet": ["pipeline", "MyUNet"]}, {"_class_name": ["my_pipeline", "Mine"]}]
)
def test_fault_19_code_from_a_repository_is_not_run(sd, generator, change, hub, cache):
    index = json.loads((sd / "model_index.json").read_text())
    (sd / "model_index.json").write_text(json.dumps(index | change))
    (sd / "unet" / "pipeline.py").write_text("raise SystemExit")
    (sd / "my_pipeline.py").write_text("raise SystemExit")
    refused(sd, generator, "brings code of its own")
    hub.add("org/custom", sd)
    refused("org/custom", generator, "brings code of its own")


def test_fault_20_what_the_hub_refuses_is_told_apart(hub, cache, published, generator, monkeypatch):
    for name in ("gated", "private", "open"):
        hub.add(f"org/{name}", published / "sd")
    hub.gate("org/gated")
    hub.make_private("org/private")
    said = [
        refused("org/gated", generator, "licence must be accepted"),
        refused("org/private", generator, "none of that name; if it is a private one"),
        refused("org/open", generator, "no revision 'v9'", revision="v9"),
    ]
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said += [
        refused("org/gated", generator, "no access to it yet"),
        refused("org/gone", generator, "or it is private and not yours"),
    ]
    hub.require_token("hf_another")
    said.append(refused("org/open", generator, "token is not valid"))
    hub.require_token(TOKEN)
    for how, match in [("500", "fault of its own"), ("html", "does not answer as the hub does")]:
        hub.spoil("/revision/main", how, times=1)
        said.append(refused("org/open", generator, match))
    assert len(set(said)) == len(said)
    assert generator("org/gated")("a", **SMALL)  # with a token that is good


def test_fault_20_a_renamed_repository_is_used_and_that_is_said(hub, cache, published, generator):
    hub.add("org/old", published / "sd")
    hub.rename("org/old", "org/new")
    with pytest.warns(UserWarning, match="org/old is called org/new now"):
        assert generator("org/old")("a", **SMALL)


def test_fault_21_what_is_cached_needs_no_network(hub, cache, published, generator, monkeypatch):
    hub.add("org/model", published / "sd")
    generator("org/model")("a", **SMALL)
    nbtool.unload()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody is there
    hub.requests.clear()
    assert generator("org/model")("a", **SMALL | {"seed": 2})
    assert hub.requests == []


def test_fault_22_what_is_not_cached_is_an_error_at_once(generator, cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    refused("org/model", generator, "org/model .* not in the cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    refused("org/model", generator, "does not answer")


def test_fault_23_a_recipe_names_the_commit_it_was_made_with(hub, cache, sd, generator):
    old = hub.add("org/model", sd)
    image = generator("org/model")("a", **SMALL)
    tensors = load_file(sd / "unet" / "diffusion_pytorch_model.safetensors")
    changed = {name: 1.5 * tensor for name, tensor in tensors.items()}
    save_file(changed, sd / "unet" / "diffusion_pytorch_model.safetensors")
    new = hub.add("org/model", sd)
    nbtool.unload()
    later = generator("org/model", revision=new)
    with pytest.raises(nbtool.RecipeError, match=rf"revision='{old}'\) makes it as it was"):
        later(image.recipe)
    assert later("a", **SMALL).recipe.revision == new
    assert not np.array_equal(pixels(later("a", **SMALL)), pixels(image))
    assert generator("org/model", revision=old)(image.recipe).path == image.path


def test_fault_24_a_disk_without_room_is_told_before_the_download(
    hub, cache, published, generator, monkeypatch
):
    hub.add("org/model", published / "sd")
    monkeypatch.setattr(files, "free", lambda _: 10_000)
    message = refused("org/model", generator, "needs .* more on the disk")
    assert "10 kB are free" in message
    assert not list(cache.rglob("*.safetensors"))


def test_fault_24_a_disk_that_fills_up_leaves_no_partial_file(
    hub, cache, published, generator, monkeypatch
):
    hub.add("org/model", published / "sd")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    generator("org/model").engine.defaults()  # the small files
    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    refused("org/model", generator, "is full")
    let_connections_end()
    assert not list(cache.rglob("*.incomplete"))
    assert not list(cache.rglob("*.safetensors"))


SYSTEM = {
    errno.ENOSPC: "is full", errno.EDQUOT: "quota", errno.EFBIG: "as large", errno.EIO: "a fault",
    errno.EROFS: "only be read", errno.EACCES: "no right", errno.EPERM: "no right",
    errno.ENAMETOOLONG: "too long", errno.EMFILE: "too many files", errno.ESTALE: "(?i)stale",
    errno.ENOLCK: "lock", errno.ENOTSUP: "lock", errno.EOPNOTSUPP: "lock", errno.ENOSYS: "lock",
}  # fmt: skip


def bare(error):
    return error


def nameless(error):
    """As of a lock, or of what is written to a file that is open."""
    return OSError(error.errno, error.strerror)


def wrapped(error):
    """As the client does where it believes that the network is the cause."""
    outer = LocalEntryNotFoundError("cannot find the file on the disk; check your connection")
    outer.__cause__ = error
    return outer


def hidden(error):
    outer = ValueError("something else")
    outer.__context__ = error
    return outer


def rust(error):
    """As Xet's own client says it, without a number."""
    return RuntimeError(
        f"Data processing error: IO Error: {error.strerror} (os error {error.errno})"
    )


@pytest.mark.parametrize(
    ("wrap", "number"),
    [
        *((bare, number) for number in SYSTEM),
        *((wrap, errno.EDQUOT) for wrap in (wrapped, hidden, rust)),
        (wrapped, errno.EACCES),
        *((nameless, number) for number in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ESTALE)),
    ],
)
def test_fault_58_a_cache_that_cannot_be_used_is_named_with_its_cause(
    here, generator, connection, number, wrap
):
    def fail(*_, **__):
        raise wrap(OSError(number, os.strerror(number), str(here / "blobs" / "x")))

    connection[UNET] = fail
    message = refused("org/model", generator, SYSTEM[number])
    assert str(here) in message
    assert "HF_HUB_CACHE" in message
    assert "connection" not in message


PLACES = {
    "a file in its place": lambda cache: (cache.parent.mkdir(), cache.touch()),
    "a file above it": lambda cache: cache.parent.touch(),
    "a file in the place of the model": lambda cache: (
        cache.mkdir(parents=True), (cache / "models--org--model").touch()
    ),
    "a file in the place of its pieces": lambda cache: (
        (cache / "models--org--model").mkdir(parents=True),
        (cache / "models--org--model" / "blobs").touch(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_fault_58_what_lies_in_the_place_of_the_cache_is_told(here, generator, place):
    PLACES[place](here)
    message = refused("org/model", generator, "a file lies where a folder should be")
    assert str(here) in message


def test_fault_58_a_cache_that_cannot_be_read_is_told(here, generator, monkeypatch):
    generator("org/model").engine.model.fetch(lambda _: None)
    exists = Path.exists

    def denied(path, **options):
        if here in path.parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", denied)
    assert str(here) in refused("org/model", generator, "no right")


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED)),
        PermissionError(errno.EPERM, os.strerror(errno.EPERM)),  # a firewall's
        TimeoutError("timed out"),
    ],
)
def test_what_the_network_says_is_not_taken_for_the_disk(here, generator, connection, error):
    go_on = threading.Event()
    go_on.set()
    connection[UNET] = raising(wrapped(error), after=go_on)
    assert str(here) not in refused("org/model", generator, "check the connection")


def test_the_safety_checker_can_be_left_out_by_name(hub, cache, published, generator, tmp_path):
    tiny.with_safety_checker(tmp_path / "strict", unsafe=True)
    hub.add("org/strict", tmp_path / "strict")
    free = generator("org/strict", safety_checker=False)
    assert free("a", **SMALL)
    assert not list(cache.rglob("safety_checker/*.safetensors"))
    strict = generator("org/strict").submit("a", **SMALL | {"seed": 9}).wait()
    assert "filtered" in str(strict.failed[()])


def test_a_checkpoint_in_one_file_makes_what_its_parts_make(hub, cache, generator, tmp_path):
    pipeline = tiny.stable_diffusion()
    save_checkpoint(pipeline, tmp_path / "model.safetensors")
    pipeline.save_pretrained(tmp_path / "parts")
    hub.add("stable-diffusion-v1-5/stable-diffusion-v1-5", tmp_path / "parts")
    one = generator(tmp_path / "model.safetensors")
    image = one("a", **SMALL)
    assert not list(cache.rglob("*.safetensors"))  # of the hub's, only configuration
    parts = generator(tmp_path / "parts")("a", **SMALL)
    assert np.abs(pixels(parts) - pixels(image)).max() <= 1
    assert len(image.recipe.revision) == 12
    nbtool.unload()
    hub.requests.clear()
    assert one("a", **SMALL | {"seed": 2})
    assert hub.requests == []


def test_what_is_no_checkpoint_of_a_model_is_refused(generator, tmp_path, cache):
    save_file({"lora_unet.weight": torch.zeros(2)}, tmp_path / "lora.safetensors")
    refused(tmp_path / "lora.safetensors", generator, "no checkpoint of a whole model")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    refused(tmp_path / "cut.safetensors", generator, "corrupt")


@pytest.mark.parametrize("value", [None, "x", [], ["transformers", None], [None, "CLIPTextModel"]])
@pytest.mark.parametrize("part", ["unet", "safety_checker", "text_encoder_3"])
def test_nonsense_in_place_of_a_component_is_refused_in_a_sentence(sd, generator, part, value):
    index = json.loads((sd / "model_index.json").read_text()) | {part: value}
    (sd / "model_index.json").write_text(json.dumps(index))
    says = rf"says {re.escape(json.dumps(value))} for {part}, .*; write \[null, null\]"
    refused(sd, generator, says)


def test_models_of_your_own_are_added_by_name(published, generator, monkeypatch):
    monkeypatch.setattr("nbtool.catalogue._added", {})
    nbtool.add_model("mine", str(published / "sd"), title="Mine", num_inference_steps=3)
    image = generator("mine")("a", width=64, height=64)
    assert (image.recipe.model, image.recipe.num_inference_steps) == ("mine", 3)
    mine = nbtool.models()[-1]
    assert (mine.name, mine.facts.title, mine.is_here, mine.runs) == ("mine", "Mine", True, True)
    for name, facts, match in [
        ("sdxl", {}, "take another"),
        ("a/b", {}, "take another"),
        ("x", {"steps": 3}, "unknown fact"),
    ]:
        with pytest.raises(ModelError, match=match):
            nbtool.add_model(name, "org/model", **facts)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["model.safetensors", "model.fp16.safetensors"], ["model.fp16.safetensors"]),
        (["model.bf16.safetensors", "model.safetensors"], ["model.bf16.safetensors"]),
        (["model.non_ema.safetensors", "model.safetensors"], ["model.safetensors"]),
        (
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
        ),
        (
            ["model.fp16-00001-of-00002.safetensors", "model.safetensors"],
            ["model.safetensors"],
        ),
        (["model-00001-of-00001.fp16.safetensors"], ["model-00001-of-00001.fp16.safetensors"]),
        (["model-00001-of-00001.safetensors", "model.safetensors"], ["model.safetensors"]),
        (
            [
                "diffusion_pytorch_model-00001-of-00001.fp16.safetensors",
                "diffusion_pytorch_model.fp16.safetensors",
                "diffusion_pytorch_model.safetensors.index.fp16.json",
            ],
            ["diffusion_pytorch_model-00001-of-00001.fp16.safetensors"],
        ),
        (
            ["model-00001-of-00001.safetensors", "model-00002-of-00003.safetensors"],
            ["model-00001-of-00001.safetensors", "model-00002-of-00003.safetensors"],
        ),
    ],
)
def test_the_files_of_a_component_are_whole_and_small(names, chosen):
    found = weights.choose([f"unet/{name}" for name in names], "unet")
    assert list(found.files) == [f"unet/{name}" for name in chosen]


def test_auto_prefers_what_is_downloaded(hub, cache, published, generator):
    machine = MACHINES["RTX 4090"]
    assert choose_model(machine)[0] != "sd-v1-5"
    hub.add("stable-diffusion-v1-5/stable-diffusion-v1-5", published / "sd")
    assert generator("sd-v1-5")("a", **SMALL).recipe.model == "sd-v1-5"
    name, reason = choose_model(machine)
    assert (name, "is downloaded" in reason) == ("sd-v1-5", True)
    chosen = generator("auto")  # on this machine
    assert "Chosen     auto: " in chosen._repr_mimebundle_()["text/plain"]


def test_nothing_is_asked_of_the_hub_before_an_image_is(hub, cache, published, generator):
    hub.add("org/model", published / "sd")
    gen = generator("org/model")
    assert "not downloaded yet" in gen._repr_mimebundle_()["text/plain"]
    assert "org/model" in repr(gen)
    assert "num_inference_steps=50" in generator("sdxl")._repr_mimebundle_()["text/plain"]
    nbtool.models()
    assert generator("sdxl").memory_plan().model == "Stable Diffusion XL 1.0"
    assert hub.requests == []


def test_models_share_what_their_files_have_in_common(hub, cache, sd, generator):
    hub.add("org/base", sd)
    path = sd / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: 0.9 * tensor for name, tensor in load_file(path).items()}, path)
    config = json.loads((sd / "vae" / "config.json").read_text())
    (sd / "vae" / "config.json").write_text(json.dumps(config | {"_name_or_path": "elsewhere"}))
    hub.add("org/tuned", sd)
    gens = [generator(f"org/{name}") for name in ("base", "tuned")]
    images = [gen("a", **SMALL) for gen in gens]
    base, tuned = (gen.engine.placement.load(str).pipeline for gen in gens)
    assert base.vae is tuned.vae
    assert base.text_encoder is tuned.text_encoder
    assert base.unet is not tuned.unet
    weights = sum(size(part) for part in {*networks(base).values(), tuned.unet})
    assert placing.cache.bytes("cpu") == weights
    nbtool.unload()
    again = nbtool.Generator("org/tuned", store=gens[1].store.path.parent / "x", device="cpu")
    assert np.array_equal(pixels(again("a", **SMALL)), pixels(images[1]))
