"""A preset: what is added to prompts, and settings, under one name. Others call it a style."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nbtool.errors import RecipeError, unknown_name
from nbtool.recipes import templates
from nbtool.recipes.parameters import COMPOSED, NETWORK, ROWS, checked
from nbtool.text import shown

PLACE = "prompt"  # in braces it is where the prompt goes
TEXTS = ("prompt", "negative_prompt")
NOT_KEPT = NETWORK | COMPOSED | {"seed"}
SETTINGS = tuple(name for name in ROWS if name not in NOT_KEPT and name not in TEXTS)


class Preset:
    """What is added to prompts, and settings.

        store.presets["ink"] = nbtool.Preset(prompt="{prompt}, ink drawing", guidance_scale=4)
        gen("a fox", preset="ink")                    # a recipe with the prompt "a fox, ink drawing"
        gen.grid("a fox", preset=["ink", None])       # an axis; None: without

    It stands between what is otherwise used and what a call says: settings of the model, of the
    generator and of a recipe give way to it, and it gives way to any parameter that is given, or
    varied. Words in braces and replacements act on its texts as they do on the prompt. The recipe
    holds what came of it.

    Args:
        prompt: Is put around the prompt, which stands where `{prompt}` is, or else before it and a
            comma.
        negative_prompt: The same around the negative prompt.
        **settings: Recipe parameters; not the seed, the model and its revision.

    Raises:
        RecipeError: A name is no such parameter, or a value out of range or of the wrong kind.
    """

    def __init__(self, /, *, prompt: str = "", negative_prompt: str = "", **settings: Any) -> None:
        for name in settings:
            if name in NOT_KEPT:
                raise RecipeError(f"a preset keeps no {name}; it may have {', '.join(SETTINGS)}")
            if name not in SETTINGS:
                raise RecipeError(unknown_name(name, {*TEXTS, *SETTINGS}, "parameter"))
        self.prompt: str = checked("prompt", prompt)
        self.negative_prompt: str = checked("negative_prompt", negative_prompt)
        self.settings: dict[str, Any] = {n: checked(n, v) for n, v in settings.items()}
        if left := [name for name, value in self.settings.items() if value is None]:
            raise RecipeError(f"{left[0]} has no value; leave it out of the preset, or name one")

    def around(self, name: str, text: str) -> str:
        """A prompt or a negative prompt with what the preset adds to it.

        Args:
            name: "prompt" or "negative_prompt".
            text: As it is without.
        """
        added = self.prompt if name == PLACE else self.negative_prompt
        if PLACE not in templates.names(added):
            return ", ".join(filter(None, (text, added)))
        filled = templates.filled(added, {PLACE: text})
        return filled if text else filled.strip(" ,")

    def without(self, names: Collection[str]) -> Preset:
        """The same without some of its settings."""
        kept = {name: value for name, value in self.settings.items() if name not in names}
        return Preset(prompt=self.prompt, negative_prompt=self.negative_prompt, **kept)

    def to_dict(self) -> dict[str, Any]:
        """What it was made with; what is empty is left out."""
        texts = {name: getattr(self, name) for name in TEXTS if getattr(self, name)}
        return texts | self.settings

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Preset:
        """The preset of a dictionary such as `to_dict` returns.

        Raises:
            RecipeError: A name is no such parameter, or a value is none.
        """
        return cls(**said)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Preset) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.to_dict().items())))

    def __repr__(self) -> str:
        return f"Preset({', '.join(f'{n}={value!r}' for n, value in self.to_dict().items())})"


def chosen(asked: object, known: Mapping[str, Preset]) -> Preset | None:
    """The preset that is meant; None for none.

    Args:
        asked: Its name, or a preset; None, "" or "none" for none.
        known: Those that have a name.

    Raises:
        RecipeError: There is no such preset.
    """
    if asked is None or isinstance(asked, Preset):
        return asked
    if not isinstance(asked, str):
        raise RecipeError(f"preset needs a name, a nbtool.Preset or None, got {shown(asked)}")
    if is_none(asked):
        return None
    try:
        return known[asked]
    except KeyError:
        pass
    if not (names := list(known)):
        unknown = f"unknown preset {shown(asked)}; there are none yet"
        raise RecipeError(
            f"{unknown}: store.presets[{shown(asked)}] = nbtool.Preset(prompt=…) keeps one",
            in_shell=f"{unknown}; nbtool presets says how to get one",
        )
    raise RecipeError(unknown_name(asked, names, "preset"))


def is_none(name: str) -> bool:
    """Whether a name says that no preset is wanted."""
    return name.strip().casefold() in ("", "none")
