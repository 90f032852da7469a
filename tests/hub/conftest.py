"""A fake Hub for each test, and a huggingface_hub that knows no other."""

from __future__ import annotations

import huggingface_hub
import pytest
from fake_hub import FakeHub, let_connections_end
from huggingface_hub import constants, hf_api

import nbtool


@pytest.fixture
def hub():
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def cache(hub, tmp_path, monkeypatch):
    """An empty cache folder, with the client and its environment on the fake Hub."""
    home = tmp_path / "huggingface"
    environment = {"HF_HOME": home, "HF_HUB_CACHE": home / "hub", "HF_ENDPOINT": hub.url}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    # The client has read its environment when it was imported: what it made of it, by name.
    read_at_import = {
        "HF_HOME": home, "HF_HUB_CACHE": home / "hub", "HF_TOKEN_PATH": home / "token",
        "HF_STORED_TOKENS_PATH": home / "stored_tokens", "HF_XET_CACHE": home / "xet",
        "AGENT_HARNESSES_PATH": home / ".agent_harnesses.json", "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
    }  # fmt: skip
    for name, value in read_at_import.items():
        monkeypatch.setattr(constants, name, str(value))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # else it asks for a list
    monkeypatch.setattr(hf_api.api, "endpoint", hub.url)  # that of `huggingface_hub.model_info`
    yield home / "hub"
    let_connections_end()  # which know the hub by what is patched here
    huggingface_hub.close_session()  # its open connections would outlive the hub


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    yield
    nbtool.unload()
