"""The fake Hub, as the real client sees it."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from huggingface_hub import HfApi, constants, errors, hf_hub_download, snapshot_download

WEIGHTS = bytes(range(256)) * 1200
TOKEN = "hf_accepted"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "unet").mkdir(parents=True)
    (folder / "model_index.json").write_text("{}")
    (folder / "unet" / "model.safetensors").write_bytes(WEIGHTS)
    return folder


@pytest.fixture
def commit(hub, folder, cache):
    return hub.add("org/model", folder)


@pytest.fixture
def impatient(monkeypatch):
    """A client that does not wait between its tries, and keeps what it has of a small file."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)


def download(hub, path="unet/model.safetensors", name="org/model", **more):
    return Path(hf_hub_download(name, path, endpoint=hub.url, **more)).read_bytes()


def test_info_names_commit_sizes_and_digests(hub, commit):
    info = HfApi(endpoint=hub.url).model_info("org/model", files_metadata=True)
    index, weights = info.siblings
    assert (info.id, info.sha, info.gated) == ("org/model", commit, False)
    assert (index.rfilename, index.size, index.lfs) == ("model_index.json", 2, None)
    assert (weights.size, weights.lfs.size) == (len(WEIGHTS), len(WEIGHTS))
    assert index.blob_id == "9e26dfeeb6e641a33dae4961196235bdb965b21b"  # as `git hash-object` says


def test_snapshot_equals_the_published_folder(hub, commit, folder):
    snapshot = Path(snapshot_download("org/model", endpoint=hub.url))
    assert snapshot.name == commit
    for path in ("model_index.json", "unet/model.safetensors"):
        assert (snapshot / path).read_bytes() == (folder / path).read_bytes()
    assert hub.requests.count("GET /org/model/resolve/" + commit + "/model_index.json") == 1


def test_older_commits_stay_when_the_branch_moves(hub, commit, folder):
    (folder / "model_index.json").write_text("[]")
    newer = hub.add("org/model", folder)
    api = HfApi(endpoint=hub.url)
    assert api.model_info("org/model", revision="main").sha == newer != commit
    assert api.model_info("org/model", revision=commit[:12]).sha == commit
    assert download(hub, "model_index.json", revision=commit) == b"{}"


def test_dropped_download_is_resumed(hub, commit, impatient):
    hub.spoil("model.safetensors", "dropped", 1)
    assert download(hub) == WEIGHTS
    assert hub.ranges == ["bytes=150000-"]


def test_truncated_download_gives_up(hub, commit, impatient):
    hub.spoil("model_index.json", "truncated")
    with pytest.raises(httpx2.RemoteProtocolError):
        download(hub, "model_index.json")
    assert hub.requests.count("GET /org/model/resolve/main/model_index.json") == 6


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ("reset", httpx2.ReadError),
        ("html", OSError),
        ("500", errors.HfHubHTTPError),
        ("429", errors.HfHubHTTPError),
    ],
)
def test_spoiled_file_raises_and_leaves_nothing(hub, commit, impatient, how, error):
    hub.spoil("model.safetensors", how)
    with pytest.raises(error):
        download(hub)
    assert not list(Path(constants.HF_HUB_CACHE).rglob("*incomplete*"))


def test_slow_file_arrives(hub, commit):
    hub.piece, hub.pause = 100_000, 0.001
    hub.spoil("model.safetensors", "slow")
    assert download(hub) == WEIGHTS


def test_gated_files_open_only_with_the_accepted_token(hub, commit):
    hub.gate("org/model")
    for token, status in ((False, 401), ("hf_stranger", 403)):
        with pytest.raises(errors.GatedRepoError) as refused:
            download(hub, token=token)
        assert refused.value.response.status_code == status
    hub.require_token(TOKEN)
    assert download(hub, token=TOKEN) == WEIGHTS
    with pytest.raises(errors.HfHubHTTPError, match="Invalid credentials"):
        HfApi(endpoint=hub.url, token="hf_expired").model_info("org/model")


@pytest.mark.parametrize("name", ["org/model", "org/missing"])
def test_private_repository_looks_missing(hub, commit, name):
    hub.make_private("org/model")
    for token, status in ((False, 401), ("hf_stranger", 404)):
        with pytest.raises(errors.RepositoryNotFoundError) as missing:
            HfApi(endpoint=hub.url, token=token).model_info(name)
        assert missing.value.response.status_code == status
        assert not isinstance(missing.value, errors.GatedRepoError)


def test_missing_revision_and_missing_file(hub, commit):
    with pytest.raises(errors.RevisionNotFoundError):
        HfApi(endpoint=hub.url).model_info("org/model", revision="nope")
    with pytest.raises(errors.RevisionNotFoundError):
        download(hub, revision="nope")
    with pytest.raises(errors.RemoteEntryNotFoundError):
        download(hub, "nope.json")


def test_renamed_repository_is_found_under_both_names(hub, commit):
    hub.rename("org/model", "new/model")
    assert HfApi(endpoint=hub.url).model_info("org/model", revision="main").id == "new/model"
    assert download(hub) == download(hub, name="new/model") == WEIGHTS
