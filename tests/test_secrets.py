"""What is in the environment stays there."""

from __future__ import annotations

import traceback
import zipfile

import pytest

import nbtool
from nbtool import NbtoolError, Provenance, Recipe, Store
from nbtool.recipes.axes import sweep
from nbtool.testing import FakeEngine

CANARY = "hf_CANARYcanaryCANARYcanary0123456789"


@pytest.fixture(autouse=True)
def secrets(monkeypatch):
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "HUGGINGFACE_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.setenv(name, CANARY)


def test_fault_41_no_stored_file_or_repr_holds_a_secret(store, complete, picture):
    image = store.put(picture, complete, Provenance(engine="test", versions={"torch": "2"}))
    saved = [image.save(store.path / f"copy{suffix}") for suffix in (".png", ".jpg", ".webp")]
    generator = nbtool.Generator(store=store)
    for path in [*store.path.rglob("*"), *saved]:
        assert CANARY.encode() not in path.read_bytes(), path
    for text in (
        repr(image),
        repr(image.provenance),
        complete.to_json(),
        repr(store),
        repr(generator),
        str(generator.plan("a", seed=range(3))),
        *generator._repr_mimebundle_().values(),
    ):
        assert CANARY not in text


SAID = "https://me:pass@hub.example/x?sig=abcdef0123 hf_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh"


def raises(_):
    raise ValueError(SAID)


@pytest.mark.parametrize(
    "engine",
    [
        FakeEngine(error=ValueError(SAID)),
        FakeEngine(fails=raises),
        FakeEngine(fails=lambda _: SAID),
    ],
)
def test_fault_41_no_secret_of_an_engines_error_is_told_or_shared(engine, tmp_path):
    job = nbtool.Generator(engine=engine, store=tmp_path / "images").submit("a", seed=[1, 2])
    job.join()
    path = job.grid.save(tmp_path / "grid.zip")
    texts = [str(job.error), str(job.grid.failed), zipfile.ZipFile(path).read("manifest.json")]
    assert "hub.example" in texts[0] + texts[1]
    for secret in ("pass@", "abcdef0123", "ABCDEFGHIJ"):
        assert not any(secret in str(text) for text in texts)


MISTAKES = {
    "an unknown parameter": lambda _: Recipe(sed=1),
    "a value out of range": lambda _: Recipe(width=513),
    "JSON that is no recipe": lambda _: Recipe.from_json("{"),
    "an axis without values": lambda _: sweep("a", (), {"seed": []}, {}),
    "a model that does not exist": lambda _: nbtool.Generator("no such model").plan("a"),
    "a missing file": lambda path: Recipe.from_file(path / "gone.png"),
    "a missing folder": lambda path: Store(path / "gone" / "images").prepare(),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_fault_41_no_error_shows_a_secret(mistake, tmp_path):
    with pytest.raises(NbtoolError) as caught:
        mistake(tmp_path)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in repr(vars(caught.value))
