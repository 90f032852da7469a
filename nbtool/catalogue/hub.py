"""Models on the Hugging Face hub: what is in the cache, what is missing, and getting it.

The cache is huggingface_hub's own, so that every program shares one copy. What is in it is used
without asking the hub.
"""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from nbtool import files
from nbtool.background import Loop
from nbtool.catalogue import weights
from nbtool.catalogue.refusals import explained
from nbtool.errors import ModelError
from nbtool.silence import importing, quiet_hub
from nbtool.text import warn

BRANCH = "main"
WORKERS = 4  # files at once
TRIES = 3  # of a file whose connection breaks
MANY = 10  # files that a message names
TOLD_EVERY = 0.2  # seconds
LEAVING = 5  # seconds that the end of the process waits for connections
_CONFIGS = ("config.json", "scheduler_config.json")
Report = Callable[[str], None]  # may raise to stop


@dataclass(frozen=True)
class Repository:
    """A repository on the hub.

    Args:
        name: Such as "org/model".
        revision: A branch, a tag or a commit.
    """

    name: str
    revision: str = BRANCH

    def cached(self) -> Path | None:
        """The folder in the cache that holds its configuration; None if that is not there.

        Raises:
            ModelError: The cache cannot be read, or what is there is damaged.
        """
        with explained(self.name, self.revision):
            from huggingface_hub import constants, try_to_load_from_cache

            found = try_to_load_from_cache(
                self.name, weights.INDEX, cache_dir=constants.HF_HUB_CACHE, revision=self.revision
            )
            if not isinstance(found, str):
                return None
            folder = Path(found).parent
            parts = weights.components(weights.read_json(folder / weights.INDEX))
            there = [(folder / name / _CONFIGS[0]).exists() for name in weights.have_weights(parts)]
            return folder if all(there) else None

    def configuration(self) -> Path:
        """The folder in the cache, once its configuration, a few small files, is there.

        Raises:
            ModelError: It cannot be had; each cause has a text of its own.
        """
        if folder := self.cached():
            return folder
        with explained(self.name, self.revision):
            commit, sizes = self._listing()
            if weights.INDEX not in sizes:
                raise ModelError(
                    f"{self.name} is no pipeline of diffusers: it has no {weights.INDEX}; if it "
                    f"holds a .safetensors checkpoint, download that and give its path"
                )
            tally = _Tally(self.name, 0, _unheard)
            names = [name for name in sizes if name.rpartition("/")[2] in _CONFIGS]
            self._get(commit, [name for name in names if name.count("/") == 1], tally)
            # Last, as the mark that the rest is there; by its branch, so that the cache knows that.
            self._get(self.revision, [weights.INDEX], tally)
        if folder := self.cached():
            return folder
        raise ModelError(f"{self.name} changed on the hub in this moment; try again")

    def fetch(
        self,
        parts: Mapping[str, str],
        report: Report,
        *,
        pickles: bool = False,
        texts: bool = False,
    ) -> None:
        """Gets what is missing of the files that these components are loaded from.

        Args:
            parts: The components and their classes.
            report: Told how far it is; what it raises stops the download, and finished files stay.
            pickles: Whether weights may be pickles, where there are no others.
            texts: No weights, only what components without weights are made of.

        Raises:
            ModelError: They cannot be had, or there is no room for them on the disk.
        """
        with _turn(self.name, report):
            commit = self.configuration().name
            with explained(self.name, self.revision):
                _, sizes = self._listing(commit)
                if texts:
                    names = weights.texts(sizes, parts)
                else:
                    names = weights.needed(sizes, parts, pickles=pickles)
                missing = {n: sizes[n] for n in names if not self._has(commit, n)}
                _check_room(self.name, sum(missing.values()))
                tally = _Tally(self.name, sum(missing.values()), report)
                self._get(commit, list(missing), tally)

    def file(self, name: str, report: Report) -> Path:
        """One file of it, from the cache if it is there.

        Args:
            name: Of the file in it; "": its only .safetensors file.
            report: Told how far it is; what it raises stops the download.

        Raises:
            ModelError: It cannot be had, or there is none or more than one that it could be.
        """
        with explained(self.name, self.revision):
            from huggingface_hub import constants, try_to_load_from_cache

            def cached(revision: str) -> Path | None:
                found = try_to_load_from_cache(
                    self.name, name, cache_dir=constants.HF_HUB_CACHE, revision=revision
                )
                return Path(found) if isinstance(found, str) else None

            if name and (there := cached(self.revision)):
                return there
            commit, sizes = self._listing()
            name = name or _only(self.name, sizes)
            if name not in sizes:
                raise ModelError(f"{self.name} has no file {name}; it has {_told(sizes)}")
            if there := cached(commit):
                return there
            with _turn(self.name, report):
                _check_room(self.name, sizes[name])
                self._get(self.revision, [name], _Tally(self.name, sizes[name], report))
            found = cached(self.revision) or cached(commit)
        if found is None:
            raise ModelError(f"{self.name} changed on the hub in this moment; try again")
        return found

    def _has(self, commit: str, name: str) -> bool:
        from huggingface_hub import constants, try_to_load_from_cache

        cache = constants.HF_HUB_CACHE
        return isinstance(
            try_to_load_from_cache(self.name, name, cache_dir=cache, revision=commit), str
        )

    def _listing(self, revision: str | None = None) -> tuple[str, dict[str, int]]:
        """The commit, and the names and sizes in bytes of its files."""
        with importing("huggingface_hub"):
            from huggingface_hub import HfApi, constants

        api = HfApi(endpoint=constants.ENDPOINT)
        info = api.model_info(self.name, revision=revision or self.revision, files_metadata=True)
        if info.id.lower() != self.name.lower():
            warn(f"{self.name} is called {info.id} now; use that name", stacklevel=2)
        return str(info.sha), {file.rfilename: file.size or 0 for file in info.siblings or ()}

    def _get(self, revision: str, names: list[str], tally: _Tally) -> None:
        """Downloads files."""
        with importing("huggingface_hub"):
            from huggingface_hub import constants, errors, hf_hub_download

        def get(name: str) -> None:
            for attempt in range(TRIES):
                try:
                    hf_hub_download(
                        self.name,
                        name,
                        revision=revision,
                        cache_dir=constants.HF_HUB_CACHE,
                        endpoint=constants.ENDPOINT,
                        tqdm_class=tally.bar(),
                    )
                    return
                except errors.HTTPError as error:  # type: ignore[attr-defined] # it is there, not exported
                    # A connection that was reset; of those that end early the client goes on itself.
                    if tally.stopped or hasattr(error, "response") or attempt + 1 == TRIES:
                        raise

        with quiet_hub():
            _side_by_side(get, names, tally)


def _only(repository: str, names: Iterable[str]) -> str:
    """The only file of a repository that holds weights."""
    found = [name for name in names if name.endswith(".safetensors")]
    if len(found) != 1:
        raise ModelError(
            f"{repository} has {len(found) or 'no'} .safetensors files"
            + (
                f"; name one of them: {_told(f'{repository}/{name}' for name in found)}"
                * bool(found)
            )
        )
    return found[0]


def _told(names: Iterable[str]) -> str:
    """The first few names, for a message."""
    first = list(islice(names, MANY + 1))
    return ", ".join(first[:MANY]) + (", …" if len(first) > MANY else "") or "none"


def _side_by_side(get: Callable[[str], None], names: list[str], tally: _Tally) -> None:
    """Gets files, several at once. The first error, or an interrupt, is raised at once.

    What a connection waits for then comes to its end by itself.
    """
    rest = iter(names)
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def turn() -> float | None:
        if tally.stopped or (name := next(rest, None)) is None:
            return None
        try:
            get(name)
        except BaseException as error:  # a panic in the client's Rust is no Exception
            ended.put(error)
        else:
            ended.put(None)
        return 0

    loop = Loop("nbtool download", turn, threads=WORKERS, fail=ended.put)
    left = len(names)
    try:
        for _ in names[:WORKERS]:
            loop.wake()
        while left:
            try:
                error = ended.get(timeout=TOLD_EVERY)
            except queue.Empty:
                tally.tell()
                continue
            if error is not None:
                raise error
            left -= 1
    except BaseException:
        tally.stopped = True
        atexit.register(loop.join, LEAVING)  # each removes the half of a file that it has
        raise


class _Tally:
    """The bytes that have come so far, of all files together.

    Attributes:
        stopped: Makes what is still under way end at its next piece.
    """

    def __init__(self, name: str, total: int, report: Report) -> None:
        self._name = name
        self._total = total
        self._report = report
        self._done = 0
        self._started = time.monotonic()
        self.stopped = False
        self._lock = threading.Lock()

    def add(self, count: float) -> None:
        if self.stopped:
            raise InterruptedError("stopped")
        with self._lock:
            self._done += int(count)

    def tell(self) -> None:
        """Reports how far it is."""
        self._report(self._text(time.monotonic() - self._started))

    def bar(self) -> Any:
        """A class of progress bars that shows nothing and adds to this."""
        from tqdm import tqdm

        tally = self

        class Bar(tqdm):  # type: ignore[misc] # tqdm has no types
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                kwargs.pop("name", None)
                super().__init__(*args, **{**kwargs, "disable": True})

            def update(self, n: float | None = 1) -> None:
                tally.add(n or 0)

            def update_transfer(self, n: float | None = 1) -> None:
                """The same bytes on the wire, which Xet counts a second time."""

            def set_transfer_postfix_str(self, text: str = "", **_: Any) -> None:
                """Of that second count."""

        return Bar

    def _text(self, seconds: float) -> str:
        speed = self._done / max(seconds, 1e-3)
        return f"downloading {self._name}: {files.size(self._done)} of {files.size(self._total)}, {files.size(speed)}/s"


def _unheard(_: str) -> None:
    pass


_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@contextmanager
def _turn(name: str, report: Report) -> Iterator[None]:
    """Waits until nobody else gets this repository."""
    lock = _locks[name]
    while not lock.acquire(timeout=TOLD_EVERY):
        report(f"waiting for another download of {name}")
    try:
        yield
    finally:
        lock.release()


def _check_room(name: str, wanted: int) -> None:
    from huggingface_hub import constants

    free = files.free(Path(constants.HF_HUB_CACHE))
    if wanted > free:
        raise ModelError(
            f"{name} needs {files.size(wanted)} more on the disk of {constants.HF_HUB_CACHE}, and "
            f"{files.size(free)} are free; make room, or set HF_HUB_CACHE to a folder on a larger disk"
        )
