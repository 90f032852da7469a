"""What the header of a LoRA's file tells: whether it is one, what it was trained for, its words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nbtool.catalogue import weights
from nbtool.errors import ModelError
from nbtool.text import printable

WORDS = 8  # trigger words that are told
_ADAPTS = re.compile(
    r"[._]lora[._]?|lora_(?:A|B|up|down)\b|[._]lok[r]_|dora_scale|[._]diff(?:_b)?$"
)
_UNKNOWN = {  # kinds of adapters that diffusers does not read
    "hada_": "LoHa", "oft_": "OFT", ".oft": "OFT", "boft": "BOFT", "glora": "GLoRA",
}  # fmt: skip
_EMBEDDING = re.compile(r"^(?:emb_params|string_to_param|clip_[lg]|<.*>|\*)$")
_DORA = ("dora_scale", "lora_magnitude_vector")
_WHOLE = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")
_CONTROL = ("controlnet_cond_embedding", "zero_conv", "controlnet_down_blocks", "control_model.")
# What reads the prompt in a unet's blocks: as wide as what the text encoders give.
_READS = re.compile(
    r"attn2[._]to_[kv](?:[._]processor)?[._](?:lora_down|lora\.down|lora_A(?:\.default)?|lora\.A)\.weight$"
    r"|attn2\.processor\.to_[kv]_lora\.down\.weight$"
)
_UNET = re.compile(r"(?:^|[._])(?:down_blocks|up_blocks|mid_block|input_blocks|output_blocks)[._]")
_TRANSFORMER = re.compile(
    r"(?:^|[._])(?:transformer_blocks|single_blocks|double_blocks|layers)[._]"
)
_TEXT = re.compile(r"(?:^|[._])(?:text_encoder|lora_te|text_model)")


@dataclass(frozen=True)
class LoraFile:
    """What a file says of its LoRA without being loaded.

    Attributes:
        base: What it was trained for, in its own words; "" where it does not say.
        words: What it was trained with most often, for the prompt.
        rank: Of its matrices; None where that cannot be told.
        reads: How wide what it reads of the prompt is, in a unet; None where it has no such part.
        network: "unet" or "transformer"; "" where that cannot be told.
        text: Whether it changes text encoders too.
        dora: Whether it scales what it changes, as DoRA does (arXiv:2402.09353).
    """

    base: str = ""
    words: tuple[str, ...] = ()
    rank: int | None = None
    reads: int | None = None
    network: str = ""
    text: bool = False
    dora: bool = False


@dataclass(frozen=True)
class Listed:
    """A file in a list of LoRAs: what it says, or why it is of no use."""

    name: str
    said: LoraFile | None
    fault: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same for programs."""
        known = {} if self.said is None else asdict(self.said)
        return {"name": self.name, **known} | ({"fault": self.fault} if self.fault else {})

    def __str__(self) -> str:
        if self.said is None:
            return f"{printable(self.name)}: {printable(self.fault or '')}"
        said = self.said
        parts = [
            f"for {said.base}" if said.base else f"for a {said.network or 'network'}",
            f"{'DoRA, ' * said.dora}rank {said.rank}" if said.rank else "",
            "changes the text encoder too" if said.text else "",
            f"words: {', '.join(said.words)}" if said.words else "",
        ]
        return printable(f"{self.name}: {'; '.join(filter(None, parts))}")


def read(path: Path) -> LoraFile:
    """What a file says of its LoRA.

    Raises:
        ModelError: It is damaged, or holds something else; with what it is, and what to do with it.
    """
    if path.suffix in weights.PICKLES:
        raise ModelError(
            f"{path} is a pickle, which can run any code when it is read; look for a .safetensors "
            f"version of this LoRA"
        )
    tensors, said = weights.header(path), weights.metadata(path)
    if reason := _something_else(path, tensors):
        raise ModelError(reason)
    ranks = [shape[0] for name, shape in _shapes(tensors) if _is_down(name)]
    reads = next((shape[1] for name, shape in _shapes(tensors) if _READS.search(name)), None)
    named = [name for name in tensors if not _TEXT.search(name)]
    unet = any(map(_UNET.search, named))
    return LoraFile(
        base=_base(said),
        words=_words(said),
        rank=max(ranks, default=None),
        reads=reads,
        network="unet" if unet else "transformer" if any(map(_TRANSFORMER.search, named)) else "",
        text=len(named) < len(tensors),
        dora=any(mark in name for name in tensors for mark in _DORA),
    )


def _something_else(path: Path, tensors: Mapping[str, Any]) -> str:
    """What a file holds that is no LoRA, and what to do with it; "" for a LoRA."""
    names = list(tensors)
    for mark, kind in _UNKNOWN.items():
        if any(mark in name for name in names):
            return f"{path} is a {kind}, a kind of adapter that diffusers does not read"
    if any(map(_ADAPTS.search, names)):
        return ""
    if any(name.startswith(_WHOLE) for name in names):
        return (
            f"{path} is a whole model, not a LoRA; give it as one: nbtool.Generator({str(path)!r})"
        )
    if any(mark in name for name in names for mark in _CONTROL):
        return f"{path} is a ControlNet, not a LoRA; give it in controls=[…]"
    if names and all(map(_EMBEDDING.match, names)):
        return f"{path} is a textual inversion, not a LoRA; give it in embeddings={{…}}"
    return f"{path} is no LoRA: none of its {len(names)} tensors belongs to one"


def _shapes(tensors: Mapping[str, Any]) -> Iterator[tuple[str, list[int]]]:
    for name, tensor in tensors.items():
        if len(tensor["shape"]) > 1:
            yield name, tensor["shape"]


def _is_down(name: str) -> bool:
    return "lora_down" in name or "lora.down" in name or "lora_A" in name


def _base(said: Mapping[str, str]) -> str:
    return said.get("modelspec.architecture") or said.get("ss_base_model_version") or ""


def _words(said: Mapping[str, str]) -> tuple[str, ...]:
    """What it asks for in a prompt, or else the tags of what it was trained on, the most frequent."""
    if phrase := said.get("modelspec.trigger_phrase", "").strip():
        return tuple(filter(None, map(str.strip, phrase.split(","))))
    tags: Counter[str] = Counter()
    try:
        for counts in json.loads(said.get("ss_tag_frequency", "{}")).values():
            tags.update({tag.strip(): int(count) for tag, count in counts.items()})
    except (ValueError, TypeError, AttributeError):
        return ()
    return tuple(tag for tag, _ in tags.most_common(WORDS) if tag)
