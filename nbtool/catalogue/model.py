"""A model: where its files are, and the parameters that fit it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from nbtool import schedulers
from nbtool.catalogue import weights
from nbtool.catalogue.facts import DENOISERS, Facts
from nbtool.catalogue.families import Family, family, takes
from nbtool.catalogue.hub import Report, Repository
from nbtool.catalogue.known import EMBEDDED
from nbtool.errors import ModelError, RecipeError
from nbtool.recipes.parameters import AT_REST, SELECTIVE
from nbtool.recipes.recipe import Recipe

CHECKER = "safety_checker"
PIECE = 2**24  # bytes of a file that are read at once
_CHECKPOINT_PARTS = {  # of the original layout, by the beginning of a tensor's name
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "cond_stage_model.": "text_encoder",
    "conditioner.": "text_encoder",
    "text_encoders.": "text_encoder",
}


@dataclass(frozen=True)
class Model:
    """A model in diffusers' layout or in one file, on disk or yet to be downloaded.

    Args:
        name: What recipes call it.
        source: A folder, a .safetensors file, or a repository on the hub.
        known: What the catalogue knows of it.
        safety_checker: Whether its own safety checker, if it has one, looks at the pictures.
        allow_pickle: Whether weights may be pickles, which can run code when they are read.
        given: Facts that go before those found out.
    """

    name: str
    source: Path | Repository
    known: Facts | None = None
    safety_checker: bool = True
    allow_pickle: bool = False
    given: tuple[tuple[str, Any], ...] = ()

    @property
    def checkpoint(self) -> Path | None:
        """The one file that holds all weights, if there is such a file."""
        return self.source if isinstance(self.source, Path) and self.source.is_file() else None

    @cached_property
    def folder(self) -> Path:
        """The folder with its configuration; from the hub where that is not in the cache.

        Raises:
            ModelError: It cannot be had.
        """
        if isinstance(self.source, Repository):
            return self.source.configuration()
        if self.checkpoint:
            return Repository(_layout_of(self.checkpoint)).configuration()
        return self.source

    @cached_property
    def revision(self) -> str | None:
        """The hub's commit; of one file and of the embedded model a digest of the weights."""
        if isinstance(self.source, Repository):
            return self.folder.name
        if self.checkpoint:
            return _digest(self.checkpoint, self.checkpoint.stat().st_mtime_ns)
        if self.name == EMBEDDED:
            found = sorted(self.folder.rglob("*.safetensors"))
            content = b"".join(hashlib.sha256(path.read_bytes()).digest() for path in found)
            return hashlib.sha256(content).hexdigest()[:12]
        return None

    @cached_property
    def parts(self) -> dict[str, str]:
        """Its components and their classes, without those that are switched off."""
        found = weights.components(weights.read_json(self.folder / weights.INDEX))
        return {name: kind for name, kind in found.items() if self._wants(name)}

    @property
    def is_here(self) -> bool:
        """Whether all its files are on this machine."""
        if isinstance(self.source, Repository) and not self.source.cached():
            return False
        if self.checkpoint:
            layout = Repository(_layout_of(self.checkpoint))
            heavy = weights.have_weights(self.parts) if layout.cached() else ()
            return bool(heavy) and all(
                (self.folder / part).is_dir() for part in self.parts if part not in heavy
            )
        return weights.is_complete(
            weights.names_in(self.folder), self.parts, pickles=self.allow_pickle
        )

    @property
    def is_described(self) -> bool:
        """Whether its defaults can be told without asking the hub."""
        if self.checkpoint:
            return Repository(_layout_of(self.checkpoint)).cached() is not None
        return not isinstance(self.source, Repository) or self.source.cached() is not None

    @cached_property
    def facts(self) -> Facts:
        """What is known of it: from the catalogue, or else from its own configuration.

        Raises:
            ModelError: It is no model that can be used, or cannot be had.
        """
        facts = self.known or self._described()
        if self.is_described or not self.known:
            facts = replace(facts, parameters=self._counted() or facts.parameters)
        return replace(facts, **dict(self.given))

    @property
    def settings(self) -> dict[str, Any]:
        """The recipe parameters that fit it; none where that cannot be told without the hub.

        Raises:
            ModelError: It is no model that can be used.
        """
        return self._fitting() if self.known or self.is_described else {}

    def _fitting(self) -> dict[str, Any]:
        facts = self.facts
        return {
            "num_inference_steps": facts.num_inference_steps,
            "guidance_scale": facts.guidance_scale,
            "width": facts.side,
            "height": facts.side,
            "scheduler": facts.scheduler,
        }

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The recipe parameters that fit it, and what names it; from the hub where they must be.

        Raises:
            ModelError: It is no model that can be used, or cannot be had.
        """
        return self._fitting() | {"model": self.name, "revision": self.revision}

    @cached_property
    def denoiser(self) -> str:
        """The component that denoises.

        Raises:
            ModelError: It has none.
        """
        found = next((name for name in DENOISERS if name in self.parts), None)
        if found is None:
            raise ModelError(f"{self.name} makes no images from text: it has no {DENOISERS[0]}")
        return found

    def check(self, recipe: Recipe) -> None:
        """Refuses what its pipeline does not have.

        Raises:
            RecipeError: With the parameter, its value and what would do.
        """
        multiple = self.family.multiple
        for name in ("width", "height"):
            if (pixels := getattr(recipe, name)) % multiple:
                below = pixels - pixels % multiple
                raise RecipeError(
                    f"{name} must be a multiple of {multiple} for {self.name}, got {pixels}; "
                    f"try {below or multiple} or {below + multiple}"
                )
        for name in SELECTIVE:
            if getattr(recipe, name) != AT_REST[name] and not takes(self.facts.pipeline, name):
                raise RecipeError(
                    f"{self.name} has no {name} (its pipeline, {self.facts.pipeline}, does not "
                    f"take it); leave it out"
                )
        if recipe.clip_skip and recipe.clip_skip > self._text_layers:
            raise RecipeError(
                f"clip_skip must be at most {self._text_layers}, the layers of "
                f"{self.name}'s text encoder; got {recipe.clip_skip}"
            )
        name, facts = str(recipe.scheduler), self.facts
        unfit = schedulers.unfit(name, facts.scheduler, facts.prediction_type)
        if name in schedulers.OWN_SIGMAS and self.family.sigmas and name != facts.scheduler:
            unfit = f"decides its noise levels itself, which the scheduler {name} does not take"
        if unfit:
            raise RecipeError(f"{self.name} {unfit}; leave it out")

    def fetch(self, report: Report) -> None:
        """Gets what is missing of its files, and checks those that hold weights.

        Args:
            report: Told how far a download is; what it raises stops it.

        Raises:
            ModelError: They cannot be had, or are not what they should be.
        """
        if self.checkpoint:
            if self.checkpoint.suffix in weights.PICKLES:
                weights.refuse_pickle(self.checkpoint, allowed=self.allow_pickle)
            else:
                weights.header(self.checkpoint)
            if not self.is_here:
                Repository(_layout_of(self.checkpoint)).fetch(self.parts, report, texts=True)
            return
        if isinstance(self.source, Repository) and not self.is_here:
            self.source.fetch(self.parts, report, pickles=self.allow_pickle)
        for path in self._files():
            if path.suffix == ".safetensors":
                weights.header(path)

    @property
    def variant(self) -> str | None:
        """The variant of the files to load, as diffusers names it."""
        names = weights.names_in(self.folder)
        choices = [weights.choose(names, part) for part in weights.have_weights(self.parts)]
        return next((choice.variant for choice in choices if choice and choice.variant), None)

    def _wants(self, component: str) -> bool:
        return self.safety_checker or component != CHECKER

    def _files(self) -> list[Path]:
        """The files that hold its weights.

        Raises:
            ModelError: Some are missing, or are pickles.
        """
        names = weights.needed(weights.names_in(self.folder), self.parts, pickles=self.allow_pickle)
        return [self.folder / name for name in names if not name.endswith(".json")]

    def _described(self) -> Facts:
        """Facts from the model's own configuration."""
        index = weights.read_json(self.folder / weights.INDEX)
        config = weights.read_json(self.folder / self.denoiser / "config.json")
        vae = weights.read_json(self.folder / "vae" / "config.json")
        scheduler = weights.read_json(self.folder / "scheduler" / "scheduler_config.json")
        blocks = vae.get("block_out_channels") or vae.get("decoder_block_out_channels") or [0] * 4
        factor = 2 ** (len(blocks) - 1)
        kind = family(str(index["_class_name"]))
        sample = config.get("sample_size") or 1024 // factor
        return Facts(
            pipeline=str(index["_class_name"]),
            side=(sample[0] if isinstance(sample, list) else sample) * factor,
            num_inference_steps=kind.num_inference_steps,
            guidance_scale=kind.guidance_scale,
            scheduler=schedulers.name_of(scheduler),
            prediction_type=scheduler.get("prediction_type", "epsilon"),
            wide_vae=bool(vae.get("force_upcast")),
        )

    def _counted(self) -> dict[str, int]:
        """The parameters of its components, counted in the files that are there."""
        counts: dict[str, int] = {}
        if self.checkpoint:
            for name, tensor in weights.header(self.checkpoint).items():
                part = next((p for s, p in _CHECKPOINT_PARTS.items() if name.startswith(s)), None)
                if part:
                    counts[part] = counts.get(part, 0) + weights.count(tensor)
            return counts
        names = weights.names_in(self.folder)
        for part in weights.have_weights(self.parts):
            choice = weights.choose(names, part)
            if not choice or not choice.complete:
                return {}
            counts[part] = sum(weights.parameters(self.folder / name) for name in choice.files)
        return counts

    @cached_property
    def family(self) -> Family:
        """What its pipeline takes."""
        return family(self.facts.pipeline)

    @cached_property
    def _text_layers(self) -> int:
        """How many layers the text encoder has."""
        config = weights.read_json(self.folder / "text_encoder" / "config.json")
        layers: int = config.get("num_hidden_layers", 0)
        return layers


@cache
def _layout_of(checkpoint: Path) -> str:
    """The repository with the configuration that a checkpoint in one file is to be read with.

    Raises:
        ModelError: It is none that diffusers knows.
    """
    import torch
    from diffusers.loaders import single_file_utils

    if checkpoint.suffix == ".safetensors":
        shapes = {
            name: torch.empty(tensor["shape"], device="meta")
            for name, tensor in weights.header(checkpoint).items()
        }
    else:
        shapes = single_file_utils.load_single_file_checkpoint(str(checkpoint))
    # Anything that it does not know, it takes for Stable Diffusion 1.
    if not any(name.startswith(tuple(_CHECKPOINT_PARTS)) for name in shapes):
        raise ModelError(
            f"{checkpoint} is no checkpoint of a whole model; if it is a LoRA, a VAE or a text "
            f"encoder alone, it cannot be used by itself"
        )
    config = single_file_utils.fetch_diffusers_config(shapes)
    return str(config["pretrained_model_name_or_path"])


@lru_cache(maxsize=16)
def _digest(checkpoint: Path, _: int) -> str:
    """The beginning of a file's SHA-256; for a file that has not changed, computed once."""
    digest = hashlib.sha256()
    with checkpoint.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()[:12]
