"""The rooms of the package and their floors: imports go down only, and nothing goes in circles.

Read from the sources, so that an import inside a function or for the type checker counts too.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "nbtool"
# From the ground up. A room imports from lower floors only, not from others on its own.
FLOORS = (
    ("errors", "environment", "_version"),
    ("text", "silence"),
    ("background", "files"),
    ("schedulers", "machine"),
    ("imaging", "metadata"),
    ("recipes",),
    ("results", "catalogue"),
    ("fitting", "display"),
    ("engines", "live"),
    ("grid", "painter"),
    ("job",),
    ("panel", "watch"),
    ("generator",),
    ("testing",),
    ("__init__",),
    ("cli",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MAX_MODULES = 14  # on the top level; the rest stands in rooms


def imports(package):
    """The modules of a package, and of each those that it imports, wherever in its text."""
    paths = {_name(path, package): path for path in package.rglob("*.py")}
    return {name: set(_imported(name, path, paths)) for name, path in paths.items()}


def _name(path, package):
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(name, path, modules):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            home = name.split(".")
            home = home if path.name == "__init__.py" else home[:-1]
            near = home[: len(home) - node.level + 1] if node.level else []
            source = ".".join([*near, *filter(None, [node.module])])
            found = {f"{source}.{alias.name}" for alias in node.names}
            if not found <= modules.keys():
                found.add(source)
            yield from found & modules.keys() - {name}


def room(module):
    return [*module.split("."), "__init__"][1]


def upward(arrows):
    """The imports that do not lead down to a lower floor."""
    return sorted(
        f"{module} imports {other}"
        for module, others in arrows.items()
        for other in others
        if room(module) != room(other) and FLOOR[room(module)] <= FLOOR[room(other)]
    )


def circle(arrows):
    """Modules that import each other in a circle, if there are any."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def loose(package):
    return sorted(path.stem for path in package.glob("*.py"))


def test_every_module_stands_in_a_room():
    assert {room(module) for module in imports(PACKAGE)} <= FLOOR.keys()


def test_imports_go_down_only():
    assert upward(imports(PACKAGE)) == []


def test_no_modules_import_each_other_in_a_circle():
    assert circle(imports(PACKAGE)) == []


def test_the_top_level_stays_small():
    assert len(loose(PACKAGE)) <= MAX_MODULES


def test_no_import_is_hidden_from_the_reader():
    names = {
        getattr(node, "id", getattr(node, "attr", ""))
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert not names & {"import_module", "__import__"}


@pytest.mark.parametrize(
    "text",
    [
        "from nbtool.job import Job",
        "from nbtool import job",
        "import nbtool.job",
        "from .. import job",
        "from ..job import Job",
        "def late():\n    from nbtool.job import Job",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nbtool.job import Job",
    ],
)
def test_the_reader_finds_an_import_wherever_it_stands(tmp_path, text):
    package = tmp_path / "nbtool"
    (package / "recipes").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "job.py").write_text("from nbtool.recipes.axes import Axis")
    (package / "recipes" / "__init__.py").write_text("")
    (package / "recipes" / "axes.py").write_text(text)
    arrows = imports(package)
    assert arrows["nbtool.recipes.axes"] - {"nbtool"} == {"nbtool.job"}
    assert "nbtool.recipes.axes imports nbtool.job" in upward(arrows)
    assert {"nbtool.job", "nbtool.recipes.axes"} <= set(circle(arrows))
