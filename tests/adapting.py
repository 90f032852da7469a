"""LoRAs with random weights, in the forms in which people have them."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
EVERYWHERE = (*ATTENTION, "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "time_emb_proj", "conv_in")


def matrices(network, targets, *, rank=2, seed=0, scale=0.1):
    """The matrices of an adapter, by the layer's name: what goes down, and what comes up."""
    generator = torch.Generator().manual_seed(seed)
    found = {}
    for name, layer in network.named_modules():
        weight = getattr(layer, "weight", None)
        if name.endswith(tuple(targets)) and weight is not None and weight.ndim in (2, 4):
            out, into, *kernel = weight.shape
            shapes = (rank, into, *kernel), (out, rank, *[1] * len(kernel))
            found[name] = [torch.randn(shape, generator=generator) * scale for shape in shapes]
    assert found
    return found


def save(path, parts, *, form="diffusers", alpha=None, metadata=None):
    """Writes a LoRA's file; or a folder, in PEFT's form.

    Args:
        path: Where to.
        parts: By the name of the network, such as "unet" or "text_encoder", the matrices.
        form: "diffusers", "kohya" or "peft".
        alpha: By which kohya and PEFT scale, divided by the rank.
        metadata: Texts.
    """
    tensors = {}
    for network, layers in parts.items():
        for name, (down, up) in layers.items():
            if form == "kohya":
                start = {"unet": "lora_unet", "text_encoder": "lora_te"}.get(network, network)
                flat = f"{start}_{name.replace('.', '_')}"
                tensors |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}
                tensors[f"{flat}.alpha"] = torch.tensor(float(alpha or len(down)))
            else:
                start = "base_model.model" if form == "peft" else network
                tensors |= {
                    f"{start}.{name}.lora_A.weight": down,
                    f"{start}.{name}.lora_B.weight": up,
                }
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    if form == "peft":
        path.mkdir()
        rank = len(next(iter(tensors.values())))
        settings = {"peft_type": "LORA", "r": rank, "lora_alpha": alpha or rank}
        (path / "adapter_config.json").write_text(json.dumps(settings))
        path = path / "adapter_model.safetensors"
    save_file(tensors, path, metadata={"format": "pt", **(metadata or {})})
    return path
