"""What the worker does for one run: recipes into pipeline calls, what comes of them into events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from importlib import metadata as packages
from typing import TYPE_CHECKING, Any

from nbtool import schedulers
from nbtool._version import __version__
from nbtool.engines.base import Event, Failed, Finished, Loading, Started, Stepped
from nbtool.engines.local import memory, pictures, pipelines, tokens
from nbtool.engines.local.cache import Loaded
from nbtool.engines.local.forwards import Forwards, Stopped
from nbtool.engines.local.placing import Placement, cache
from nbtool.engines.local.questions import Making, Outcome
from nbtool.errors import GenerationError, described, said
from nbtool.machine.probe import PACKAGES
from nbtool.recipes.parameters import AT_REST, SELECTIVE
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe

if TYPE_CHECKING:
    from PIL.Image import Image


PREVIEW_EVERY = 4  # steps


class PipelineTask:
    """What the worker does for one run of an engine: a `Task` with a diffusers pipeline.

    Args:
        placement: Of the model.
        emit: Told every event.
        cancelled: Tells whether an image is not wanted any more.
        exact: Whether images are to be the same however they are asked for first.
    """

    def __init__(
        self,
        placement: Placement,
        emit: Callable[[Event], None],
        cancelled: Callable[[Recipe], bool],
        *,
        exact: bool,
    ) -> None:
        self.cancelled = cancelled
        self._placement = placement
        self._emit = emit
        self._exact = exact
        self._family = placement.model.family
        self._loaded: Loaded | None = None
        self._pipeline: Any = None
        self._network: Any = None
        self._schedulers: dict[str, Any] = {}

    def prepare(self, forwards: Forwards, wanted: Callable[[], bool]) -> None:
        def say(text: str) -> None:
            self._say(text)
            if not wanted():
                raise Stopped

        self.close()
        self._forwards = forwards
        self._loaded = loaded = self._placement.load(say)
        cache.use(loaded)
        self._pipeline = forwards.adopt(loaded.pipeline, loaded.plan.batch_width)
        parts = self._pipeline.components
        self._network = parts[self._placement.model.denoiser]
        self._reads: tuple[Any, int] | None = next(
            reversed(tokens.readers(parts, self._family.tokens)), None
        )
        self._postprocessed = not pictures.postpone_postprocessing(self._pipeline)
        self._schedulers.clear()

    @property
    def outdated(self) -> bool:
        return self._loaded is None or self._loaded.gone

    def close(self) -> None:
        loaded = self._loaded
        # All that would keep it in memory.
        self._loaded = self._pipeline = self._network = self._reads = None
        if loaded:
            cache.leave(loaded)

    def take_less_memory(self, forwards: Forwards, recipe: Recipe) -> bool:
        failed = self._of().plan
        self.close()
        sparer = self._placement.take_less_memory(failed, recipe, self._say)
        self.prepare(forwards, lambda: True)
        return sparer

    def _of(self) -> Loaded:
        """The model, which is there while images of this run are in the making."""
        assert self._loaded is not None
        return self._loaded

    def _say(self, text: str) -> None:
        self._emit(Loading(text))

    def size(self, recipe: Recipe) -> tuple[Hashable, ...]:
        return self._network, recipe.width, recipe.height

    def kind(self, recipe: Recipe) -> Hashable:
        # In exact mode not even the arithmetic between forwards is shared.
        alone = self._exact or not self._family.several
        if alone or recipe.scheduler in schedulers.NOISE_PER_CALL:
            return object()
        return recipe.replace(seed=None).key

    def begin(self, recipes: Sequence[Recipe]) -> Callable[[], Any]:
        for recipe in recipes:
            if recipe.revision not in (None, self._of().revision):
                raise GenerationError(
                    f"images of the revision {recipe.revision} were asked for, and "
                    f"{self._placement.model.name} is {self._of().revision} now: ask again"
                )
            self._emit(Started(recipe))
        return partial(self._call, recipes)

    def _call(self, recipes: Sequence[Recipe]) -> Any:
        """Called inside the images' greenlet."""
        import torch

        recipe = recipes[0]  # the others differ in their seed alone
        generators = [torch.Generator("cpu").manual_seed(r.seed or 0) for r in recipes]
        each: dict[str, Any] = {"generator": generators[0]}
        if len(recipes) > 1:  # not every pipeline can
            each = {"generator": generators, "num_images_per_prompt": len(recipes)}
        pipeline = pipelines.with_scheduler(self._pipeline, self._scheduler(recipe.scheduler or ""))
        if recipe.scheduler in schedulers.NOISE_PER_CALL:  # else it draws a seed of its own
            pipeline.scheduler.noise_sampler_seed = recipe.seed
        return pipeline(
            prompt=recipe.prompt,
            num_inference_steps=recipe.num_inference_steps,
            width=recipe.width,
            height=recipe.height,
            output_type="pt",
            callback_on_step_end=partial(self._stepped, recipes),
            callback_on_step_end_tensor_inputs=[],  # handing them over takes a pipeline its time
            **each,
            **self._guidance(recipe),
        )

    def _guidance(self, recipe: Recipe) -> dict[str, Any]:
        """What not every pipeline takes, where it is not at rest."""
        given = {name: getattr(recipe, name) for name in SELECTIVE}
        chosen = {name: value for name, value in given.items() if value != AT_REST[name]}
        chosen[self._family.guidance] = recipe.guidance_scale
        if self._family.guidance == "true_cfg_scale":
            chosen.setdefault("negative_prompt", " ")  # without one it is not guided
        return chosen

    def _scheduler(self, name: str) -> Any:
        if name not in self._schedulers:
            config = self._pipeline.scheduler.config
            self._schedulers[name] = pipelines.scheduler(name, config)
        return self._schedulers[name]

    def _stepped(
        self,
        recipes: Sequence[Recipe],
        pipeline: Any,
        step: int,
        _: Any,
        tensors: dict[str, Any],
    ) -> dict[str, Any]:
        done, steps = step + 1, len(pipeline.scheduler.timesteps)
        is_previewed = done % PREVIEW_EVERY == 2 and done + 2 <= steps
        for place, recipe in enumerate(recipes):
            if self.cancelled(recipe):
                continue
            preview = None
            if is_previewed:
                expected = pipeline.scheduler.expected
                preview = self._of().previews.of(expected[place : place + 1])
            self._emit(Stepped(recipe, done, steps, preview))
        return tensors

    def finish(
        self, recipe: Recipe, place: int, making: Making, outcome: Outcome
    ) -> Callable[[], None]:
        if outcome.error is not None:
            # Only the text is kept: an error with its traceback would pin tensors.
            return partial(self._emit, Failed(recipe, _reason(outcome.error)))
        unsafe = getattr(outcome.value, "nsfw_content_detected", None)
        if unsafe and unsafe[place]:
            reason = "filtered: the model's safety checker found the picture unsafe and blanked it"
            return partial(self._emit, Failed(recipe, reason))
        provenance = Provenance(
            engine="local",
            pipeline=self._placement.model.facts.pipeline,
            device=self._of().plan.device,
            dtype=self._of().plan.dtype,
            placement=self._of().placement,
            batch_width=making.width,
            widths=self._forwards.made_at(making),
            exact=making.exact,
            seconds=round(making.seconds / making.images, 3),
            created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="microseconds"),
            versions=_versions(),
            notes=self._truncations(recipe),
        )
        fetched = pictures.fetch_picture(
            outcome.value.images[place], postprocessed=self._postprocessed
        )
        return partial(self._write, recipe, provenance, fetched)

    def _truncations(self, recipe: Recipe) -> tuple[str, ...]:
        if self._reads is None:
            return ()
        named = {"prompt": recipe.prompt, "negative_prompt": recipe.negative_prompt}
        notes = (tokens.truncation(*self._reads, name, text) for name, text in named.items())
        return tuple(filter(None, notes))

    def _write(
        self, recipe: Recipe, provenance: Provenance, fetched: Callable[[], tuple[Image, bool]]
    ) -> None:
        picture, finite = fetched()
        if fault := pictures.fault(picture, provenance.dtype, finite=finite):
            self._emit(Failed(recipe, fault))
        else:
            self._emit(Finished(recipe, picture, provenance))


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {"nbtool": __version__} | {name: packages.version(name) for name in PACKAGES}


def _reason(error: BaseException) -> str:
    if isinstance(error, GenerationError):
        return said(error)
    if memory.is_out_of_memory(error):
        return (
            "there is not enough memory for this image, even alone; make it smaller, "
            "or free memory: nbtool.unload() lets go of other models"
        )
    return described(error).splitlines()[0]
