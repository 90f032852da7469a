"""The schedulers by the names people use. Only names here; the engine builds them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from nbtool.errors import RecipeError, unknown_name


class Scheduler(NamedTuple):
    """A diffusers scheduler.

    Its class, what to change in the model's own configuration, and the sampler and schedule
    names that AUTOMATIC1111's infotext has for it.
    """

    class_name: str
    options: dict[str, Any]
    sampler: str
    schedule_type: str = "Automatic"


_PLAIN = {"use_karras_sigmas": False}
_KARRAS = {"use_karras_sigmas": True}
_2M = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_2M_SDE = {"algorithm_type": "sde-dpmsolver++", "solver_order": 2}

SHORT_NAMES = {
    "ddim": Scheduler("DDIMScheduler", {"clip_sample": False}, "DDIM"),
    "ddpm": Scheduler("DDPMScheduler", {"clip_sample": False}, "DDPM"),
    "deis": Scheduler("DEISMultistepScheduler", _PLAIN, "DEIS"),
    "dpm2": Scheduler("KDPM2DiscreteScheduler", _PLAIN, "DPM2"),
    "dpm2_a": Scheduler("KDPM2AncestralDiscreteScheduler", _PLAIN, "DPM2 a"),
    "dpm2_a_karras": Scheduler("KDPM2AncestralDiscreteScheduler", _KARRAS, "DPM2 a", "Karras"),
    "dpm2_karras": Scheduler("KDPM2DiscreteScheduler", _KARRAS, "DPM2", "Karras"),
    "dpm++2m": Scheduler("DPMSolverMultistepScheduler", _2M | _PLAIN, "DPM++ 2M"),
    "dpm++2m_karras": Scheduler("DPMSolverMultistepScheduler", _2M | _KARRAS, "DPM++ 2M", "Karras"),
    "dpm++2m_sde": Scheduler("DPMSolverMultistepScheduler", _2M_SDE | _PLAIN, "DPM++ 2M SDE"),
    "dpm++2m_sde_karras": Scheduler(
        "DPMSolverMultistepScheduler", _2M_SDE | _KARRAS, "DPM++ 2M SDE", "Karras"
    ),
    "dpm++2s": Scheduler("DPMSolverSinglestepScheduler", _2M | _PLAIN, "DPM++ 2S"),
    "dpm++2s_karras": Scheduler(
        "DPMSolverSinglestepScheduler", _2M | _KARRAS, "DPM++ 2S", "Karras"
    ),
    "euler": Scheduler("EulerDiscreteScheduler", _PLAIN, "Euler"),
    "euler_a": Scheduler("EulerAncestralDiscreteScheduler", {}, "Euler a"),
    "euler_karras": Scheduler("EulerDiscreteScheduler", _KARRAS, "Euler", "Karras"),
    "heun": Scheduler("HeunDiscreteScheduler", _PLAIN, "Heun"),
    "heun_karras": Scheduler("HeunDiscreteScheduler", _KARRAS, "Heun", "Karras"),
    "lcm": Scheduler("LCMScheduler", {"clip_sample": False}, "LCM"),
    "lms": Scheduler("LMSDiscreteScheduler", _PLAIN, "LMS"),
    "lms_karras": Scheduler("LMSDiscreteScheduler", _KARRAS, "LMS", "Karras"),
    "pndm": Scheduler("PNDMScheduler", {"skip_prk_steps": True}, "PLMS"),
    "tcd": Scheduler("TCDScheduler", {"clip_sample": False}, "TCD"),
    "unipc": Scheduler("UniPCMultistepScheduler", _PLAIN, "UniPC"),
    "unipc_karras": Scheduler("UniPCMultistepScheduler", _KARRAS, "UniPC", "Karras"),
}
CLASS_NAMES = frozenset(s.class_name for s in SHORT_NAMES.values()) | {
    "DPMSolverSDEScheduler",
    "EDMEulerScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "FlowMatchHeunDiscreteScheduler",
    "IPNDMScheduler",
    "SASolverScheduler",
}
# They draw their noise for a whole call, past the generator of each image.
NOISE_PER_CALL = frozenset({"DPMSolverSDEScheduler"})


def _squeezed(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


_BY_SQUEEZED = {_squeezed(name): name for name in SHORT_NAMES}


def canonical(name: object) -> str:
    """The one spelling of a scheduler's name: "DPM++ 2M Karras" is "dpm++2m_karras".

    A diffusers class name stays as it is: it means that class with the model's own settings.

    Raises:
        RecipeError: There is no such scheduler.
    """
    if not isinstance(name, str):
        raise RecipeError(f"scheduler must be a name such as 'euler_a', got {name!r}")
    if name in CLASS_NAMES:
        return name
    try:
        return _BY_SQUEEZED[_squeezed(name)]
    except KeyError:
        known = CLASS_NAMES if name.endswith("Scheduler") else SHORT_NAMES
        raise RecipeError(unknown_name(name, known, "scheduler")) from None


def resolve(name: str) -> Scheduler:
    """Class and options of a canonical name."""
    return SHORT_NAMES.get(name) or Scheduler(name, {}, name.removesuffix("Scheduler"))


def name_of(config: dict[str, Any]) -> str:
    """The short name of a model's own scheduler, or its class name where none says the same."""
    class_name: str = config["_class_name"]
    for name, scheduler in SHORT_NAMES.items():
        if scheduler.class_name == class_name and all(
            config.get(option, False) == value for option, value in scheduler.options.items()
        ):
            return name
    return class_name
