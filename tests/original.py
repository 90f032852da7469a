"""Writes a Stable Diffusion pipeline as one file in the layout of its first publication."""

from __future__ import annotations

import re

from safetensors.torch import save_file

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def save_checkpoint(pipeline, path):
    """One .safetensors file with all weights of a pipeline."""
    tensors = {}
    for name, tensor in pipeline.unet.state_dict().items():
        tensors[f"model.diffusion_model.{_unet(name, pipeline.unet.config)}"] = tensor
    for name, tensor in pipeline.vae.state_dict().items():
        new = _vae(name, len(pipeline.vae.config.block_out_channels))
        conv = ".attn_1." in new and tensor.ndim == 2  # there attention was made of convolutions
        tensors[f"first_stage_model.{new}"] = tensor[..., None, None] if conv else tensor
    for name, tensor in pipeline.text_encoder.state_dict().items():
        inner = name.removeprefix("text_model.")
        tensors[f"cond_stage_model.transformer.text_model.{inner}"] = tensor
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)


def _unet(name, config):
    per_block = config.layers_per_block + 1
    for ours, theirs in UNET.items():
        name = re.sub(rf"^{re.escape(ours)}\.", f"{theirs}.", name)

    def down(match):
        block, kind, layer, rest = match.groups()
        if kind == "downsamplers":
            return f"input_blocks.{per_block * (int(block) + 1)}.0.op." + rest.removeprefix("conv.")
        place = per_block * int(block) + int(layer) + 1
        return f"input_blocks.{place}.{int(kind == 'attentions')}.{rest}"

    def up(match):
        block, kind, layer, rest = match.groups()
        attends = config.up_block_types[int(block)].startswith("CrossAttn")
        if kind == "upsamplers":
            return f"output_blocks.{per_block * int(block) + per_block - 1}.{1 + attends}.{rest}"
        place = per_block * int(block) + int(layer)
        return f"output_blocks.{place}.{int(kind == 'attentions')}.{rest}"

    name = re.sub(r"^down_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", down, name)
    name = re.sub(r"^up_blocks\.(\d)\.(\w+)\.(\d)\.(.*)", up, name)
    name = re.sub(r"^mid_block\.attentions\.0", "middle_block.1", name)
    name = re.sub(r"^mid_block\.resnets\.(\d)", lambda m: f"middle_block.{2 * int(m[1])}", name)
    if "transformer_blocks" not in name:
        for ours, theirs in RESNET.items():
            name = re.sub(rf"(?<=\d\.){ours}\.(?=weight|bias)", f"{theirs}.", name)
    return name


def _vae(name, blocks):
    name = re.sub(r"down_blocks\.(\d)\.resnets", r"down.\1.block", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", name)
    for kind, theirs in (("resnets", "block"), ("upsamplers.0", "upsample")):
        pattern = rf"up_blocks\.(\d)\.{re.escape(kind)}"
        name = re.sub(pattern, lambda m, t=theirs: f"up.{blocks - 1 - int(m[1])}.{t}", name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    if "mid_block.attentions.0" in name:
        name = name.replace("mid_block.attentions.0", "mid.attn_1")
        for ours, theirs in ATTENTION.items():
            name = name.replace(f".{ours}.", f".{theirs}.")
    return name
