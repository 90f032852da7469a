"""Processes as people have them: forked, left early, interrupted, strict, with a broken installation.

Each is a process of its own. A library that cannot be imported, or never is, lies in its folder.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SECONDS = 120  # against hanging
GENERATOR = "import nbtool\ngen = nbtool.Generator(store='images', num_inference_steps=1, width=64, height=64)\n"
NEVER = "import time\nopen('begun', 'w').close()\nwhile True: time.sleep(0.001)\n"


@pytest.fixture
def python(tmp_path):
    """Runs a program; what it printed, its last line of errors, and how it ended."""

    def run(code, *options, libraries=None, **variables):
        for name, text in (libraries or {}).items():
            (tmp_path / "libraries" / name).mkdir(parents=True)
            (tmp_path / "libraries" / name / "__init__.py").write_text(text)
        (tmp_path / "program.py").write_text(GENERATOR + code)
        path = os.pathsep.join([str(tmp_path / "libraries"), *sys.path])
        done = subprocess.run(
            [sys.executable, *options, "program.py"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path, "NBTOOL_PROGRESS": "off", **variables},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return done.stdout, done.stderr.strip().rpartition("\n")[2], done.returncode

    return run


@pytest.mark.parametrize(
    ("library", "text", "reason"),
    [
        ("torch", "raise ImportError('no symbol\\nin libtorch.so')", "ImportError: no symbol"),
        ("torch", "import nothing_there", "No module named 'nothing_there'"),
        (
            "transformers",
            "raise RuntimeError('of another NumPy')",
            "RuntimeError: of another NumPy",
        ),
        ("accelerate", "raise SystemExit(3)", "SystemExit: 3"),
        ("diffusers", "raise ImportError('a conflict')", "ImportError: a conflict"),
    ],
)
def test_fault_54_a_library_that_cannot_be_imported_is_named(python, library, text, reason):
    code = "job = gen.submit('a star', seed=[1, 2])\njob.join()\nprint(job.error)\ngen('a star', seed=1)"
    said, error, ended = python(code, libraries={library: text})
    assert ended == 1
    for words in (said, error):
        assert f"{library} cannot be imported (" in words
        assert reason in words


def test_fault_54_also_where_only_the_machine_is_looked_at(python):
    for code in ("gen.memory_plan()", "nbtool.hardware()", "gen.tune()"):
        libraries = (
            {"torch": "raise OSError('no libcuda')"} if code == "gen.memory_plan()" else None
        )
        _, error, ended = python(code, libraries=libraries)
        assert ended == 1
        assert "NbtoolError: torch cannot be imported (OSError: no libcuda)" in error


CHECKPOINT = """
import json
header = json.dumps({"model.diffusion_model.x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
with open("mine.safetensors", "wb") as file:
    file.write(len(header).to_bytes(8, "little") + header.encode() + bytes(4))
nbtool.Generator("mine.safetensors")("a star")
"""
FOLDER = """
import json, os
os.mkdir("mine")
with open("mine/model_index.json", "w") as file: json.dump({"_class_name": "KandinskyPipeline"}, file)
nbtool.add_model("of-mine", "./mine")
print([entry.problem for entry in nbtool.models()][-1])
nbtool.Generator("mine")("a star")
"""
GRID = """
import nbtool.testing
gen = nbtool.Generator(engine=nbtool.testing.FakeEngine(), store="images")
nbtool.environment.why_no_widgets = nbtool.environment.why_no_panel = lambda: ""
grid = gen.grid("a star", seed=[1, 2])
"""


@pytest.mark.parametrize(
    ("library", "code"),
    [
        (
            "huggingface_hub",
            "print(nbtool.models()[0].runs)\nnbtool.Generator('org/model')('a star')",
        ),
        ("torch", CHECKPOINT),
        ("diffusers", CHECKPOINT),
        ("diffusers", FOLDER),
        ("matplotlib", GRID + "grid.figure()"),
        ("matplotlib", GRID + "grid.save('grid.png')"),
        ("anywidget", GRID + "grid.view()"),
        ("anywidget", GRID + "gen.panel()"),
    ],
)
def test_fault_54_also_where_the_calling_thread_imports_it(python, library, code):
    said, error, ended = python(code, libraries={library: "raise ImportError('a conflict')"})
    assert ended == 1
    assert f"NbtoolError: {library} cannot be imported (ImportError: a conflict)" in error
    assert said == "" or "diffusers cannot be imported" in said or "True" in said


@pytest.mark.parametrize(
    ("end", "ended"),
    [("", 0), ("sys.exit(3)", 3), ("1 / 0", 1), ("job.cancel()", 0), ("del job", 0)],
)
def test_fault_55_a_program_that_ends_while_it_loads_ends(python, end, ended):
    code = f"""
import pathlib, sys, time
for module in ("job.queue", "engines.local.worker"):  # what is waited for at the end is never over
    sys.modules["nbtool." + module].LEAVING = 1000
job = gen.submit("a star", seed=range(4))
while not pathlib.Path("begun").exists(): time.sleep(0.001)
{end}
"""
    _, error, came = python(code, libraries={"torch": NEVER})
    assert came == ended
    assert error == ("ZeroDivisionError: division by zero" if ended == 1 else "")


def test_fault_55_a_program_that_ends_while_images_are_made_keeps_what_is_finished(python):
    code = """
job = gen.submit("a star", seed=range(400), num_inference_steps=4)
next(iter(job))
"""
    assert python(code) == ("", "", 0)
    said, error, ended = python(
        "print(len(gen.store) == len(list(gen.store)) > 0, gen.store.check())"
    )
    assert (said, error, ended) == ("True []\n", "", 0)


def test_fault_55_what_is_asked_for_when_python_has_ended_is_refused(python):
    """By a function that atexit calls last: it was registered before nbtool was imported."""
    code = """
gen("a star", seed=1)
def at_the_end():
    for ask in (lambda: gen("a star", seed=2), gen.submit("a star", seed=3).wait, gen.tune):
        try: ask()
        except nbtool.GenerationError as error: print(error)
    nbtool.unload()
"""
    first = "import atexit, __main__\natexit.register(lambda: __main__.at_the_end())"
    said, error, ended = python(code, libraries={"sitecustomize": first})
    assert (error, ended) == ("", 0)
    assert [line[:16] for line in said.splitlines()] == ["Python is ending"] * 3


def test_fault_06_an_interrupt_while_it_loads_is_heard_at_once(python):
    code = """
import os, pathlib, signal, threading, time
def interrupt():
    while not pathlib.Path("begun").exists(): time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    gen.grid("a star", seed=range(4))
except KeyboardInterrupt:
    print("interrupted")
"""
    assert python(code, libraries={"torch": NEVER}) == ("interrupted\n", "", 0)


CHILD = """
import os
def child(work):
    # What the work gives or raises in a fork of this process.
    read, write = os.pipe()
    if not (forked := os.fork()):
        try: said = str(work())
        except Exception as error: said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        raise SystemExit  # with all that is done at the end of a program
    os.close(write)
    assert os.waitpid(forked, 0)[1] == 0
    with open(read) as said: print(said.read())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fault_55_a_fork_works_before_the_first_image_and_says_what_to_do_after(python):
    code = f"""{CHILD}
child(lambda: gen("a star", seed=1).path.name)
print(gen("a star", seed=1).path.name)  # from the store: the parent has made none
child(lambda: gen("a star", seed=2).path.exists())
print(gen("a star", seed=3).path.exists())
child(lambda: gen("a star", seed=3).path.exists())
child(lambda: gen("a star", seed=4))
child(gen.tune)
print(gen("a star", seed=4).path.exists())
"""
    said, error, ended = python(code)
    assert (error, ended) == ("", 0)
    in_child, in_parent, *lines = said.splitlines()
    assert in_child == in_parent
    assert lines[:3] == ["True"] * 3
    assert lines[3].startswith("GenerationError: this process is the fork of one")
    assert 'get_context("spawn")' in lines[3]
    assert lines[4] == lines[3]
    assert lines[5:] == ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fault_55_a_fork_beside_a_job_is_not_part_of_it(python):
    code = f"""{CHILD}
import nbtool.testing
engine = nbtool.testing.FakeEngine()
gen = nbtool.Generator(engine=engine, store="images")
engine.hold()
job = gen.submit("a star", seed=1)
engine.wait_for_hold()
child(job.wait)
child(lambda: nbtool.Generator(engine=nbtool.testing.FakeEngine(), store="images")("a star", seed=1).seed)
engine.release()
print(len(job.wait()))
"""
    said, error, ended = python(code)
    assert (error, ended) == ("", 0)
    assert said.splitlines() == [
        "GenerationError: this job goes on in the process that this one is a fork of",
        "1",
        "1",
    ]


def test_fault_60_warnings_that_are_errors_fail_no_picture(python):
    """Of a library, anywhere in its work; ours is raised when the picture is kept."""
    code = """
grid = gen.grid("a star", seed=[1, 2], scheduler=["ddim", "euler_a", "lms", "dpm++2m_sde"])
print(len(grid), len(grid.failed))
try: gen("a star " * 100, seed=3)
except UserWarning as warning: print(warning)
print(gen("a star " * 100, seed=3).provenance.notes)
"""
    said, _, ended = python(code, PYTHONWARNINGS="error")
    assert ended == 0
    counts, warning, notes = said.splitlines()
    assert counts == "8 0"
    assert warning.startswith("the prompt has ")
    assert warning in notes


WARNING = """
import importlib.abc, importlib.machinery, sys, warnings
class Warning_(importlib.abc.MetaPathFinder):
    # Every import of one of these begins with a warning.
    def find_spec(self, name, path, target=None):
        if name not in {"huggingface_hub", "diffusers", "matplotlib", "PIL.WebPImagePlugin", "anywidget", "psutil"}: return
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module
        def warn_first(module):
            print(name, end=" ")
            warnings.warn_explicit("it is old", DeprecationWarning, name, 1)
            execute(module)
        spec.loader.exec_module = warn_first
        return spec
sys.meta_path.insert(0, Warning_())
"""


def test_fault_60_nor_do_they_where_the_calling_thread_imports_and_saves(python):
    code = f"""
try: nbtool.Generator("Kandinsky")
except nbtool.ModelError: pass
nbtool.models()
{GRID}
grid[0].save("image.webp")
grid.view(), gen.panel(), grid.figure()
for kind in ("webp", "pdf", "zip", "html"): grid.save("grid." + kind)
{CHECKPOINT.replace("nbtool.Generator", "gen = nbtool.Generator").replace('("a star")', "")}
try: gen("a star")
except nbtool.ModelError as error: print(error)
"""
    said, error, ended = python(
        code, libraries={"sitecustomize": WARNING}, PYTHONWARNINGS="error", HF_HUB_OFFLINE="1"
    )
    assert ended == 0, error
    for library in ("huggingface_hub", "diffusers", "matplotlib", "WebP", "anywidget", "psutil"):
        assert library in said
    assert "HF_HUB_OFFLINE forbids" in said
