"""Where models come from, and what is known of them before they are loaded."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nbtool import schedulers
from nbtool.errors import ModelError

EMBEDDED = "shapes"
# Names that people use for repositories on the Hugging Face hub.
CATALOGUE = {
    EMBEDDED: "",
    "sd-v1-5": "stable-diffusion-v1-5/stable-diffusion-v1-5",
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
# What a folder's own files do not say.
_DEFAULTS = {"num_inference_steps": 30, "guidance_scale": 7.5}
_EMBEDDED_DEFAULTS = {"num_inference_steps": 20, "guidance_scale": 3.0}


@dataclass(frozen=True)
class Model:
    """A model in diffusers' folder layout, on disk or yet to be downloaded."""

    name: str
    source: str | Path  # a folder, or an id on the hub

    @cached_property
    def folder(self) -> Path:
        """The model's folder; a model on the hub is downloaded unless it is in the cache.

        Raises:
            ModelError: It cannot be had.
        """
        if isinstance(self.source, Path):
            return self.source
        return _from_hub(self.source)

    @cached_property
    def revision(self) -> str | None:
        """The hub's commit, or a digest of the embedded model's weights."""
        if isinstance(self.source, str):
            return self.folder.name
        if self.name == EMBEDDED:
            weights = sorted(self.folder.rglob("*.safetensors"))
            content = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in weights)
            return hashlib.sha256(content).hexdigest()[:12]
        return None

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The recipe parameters that fit this model."""
        unet = self._config("unet/config.json")
        vae = self._config("vae/config.json")
        side = unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1)
        scheduler = schedulers.name_of(self._config("scheduler/scheduler_config.json"))
        parameters = _EMBEDDED_DEFAULTS if self.name == EMBEDDED else _DEFAULTS
        known = {"model": self.name, "revision": self.revision, "scheduler": scheduler}
        return {**parameters, "width": side, "height": side, **known}

    @cached_property
    def text_layers(self) -> int:
        """How many layers the text encoder has."""
        layers: int = self._config("text_encoder/config.json")["num_hidden_layers"]
        return layers

    def _config(self, file: str) -> dict[str, Any]:
        path = self.folder / file
        try:
            config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelError(
                f"{self.name} is no Stable Diffusion model in diffusers' layout: "
                f"{path}: {error.strerror}"
            ) from None
        except ValueError as error:
            raise ModelError(f"{path} is damaged ({error}); get the model again") from None
        return config


def find(name: str) -> Model:
    """The model of a catalogue name, a folder, or an id on the hub such as "org/name".

    Nothing is read or downloaded yet.

    Raises:
        ModelError: The name is none of these.
    """
    if name == EMBEDDED:
        return Model(name, Path(__file__).parent / "shapes")
    if name in CATALOGUE:
        return Model(name, CATALOGUE[name])
    folder = Path(name).expanduser().resolve()
    if (folder / "model_index.json").is_file():
        return Model(str(folder), folder)
    if folder.exists():
        raise ModelError(
            f"{name} is no model folder: it has no model_index.json; "
            f"give the folder that diffusers' save_pretrained wrote"
        )
    if _HUB_ID.fullmatch(name):
        return Model(name, name)
    raise ModelError(
        f"there is no model {name!r}; name one of {', '.join(CATALOGUE)}, a folder in diffusers' "
        f"layout, or an id on the Hugging Face hub such as 'org/name'"
    )


def _from_hub(repository: str) -> Path:
    from diffusers import DiffusionPipeline

    try:
        return Path(DiffusionPipeline.download(repository, use_safetensors=True))
    except Exception as error:  # the hub's client raises a dozen kinds
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"cannot get {repository} from the Hugging Face hub: {reason}") from None
