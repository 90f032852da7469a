"""What the worker does for one run: recipes into pipeline calls, what comes of them into events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from importlib import metadata as packages
from typing import TYPE_CHECKING, Any, NamedTuple

from nbtool import schedulers
from nbtool._version import __version__
from nbtool.catalogue import asking
from nbtool.catalogue.verbs import EDIT, Way
from nbtool.engines.base import Event, Failed, Finished, Loading, Started, Stepped
from nbtool.engines.local import memory, pictures, pipelines, tokens
from nbtool.engines.local.adapters import Weights
from nbtool.engines.local.arguments import arguments
from nbtool.engines.local.cache import Loaded
from nbtool.engines.local.enlarging import enlarged
from nbtool.engines.local.forwards import Forwards, Stopped
from nbtool.engines.local.inputs import Inputs, inputs
from nbtool.engines.local.placing import Placement, cache
from nbtool.engines.local.questions import Making, Outcome
from nbtool.engines.local.tuning import AS_IT_IS
from nbtool.errors import GenerationError, NbtoolError, described, said
from nbtool.machine.probe import PACKAGES
from nbtool.recipes.picture import each
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.recipes.refinement import LATENT

if TYPE_CHECKING:
    from PIL.Image import Image


PREVIEW_EVERY = 4  # steps


class _Made(NamedTuple):
    """What a pipeline made.

    Attributes:
        images: As tensors.
        unsafe: For each whether the model's safety checker blanked it; None where there is none.
        inputs: What they were made from.
        notes: What is to be known of the LoRAs that they were made with.
    """

    images: Any
    unsafe: Sequence[bool] | None
    inputs: Inputs
    notes: Sequence[str]


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
        self._pipelines: dict[str, Any] = {}  # by class, as the forwards took them
        self._network: Any = None
        self._schedulers: dict[tuple[str, str], Any] = {}  # by the pipeline's class and the name

    def prepare(self, forwards: Forwards, wanted: Callable[[], bool]) -> None:
        def say(text: str) -> None:
            self._say(text)
            if not wanted():
                raise Stopped

        self.close()
        self._forwards = forwards
        self._loaded = loaded = self._placement.load(say)
        cache.use(loaded)
        parts = self._pipeline(type(loaded.pipeline).__name__).components
        self._network = parts[self._placement.model.denoiser]
        self._rack = loaded.rack(
            self._placement.model.name, partial(forwards.refit, loaded.pipeline)
        )
        self._reads: tuple[Any, int] | None = next(
            reversed(tokens.readers(parts, self._family.tokens)), None
        )

    @property
    def outdated(self) -> bool:
        return self._loaded is None or self._loaded.gone

    def close(self) -> None:
        loaded = self._loaded
        # All that would keep it in memory.
        self._loaded = self._network = self._reads = None
        self._pipelines.clear()
        self._schedulers.clear()
        if loaded:
            if loaded.users == 1:
                self._rack.clear()
                if loaded.tune_again():
                    self._forwards.forget(loaded.pipeline)
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

    def _pipeline(self, class_name: str) -> Any:
        """A pipeline of a class, whose networks ask the forwards."""
        if class_name not in self._pipelines:
            loaded = self._of()
            adopted = self._forwards.adopt(loaded.as_class(class_name), loaded.plan.batch_width)
            self._postprocessed = not pictures.postpone_postprocessing(adopted)
            self._pipelines[class_name] = adopted
        return self._pipelines[class_name]

    def size(self, recipe: Recipe) -> tuple[Hashable, ...]:
        last = recipe.last_pass
        edited = tuple(p.size for p in each(last.image)) if self._verb(last) == EDIT else ()
        return self._network, last.width, last.height, edited, len(last.loras or ())

    def kind(self, recipe: Recipe) -> Hashable:
        last = recipe.last_pass
        # In exact mode not even the arithmetic between forwards is shared.
        alone = self._exact or not self._family.several
        if alone or last.scheduler in schedulers.NOISE_PER_CALL:
            return object()
        return last.replace(seed=None).key

    def has_room(self, recipe: Recipe) -> bool:
        return self._rack.has_room(recipe.last_pass.loras or ())

    def adapters(self, recipe: Recipe) -> tuple[Weights, Weights]:
        wanted = [(self._rack.adapter(one), one.weights) for one in recipe.last_pass.loras or ()]
        own, text = ({name: pair[i] for name, pair in wanted} for i in (0, 1))
        return own, text

    def _verb(self, recipe: Recipe) -> str:
        return asking.verb(self._placement.model.ways, recipe)

    def _way(self, recipe: Recipe) -> Way:
        return self._placement.model.ways[self._verb(recipe)]

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
        wanted = recipes[0].last_pass.loras or ()
        if wanted and self._of().tuned != AS_IT_IS:
            raise GenerationError(
                "LoRAs do not go with how this model is tuned, and that cannot be taken back while "
                "others use it; make this image once they are done"
            )
        notes = self._rack.take(wanted, self._say) if wanted else ()
        try:
            return self._made(recipes, notes)
        finally:
            self._rack.give_back(wanted)

    def _made(self, recipes: Sequence[Recipe], notes: Sequence[str]) -> _Made:
        import torch

        recipe = recipes[0].last_pass  # the others differ in their seed alone
        seeds = [one.last_pass.seed or 0 for one in recipes]
        generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
        chance: dict[str, Any] = {"generator": generators[0]}
        if len(recipes) > 1:  # not every pipeline can
            chance = {"generator": generators, "num_images_per_prompt": len(recipes)}
        way = self._way(recipe)
        pipeline = self._pipeline(way.pipeline)
        pipeline = pipelines.with_scheduler(pipeline, self._scheduler(way, recipe.scheduler or ""))
        if recipe.scheduler in schedulers.NOISE_PER_CALL:  # else it draws a seed of its own
            pipeline.scheduler.noise_sampler_seed = recipe.seed
        refine = recipes[0].refine
        latent = refine is not None and refine.upscale == LATENT
        own = inputs(recipe, self._verb(recipe), self._family.multiple, as_it_is=latent)
        given = arguments(recipe, self._family, way, own, len(recipes))
        if latent:
            size = recipe.width or 0, recipe.height or 0
            given["image"] = enlarged(pipeline, own.images[0], *size).repeat(len(recipes), 1, 1, 1)
        made = pipeline(
            output_type="pt",
            callback_on_step_end=partial(self._stepped, recipes),
            callback_on_step_end_tensor_inputs=[],  # handing them over takes a pipeline its time
            **chance,
            **given,
        )
        return _Made(made.images, getattr(made, "nsfw_content_detected", None), own, notes)

    def _scheduler(self, way: Way, name: str) -> Any:
        """A scheduler as the class wants it: some correct its configuration."""
        known = way.pipeline, name
        if known not in self._schedulers:
            config = self._pipeline(way.pipeline).scheduler.config
            self._schedulers[known] = pipelines.scheduler(name, config)
        return self._schedulers[known]

    def _stepped(
        self,
        recipes: Sequence[Recipe],
        pipeline: Any,
        step: int,
        _: Any,
        tensors: dict[str, Any],
    ) -> dict[str, Any]:
        # A strength leaves some of the scheduler's out.
        steps = getattr(pipeline, "num_timesteps", None) or len(pipeline.scheduler.timesteps)
        done = step + 1
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
        made: _Made = outcome.value
        if made.unsafe and made.unsafe[place]:
            reason = "filtered: the model's safety checker found the picture unsafe and blanked it"
            return partial(self._emit, Failed(recipe, reason))
        provenance = Provenance(
            engine="local",
            pipeline=self._way(recipe.last_pass).pipeline,
            device=self._of().plan.device,
            dtype=self._of().plan.dtype,
            placement=self._of().placement,
            batch_width=making.width,
            widths=self._forwards.made_at(making),
            exact=making.exact,
            seconds=round(making.seconds / making.images, 3),
            created=dt.datetime.now(dt.timezone.utc).isoformat(timespec="microseconds"),
            versions=_versions(),
            hashes=self._rack.hashes(recipe.last_pass.loras or ()),
            notes=(*self._truncations(recipe), *made.inputs.notes, *made.notes),
        )
        fetched = pictures.fetch_picture(made.images[place], postprocessed=self._postprocessed)
        return partial(self._write, recipe, provenance, fetched, made.inputs.finish)

    def _truncations(self, recipe: Recipe) -> tuple[str, ...]:
        if self._reads is None:
            return ()
        named = {"prompt": recipe.prompt, "negative_prompt": recipe.negative_prompt}
        notes = (tokens.truncation(*self._reads, name, text) for name, text in named.items())
        return tuple(filter(None, notes))

    def _write(
        self,
        recipe: Recipe,
        provenance: Provenance,
        fetched: Callable[[], tuple[Image, bool]],
        finish: Callable[[Image], Image],
    ) -> None:
        picture, finite = fetched()
        if fault := pictures.fault(picture, provenance.dtype, finite=finite):
            self._emit(Failed(recipe, fault))
        else:
            self._emit(Finished(recipe, finish(picture), provenance))


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {"nbtool": __version__} | {name: packages.version(name) for name in PACKAGES}


def _reason(error: BaseException) -> str:
    if isinstance(error, NbtoolError):
        return said(error)
    if memory.is_out_of_memory(error):
        return (
            "there is not enough memory for this image, even alone; make it smaller, "
            "or free memory: nbtool.unload() lets go of other models"
        )
    return described(error).splitlines()[0]
