"""What makes a denoiser faster on this machine: tried on the work itself, and remembered."""

from __future__ import annotations

import contextlib
import copy
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nbtool import environment, files
from nbtool.engines.local import batching, memory
from nbtool.errors import in_short, log
from nbtool.text import card, card_text

ROUNDS = 7
GAIN = 1.03  # below which nothing is changed
AS_IT_IS = "as it is"
WORDS = {
    AS_IT_IS: "as it is",
    "fused": "attention's projections fused",
    "blocks": "repeated blocks compiled",
    "compiled": "all of it compiled",
}
COMPILING = ("blocks", "compiled")  # which take a while, at the first image of each process


@dataclass(frozen=True)
class Trial:
    """One way to run a denoiser.

    Attributes:
        name: A key of WORDS.
        milliseconds: For each row of a forward, the median of some rounds.
        gain: How many times as fast as it is.
        preparing: Seconds until it first ran.
    """

    name: str
    milliseconds: float
    gain: float
    preparing: float


@dataclass(frozen=True)
class Tuning:
    """What was tried on this machine for one model, and what was chosen. Shows itself.

    Attributes:
        model: Its name.
        device: Such as "cuda".
        dtype: Such as "bfloat16".
        rows: In a forward.
        trials: In the order in which they were tried.
        failed: Why some did not run, by name.
        chosen: The fastest; "as it is" where nothing brings 3 %.
    """

    model: str
    device: str
    dtype: str
    rows: int
    trials: tuple[Trial, ...]
    failed: dict[str, str]
    chosen: str

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that JSON can hold."""
        return asdict(self)

    def rows_of_card(self) -> dict[str, str]:
        """Labels and sentences, for people."""
        lines = {
            WORDS[trial.name]: (
                f"{trial.milliseconds:.2f} ms a row, {trial.gain:.2f} times as fast"
                + (f", {trial.preparing:.0f} s to prepare" if trial.preparing > 1 else "")
            )
            for trial in self.trials
        }
        refused = {WORDS[name]: f"does not work here: {why}" for name, why in self.failed.items()}
        return {
            "Model": f"{self.model} on {self.device} in {self.dtype}, {self.rows} rows",
            **lines,
            **refused,
            "Chosen": f"{WORDS[self.chosen]}; remembered for this machine",
        }

    def __str__(self) -> str:
        return card_text(self.rows_of_card())

    __repr__ = __str__

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {**card(self.rows_of_card())}


def try_switches(
    pipeline: Any, denoiser: Any, names: Sequence[str], rows: int, size: Mapping[str, int]
) -> tuple[list[Trial], dict[str, str]]:
    """The pace of a denoiser in each way; it is left as it was. In one thread, undisturbed.

    Args:
        pipeline: Whose denoiser it is.
        denoiser: As it is.
        names: Ways to try beside that, keys of WORDS.
        rows: In a forward.
        size: Width and height of the images, in pixels.

    Returns:
        The trials, and why some ways do not work.
    """
    args, kwargs = question(pipeline, denoiser, rows, size)

    def forward() -> None:
        denoiser(*args, **kwargs)
        memory.wait(pipeline._execution_device)  # noqa: SLF001 - where its networks compute

    preparing: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name in (AS_IT_IS, *names):
        try:
            preparing[name] = _seconds(partial(_with, denoiser, name, forward))
            _with(denoiser, name, forward)
        except Exception as error:  # compilers raise what they like
            log(f"while {name} was tried", error)
            failed[name] = in_short(error)
    works = [name for name in preparing if name not in failed]
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name in works:
            switch(denoiser, name)
            seconds[name].append(_seconds(forward))
            unswitch(denoiser, name)
    base = seconds[AS_IT_IS]
    trials = [
        Trial(
            name=name,
            milliseconds=1e3 * statistics.median(times) / rows,
            gain=statistics.median(a / b for a, b in zip(base, times, strict=True)),
            preparing=preparing[name],
        )
        for name, times in seconds.items()
    ]
    return trials, failed


def switch(denoiser: Any, name: str) -> None:
    """Makes a denoiser run in one way."""
    if name == "fused":
        denoiser.fuse_qkv_projections()
    elif name == "blocks":
        denoiser.compile_repeated_blocks()
    elif name == "compiled":
        denoiser.compile()


def unswitch(denoiser: Any, name: str) -> None:
    """Takes that back."""
    if name == "fused":
        denoiser.unfuse_qkv_projections()
    elif name in COMPILING:
        for part in denoiser.modules():
            part._compiled_call_impl = None  # noqa: SLF001 - torch has no public way back


def remembered(key: str) -> str:
    """What was chosen for a model on this machine; "as it is" if nothing was."""
    chosen = AS_IT_IS
    with contextlib.suppress(OSError):
        chosen = files.kept(_file()).get(key, chosen)
    return chosen if chosen in WORDS else AS_IT_IS


def remember(key: str, name: str) -> None:
    """Keeps a choice for later processes; where it cannot be kept, it is lost with this one."""
    with contextlib.suppress(OSError):  # what cannot be read now is not written over
        files.keep(_file(), json.dumps(files.kept(_file()) | {key: name}, indent=1).encode())


def _file() -> Path:
    return environment.cache_folder() / "tuning.json"


class _Asked(Exception):  # noqa: N818 - it is none
    """Leaves a pipeline once its denoiser's question is known."""


def question(
    pipeline: Any, denoiser: Any, rows: int, size: Mapping[str, int]
) -> tuple[list[Any], dict[str, Any]]:
    """What a pipeline asks its denoiser, for so many rows."""
    asked: list[batching.Call] = []

    def look(_: Any, args: Any, kwargs: Any) -> None:
        asked.append(batching.describe(args, kwargs))
        raise _Asked

    own = copy.copy(pipeline)
    own.__dict__["scheduler"] = copy.deepcopy(pipeline.scheduler)
    handle = denoiser.register_forward_pre_hook(look, with_kwargs=True)
    try:
        with contextlib.suppress(_Asked):
            own("a picture", num_inference_steps=4, output_type="latent", **size)
    finally:
        handle.remove()
    copies = -(-rows // asked[0].rows)
    merged = batching.merge(asked * copies, range(rows))
    return batching.arguments(merged, 0, rows)


def _with(denoiser: Any, name: str, work: Callable[[], None]) -> None:
    switch(denoiser, name)
    try:
        work()
    finally:
        unswitch(denoiser, name)


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
