"""AUTOMATIC1111's infotext: the `parameters` text that many programs read and write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from nbtool import schedulers

# Terms that are not always there, in the order in which that program writes them.
_ORDER = ("Clip skip", "Eta DDIM", "CFG Rescale", "Lora hashes")
_NO_TAG = re.compile("[:<>\n]")


def to_infotext(
    recipe: Mapping[str, Any], version: str, terms: Mapping[str, object] = MappingProxyType({})
) -> str:
    """The infotext of a complete recipe's dictionary.

    Format: modules/infotext_utils.py of AUTOMATIC1111/stable-diffusion-webui.

    Args:
        recipe: Its parameters.
        version: Of nbtool.
        terms: What else there is to say, by the names of that program.
    """
    _, _, sampler, schedule_type = schedulers.resolve(recipe["scheduler"])
    values = {
        "Steps": recipe["num_inference_steps"],
        "Sampler": sampler,
        **({"Schedule type": schedule_type} if schedule_type else {}),
        "CFG scale": _number(recipe["guidance_scale"]),
        "Seed": recipe["seed"],
        "Size": f"{recipe['width']}x{recipe['height']}",
        "Model": recipe["model"],
    }
    if recipe["scheduler"] not in schedulers.NOISE_PER_CALL:  # they draw by themselves
        values["RNG"] = "CPU"
    values |= {name: terms[name] for name in sorted(terms, key=_place)}
    values["Version"] = f"nbtool {version}"

    tags = map(_tag, recipe.get("loras", ()))
    lines = [" ".join(filter(None, [_printable(recipe.get("prompt", "")), *tags]))]
    if negative := recipe.get("negative_prompt"):
        lines.append("Negative prompt: " + _printable(negative))
    lines.append(", ".join(f"{name}: {_quoted(value)}" for name, value in values.items()))
    return "\n".join(lines)


def lora_hashes(hashes: Mapping[str, str]) -> dict[str, str]:
    """The term that says which LoRAs were used: their names as in the prompt, and their hashes."""
    said = ", ".join(f"{_tag_name(name)}: {digest}" for name, digest in hashes.items())
    return {"Lora hashes": said} if said else {}


def _tag(lora: Mapping[str, Any]) -> str:
    """A LoRA in the prompt; a weight of its own for the text encoder goes first."""
    both = [lora[name] for name in ("text_weight", "weight") if name in lora]
    return f"<lora:{':'.join([_tag_name(lora['name']), *map(_number, both)])}>"


def _tag_name(name: str) -> str:
    own = name.rpartition("/")[2].removesuffix(".safetensors")
    return _printable(_NO_TAG.sub("_", own))


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _number(value: float) -> str:
    """As short as is exact: 5, 7.5."""
    return repr(value).removesuffix(".0")


def _quoted(value: object) -> str:
    text = _printable(str(value))
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ',:\n"') else text


def _printable(text: str) -> str:
    """Without what a PNG text chunk cannot hold: NUL and lone surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
