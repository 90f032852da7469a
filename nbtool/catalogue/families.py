"""What the pipelines of diffusers take, by class; known without importing diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from nbtool.catalogue import verbs
from nbtool.catalogue.verbs import TEXT, Way, Ways
from nbtool.errors import ModelError
from nbtool.silence import importing

HANDED = (  # what every image is made with
    "prompt", "num_inference_steps", "width", "height", "generator", "output_type",
    "callback_on_step_end",
)  # fmt: skip
# Components that people leave out to save memory, all together, and the pipeline does without.
SPARE = {"StableDiffusion3Pipeline": frozenset({"text_encoder_3", "tokenizer_3"})}
# What the table below speaks of; of any other argument the pipeline's own signature is asked.
TABLED = ("negative_prompt", "guidance_rescale", "clip_skip", "eta")

_PICTURES = (
    "image", "images", "mask_image", "control_image", "control_mask", "depth_map", "video",
    "control_video",
)  # fmt: skip
_FRAMES = ("num_frames", "frames", "video_length")
# They make images from text alone as well, though their call takes pictures.
_EITHER = frozenset({
    "Flux2Pipeline", "Flux2KleinPipeline", "Flux2KleinKVPipeline", "FluxKontextPipeline",
    "GlmImagePipeline", "QwenImage21Pipeline", "StableCascadeCombinedPipeline",
    "ZImageOmniPipeline",
})  # fmt: skip


@dataclass(frozen=True)
class Family:
    """What a pipeline class takes.

    Attributes:
        num_inference_steps: Its default.
        guidance_scale: Its default.
        takes: Those of TABLED that it has.
        guidance: What it calls the guidance that a negative prompt works with.
        multiple: Of pixels, for width and height.
        tokens: That it reads of a prompt; None: as many as its tokenizer says.
        sigmas: Whether it decides the noise levels of its steps itself.
        several: Whether one call makes several images, each as it would be alone.
        loras: Whether it loads LoRAs.
        ways: What it can do, and how.
    """

    num_inference_steps: int = 50
    guidance_scale: float = 5.0
    takes: frozenset[str] = frozenset()
    guidance: str = "guidance_scale"
    multiple: int = 8
    tokens: int | None = None
    sigmas: bool = False
    several: bool = True
    loras: bool = True
    ways: Ways = field(default_factory=dict)


_UNET = frozenset(TABLED)
_NEGATIVE = frozenset({"negative_prompt"})
FAMILIES = {
    "StableDiffusionPipeline": Family(30, 7.5, _UNET, ways=verbs.STABLE_DIFFUSION),
    "StableDiffusionXLPipeline": Family(30, 5.0, _UNET, ways=verbs.STABLE_DIFFUSION_XL),
    "StableDiffusion3Pipeline": Family(
        28,
        7.0,
        frozenset({"negative_prompt", "clip_skip"}),
        multiple=16,
        tokens=256,
        ways=verbs.STABLE_DIFFUSION_3,
    ),
    "FluxPipeline": Family(28, 3.5, multiple=16, tokens=512, sigmas=True, ways=verbs.FLUX),
    "FluxFillPipeline": Family(
        50, 30.0, multiple=16, tokens=512, sigmas=True, ways=verbs.FLUX_FILL
    ),
    "FluxKontextPipeline": Family(
        28, 3.5, multiple=16, tokens=512, sigmas=True, ways=verbs.KONTEXT
    ),
    "Flux2Pipeline": Family(50, 4.0, multiple=16, tokens=512, sigmas=True, ways=verbs.FLUX_2),
    "Flux2KleinPipeline": Family(
        50, 4.0, multiple=16, tokens=512, sigmas=True, ways=verbs.FLUX_2_KLEIN
    ),
    "ZImagePipeline": Family(
        50, 5.0, _NEGATIVE, multiple=16, tokens=512, sigmas=True, ways=verbs.Z_IMAGE
    ),
    "QwenImagePipeline": Family(
        50,
        4.0,
        _NEGATIVE,
        "true_cfg_scale",
        multiple=16,
        tokens=512,
        sigmas=True,
        ways=verbs.QWEN_IMAGE,
    ),
    "QwenImageEditPipeline": Family(
        50,
        4.0,
        _NEGATIVE,
        "true_cfg_scale",
        multiple=16,
        tokens=512,
        sigmas=True,
        ways=verbs.QWEN_EDIT,
    ),
    "QwenImageEditPlusPipeline": Family(
        50,
        4.0,
        _NEGATIVE,
        "true_cfg_scale",
        multiple=16,
        tokens=512,
        sigmas=True,
        ways=verbs.QWEN_EDIT_PLUS,
    ),
    "SanaPipeline": Family(
        20,
        4.5,
        frozenset({"negative_prompt", "eta"}),
        multiple=32,
        tokens=300,
        ways=verbs.SANA,
    ),
}
# Weights may be published under any class of their family.
_FAMILY_OF = {way.pipeline: own for own in FAMILIES.values() for way in own.ways.values()}


@cache
def family(pipeline: str) -> Family:
    """What a pipeline class takes.

    Raises:
        ModelError: diffusers has no such class.
    """
    if pipeline in _FAMILY_OF:
        return _FAMILY_OF[pipeline]
    call = _arguments(pipeline)
    guidance = "true_cfg_scale" if "true_cfg_scale" in call else "guidance_scale"
    default = call[guidance].default if guidance in call else None
    return Family(
        num_inference_steps=call["num_inference_steps"].default,
        guidance_scale=default if isinstance(default, (int, float)) else 1.0,
        takes=frozenset(name for name in TABLED if name in call),
        guidance=guidance,
        multiple=16,
        sigmas="sigmas" in call,
        several=False,  # not tried
        loras=_loads_loras(pipeline),
        ways={TEXT: Way(pipeline)},
    )


@cache
def why_not(pipeline: str) -> str:
    """Why nbtool cannot use a pipeline class; "" for one that it can.

    It makes images from text alone, or is known for what it does with pictures.

    Raises:
        ModelError: diffusers has no such class.
    """
    if pipeline in _FAMILY_OF:
        return ""
    call = _arguments(pipeline)
    if any(name in call for name in _FRAMES):
        return "makes videos"
    variable = {n for n, a in call.items() if a.kind in (a.VAR_POSITIONAL, a.VAR_KEYWORD)}
    needed = [n for n, a in call.items() if a.default is a.empty and n not in variable]
    if pipeline not in _EITHER:
        needed += [name for name in _PICTURES if name in call]
    if needed := [name for name in dict.fromkeys(needed) if name not in ("self", *HANDED)]:
        return f"needs {' and '.join(needed)} beside the prompt"
    always = HANDED[:2] if variable else HANDED
    missing = [name for name in always if name not in call]
    return f"takes no {' and no '.join(missing)}" if missing else ""


def takes(pipeline: str, name: str) -> bool:
    """Whether a pipeline class takes an argument.

    Raises:
        ModelError: diffusers has no such class.
    """
    if name in TABLED:
        return name in family(pipeline).takes
    return name in _arguments(pipeline)


def _loads_loras(pipeline: str) -> bool:
    with importing("diffusers", pipeline):
        import diffusers

        return hasattr(getattr(diffusers, pipeline, None), "load_lora_weights")


@cache
def _arguments(pipeline: str) -> Mapping[str, Any]:
    """The arguments of a pipeline's call, by name, as `inspect` describes them."""
    import inspect

    with importing("diffusers", pipeline):
        import diffusers

        found: Any = getattr(diffusers, pipeline, None)
    try:
        return inspect.signature(found.__call__).parameters
    except AttributeError:
        raise ModelError(
            f"the installed diffusers {diffusers.__version__} has no {pipeline}; "
            f"a newer one may: pip install -U diffusers"
        ) from None
