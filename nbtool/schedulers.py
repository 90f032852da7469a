"""The schedulers by the names people use, and what each takes of a model's own configuration.

Only words here; the engine builds them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from nbtool.errors import RecipeError, unknown_name

FLOW = "FlowMatch"  # how the names of the schedulers for flow matching begin
FLOW_PREDICTION = "flow_prediction"
# Ways to space the noise levels. A class refuses more than one of the first three.
SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
SPACINGS = frozenset({*SIGMAS, "use_lu_lambdas"})


class Scheduler(NamedTuple):
    """A diffusers scheduler by a name.

    Attributes:
        class_name: Its class.
        options: What the name decides, whatever the model's own configuration says.
        sampler: Its name in AUTOMATIC1111's infotext.
        schedule_type: The same of how its noise levels are spaced; "Automatic" is the sampler's
            own way there, which for some is Karras or Exponential; "" where it is the model's.
    """

    class_name: str
    options: dict[str, Any]
    sampler: str
    schedule_type: str = "Automatic"


_BETAS = ("linear", "scaled_linear", "squaredcos_cap_v2")


class Kind(NamedTuple):
    """What a class takes of a model's own configuration, as diffusers checks it.

    Attributes:
        predictions: Of `prediction_type`.
        algorithms: Of `algorithm_type`, its default first; () where it has none.
        not_to_zero: Of `algorithm_type` too, where `final_sigmas_type` is "sigma_min".
        of_flow: Settings that it takes only beside `use_flow_sigmas`.
        betas: Of `beta_schedule`; () where it has no betas.
        numbers: Settings that may be None elsewhere and not here, with their defaults.
        defaults: Of what names decide, where it is neither False nor said above.
    """

    predictions: tuple[str, ...]
    algorithms: tuple[str, ...] = ()
    not_to_zero: tuple[str, ...] = ()
    of_flow: tuple[str, ...] = ()
    betas: tuple[str, ...] = _BETAS
    numbers: Mapping[str, float] = MappingProxyType({})
    defaults: Mapping[str, Any] = MappingProxyType({})


_NOISE = ("epsilon", "v_prediction")
_ANY = (*_NOISE, "sample")
_FLOW = (*_ANY, FLOW_PREDICTION)

CLASSES = {
    "DDIMScheduler": Kind(_ANY, defaults={"clip_sample": True}),
    "DDPMScheduler": Kind(
        _ANY, betas=(*_BETAS, "sigmoid", "laplace"), defaults={"clip_sample": True}
    ),
    "DEISMultistepScheduler": Kind(_FLOW, ("deis", "dpmsolver++", "dpmsolver")),
    "DPMSolverMultistepScheduler": Kind(
        _FLOW,
        ("dpmsolver++", "sde-dpmsolver++"),
        ("dpmsolver", "sde-dpmsolver"),
        defaults={"solver_order": 2},
    ),
    "DPMSolverSDEScheduler": Kind(_NOISE),
    "DPMSolverSinglestepScheduler": Kind(
        _FLOW, ("dpmsolver++", "sde-dpmsolver++"), ("dpmsolver",), defaults={"solver_order": 2}
    ),
    "EDMEulerScheduler": Kind(_NOISE, betas=(), numbers={"sigma_min": 0.002, "sigma_max": 80.0}),
    "EulerAncestralDiscreteScheduler": Kind(_NOISE),
    "EulerDiscreteScheduler": Kind(_ANY),
    "FlowMatchEulerDiscreteScheduler": Kind((FLOW_PREDICTION,), betas=()),
    "FlowMatchHeunDiscreteScheduler": Kind((FLOW_PREDICTION,), betas=()),
    "HeunDiscreteScheduler": Kind(_ANY),
    "IPNDMScheduler": Kind(_ANY, betas=()),
    "KDPM2AncestralDiscreteScheduler": Kind(_NOISE),
    "KDPM2DiscreteScheduler": Kind(_NOISE),
    "LCMScheduler": Kind(_ANY),
    "LMSDiscreteScheduler": Kind(_ANY),
    "PNDMScheduler": Kind(_NOISE),
    "SASolverScheduler": Kind(_FLOW, ("data_prediction", "noise_prediction")),
    "TCDScheduler": Kind(_ANY),
    "UniPCMultistepScheduler": Kind(_FLOW, of_flow=("shift_terminal",)),
}
CLASS_NAMES = frozenset(CLASSES)
# Made for the models that bring them, of no use to others.
OF_THEIR_MODELS = frozenset(
    {
        "AmusedScheduler",
        "CogVideoXDDIMScheduler",
        "DDPMWuerstchenScheduler",
        "EDMDPMSolverMultistepScheduler",
        "FlowMatchLCMScheduler",
        "SCMScheduler",
    }
)
# They take no noise levels that a pipeline decides itself.
OWN_SIGMAS = frozenset({"FlowMatchHeunDiscreteScheduler"})
# They draw their noise for a whole call, past the generator of each image.
NOISE_PER_CALL = frozenset({"DPMSolverSDEScheduler"})

# They choose among the steps that the model was distilled from.
_DISTILLED = frozenset({"LCMScheduler", "TCDScheduler"})

_PLAIN = dict.fromkeys(SIGMAS, False)
_KARRAS = _PLAIN | {"use_karras_sigmas": True}
_2S = {"algorithm_type": "dpmsolver++", "solver_order": 2}
_2M = _2S | {"use_lu_lambdas": False}
_2M_SDE = _2M | {"algorithm_type": "sde-dpmsolver++"}
_DEIS = {"algorithm_type": "deis"}

SHORT_NAMES = {
    "ddim": Scheduler("DDIMScheduler", {"clip_sample": False}, "DDIM"),
    "ddpm": Scheduler("DDPMScheduler", {"clip_sample": False}, "DDPM"),
    "deis": Scheduler("DEISMultistepScheduler", _DEIS | _PLAIN, "DEIS"),
    "dpm2": Scheduler("KDPM2DiscreteScheduler", _PLAIN, "DPM2", "Uniform"),
    "dpm2_a": Scheduler("KDPM2AncestralDiscreteScheduler", _PLAIN, "DPM2 a", "Uniform"),
    "dpm2_a_karras": Scheduler("KDPM2AncestralDiscreteScheduler", _KARRAS, "DPM2 a", "Karras"),
    "dpm2_karras": Scheduler("KDPM2DiscreteScheduler", _KARRAS, "DPM2", "Karras"),
    "dpm++2m": Scheduler("DPMSolverMultistepScheduler", _2M | _PLAIN, "DPM++ 2M", "Uniform"),
    "dpm++2m_karras": Scheduler("DPMSolverMultistepScheduler", _2M | _KARRAS, "DPM++ 2M", "Karras"),
    "dpm++2m_sde": Scheduler(
        "DPMSolverMultistepScheduler", _2M_SDE | _PLAIN, "DPM++ 2M SDE", "Uniform"
    ),
    "dpm++2m_sde_karras": Scheduler(
        "DPMSolverMultistepScheduler", _2M_SDE | _KARRAS, "DPM++ 2M SDE", "Karras"
    ),
    "dpm++2s": Scheduler("DPMSolverSinglestepScheduler", _2S | _PLAIN, "DPM++ 2S", "Uniform"),
    "dpm++2s_karras": Scheduler(
        "DPMSolverSinglestepScheduler", _2S | _KARRAS, "DPM++ 2S", "Karras"
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


def _squeezed(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


_BY_SQUEEZED = {
    _squeezed(spelling): name
    for name, (_, _, sampler, schedule_type) in SHORT_NAMES.items()
    for spelling in (name, f"{sampler} {schedule_type}".removesuffix("Automatic"))
}


def canonical(name: object) -> str:
    """The one spelling of a scheduler's name: "DPM++ 2M Karras" is "dpm++2m_karras".

    A diffusers class name stays as it is: it means that class with the model's own settings.

    Raises:
        RecipeError: There is no such scheduler.
    """
    if not isinstance(name, str):
        raise RecipeError(f"scheduler must be a name such as 'euler_a', got {name!r}")
    if name in CLASS_NAMES | OF_THEIR_MODELS:
        return name
    try:
        return _BY_SQUEEZED[_squeezed(name)]
    except KeyError:
        known = CLASS_NAMES | OF_THEIR_MODELS if name.endswith("Scheduler") else SHORT_NAMES
        raise RecipeError(unknown_name(name, known, "scheduler")) from None


def resolve(name: str) -> Scheduler:
    """Class and options of a canonical name."""
    return SHORT_NAMES.get(name) or Scheduler(name, {}, name.removesuffix("Scheduler"), "")


def name_of(config: Mapping[str, Any]) -> str:
    """The short name of a model's own scheduler, or its class name where none says the same.

    What a configuration leaves out is as the class has it by default.
    """
    class_name: str = config["_class_name"]
    for name, scheduler in SHORT_NAMES.items():
        if scheduler.class_name == class_name:
            settings = {**defaults(class_name), **config}
            if all(settings.get(o, False) == value for o, value in scheduler.options.items()):
                return name
    return class_name


def defaults(class_name: str) -> dict[str, Any]:
    """What a class has by default of what names decide; of what is left out, False."""
    kind = CLASSES[class_name]
    algorithm = {"algorithm_type": kind.algorithms[0]} if kind.algorithms else {}
    return {**algorithm, **kind.defaults}


def changes(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What to change in a model's own configuration for the scheduler of a canonical name.

    That is what the name decides, and defaults in place of what its class refuses.
    """
    scheduler = resolve(name)
    return _refused(scheduler.class_name, config) | scheduler.options


def unfit(name: str, own: str, prediction_type: str) -> str:
    """Why a model cannot use a scheduler, as the end of a sentence about the model; "" if it can.

    Args:
        name: Of the scheduler.
        own: The name of the model's own.
        prediction_type: What the model predicts, as its own scheduler's configuration has it.
    """
    if name == own:
        return ""
    class_name, options, *_ = resolve(name)
    if class_name in OF_THEIR_MODELS:
        return f"does not bring the scheduler {name}, which is made for models that do"
    fits = prediction_type in CLASSES[class_name].predictions
    if own.startswith(FLOW):
        fits = class_name.startswith(FLOW)
    elif prediction_type == FLOW_PREDICTION:
        fits = fits and not options.get("use_karras_sigmas")
    elif class_name.startswith(FLOW):
        return f"is no flow-matching model, for which alone the scheduler {name} is made"
    else:
        return (
            "" if fits else f"predicts {prediction_type!r}, which the scheduler {name} cannot use"
        )
    return "" if fits else f"is a flow-matching model, for which the scheduler {name} is not made"


def unusable(name: str, config: Mapping[str, Any], steps: int) -> str:
    """Why so many steps cannot be made, as a sentence without its end; "" if they can.

    Args:
        name: Of the scheduler.
        config: Of the model's own.
        steps: How many are asked for.
    """
    class_name, options, *_ = resolve(name)
    settings, betas = {**config, **options}, CLASSES.get(class_name, Kind(())).betas
    schedule = settings.get("beta_schedule", _BETAS[0])
    if betas and schedule not in betas and settings.get("trained_betas") is None:
        return (
            f"the scheduler {name} cannot use the model's beta_schedule {schedule!r}, "
            f"only {', '.join(betas)}"
        )
    least, most = 1, steps
    if class_name == "PNDMScheduler" and not settings.get("skip_prk_steps"):
        least = 4  # its Runge-Kutta steps take the last four noise levels
    elif class_name in _DISTILLED:
        most = settings.get("original_inference_steps", 50)
    if least <= steps <= most:
        return ""
    bound = f"at least {least}" if steps < least else f"at most {most}"
    return f"num_inference_steps must be {bound} for the scheduler {name}, got {steps}"


def _refused(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a class refuses of a configuration, with the values to put in its place."""
    kind = CLASSES.get(class_name)
    if kind is None:
        return {}
    algorithms = kind.algorithms
    if config.get("final_sigmas_type") == "sigma_min":
        algorithms += kind.not_to_zero
    refused: dict[str, Any] = {}
    if algorithms and config.get("algorithm_type", algorithms[0]) not in algorithms:
        refused["algorithm_type"] = algorithms[0]
    spacings = [name for name in SIGMAS if config.get(name)]
    refused |= dict.fromkeys(spacings[1:], False)
    if not config.get("use_flow_sigmas"):
        refused |= {name: None for name in kind.of_flow if config.get(name) is not None}
    return refused | {name: n for name, n in kind.numbers.items() if config.get(name, n) is None}
