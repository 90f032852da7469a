"""Every scheduler name with the configurations that models of each family bring."""

from __future__ import annotations

import importlib.util
import inspect
import json

import diffusers
import numpy as np
import pytest
import tiny
import torch

import nbtool
from nbtool import schedulers
from nbtool.catalogue import find
from nbtool.engines.local import pipelines
from nbtool.recipes.recipe import Recipe
from nbtool.schedulers import CLASS_NAMES, CLASSES, SHORT_NAMES, SIGMAS

_SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
_LEFT_OVER = {  # by what a configuration was before, as many on the hub have it
    "skip_prk_steps": True, "set_alpha_to_one": False, "clip_sample": False, "steps_offset": 1,
    "interpolation_type": "linear", "sample_max_value": 1.0, "trained_betas": None,
}  # fmt: skip
_MULTISTEP = {
    "algorithm_type": "dpmsolver++", "solver_order": 2, "solver_type": "midpoint",
    "lower_order_final": True, "euler_at_final": False, "lambda_min_clipped": float("-inf"),
    "thresholding": False, "dynamic_thresholding_ratio": 0.995, "sample_max_value": 1.0,
    "timestep_spacing": "linspace", "steps_offset": 0, "variance_type": None,
    "use_karras_sigmas": False, "use_lu_lambdas": False, "beta_schedule": "linear",
}  # fmt: skip
_EULER = {
    "_class_name": "EulerDiscreteScheduler", **_SD, **_LEFT_OVER, "prediction_type": "epsilon",
    "timestep_spacing": "leading", "use_karras_sigmas": False,
}  # fmt: skip
_FLOW_EULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}
_DYNAMIC = {
    "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15,
    "base_image_seq_len": 256, "max_image_seq_len": 4096,
}  # fmt: skip
_SANA = _MULTISTEP | {
    "_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction",
    "use_flow_sigmas": True, "flow_shift": 3.0, "final_sigmas_type": "zero",
}  # fmt: skip
# What models on the hub bring: diffusers' documentation, model cards, and code that copies them.
CONFIGS = {
    "SD 1.5": {"_class_name": "PNDMScheduler", **_SD, **_LEFT_OVER},
    "SD 2.1": {
        "_class_name": "DDIMScheduler", **_SD, **_LEFT_OVER, "prediction_type": "v_prediction",
    },
    "SD Turbo": _EULER | {"timestep_spacing": "trailing"},
    "SDXL": _EULER,
    "SDXL, saved of late": _EULER | {
        "sigma_min": None, "sigma_max": None, "final_sigmas_type": "zero",
        "timestep_type": "discrete", "rescale_betas_zero_snr": False,
        "use_exponential_sigmas": False, "use_beta_sigmas": False,
    },
    "SDXL Turbo": _EULER | {
        "_class_name": "EulerAncestralDiscreteScheduler", "timestep_spacing": "trailing",
    },
    "SDXL, zero terminal SNR": _EULER | {
        "prediction_type": "v_prediction", "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
    "LCM": {
        "_class_name": "LCMScheduler", **_SD, **_LEFT_OVER, "original_inference_steps": 50,
        "timestep_scaling": 10.0, "timestep_spacing": "leading", "clip_sample_range": 1.0,
    },
    "TCD": {"_class_name": "TCDScheduler", **_SD, "timestep_scaling": 10.0},
    "Playground": {
        "_class_name": "EDMDPMSolverMultistepScheduler", "algorithm_type": "dpmsolver++",
        "sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5, "rho": 7.0, "solver_order": 2,
        "prediction_type": "epsilon", "final_sigmas_type": "zero", "solver_type": "midpoint",
    },
    "Kandinsky": {
        "_class_name": "DDPMScheduler", "beta_start": 0.00085, "beta_end": 0.012,
        "beta_schedule": "linear", "clip_sample": True, "clip_sample_range": 2.0,
        "sample_max_value": 2.0, "thresholding": True, "variance_type": "learned_range",
        "steps_offset": 1, "prediction_type": "epsilon",
    },
    "IF": {
        "_class_name": "DDPMScheduler", "beta_schedule": "squaredcos_cap_v2", "thresholding": True,
        "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5,
        "variance_type": "learned_range",
    },
    "Hunyuan-DiT": {
        "_class_name": "DDPMScheduler", "beta_start": 0.00085, "beta_end": 0.02,
        "beta_schedule": "scaled_linear", "prediction_type": "v_prediction", "steps_offset": 1,
    },
    "PixArt": {"_class_name": "DPMSolverMultistepScheduler", **_MULTISTEP},
    "DPM with SDE": {
        "_class_name": "DPMSolverMultistepScheduler", **_SD, "algorithm_type": "sde-dpmsolver++",
        "use_karras_sigmas": True,
    },
    "DPM of 2022": {
        "_class_name": "DPMSolverMultistepScheduler", **_SD, "algorithm_type": "dpmsolver",
        "final_sigmas_type": "sigma_min", "solver_type": "heun", "solver_order": 3,
    },
    "DPM with lambdas": {
        "_class_name": "DPMSolverMultistepScheduler", **_SD, "use_lu_lambdas": True,
    },
    "DEIS": {"_class_name": "DEISMultistepScheduler", **_SD, "algorithm_type": "deis"},
    "UniPC": {"_class_name": "UniPCMultistepScheduler", **_SD, "solver_type": "bh2"},
    "SA-Solver": {
        "_class_name": "SASolverScheduler", **_SD, "algorithm_type": "data_prediction",
        "tau_func": None,
    },
    "exponential": _EULER | {"use_exponential_sigmas": True},
    "beta": _EULER | {"use_beta_sigmas": True},
    "two spacings, unused": {
        "_class_name": "DDIMScheduler", **_SD, "use_karras_sigmas": True, "use_beta_sigmas": True,
    },
    "CogView3": {
        "_class_name": "CogVideoXDDIMScheduler", **_SD, "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "snr_shift_scale": 4.0,
    },
    "SD3": _FLOW_EULER | {"shift": 3.0},
    "Flux": _FLOW_EULER | {"shift": 3.0, **_DYNAMIC},
    "Qwen-Image": _FLOW_EULER | _DYNAMIC | {
        "shift_terminal": 0.02, "max_shift": 0.9, "max_image_seq_len": 8192,
        "time_shift_type": "exponential", "stochastic_sampling": False,
    },
    "Lumina": _FLOW_EULER | {"shift": 6.0, "use_dynamic_shifting": False},
    "CogView4": _FLOW_EULER | {
        "base_shift": 0.25, "max_shift": 0.75, "time_shift_type": "linear",
        "use_dynamic_shifting": True,
    },
    "Chroma": _FLOW_EULER | {"use_beta_sigmas": True},
    "Sana": _SANA,
    "HiDream": {
        "_class_name": "UniPCMultistepScheduler", "prediction_type": "flow_prediction",
        "use_flow_sigmas": True, "flow_shift": 3.0, "solver_type": "bh2",
    },
}  # fmt: skip
PER_CALL = schedulers.NOISE_PER_CALL if importlib.util.find_spec("torchsde") is None else set()
NAMES = [*sorted(SHORT_NAMES), *sorted(CLASS_NAMES - PER_CALL)]
# Betas that end in 1 and Karras's spacing: in diffusers they lead past the last noise level.
IN_VAIN = {("dpm++2m_karras", "IF"), ("dpm++2m_sde_karras", "IF")}
every_family = pytest.mark.parametrize("family", CONFIGS)


def model_of(family):
    """The name of a family's own scheduler, and what its model predicts."""
    config = CONFIGS[family]
    return schedulers.name_of(config), config.get("prediction_type", "epsilon")


def settings(scheduler):
    return {n: value for n, value in scheduler.config.items() if n != "_use_default_values"}


@every_family
def test_every_name_builds_and_equals_what_diffusers_makes_of_the_configuration(family):
    config = CONFIGS[family]
    for name in NAMES:
        class_name, options, *_ = schedulers.resolve(name)
        made = pipelines.scheduler(name, config)
        kind = getattr(diffusers, class_name)
        assert type(made) is kind
        try:
            wanted = kind.from_config(config, **options)
        except Exception:
            changes = schedulers.changes(name, config)
            wanted = kind.from_config(config, **changes)
            for setting in changes.keys() - options.keys():  # nothing gives way that need not
                with pytest.raises(Exception, match=r"\w"):
                    kind.from_config(config, **{n: v for n, v in changes.items() if n != setting})
        assert settings(made) == settings(wanted), name


@pytest.mark.parametrize("family", ["SD 1.5", "SD 2.1", "Playground", "IF", "SD3", "Flux", "Sana"])
def test_every_name_that_a_model_takes_can_be_stepped_through(family):
    own, predicts = model_of(family)
    # Of a model that predicts variances too, the pipeline takes care.
    config = {n: value for n, value in CONFIGS[family].items() if n != "variance_type"}
    for name in NAMES:
        if schedulers.unfit(name, own, predicts) or (name, family) in IN_VAIN:
            continue
        made = pipelines.scheduler(name, config)
        dynamic = made.config.get("use_dynamic_shifting")
        if dynamic and name in schedulers.OWN_SIGMAS:
            continue
        made.set_timesteps(5, **({"mu": 1.0} if dynamic else {}))
        generator = torch.Generator().manual_seed(0)
        latents = torch.randn(1, 4, 8, 8, generator=generator)
        for timestep in made.timesteps:
            noise = torch.randn(1, 4, 8, 8, generator=generator)
            latents = made.step(noise, timestep, latents, return_dict=False)[0]
        assert latents.shape == (1, 4, 8, 8), name


@every_family
def test_the_own_scheduler_of_a_model_is_as_its_configuration_says(family):
    config, (own, predicts) = CONFIGS[family], model_of(family)
    assert schedulers.canonical(own) == own
    assert schedulers.unfit(own, own, predicts) == ""
    plain = getattr(diffusers, config["_class_name"]).from_config(config)
    assert settings(pipelines.scheduler(own, config)) == settings(plain)


def made_plainly(folder, **arguments):
    plain = diffusers.DiffusionPipeline.from_pretrained(folder)
    plain.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    return plain("a star", generator=generator, **arguments).images[0]


@pytest.mark.parametrize(
    ("pipeline", "own", "left_out"),
    [
        ("stable_diffusion_xl", "DDIMScheduler", ["clip_sample"]),
        ("stable_diffusion_xl", "DDPMScheduler", ["clip_sample"]),
        ("stable_diffusion", "DDIMScheduler", ["clip_sample", "steps_offset"]),
        ("stable_diffusion", "PNDMScheduler", ["skip_prk_steps", "steps_offset"]),
        ("stable_diffusion_xl", "TCDScheduler", ["clip_sample"]),
        ("stable_diffusion", "DPMSolverMultistepScheduler", ["algorithm_type", "solver_order"]),
    ],
)
def test_a_models_own_scheduler_makes_what_the_plain_pipeline_makes(
    tmp_path, monkeypatch, pipeline, own, left_out
):
    """Whatever its configuration leaves out."""
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    pipeline = getattr(tiny, pipeline)()
    pipeline.scheduler = getattr(diffusers, own)(**_SD)
    pipeline.save_pretrained(tmp_path)
    path = tmp_path / "scheduler" / "scheduler_config.json"
    config = {n: v for n, v in json.loads(path.read_text()).items() if n not in left_out}
    path.write_text(json.dumps(config))
    arguments = {"num_inference_steps": 4, "guidance_scale": 5.0, "width": 64, "height": 64}
    image = nbtool.Generator(str(tmp_path), store=tmp_path / "s")("a star", seed=3, **arguments)
    wanted = np.asarray(made_plainly(tmp_path, **arguments), int)
    assert np.abs(np.asarray(image.image, int) - wanted).max() <= 1


@pytest.mark.parametrize(
    ("model", "name", "reason"),
    [
        ("flux1-dev", "euler", "is a flow-matching model, for which the scheduler euler is not"),
        ("flux1-dev", "unipc", "is a flow-matching model"),
        ("sana", "euler", "is a flow-matching model"),
        ("sana", "dpm++2m_karras", "is a flow-matching model"),
        ("sana", "DDIMScheduler", "is a flow-matching model"),
        ("sdxl", "FlowMatchEulerDiscreteScheduler", "is no flow-matching model"),
        ("qwen-image", "FlowMatchHeunDiscreteScheduler", "decides its noise levels itself"),
        ("sdxl", "EDMDPMSolverMultistepScheduler", "does not bring the scheduler EDM"),
    ],
)
def test_a_scheduler_that_makes_no_sense_is_refused_before_anything_is_loaded(model, name, reason):
    model = find(model)
    recipe = Recipe(**model.settings)
    model.check(recipe)
    with pytest.raises(nbtool.RecipeError, match=f"^{model.name} {reason}"):
        model.check(recipe.replace(scheduler=name))


@pytest.mark.parametrize(
    "name", ["deis", "dpm++2m_sde", "unipc", "FlowMatchEulerDiscreteScheduler"]
)
def test_a_flow_matching_model_takes_the_schedulers_that_know_it(name):
    model = find("sana")
    model.check(Recipe(**model.settings).replace(scheduler=name))


BETAS = ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "laplace", "cosine")


@pytest.mark.parametrize("betas", BETAS)
def test_a_configuration_is_refused_if_its_class_cannot_be_built_of_it(betas):
    config = {"_class_name": "DDIMScheduler", **_SD, "beta_schedule": betas}
    for name in NAMES:
        reason = schedulers.unusable(name, config, 20)
        if reason:
            assert f"beta_schedule {betas!r}" in reason
            with pytest.raises(nbtool.GenerationError):
                pipelines.scheduler(name, config)
        else:
            pipelines.scheduler(name, config)


@pytest.mark.parametrize("family", ["SD 1.5", "SDXL", "PixArt", "LCM", "TCD", "Sana", "Flux"])
def test_steps_are_made_or_refused(family):
    config = {n: value for n, value in CONFIGS[family].items() if n != "variance_type"}
    own, predicts = model_of(family)
    for name in NAMES:
        if schedulers.unfit(name, own, predicts):
            continue
        for steps in (1, 2, 3, 4, 50, 51, 1000):
            made = pipelines.scheduler(name, config)
            dynamic = made.config.get("use_dynamic_shifting")
            if dynamic and name in schedulers.OWN_SIGMAS:
                continue
            given = {"mu": 1.0} if dynamic else {}
            if schedulers.unusable(name, config, steps):
                with pytest.raises(ValueError, match=r"\w"):
                    made.set_timesteps(steps, **given)
            else:
                made.set_timesteps(steps, **given)


@pytest.mark.parametrize(
    ("changes", "given", "reason"),
    [
        ({}, {"scheduler": "PNDMScheduler", "num_inference_steps": 3}, "must be at least 4 .* got 3;"),
        ({}, {"scheduler": "lcm", "num_inference_steps": 51}, "must be at most 50 .* got 51;"),
        ({"beta_schedule": "sigmoid"}, {}, "ddim cannot use the model's beta_schedule 'sigmoid'"),
    ],
)  # fmt: skip
def test_what_a_scheduler_cannot_do_is_told_before_anything_is_loaded(
    tmp_path, changes, given, reason
):
    tiny.stable_diffusion().save_pretrained(tmp_path)
    path = tmp_path / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    gen = nbtool.Generator(str(tmp_path), store=tmp_path / "s", width=64, height=64)
    with pytest.raises(nbtool.RecipeError, match=f"{reason}.* another scheduler$"):
        gen("a", seed=1, **given)
    assert gen.engine.describe()["State"].startswith("not loaded")


def test_a_model_that_predicts_the_sample_refuses_what_cannot_use_it():
    assert schedulers.unfit("euler", "ddim", "sample") == ""
    assert "predicts 'sample'" in schedulers.unfit("dpm2", "ddim", "sample")


def test_what_classes_take_and_have_by_default_is_as_diffusers_says():
    """The table knows it without importing diffusers."""
    for class_name in CLASSES:
        defaults = {
            name: parameter.default
            for name, parameter in inspect.signature(
                getattr(diffusers, class_name)
            ).parameters.items()
        }
        for scheduler in SHORT_NAMES.values():
            if scheduler.class_name == class_name:
                known = schedulers.defaults(class_name)
                assert {n: known.get(n, False) for n in scheduler.options} == {
                    n: defaults[n] for n in scheduler.options
                }
                assert set(SIGMAS) & defaults.keys() <= scheduler.options.keys()
        for name, number in CLASSES[class_name].numbers.items():
            assert defaults[name] == number
