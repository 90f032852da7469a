"""A model: where it comes from, and the parameters that fit it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from nbtool import schedulers
from nbtool.catalogue import asking, identity, loras, weights
from nbtool.catalogue.facts import DENOISERS, Facts
from nbtool.catalogue.families import Family, family, takes, why_not
from nbtool.catalogue.origin import Origin
from nbtool.catalogue.verbs import IMAGE, INPAINT, Way, Ways
from nbtool.errors import ModelError, PartError, RecipeError
from nbtool.imaging import fitting
from nbtool.recipes.loras import Lora
from nbtool.recipes.parameters import AT_REST, SELECTIVE
from nbtool.recipes.picture import each
from nbtool.recipes.recipe import Recipe


@dataclass(frozen=True)
class Model(Origin):
    """A model on disk or yet to be downloaded.

    Args:
        given: Facts that go before those found out.
    """

    given: tuple[tuple[str, Any], ...] = ()

    def renewed(self, recipe: Recipe) -> Recipe:
        """A recipe of this model with the name and revision that it has today; others as they are.

        What has the same revision is the same, whatever it was called. Earlier versions called what
        lies on the disk by its whole path, and gave a folder no digest.
        """
        named = recipe.model or ""
        if PurePosixPath(named).is_absolute() or PureWindowsPath(named).is_absolute():
            named = identity.last_part(named)
        former = self.is_local and named == self.name
        if recipe.revision != self.revision and not (
            former and recipe.revision in (None, self._former)
        ):
            return recipe
        return recipe.replace(model=self.name, revision=self.revision).with_past(recipe.past)

    @cached_property
    def facts(self) -> Facts:
        """What is known of it: from the catalogue, or else from its own configuration.

        Raises:
            ModelError: It is no model that can be used, or cannot be had.
        """
        facts = self.known or self._described()
        if self.is_described or not self.known:
            facts = replace(facts, parameters=self.counted() or facts.parameters)
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

    def fits(self, recipe: Recipe) -> dict[str, Any]:
        """What suits a recipe with a picture: strength, width and height, where it can tell.

        Raises:
            ModelError: It is no model that can be used, or cannot be had.
        """
        way = self.ways.get(asking.verb(self.ways, recipe))
        if way is None:
            return {}
        found: dict[str, Any] = {} if way.strength is None else {"strength": way.strength}
        if recipe.mask_padding is None:
            side = self.facts.side
            if way.pixels:
                side = min(side, math.isqrt(int(way.pixels / fitting.MOST)))
            own = each(recipe.image)[0].size
            found["width"], found["height"] = fitting.size_for(
                own, (side, side), self.family.multiple
            )
        return found

    def strengths_told(self, recipes: Sequence[Recipe]) -> list[str]:
        """What is to be known of recipes that differ in their strength alone.

        Raises:
            RecipeError: The first of them cannot be made.
        """
        return asking.strengths_told(self.way(recipes[0]), recipes)

    def check(self, recipe: Recipe) -> None:
        """Refuses what its pipeline does not have.

        Raises:
            RecipeError: With the parameter, its value and what would do.
        """
        way = self.way(recipe)
        multiple = self.family.multiple
        for name in ("width", "height"):
            if (pixels := getattr(recipe, name)) % multiple:
                below = pixels - pixels % multiple
                raise RecipeError(
                    f"{name} must be a multiple of {multiple} for {self.name}, got {pixels}; "
                    f"try {below or multiple} or {below + multiple}"
                )
        for name in SELECTIVE:
            taken = takes(self.facts.pipeline, name) and name not in way.lacks
            if getattr(recipe, name) != AT_REST[name] and not taken:
                raise RecipeError(
                    f"{self.name} has no {name} (its pipeline, {way.pipeline}, does not "
                    f"take it); leave it out"
                )
        if recipe.clip_skip and recipe.clip_skip > self._text_layers:
            raise RecipeError(
                f"clip_skip must be at most {self._text_layers}, the layers of "
                f"{self.name}'s text encoder; got {recipe.clip_skip}"
            )
        for lora in recipe.loras or ():
            self._check_lora(lora)
        name, facts = str(recipe.scheduler), self.facts
        unfit = schedulers.unfit(name, facts.scheduler, facts.prediction_type)
        if name in schedulers.OWN_SIGMAS and self.family.sigmas and name != facts.scheduler:
            unfit = f"decides its noise levels itself, which the scheduler {name} does not take"
        if unfit:
            raise RecipeError(f"{self.name} {unfit}; leave it out")
        own, steps = self._scheduler, recipe.num_inference_steps or 1
        if own and (reason := schedulers.unusable(name, own, steps)):
            raise RecipeError(f"{reason}; change that, or take another scheduler")

    def _check_lora(self, lora: Lora) -> None:
        """Refuses a LoRA that cannot act on it, as far as its file's header tells.

        Raises:
            RecipeError: It takes none at all.
            PartError: It is not here, or is for another model.
        """
        if not self.family.loras:
            raise RecipeError(
                f"{self.name} takes no LoRAs (its pipeline, {self.facts.pipeline}, does not load "
                f"them); leave loras out"
            )
        said = loras.facts(lora)
        if not self.is_described:
            return
        reads = said.network == "unet" and self._reads
        if said.network in DENOISERS and said.network != self.denoiser:
            why = f"it changes a {said.network}, and this model has a {self.denoiser}"
        elif said.reads and reads and said.reads != reads:
            why = f"it reads prompts {said.reads} numbers wide, and this model has {reads}"
        else:
            return
        base = f" (it says: {said.base})" if said.base else ""
        raise PartError(
            f"the LoRA {lora.name} is for another kind of model than {self.name}: {why}{base}; take "
            f"one that was trained for this model"
        )

    @cached_property
    def _reads(self) -> int | None:
        """How wide what its unet reads of a prompt is."""
        config = weights.read_json(self.folder / self.denoiser / "config.json")
        width = config.get("cross_attention_dim")
        return width if isinstance(width, int) else None

    @cached_property
    def ways(self) -> Ways:
        """What it can do with pictures and without, by verb; as far as it is known before loading.

        Raises:
            ModelError: It is no model that can be used.
        """
        ways = dict(self.family.ways)
        if not self.is_described:
            return ways
        if self._picture_channels:
            return {verb: way for verb, way in ways.items() if verb == INPAINT}
        index = weights.read_json(self.folder / weights.INDEX)
        if index.get("requires_aesthetics_score"):  # a refiner, which has but one text encoder
            return {IMAGE: ways[IMAGE]}
        return ways

    def check_second_pass(self) -> None:
        """Refuses a second pass where it does no image to image.

        Raises:
            RecipeError: With what it does.
        """
        asking.check_second_pass(self.name, self.ways)

    def check_latents(self, recipe: Recipe) -> None:
        """Refuses to begin with latents where its pipeline takes pictures alone.

        Raises:
            RecipeError: With what would do.
        """
        way = self.way(recipe)
        if not way.latents:
            raise RecipeError(
                f"{self.name} cannot be given enlarged latents (its pipeline, {way.pipeline}, takes "
                f'pictures); leave out upscale="latent": pixels are enlarged then'
            )

    def way(self, recipe: Recipe) -> Way:
        """How it makes what a recipe asks for.

        Raises:
            RecipeError: It cannot; with the reason, and what would do.
        """
        return asking.way(self.name, self.ways, recipe)

    @cached_property
    def _picture_channels(self) -> int:
        """How many channels of a picture its unet takes beside the latents."""
        if self.denoiser != "unet":
            return 0
        config = weights.read_json(self.folder / self.denoiser / "config.json")
        vae = weights.read_json(self.folder / "vae" / "config.json")
        latents, channels = vae.get("latent_channels"), config.get("in_channels")
        return channels - latents if latents and channels else 0

    def _described(self) -> Facts:
        """Facts from the model's own configuration."""
        index = weights.read_json(self.folder / weights.INDEX)
        pipeline = str(index.get("_class_name"))
        if reason := why_not(pipeline):
            raise _unfit(
                f"nbtool does not know what to do with the pipeline of {self.name}, {pipeline}, "
                f"which {reason}"
            )
        config = weights.read_json(self.folder / self.denoiser / "config.json")
        vae = weights.read_json(self.folder / "vae" / "config.json")
        scheduler = self._scheduler
        blocks = vae.get("block_out_channels") or vae.get("decoder_block_out_channels") or [0] * 4
        factor = 2 ** (len(blocks) - 1)
        extra = self._picture_channels
        wanted = 1 + int(vae.get("latent_channels") or 0)  # the mask, and the masked picture
        if extra and (extra != wanted or INPAINT not in family(pipeline).ways):
            raise _unfit(
                f"the unet of {self.name} takes {extra} channels of a picture beside its latents, "
                f"and nbtool knows only those for inpainting, which take {wanted}"
            )
        kind = family(pipeline)
        sample = config.get("sample_size") or 1024 // factor
        return Facts(
            pipeline=pipeline,
            side=(sample[0] if isinstance(sample, list) else sample) * factor,
            num_inference_steps=kind.num_inference_steps,
            guidance_scale=kind.guidance_scale,
            scheduler=schedulers.name_of(scheduler),
            prediction_type=scheduler.get("prediction_type", "epsilon"),
            wide_vae=bool(vae.get("force_upcast")),
        )

    @cached_property
    def family(self) -> Family:
        """What its pipeline takes."""
        return family(self.facts.pipeline)

    @cached_property
    def _scheduler(self) -> dict[str, Any]:
        """The configuration of its own scheduler; none where that is still on the hub."""
        if not self.is_described:
            return {}
        return weights.read_json(self.folder / "scheduler" / "scheduler_config.json")

    @cached_property
    def _text_layers(self) -> int:
        """How many layers the text encoder has."""
        if "text_encoder" not in self.parts:
            return 0
        config = weights.read_json(self.folder / "text_encoder" / "config.json")
        layers: int = config.get("num_hidden_layers", 0)
        return layers


def _unfit(why: str) -> ModelError:
    """The error of a model that cannot be used."""
    return ModelError(
        f"{why}; nbtool.models() lists models that it can use",
        in_shell=f"{why}; nbtool models lists those that it can use",
    )
