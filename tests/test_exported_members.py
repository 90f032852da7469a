"""What is public, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import nbtool


def test_the_public_names_are_locked_and_sorted():
    assert nbtool.__all__ == [
        "AxisError",
        "Cancelled",
        "GeneratedImage",
        "GenerationError",
        "Generator",
        "Grid",
        "Job",
        "MetadataError",
        "ModelError",
        "NbtoolError",
        "Panel",
        "PartError",
        "Picture",
        "Pictures",
        "Plan",
        "Preset",
        "Provenance",
        "Recipe",
        "RecipeError",
        "Refine",
        "Store",
        "StoreError",
        "__version__",
        "add_lora",
        "add_loras",
        "add_model",
        "cancel",
        "grids",
        "hardware",
        "jobs",
        "lora",
        "models",
        "outpaint",
        "paint",
        "paired",
        "pictures",
        "presets",
        "random_seeds",
        "refine",
        "replace",
        "save",
        "unload",
    ]
    assert nbtool.__all__ == sorted(nbtool.__all__)


@pytest.mark.parametrize("name", [name for name in nbtool.__all__ if name != "__version__"])
def test_every_public_name_says_what_it_is(name):
    documentation = getattr(nbtool, name).__doc__
    assert documentation
    # A dataclass without a docstring is given its signature as one.
    assert not documentation.startswith(f"{name}(")


@pytest.mark.parametrize("name", [name for name in nbtool.__all__ if name.endswith("Error")])
def test_every_error_is_an_nbtool_error(name):
    assert issubclass(getattr(nbtool, name), nbtool.NbtoolError)


HEAVY = {
    "torch",
    "diffusers",
    "transformers",
    "ipywidgets",
    "matplotlib",
    "IPython",
    "numpy",
    "PIL",
}


def test_importing_nbtool_imports_nothing_heavy():
    code = f"import sys, nbtool; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
    assert done.stderr == ""


def test_making_a_generator_and_a_recipe_loads_no_model_library(tmp_path):
    code = (
        "import sys, nbtool; nbtool.Generator(store=sys.argv[1]); nbtool.Recipe(prompt='a');"
        f"print(*sorted({HEAVY - {'PIL'}!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(tmp_path / "images")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == []
    assert not (tmp_path / "images").exists()
