"""A model: where its files are, and the parameters that fit it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from nbtool import schedulers
from nbtool.catalogue import checkpoints, identity, weights
from nbtool.catalogue.facts import DENOISERS, Facts
from nbtool.catalogue.families import SPARE, Family, family, takes, why_not
from nbtool.catalogue.hub import Report, Repository
from nbtool.catalogue.weights import CHECKER
from nbtool.errors import ModelError, RecipeError
from nbtool.recipes.parameters import AT_REST, SELECTIVE
from nbtool.recipes.recipe import Recipe


@dataclass(frozen=True)
class Model:
    """A model in diffusers' layout or in one file, on disk or yet to be downloaded.

    What was found out of it stays as it was, also when its files change: `is_current` tells, and a
    new Model of the same arguments finds out anew.

    Args:
        name: What recipes call it.
        source: A folder, a .safetensors file, or a repository on the hub.
        known: What the catalogue knows of it.
        safety_checker: Whether its own safety checker, if it has one, looks at the pictures.
        allow_pickle: Whether weights may be pickles, which can run code when they are read.
        given: Facts that go before those found out.
        wanted: The digest that what lies on the disk must have; None: whichever it has.
    """

    name: str
    source: Path | Repository
    known: Facts | None = None
    safety_checker: bool = True
    allow_pickle: bool = False
    given: tuple[tuple[str, Any], ...] = ()
    wanted: str | None = None

    @cached_property
    def checkpoint(self) -> Path | None:
        """The one file that holds all weights, if there is such a file."""
        path = self.source
        return path if isinstance(path, Path) and os.path.isfile(path) else None

    @cached_property
    def folder(self) -> Path:
        """The folder with its configuration; from the hub where that is not in the cache.

        Raises:
            ModelError: It cannot be had.
        """
        if self._published:
            return self._published.configuration()
        assert isinstance(self.source, Path)
        return self.source

    @cached_property
    def _published(self) -> Repository | None:
        """What its configuration comes from on the hub, if it does."""
        if self.checkpoint:
            return Repository(checkpoints.layout_of(self.checkpoint))
        return self.source if isinstance(self.source, Repository) else None

    @property
    def is_local(self) -> bool:
        """Whether it is a folder or a file of the user's own."""
        return isinstance(self.source, Path) and not self.known

    @property
    def is_current(self) -> bool:
        """Whether what was found out of it holds still; a look at the disk that reads no weights."""
        if "folder" in vars(self) and self._published:
            now = self._published.cached()
            if now not in (None, self.folder):
                return False
        if isinstance(self.source, Repository):
            return True
        stamps = _stamps(self.source)
        # What is not there now may be there still where it was loaded into.
        return not stamps or (stamps == self._stamps[0] and self._stamps[1])

    @cached_property
    def _stamps(self) -> tuple[Any, bool]:
        """What its files looked like at first, and whether that would tell every change."""
        stamps = _stamps(self.source) if isinstance(self.source, Path) else {}
        return stamps, all(map(identity.is_settled, stamps.values()))

    @cached_property
    def revision(self) -> str:
        """The hub's commit; of what lies on the disk the digest.

        Raises:
            ModelError: It cannot be had or read, or is not the one that was asked for.
        """
        return self.identify(_unheard)

    def identify(self, report: Report) -> str:
        """The revision; reads all weights where they are not known.

        Args:
            report: Told of a reading that takes long; what it raises stops it.

        Raises:
            ModelError: It cannot be had or read, or is not the one that was asked for.
        """
        if "revision" not in vars(self):
            found = self._identity(report)
            if self.wanted not in (None, found) and self.wanted != self._former:
                raise ModelError(
                    f"{self.name} has the digest {found} here, not {self.wanted}: it was changed, "
                    f"or is another of that name"
                )
            if self.is_local:
                identity.register.put(found, self.name, Path(str(self.source)))
            vars(self)["revision"] = found
        return self.revision

    def confirm(self, report: Report) -> None:
        """Makes sure that its files are those that its revision stands for.

        Args:
            report: As in `identify`.

        Raises:
            ModelError: They are not.
        """
        if (found := self._identity(report)) != self.revision:
            raise ModelError(
                f"{self.name} was changed while it was in use: it was {self.revision}, and is "
                f"{found} now; ask again for images of what it is now"
            )

    def _identity(self, report: Report) -> str:
        if isinstance(self.source, Repository):
            return self.folder.name
        self._require_source()
        if self.known:  # the embedded one; as it was before there was a register
            found = sorted(self.folder.rglob("*.safetensors"))
            content = (bytes.fromhex(identity.register.sha256(path)) for path in found)
            return hashlib.sha256(b"".join(content)).hexdigest()[: identity.DIGITS]
        # The safety checker decides whether there is a picture, not which.
        parts = {name: kind for name, kind in self.parts.items() if name != CHECKER}
        if not self.checkpoint:
            return identity.register.digest(self.name, self._decisive(parts), report)
        names = [f"{part}/config.json" for part in weights.have_weights(parts)]
        names += [weights.INDEX, "scheduler/scheduler_config.json"]
        files = {name: self.folder / name for name in names}
        return identity.register.digest(self.name, {"": self.checkpoint, **files}, report)

    def _require_source(self) -> None:
        if isinstance(self.source, Path) and not os.path.exists(self.source):
            raise ModelError(f"{self.name} is not at {self.source} any more; give its new place")

    def _decisive(self, parts: dict[str, str]) -> dict[str, Path]:
        """The files in its folder that decide what these components are, by name."""
        names = [weights.INDEX, *weights.names_in(self.folder)]
        needed = weights.needed(names, parts, pickles=self.allow_pickle, spare=self._spare)
        return {name: self.folder / name for name in needed}

    @cached_property
    def checker(self) -> str:
        """What tells its safety checker from those of its like; "" without one."""
        if CHECKER not in self.parts or not self.is_local or self.checkpoint:
            return CHECKER if CHECKER in self.parts else ""
        files = self._decisive({CHECKER: self.parts[CHECKER]})
        return identity.register.digest(self.name, files, _unheard)

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

    @property
    def _former(self) -> str | None:
        """The revision that earlier versions gave it."""
        if not self.checkpoint:
            return None
        return identity.register.sha256(self.checkpoint)[: identity.DIGITS]

    @cached_property
    def parts(self) -> dict[str, str]:
        """Its components and their classes, without those that are switched off or left out."""
        found = weights.components(weights.read_json(self.folder / weights.INDEX))
        return {name: kind for name, kind in found.items() if name not in self.left_out}

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The components of its class that it is loaded without."""
        index, spare = weights.read_json(self.folder / weights.INDEX), self._spare
        if all(
            index.get(name) not in (None, [None, None]) and self._has_spare(name) for name in spare
        ):
            spare = frozenset()
        return spare if self.safety_checker else spare | {CHECKER} & index.keys()

    @cached_property
    def _spare(self) -> frozenset[str]:
        """The components that its class does without."""
        index = weights.read_json(self.folder / weights.INDEX)
        return SPARE.get(str(index.get("_class_name")), frozenset())

    def _has_spare(self, component: str) -> bool:
        if self.checkpoint:
            return checkpoints.has_third_text_encoder(self.checkpoint)
        return isinstance(self.source, Repository) or (self.folder / component).is_dir()

    @property
    def is_here(self) -> bool:
        """Whether all its files are on this machine."""
        if isinstance(self.source, Repository) and not self.source.cached():
            return False
        if self.checkpoint:
            heavy = weights.have_weights(self.parts) if self.is_described else ()
            return bool(heavy) and all(
                (self.folder / part).is_dir() for part in self.parts if part not in heavy
            )
        return weights.is_complete(
            weights.names_in(self.folder), self.parts, pickles=self.allow_pickle
        )

    @property
    def is_described(self) -> bool:
        """Whether its defaults can be told without asking the hub."""
        return not self._published or self._published.cached() is not None

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
        own, steps = self._scheduler, recipe.num_inference_steps or 1
        if own and (reason := schedulers.unusable(name, own, steps)):
            raise RecipeError(f"{reason}; change that, or take another scheduler")

    def fetch(self, report: Report) -> None:
        """Gets what is missing of its files, and checks them.

        Args:
            report: Told how far a download is; what it raises stops it.

        Raises:
            ModelError: They cannot be had, or are not what they should be.
        """
        self._require_source()
        if self.checkpoint:
            if self.checkpoint.suffix in weights.PICKLES:
                weights.refuse_pickle(self.checkpoint, allowed=self.allow_pickle)
            else:
                weights.header(self.checkpoint)
        if self._published and not self.is_here:
            # What its branch is called now may be another commit.
            pinned = replace(self._published, revision=self.folder.name)
            alone = bool(self.checkpoint)
            pinned.fetch(self.parts, report, pickles=self.allow_pickle, texts=alone)
        for path in () if self.checkpoint else self._files():
            weights.check(path)

    @property
    def variants(self) -> dict[str, str]:
        """For each component with weights the variant of its files, as diffusers names it."""
        names = weights.names_in(self.folder)
        choices = {part: weights.choose(names, part) for part in weights.have_weights(self.parts)}
        return {part: choice.variant for part, choice in choices.items() if choice}

    def _files(self) -> list[Path]:
        """The files that it is loaded from.

        Raises:
            ModelError: Some are missing, or are pickles.
        """
        return list(self._decisive(self.parts).values())

    def _described(self) -> Facts:
        """Facts from the model's own configuration."""
        index = weights.read_json(self.folder / weights.INDEX)
        pipeline = str(index.get("_class_name"))
        if reason := why_not(pipeline):
            raise ModelError(
                f"nbtool makes images from text alone, and the pipeline of {self.name}, {pipeline}, "
                f"{reason}; nbtool.models() lists models that it can use"
            )
        config = weights.read_json(self.folder / self.denoiser / "config.json")
        vae = weights.read_json(self.folder / "vae" / "config.json")
        scheduler = self._scheduler
        blocks = vae.get("block_out_channels") or vae.get("decoder_block_out_channels") or [0] * 4
        factor = 2 ** (len(blocks) - 1)
        latents, channels = vae.get("latent_channels"), config.get("in_channels")
        if self.denoiser == "unet" and latents and channels and channels > latents:
            raise ModelError(
                f"nbtool makes images from text alone, and the unet of {self.name} takes {channels} "
                f"channels, {channels - latents} of them of a picture; nbtool.models() lists models "
                f"that it can use"
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

    def _counted(self) -> dict[str, int]:
        """The parameters of its components, counted in the files that are there."""
        if self.checkpoint:
            return checkpoints.counted(self.checkpoint)
        counts: dict[str, int] = {}
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


def _stamps(path: Path) -> dict[str, identity.Stamp]:
    """What a model's files look like now; nothing where they cannot be looked at."""
    try:
        names = [weights.INDEX, *weights.names_in(path)] if path.is_dir() else [""]
        return {name: identity.stamp(path / name) for name in names}
    except (OSError, ModelError):
        return {}


def _unheard(_: str) -> None:
    pass
