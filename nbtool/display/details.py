"""What the viewer shows beside an enlarged image: recipe, note, provenance, code to copy."""

from __future__ import annotations

from typing import Any

from nbtool.display import faces
from nbtool.display.before import TYPE, before
from nbtool.recipes.parameters import COMPOSED, called, titled
from nbtool.recipes.picture import each
from nbtool.recipes.recipe import Recipe
from nbtool.results.folder import INPUTS, KEY_DIGITS
from nbtool.results.image import GeneratedImage
from nbtool.text import digits, printable


def details(cell: GeneratedImage, file: str, *, metadata: bool = True) -> dict[str, Any]:
    """Everything about an image in words, and a name for its file; without metadata only that.

    Tables are rows of a label, a value, and the name that the label stands for.
    """
    shown = {"size": faces.size(cell) or (1, 1), "file": file}
    if not metadata:
        return shown | {"caption": "", "note": "", "made": []}
    made = {name: value for name, value in cell.provenance.to_dict().items() if value}
    for several in ("widths", "versions", "inputs"):
        if parts := made.pop(several, {}):
            made[several] = ", ".join(f"{name} {part}" for name, part in parts.items())
    if notes := made.pop("notes", []):
        made["notes"] = "\n".join(notes)
    return {
        **shown,
        "caption": cell.caption,
        "note": cell.note,
        "made": [[titled(name), str(value), name] for name, value in made.items()],
    } | request(cell.recipe)


def whole(image: GeneratedImage, file: str) -> tuple[dict[str, Any], list[bytes]]:
    """What the enlarged view is told of an image, and the files that go with it."""
    told = details(image, file) | {"types": ["image/png"]}
    seen = before(image)
    if seen is None:
        return told, [image.png]
    told |= {"types": ["image/png", TYPE], "before": seen.words}
    return told, [image.png, seen.file]


def request(recipe: Recipe) -> dict[str, Any]:
    """What there is to say of a recipe, of one that came to nothing too."""
    given = recipe.in_words()
    table = [
        [called(name), digits(value) if isinstance(value, float) else str(value), name]
        for name, value in given.items()
    ]
    return {"recipe": table, "python": as_python(recipe)}


def as_python(recipe: Recipe) -> str:
    """Code that makes the image again; where its pictures lie, known by their hashes, it says first."""
    given = recipe.to_dict()
    if COMPOSED.isdisjoint(given):
        lines = [f"    {name}={value!r},\n" for name, value in given.items()]
        made = f"image = gen(nbtool.Recipe(\n{''.join(lines)}))\n"
    else:
        lines = [f"    {name!r}: {value!r},\n" for name, value in given.items()]
        made = f"image = gen(nbtool.Recipe.from_dict({{\n{''.join(lines)}}}))\n"
    return f"{_pictures(recipe)}import nbtool\n\ngen = {recipe.generator}\n{made}"


def _pictures(recipe: Recipe) -> str:
    """Comments that name the pictures of a recipe, and their files in the store."""
    lines = []
    for name in ("image", "mask_image"):
        for picture in each(getattr(recipe, name)):
            file = f"{INPUTS}/{picture.digest[:KEY_DIGITS]}.png in the store"
            said = f" ({printable(picture.name)})" if picture.name else ""
            lines.append(f"# {name}: {'made first' if picture.is_deferred else file}{said}\n")
    return "".join(lines)
