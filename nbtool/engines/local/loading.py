"""Loads a pipeline the way a memory plan says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbtool.catalogue.weights import CHECKER, VARIANTS
from nbtool.engines.local import memory
from nbtool.errors import ModelError, in_short, log, root_of, said
from nbtool.fitting.estimates import TILE
from nbtool.silence import quiet, reading

if TYPE_CHECKING:
    from torch.nn import Module

    from nbtool.catalogue import Model
    from nbtool.fitting.plans import MemoryPlan


def load(
    model: Model,
    plan: MemoryPlan,
    shared: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Any:
    """A pipeline in evaluation mode, placed as planned.

    Args:
        model: Whose files are there.
        plan: How to put it on this machine.
        shared: Components of other pipelines that are the same as this model's.
        say: Told which component is being read.

    Raises:
        ModelError: It cannot be loaded.
        MemoryError: The memory does not suffice.
    """
    shared = shared or {}
    read = ""  # as far as it came

    def tell(what: str) -> None:
        nonlocal read
        read = what
        say(what)

    try:
        with quiet(), reading(tell):
            pipeline = _read(model, plan, shared)
        if not (model.checkpoint or plan.quantization):  # which packs several into one
            _require_weights(model, pipeline, shared)
        if model.is_local and (plan.device == "cpu" or plan.offload != "none"):
            _detach([part for name, part in networks(pipeline).items() if name not in shared])
        place(pipeline, plan)
    except (Exception, SystemExit) as error:  # libraries raise many kinds
        log(f"while {model.name} was loaded", error)
        short = memory.is_out_of_memory(error)
        reason = _reason(error, read.partition(",")[0])
    else:
        return pipeline
    # Raised outside `except`: a traceback would pin what has been loaded.
    if short:
        raise MemoryError(reason)
    raise ModelError(f"cannot load {model.name} from {model.checkpoint or model.folder}: {reason}")


def _reason(error: BaseException, part: str) -> str:
    """What went wrong, and what was behind it: of an import that failed deep inside, that alone says.

    Args:
        error: What was raised.
        part: The component that was being read; "": not known.
    """
    if isinstance(error, SystemExit):
        return f"a library that it needs ends Python ({error!r}); mend its installation"
    full, text = said(error), in_short(error).rstrip(":")
    if "meta tensor" in text:  # what was not in the files holds nothing
        return "its files lack some of the weights; get it again"
    if "ignore_mismatched_sizes" in full:
        found = f"{part}/config.json" if part else "its configuration"
        return f"its weights are not of the sizes that {found} says; get both from one place"
    if "no file named" in text or "have a file named" in text:
        text = f"{text.rstrip('.')}; get it again"
    cause = root_of(error)
    return text if cause is error else f"{text} ({type(cause).__name__}: {_reason(cause, part)})"


def networks(pipeline: Any) -> dict[str, Module]:
    """The components of a pipeline that have weights."""
    from torch.nn import Module

    return {n: part for n, part in pipeline.components.items() if isinstance(part, Module)}


def _read(model: Model, plan: MemoryPlan, shared: Mapping[str, Any]) -> Any:
    import diffusers
    import torch

    dtype = getattr(torch, plan.dtype)
    given: dict[str, Any] = {**shared, **dict.fromkeys(model.left_out)}
    given |= {"dtype": dtype, "local_files_only": True}
    if CHECKER in model.left_out and model.facts.pipeline == "StableDiffusionPipeline":
        given["requires_safety_checker"] = False
    if plan.quantization:
        given["quantization_config"] = _quantization(plan, sorted(model.parts))
    if model.checkpoint:
        kind = getattr(diffusers, model.facts.pipeline)
        pipeline = kind.from_single_file(str(model.checkpoint), config=str(model.folder), **given)
    else:
        given["use_safetensors"] = None if model.allow_pickle else True
        variants = sorted(filter(None, model.variants.values()), key=VARIANTS.index)
        variant = variants[0] if variants else None
        for name, own in model.variants.items():
            if own not in ("", variant) and name not in shared:
                given[name] = _read_alone(model, name, own, given)
        pipeline = diffusers.DiffusionPipeline.from_pretrained(
            model.folder, variant=variant, **given
        )
    if plan.vae_dtype != plan.dtype:
        pipeline.vae.to(getattr(torch, plan.vae_dtype))
    return pipeline


def _read_alone(model: Model, name: str, variant: str, given: Mapping[str, Any]) -> Any:
    """A component whose files are of another variant than most."""
    import diffusers
    import transformers

    kind = model.parts[name]
    own = getattr(diffusers, kind, None)
    part = own or getattr(transformers, kind)
    options = {option: given[option] for option in ("dtype", "local_files_only", "use_safetensors")}
    if config := given.get("quantization_config"):
        options["quantization_config"] = config._resolve_quant_config(bool(own), name)  # noqa: SLF001
    return part.from_pretrained(model.folder / name, variant=variant, **options)


def _require_weights(model: Model, pipeline: Any, shared: Mapping[str, Any]) -> None:
    """Refuses networks of which files lack a part: transformers fills it with random numbers.

    Raises:
        ModelError: Which network.
    """
    counted = model.counted()
    for name, part in networks(pipeline).items():
        here = sum(tensor.numel() for tensor in part.parameters())  # shared ones once
        if name not in shared and name in counted and counted[name] < here:
            raise ModelError(f"the files of its {name} lack some of the weights; get it again")


def _detach(parts: Iterable[Module]) -> None:
    """Copies weights that are files mapped into memory: one that is overwritten would show through."""
    for part in parts:
        for tensor in (*part.parameters(), *part.buffers()):
            if tensor.device.type == "cpu":
                tensor.data = tensor.data.clone()


def _quantization(plan: MemoryPlan, parts: Sequence[str]) -> Any:
    from diffusers import PipelineQuantizationConfig

    large = [part for part in parts if part.startswith(("unet", "transformer", "text_encoder"))]
    bits = plan.quantization
    options: dict[str, Any] = {f"load_in_{bits}": True}
    if bits == "4bit":
        import torch

        options |= {
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_compute_dtype": getattr(torch, plan.dtype),
        }
    return PipelineQuantizationConfig(
        quant_backend=f"bitsandbytes_{bits}", quant_kwargs=options, components_to_quantize=large
    )


def place(pipeline: Any, plan: MemoryPlan) -> None:
    """Puts a pipeline that has been read where a plan says."""
    import torch

    pipeline.set_progress_bar_config(disable=True)
    parts = networks(pipeline)
    for part in parts.values():
        part.eval().requires_grad_(False)
    for name in ("unet", "vae"):
        if name in parts and _has_convolutions(parts[name]):
            # Convolutions are faster with the channels last, on processors and on GPUs.
            parts[name].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if "text_encoder" in parts:
        _mend_clip_skip(parts["text_encoder"])
    if plan.tiling:
        _tile(pipeline.vae)
    if plan.attention == "sliced":
        pipeline.enable_attention_slicing()
    _offload(pipeline, plan)


def _offload(pipeline: Any, plan: MemoryPlan) -> None:
    import torch

    device = torch.device(plan.device)
    parts = networks(pipeline)
    if plan.offload == "none":
        pipeline.to(device)
    elif plan.offload == "model":
        take_turns(list(parts.values()), device)
    elif plan.offload == "group":
        pipeline.enable_group_offload(
            onload_device=device, offload_type="leaf_level", use_stream=device.type == "cuda"
        )
    else:
        from accelerate import cpu_offload

        for part in parts.values():
            cpu_offload(part, device, offload_buffers=bool(part._parameters))  # noqa: SLF001


def _tile(vae: Any) -> None:
    """Makes a VAE decode in tiles; those of AutoencoderKL would be as large as it was trained."""
    if not hasattr(vae, "enable_tiling"):
        return
    vae.enable_tiling()
    if type(vae).__name__ == "AutoencoderKL" and vae.tile_sample_min_size > TILE:
        vae.tile_latent_min_size = vae.tile_latent_min_size * TILE // vae.tile_sample_min_size
        vae.tile_sample_min_size = TILE


def take_turns(parts: Sequence[Module], device: Any) -> None:
    """Makes a network come to the device when it is called, and the others leave it.

    diffusers' own offloading expects the order of one pipeline's call: text encoders, denoiser,
    VAE. Many images at once ask in any order.
    """
    from accelerate.hooks import ModelHook, add_hook_to_module

    class Turn(ModelHook):  # type: ignore[misc] # accelerate has no types
        def __init__(self) -> None:
            super().__init__()
            self.execution_device = device

        def pre_forward(self, module: Module, *args: Any, **kwargs: Any) -> Any:
            from accelerate.utils import send_to_device

            for other in parts:
                if other is not module:
                    other.to("cpu")
            module.to(device)
            return send_to_device(args, device), send_to_device(kwargs, device)

    for part in parts:
        part.to("cpu")
        add_hook_to_module(part, Turn())


def _has_convolutions(part: Module) -> bool:
    from torch.nn import Conv2d

    return any(isinstance(layer, Conv2d) for layer in part.modules())


def _mend_clip_skip(text_encoder: Any) -> None:
    """Gives transformers' flattened CLIPTextModel the attribute that diffusers' clip_skip reads.

    https://github.com/huggingface/diffusers/issues/14124
    """
    if hasattr(text_encoder, "final_layer_norm") and not hasattr(text_encoder, "text_model"):
        # Past nn.Module's own __setattr__: a module inside itself would be an endless tree.
        object.__setattr__(text_encoder, "text_model", text_encoder)
