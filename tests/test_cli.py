"""The `nbtool` command, as a person types it."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from drives import as_kept_before
from PIL import Image as PILImage

import nbtool
from nbtool import cli
from nbtool.cli.options import COMMANDS, parser
from nbtool.engines.local.task import _reason
from nbtool.results.grids import SavedGrids
from nbtool.testing import FakeEngine


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*arguments):
    return cli.main([*arguments])


def test_demo_makes_sixteen_images_a_sheet_and_a_page(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "DEMO_AXES", cli.DEMO_AXES | {"num_inference_steps": 2})
    assert run("demo") == 0
    output = capsys.readouterr().out
    assert len(nbtool.Store("nbtool-images")) == 16
    for name in ("nbtool-demo.png", "nbtool-demo.html"):
        assert str(tmp_path / name) in output
        assert (tmp_path / name).stat().st_size > 10_000


def test_generate_writes_an_image_that_carries_its_recipe(tmp_path):
    assert run("generate", "a star", "seed=3", "num_inference_steps=2", "-o", "star.png") == 0
    recipe = nbtool.Recipe.from_file(tmp_path / "star.png")
    assert (recipe.prompt, recipe.seed, recipe.num_inference_steps) == ("a star", 3, 2)


def test_generate_writes_every_output(capsys):
    command = ["generate", "a {c} star", "c={c}", "num_inference_steps=1"]
    assert run(*command, "-o", "a.png", "-o", "b.webp") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["a.png", "b.webp"]
    recipes = [nbtool.Recipe.from_file(name) for name in ("a.png", "b.webp")]
    assert [recipe.prompt for recipe in recipes] == ["a {c} star"] * 2


@pytest.mark.parametrize("command", ["generate", "grid"])
def test_where_memory_runs_out_the_shell_is_told_what_can_be_done_there(
    capsys, monkeypatch, command
):
    reason = _reason(MemoryError())
    engine = FakeEngine(fails=lambda _: reason)
    monkeypatch.setattr(
        cli, "_generator", lambda _: nbtool.Generator(engine=engine, store="images")
    )
    assert "nbtool.unload()" in reason
    assert run(command, "a star") == 1
    said = capsys.readouterr().err
    assert "make it smaller, or free memory: close other programs that use it" in said
    assert "nbtool." not in said
    assert "  " not in said


def test_grid_takes_ranges_lists_and_words(capsys):
    arguments = ["a {c} star", "c=red|blue", "seed=1-3 (+2)", "num_inference_steps=2"]
    assert run("grid", *arguments, "--plan", "scheduler=euler|ddim") == 0
    assert "8 cells: 8 images to make" in capsys.readouterr().out
    assert run("grid", *arguments, "-o", "sheet.png", "-o", "all.zip") == 0
    assert "4 images in" in capsys.readouterr().out


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two pictures in a folder, and an engine that is quick with them."""
    (tmp_path / "photos").mkdir()
    for name, colour in (("cat", "red"), ("dog", "blue")):
        PILImage.new("RGB", (64, 64), colour).save(tmp_path / "photos" / f"{name}.png")
    monkeypatch.setattr(
        cli, "_generator", lambda options: nbtool.Generator(engine=FakeEngine(), store="images")
    )


@pytest.mark.usefixtures("photos")
def test_generate_starts_from_a_picture(tmp_path):
    assert run("generate", "a fox", "image=photos/cat.png", "strength=0.5", "-o", "out.png") == 0
    recipe = nbtool.Recipe.from_file(tmp_path / "out.png")
    assert (recipe.image.name, recipe.strength, recipe.image.is_here) == ("cat", 0.5, True)


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize("pictures", ["photos/*.png", "photos/cat.png|photos/dog.png", "ph*/*"])
@pytest.mark.parametrize("inputs", [(), ("--inputs",), ("--no-inputs",)])
def test_pictures_of_a_glob_or_between_bars_are_an_axis(tmp_path, pictures, inputs, capsys):
    command = ["grid", "a fox", f"image={pictures}", "strength=0.4,0.6", "-o", "out.zip", *inputs]
    assert run(*command) == 0
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        axes = json.loads(archive.read("manifest.json"))["axes"]
        first = nbtool.Recipe.from_file(archive.extract(archive.namelist()[0], tmp_path))
    assert axes[0] == {"name": "image", "labels": ["cat", "dog"]}
    assert first.image.is_here == (inputs == ("--inputs",))
    noted = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    said = (
        "nbtool: the pictures that 4 images were made from are left out; --inputs takes them along"
    )
    assert noted == ([] if inputs else [said])


@pytest.mark.usefixtures("photos")
def test_generate_takes_the_one_picture_that_a_glob_matches(tmp_path):
    Path("[x].png").write_bytes(Path("photos/cat.png").read_bytes())
    for given in ("photos/c*.png", "[x].png"):  # a file of such a name is itself
        command = ["generate", "a fox", f"image={given}", "mask_image=photos/dog.png", "seed=1"]
        assert run(*command, "-o", "out.png", "--no-inputs") == 0
        recipe = nbtool.Recipe.from_file(tmp_path / "out.png")
        assert recipe.image == nbtool.Picture("photos/cat.png")
        assert not recipe.image.is_here


@pytest.mark.usefixtures("photos")
def test_a_second_pass_is_typed_value_by_value(tmp_path, capsys):
    second = ["refine_scale=1.5", "refine_strength=0.4", "refine_prompt=a bear", "refine_seed=3"]
    assert run("generate", "a fox", "seed=1", *second, "-o", "out.png") == 0
    recipe = nbtool.Recipe.from_file(tmp_path / "out.png")
    assert recipe.refine == nbtool.refine(scale=1.5, strength=0.4, prompt="a bear", seed=3)
    varied = ["refine_scale=1.5|2", "refine_strength=0.2-0.6 [3]", "refine_scheduler=ddim|euler"]
    assert run("grid", "a fox", "seed=1", *varied, "--plan") == 0
    assert "12 cells: 12 images to make" in capsys.readouterr().out
    words = ["refine_me=red|blue", "seed=1", "--plan"]
    assert run("grid", "a {refine_me} fox", *words) == 0
    assert "2 cells" in capsys.readouterr().out


GRID, GENERATE = ["grid", "a fox"], ["generate", "a fox"]


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*GRID, "image=photos/*.jpg"], "image=photos/*.jpg matches no file; look at it with: ls"),
        ([*GENERATE, "mask_image=photos/*.jpg"], "mask_image=photos/*.jpg matches no file"),
        ([*GRID, "image=ph*"], "image=ph* matches no file"),
        ([*GENERATE, "image=photos/*.png"], "one image: nbtool grid 'a fox' 'image=photos/*.png'"),
        ([*GENERATE, "image=a.png|b.png"], "one image: nbtool grid 'a fox' 'image=a.png|b.png'"),
        (
            [*GENERATE, "image=photos"],
            "image=photos is a folder; 'image=photos/*' are the pictures",
        ),
        ([*GRID, "image=photos/"], "image=photos/ is a folder; 'image=photos/*' are the pictures"),
        ([*GENERATE, "image=fox.png"], "image: there is no picture fox.png"),
        ([*GRID, "image=photos/cat.png|fox.png"], "image: there is no picture fox.png"),
        (
            [*GRID, "image=photos/cat.png, photos/dog.png"],
            "no such file; several stand between bars: 'image=photos/cat.png|photos/dog.png'",
        ),
        ([*GENERATE, "guidance_scale=-3"], "guidance_scale must be a number ≥ 0, got -3\n"),
        ([*GRID, "guidance_scale=-3"], "guidance_scale must be a number ≥ 0, got -3\n"),
        ([*GRID, "image=~/fox.png"], "image: there is no picture "),
        ([*GENERATE, "image="], "image= has no value; write image=cat.png"),
        ([*GRID, "mask_image= "], "mask_image= has no value; write mask_image=mask.png"),
        (
            [*GENERATE, "image=https://x.org/fox.png"],
            "'https://x.org/fox.png'; download it and give",
        ),
        ([*GENERATE, "mask_image=photos/cat.png"], "needs a picture to act on; add image=FILE"),
        ([*GRID, "strength=0.1,0.2"], "strength needs a picture to act on; add image=FILE"),
        ([*GRID, "image=notes.txt"], "notes.txt is no picture that can be read; save it as PNG"),
        (
            [*GENERATE, "refine=1.5"],
            "a second pass is written refine_scale=1.5 refine_strength=0.4",
        ),
        ([*GENERATE, "refine_scal=2"], "did you mean 'scale'?"),
        ([*GENERATE, "refine_scale=9"], "refine's scale must be a number from 1 to 8, got 9"),
        ([*GENERATE, "refine_scale=1.5,2"], "one image: nbtool grid 'a fox' refine_scale=1.5,2"),
        ([*GRID, "refine_scale="], "refine_scale= has no value; write refine_scale=1"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said_before_anything_is_made(arguments, message, capsys):
    Path("notes.txt").write_text("no picture")
    assert run(*arguments, "-o", "out.png") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not re.search(r"gen\.|nbtool\.|glob\.|=\[|=…", error)
    assert sorted(os.listdir()) == ["notes.txt", "photos"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "a star", "sede=3"], "did you mean 'seed'"),
        (["generate", "a star", "seed"], "name=value"),
        (["generate", "a star", "seed=1", "seed=2"], "given twice"),
        (["grid", "a star", "seed=3-"], "no number or range"),
        (["generate", "a star", "width=513"], "multiple of 8"),
        (["generate", "a star", "seed=1-3"], "one image: nbtool grid 'a star' seed=1-3"),
        (["generate", "a {c} star", "c=red|blue"], "grid 'a {c} star' 'c=red|blue'"),
        (["grid", "a {color} star"], "add 'color=red|blue'"),
        (["grid", "a star", "model=sdxl"], "model=sdxl: the model is chosen with --model NAME"),
        (["grid", "a star", "prompt=a|b"], "'a {thing}' 'thing=red star|blue ring'"),
        (["grid", "a", "red", "star"], "a prompt of several words stands in quotes"),
        (["grid", "a star", "seed="], "seed= has no value; write seed=7"),
        (["grid", "a star", "-o", "x/", "--names", "{sede}"], "did you mean 'seed'? there are: "),
        (["grid", "a star", "--names", "{seed}"], "say where with -o folder/"),
        (["grid", "a star", "--name", " "], "a grid's name is a line of text without spaces"),
        (
            ["grid", "a star", "--name", "x" * 101],
            "a grid's name has at most 100 characters, got 101",
        ),
        (["generate", "a star", "preset=ink"], "none yet; nbtool presets says how to get one"),
        (["generate", "a star", "device=cpu"], "the device is chosen with --device NAME"),
        (
            ["generate", "a star", "dtype=float16"],
            "dtype belongs to the generator, and is for Python",
        ),
        (["grid", r"\sqrt{x} star", "x=1|2"], "braces of LaTeX and doubled ones are not filled"),
        (["grid", "a {n:02d}", "n=1|2"], "write {n}, and give n as texts with their digits"),
        (["generate", "a {color} star"], "'color={color}' for the braces themselves"),
        (["grid", "a star", "-o", "x/", "--names", "{seed}.gif"], "not as .gif; end '{seed}.gif'"),
        (["images", "-o", "x/", "--names", "{prompt:0}"], "a width from 1 to 999"),
        (
            ["grid", "a star", "preset=ink", "-o", "x/", "--names", "{preset}"],
            "unknown name 'preset'",
        ),
        (["grids", "stars", "--names", "{seed}"], "say where with -o folder/"),
        (["grids", "stars", "--no-metadata"], "say where with -o folder/"),
        (["generate", "a star", "--no-metadata"], "say where with -o FILE"),
        (["images", "--sort", "sede"], "did you mean 'seed'"),
        (["images", "--since", "yesterday"], "since is a date"),
        (["images", "--limit", "0"], "--limit must be 1 or more, got 0"),
        (["images", "-o", "x.png"], "images are saved as a folder (pictures/), .zip; got 'x.png'"),
    ],
)
def test_wrong_use_is_explained_on_one_line(arguments, message, capsys):
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not re.search(r"\w\(…|gen\.|store\.|nbtool\.|=\[|=…", error)
    assert not os.listdir()


OUTPUTS = {
    "a kind there is not": ("sheet.gif", 2, "saved as"),
    "no kind": ("sheet", 2, "saved as"),
    "nothing": ("", 2, "saved as"),
    "a missing folder": ("no-such-folder/sheet.png", 1, "No such file or directory"),
    "a file for a folder": ("file/sheet.png", 1, "Not a directory"),
    "a folder of that name": ("folder.png", 1, "Is a directory"),
    "a name too long": ("x" * 300 + ".png", 1, "File name too long"),
}


@pytest.mark.parametrize("command", ["generate", "grid"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_cannot_be_is_told_before_anything_is_made(name, command, capsys):
    output, code, message = OUTPUTS[name]
    Path("file").touch()
    Path("folder.png").mkdir()
    Path("there.png").write_bytes(b"as it was")
    assert run(command, "a star", "seed=1", "-o", "there.png", "-o", output) == code
    assert message in capsys.readouterr().err
    assert not Path("nbtool-images").exists()
    assert Path("there.png").read_bytes() == b"as it was"
    assert sorted(os.listdir()) == ["file", "folder.png", "there.png"]


@pytest.mark.parametrize("command", [["generate", "a", "-o", "a.png"], ["grid", "a"], ["demo"]])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_folder_without_the_right_to_write_is_told_before_anything_is_made(
    command, number, capsys, monkeypatch
):
    def refuse(path, *_, **__):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert run(*command) == 1
    assert os.strerror(number) in capsys.readouterr().err
    assert os.listdir() == []


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    assert run("generate", "a star", "num_inference_steps=1", "--output=~/star.png") == 0
    assert (tmp_path / "home" / "star.png").exists()


@pytest.fixture
def closed_pipe():
    """Where `head` has already gone away."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["images"], 0), (["grid", "a", "sede=1"], 2)]
)
def test_a_reader_that_goes_away_changes_nothing(arguments, code, buffered, closed_pipe):
    done = subprocess.run(
        [sys.executable, "-m", "nbtool.cli", *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": buffered},
        stdout=closed_pipe, stderr=subprocess.PIPE, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert ("unknown" in done.stderr) == (code == 2)


def test_what_is_made_is_whole_though_nobody_reads_of_it(closed_pipe):
    command = ["grid", "a star", "seed=0-1", "num_inference_steps=1", "-o", "a.png", "-o", "a.zip"]
    done = subprocess.run(
        [sys.executable, "-m", "nbtool.cli", *command],
        stdout=closed_pipe, stderr=closed_pipe, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert len(nbtool.Store("nbtool-images")) == 2
    assert Path("a.png").stat().st_size > 1000
    assert Path("a.zip").stat().st_size > 1000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("buffered", ["", "1"])
def test_output_that_is_lost_on_a_full_disk_is_a_failure(buffered):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nbtool.cli", "--help"],
            env={**os.environ, "PYTHONUNBUFFERED": buffered},
            stdout=full, stderr=subprocess.PIPE, check=False, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "nbtool: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("encoding", ["cp1252", "cp932", "ascii", "utf-8"])
@pytest.mark.parametrize(
    "arguments", [["models"], ["check"], ["models", "--json"], ["grid", "-h"], ["images"]]
)
def test_fault_56_what_a_terminal_cannot_show_is_replaced(arguments, encoding, monkeypatch):
    image = nbtool.Generator(engine=FakeEngine(), store="nbtool-images")("日本の城 · ≈", seed=1)
    image.starred = True
    for name in ("stdout", "stderr"):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, name, stream)
    code, out, err = run(*arguments), sys.stdout, sys.stderr
    monkeypatch.undo()
    said = out.buffer.getvalue().decode(encoding)
    assert (code, err.buffer.getvalue()) == (0, b"")
    assert len(said) > 20
    if "--json" in arguments:  # of which nothing may be lost
        assert json.loads(said)
        assert said.isascii()


def test_a_program_without_standard_output_runs_the_command(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    codes = [run("images"), run("grid"), run("grid", "a", "sede=1")]
    monkeypatch.undo()
    assert codes == [0, 2, 2]


def test_other_failures_have_exit_code_one(capsys):
    assert run("generate", "a star", "--store", "no/such/folder") == 1
    assert "there is no folder" in capsys.readouterr().err
    assert run("generate", "a star", "--model", "nothing") == 1
    failing = ["grid", "a star", "scheduler=DPMSolverSDEScheduler|ddim", "num_inference_steps=2"]
    assert run(*failing) == 1
    assert "DPMSolverSDEScheduler" in capsys.readouterr().err


def test_no_command_prints_a_traceback():
    command = [sys.executable, "-m", "nbtool.cli", "generate", "a star", "seed=x"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_lab_copies_the_notebooks_and_keeps_changes(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(
        subprocess, "run",
        lambda command, **_: started.append(command) or subprocess.CompletedProcess(command, 0),
    )  # fmt: skip
    assert run("lab", "mine") == 0
    notebook = min((tmp_path / "mine").glob("*.ipynb"))
    notebook.write_text("changed")
    assert run("lab", "mine") == 0
    assert notebook.read_text() == "changed"
    assert started[0][2:4] == ["jupyter", "lab"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lab", "file"], "cannot copy the notebooks to .*file: File exists"),
        (["lab", "file/x"], "Not a directory"),
        (["lab", "\ud800"], "no file can have the name"),
        (["star", "x" * 300], "cannot find x.*File name too long"),
        (["star", "\ud800"], "no file can have the name"),
        (["generate", "a star", "-o", "\ud800.png"], "no file can have the name"),
    ],
)
def test_a_path_that_cannot_be_is_told(arguments, message, capsys):
    Path("file").touch()
    assert run(*arguments) == 1
    assert re.search(message, capsys.readouterr().err)


def test_stars_and_notes_are_the_same_from_the_shell(capsys):
    assert run("grid", "a star", "seed=1-3", "num_inference_steps=2") == 0
    first, second, _ = nbtool.Store("nbtool-images")
    capsys.readouterr()
    assert run("star", str(first.path), second.recipe.key, "--note", "good\x1b[2J") == 0
    assert (first.starred, second.note) == (True, "good\x1b[2J")
    capsys.readouterr()
    assert run("images", "--starred") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"★ {first.path}  a star · seed {first.seed}")
    assert lines[0].endswith(r"(good\x1b[2J)")
    assert run("star", second.recipe.key, "--remove") == 0
    capsys.readouterr()
    assert run("images") == 0
    assert [line[0] for line in capsys.readouterr().out.splitlines()] == ["★", " ", " "]
    assert run("star", "0" * 64) == 1
    assert "holds no image with the key" in capsys.readouterr().err


def test_check_says_what_there_is(capsys):
    assert run("check") == 0
    output = capsys.readouterr().out
    for label in ("Processor", "Graphics card", "Images are made on", "Room for models"):
        assert label in output


def test_check_writes_json_with_a_benchmark(capsys, monkeypatch):
    monkeypatch.setattr("nbtool.cli.benchmark.TOGETHER", 2)
    assert run("check", "--json", "--benchmark") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["device"] == nbtool.hardware().device
    assert facts["benchmark"]["seconds_alone"] > 0
    assert facts["benchmark"]["seconds_together"] > 0
    assert not list(nbtool.Store())


def test_models_are_listed_for_people_and_for_programs(capsys):
    assert run("models") == 0
    table = capsys.readouterr().out
    assert table.splitlines()[0].split() == [
        "Name", "Download", "Runs", "here", "Memory", "Time", "an", "image", "With", "pictures",
    ]  # fmt: skip
    assert "yes, on" in table
    assert run("models", "--json") == 0
    records = json.loads(capsys.readouterr().out)
    assert records[0]["name"] == "shapes"
    assert records[0]["runs"]


def test_grids_that_have_a_name_are_listed_and_written(capsys):
    assert run("grids") == 0
    assert "has a name; nbtool grid … --name NAME gives it one" in capsys.readouterr().out
    gen = nbtool.Generator(engine=FakeEngine(), store="nbtool-images")
    gen.grid("a star", seed=[1, 2]).name = "stars"
    name = "my\x1b[2J stars"
    as_kept_before(gen.store, "stars", name)
    capsys.readouterr()
    assert run("grids") == 0
    out = capsys.readouterr().out
    assert r"my\x1b[2J stars  2 seeds  2 of 2 images  a star" in out
    assert run("grids", name) == 0
    what, how = capsys.readouterr().out.splitlines()
    assert what == r"my\x1b[2J stars: a star · 2 seeds, 2 images"
    assert how.startswith(r"nbtool grids 'my\x1b[2J stars' -o grid.html writes a page")
    assert run("grids", name, "-o", "a.html", "-o", "b.png", "--store", "nbtool-images") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == r"my\x1b[2J stars: a star · 2 seeds, 2 images"
    assert out[1:] == [f"page: {Path('a.html').resolve()}", f"sheet: {Path('b.png').resolve()}"]
    assert all(Path(file).stat().st_size > 500 for file in ("a.html", "b.png"))
    for wrong, said in {
        ("stars", "-o", "c.html"): f"no grid 'stars'; it has: {name!r}",
        (name, "-o", "c.gif"): "c.gif",
        (name, "-o", "no/c.png"): "no/c.png",
        ("-o", "c.html"): "which grid is to be written?",
    }.items():
        assert run("grids", *wrong) in (1, 2)
        assert said in capsys.readouterr().err
    assert not Path("c.html").exists()


def listed(capsys, *arguments):
    """The seeds of the images that are listed, and what is said beside them."""
    assert run("images", *arguments) == 0
    out, err = capsys.readouterr()
    return [int(re.search(r"seed (\d+)", line)[1]) for line in out.splitlines()], err


def test_images_are_searched_sorted_and_written(capsys):
    gen = nbtool.Generator(engine=FakeEngine(), store="nbtool-images")
    first, *_ = gen.grid("a red fox", seed=[3, 1])
    gen("a blue hat", seed=2)
    first.starred, first.note = True, "cover"
    capsys.readouterr()
    assert listed(capsys, "--sort", "seed") == ([1, 2, 3], "")
    store = Path("nbtool-images").resolve()
    assert listed(capsys, "fox", "red", "--sort", "newest") == (
        [1, 3],
        f"2 of 3 images in {store}\n",
    )
    assert listed(capsys, "COVER", "--starred", "--today")[0] == [3]
    assert listed(capsys, "--since", "2999-01-01") == ([], f"0 of 3 images in {store}\n")
    assert listed(capsys, "--model", first.recipe.model, "--limit", "2")[0] == [3, 1]
    assert listed(capsys, "--model", "another")[0] == []
    assert listed(capsys, "--store", "none") == ([], f"no images in {Path('none').resolve()}\n")
    assert run("images", "--starred", "--json") == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["path"] == str(first.path)
    assert (record["key"], record["starred"], record["note"]) == (first.recipe.key, True, "cover")
    assert record["recipe"] == first.recipe.to_dict()
    assert run("images", "fox", "--json", "-o", "both/", "-o", "both.zip") == 0
    out, err = capsys.readouterr()
    assert [record["recipe"]["seed"] for record in json.loads(out)] == [3, 1]
    assert err.splitlines() == [
        f"2 images of 3 written to {Path(name).resolve()}" for name in ("both", "both.zip")
    ]
    assert len(os.listdir("both")) == 2
    assert (
        run("images", "fox", "-o", "foxes/", "--names", "{prompt:5}-{seed}", "--no-metadata") == 0
    )
    assert capsys.readouterr().out == f"2 images of 3 written to {Path('foxes').resolve()}\n"
    assert sorted(os.listdir("foxes")) == ["a-red-1.png", "a-red-3.png"]
    with pytest.raises(nbtool.MetadataError):
        nbtool.Recipe.from_file("foxes/a-red-1.png")


def test_images_that_are_gone_are_not_counted_as_written(capsys):
    gen = nbtool.Generator(engine=FakeEngine(), store="nbtool-images")
    gen.grid("a star", seed=[1, 2])[0].path.unlink()
    capsys.readouterr()
    assert run("images", "-o", "stars/") == 0
    said = capsys.readouterr()
    assert said.out.startswith("1 image of 2 written to ")
    assert re.fullmatch(r"nbtool: .*its PNG is missing.*\n", said.err)
    assert os.listdir("stars") == ["a-star-2.png"]


def test_what_a_command_did_is_said(capsys):
    gen = nbtool.Generator(engine=FakeEngine(), store="nbtool-images")
    images = list(gen.grid("a star", seed=[1, 2]))
    capsys.readouterr()
    assert run("star", *(str(image.path) for image in images), images[0].recipe.key) == 0
    assert run("star", images[0].recipe.key, "--remove", "--note", "no") == 0
    said = ["starred 2 images", "took the star of 1 image and noted it"]
    assert capsys.readouterr().out.splitlines() == said
    assert run("star", images[0].recipe.key, "nope") == 1
    assert "nbtool images lists those it has" in capsys.readouterr().err
    assert [image.starred for image in images] == [False, True]


def test_a_grid_is_named_and_written_without_metadata_from_the_shell(capsys):
    command = ["grid", "a {c} star", "c=red|blue", "seed=1", "num_inference_steps=1"]
    written = ["-o", "stars/", "-o", "a.png", "--names", "{c}-{index}.jpg", "--no-metadata"]
    assert run(*command, "--name", "stars", *written) == 0
    assert sorted(os.listdir("stars")) == ["blue-2.jpg", "red-1.jpg"]
    assert "kept as stars" in capsys.readouterr().out
    assert len(nbtool.grids()["stars"]) == 2
    assert run(*command, "--name", "stars") == 2
    assert run("grids", "stars", "-o", "again/", "--names", "{c}") == 0
    assert f"images: {Path('again').resolve()}" in capsys.readouterr().out
    assert nbtool.Recipe.from_file("again/red.png").prompt == "a red star"


def test_a_grid_is_written_though_another_takes_its_name_meanwhile(capsys, monkeypatch):
    def taken(*_):
        raise nbtool.StoreError("another grid has the name")

    monkeypatch.setattr(SavedGrids, "keep", taken)
    command = ["grid", "a star", "seed=1", "num_inference_steps=1", "-o", "a.png"]
    assert run(*command, "--name", "stars") == 1
    assert "another grid has the name" in capsys.readouterr().err
    assert Path("a.png").exists()


def test_every_command_option_and_exit_code_is_described(capsys):
    root = parser(cli.RUNS)
    commands = next(a for a in root._actions if a.dest == "command" or a.choices)
    readme = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    for name, command in commands.choices.items():
        help_text = command.format_help()
        assert f"nbtool {name}" in help_text.split("example:")[1]
        assert command.description
        assert all(action.help for action in command._actions)
        assert all(f"{code} " in help_text for code in ("0", "1", "2", "130"))
        assert f"nbtool {name}" in readme or f"make {name}" in readme, name
    assert "130 interrupted" in root.format_help()
    for example in re.findall(r"(?m)^nbtool (.+?)(?:  +#.*)?$", readme):
        assert root.parse_args(shlex.split(example)).run
    for what in COMMANDS.values():
        for example in re.findall(r"nbtool (.+)", what[2]):
            assert root.parse_args(shlex.split(example)).run
