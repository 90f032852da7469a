"""Where a model comes from: its files, on disk or on the hub, and the revision they are known by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nbtool.catalogue import checkpoints, identity, weights
from nbtool.catalogue.facts import Facts
from nbtool.catalogue.families import SPARE
from nbtool.catalogue.hub import Report, Repository
from nbtool.catalogue.weights import CHECKER
from nbtool.errors import ModelError


@dataclass(frozen=True)
class Origin:
    """A model's files, in diffusers' layout or one that holds all weights.

    What was found out of them stays as it was, also when they change: `is_current` tells, and a
    new one of the same arguments finds out anew.

    Args:
        name: What recipes call the model.
        source: A folder, a .safetensors file, or a repository on the hub.
        known: What the catalogue knows of it.
        safety_checker: Whether its own safety checker, if it has one, looks at the pictures.
        allow_pickle: Whether weights may be pickles, which can run code when they are read.
        wanted: The digest that what lies on the disk must have; None: whichever it has.
    """

    name: str
    source: Path | Repository
    known: Facts | None = None
    safety_checker: bool = True
    allow_pickle: bool = False
    wanted: str | None = None

    @cached_property
    def checkpoint(self) -> Path | None:
        """The one file that holds all weights, if there is such a file.

        Raises:
            ModelError: That cannot be known now.
        """
        path = self.source
        return path if isinstance(path, Path) and identity.is_file(path) else None

    @cached_property
    def folder(self) -> Path:
        """The folder with its configuration; from the hub where that is not in the cache.

        Raises:
            ModelError: It cannot be had.
        """
        if self._published:
            return self._published.configuration()
        assert isinstance(self.source, Path)
        return self.source

    @cached_property
    def _published(self) -> Repository | None:
        """What its configuration comes from on the hub, if it does."""
        if self.checkpoint:
            return Repository(checkpoints.layout_of(self.checkpoint))
        return self.source if isinstance(self.source, Repository) else None

    @property
    def is_local(self) -> bool:
        """Whether it is a folder or a file of the user's own."""
        return isinstance(self.source, Path) and not self.known

    @property
    def is_here(self) -> bool:
        """Whether all its files are on this machine."""
        if isinstance(self.source, Repository) and not self.source.cached():
            return False
        if self.checkpoint:
            heavy = weights.have_weights(self.parts) if self.is_described else ()
            return bool(heavy) and all(
                identity.is_folder(self.folder / part) for part in self.parts if part not in heavy
            )
        return weights.is_complete(
            weights.names_in(self.folder), self.parts, pickles=self.allow_pickle
        )

    @property
    def is_described(self) -> bool:
        """Whether its defaults can be told without asking the hub."""
        return not self._published or self._published.cached() is not None

    @property
    def is_current(self) -> bool:
        """Whether what was found out of it holds still; a look at the disk that reads no weights."""
        if "folder" in vars(self) and self._published:
            now = self._published.cached()
            if now not in (None, self.folder):
                return False
        if isinstance(self.source, Repository):
            return True
        stamps = _stamps(self.source)
        # What is not there now may be there still where it was loaded into.
        return not stamps or (stamps == self._stamps[0] and self._stamps[1])

    @cached_property
    def _stamps(self) -> tuple[Any, bool]:
        """What its files looked like at first, and whether that would tell every change."""
        stamps = _stamps(self.source) if isinstance(self.source, Path) else {}
        return stamps, all(map(identity.is_settled, stamps.values()))

    @cached_property
    def parts(self) -> dict[str, str]:
        """Its components and their classes, without those that are switched off or left out."""
        found = weights.components(weights.read_json(self.folder / weights.INDEX))
        return {name: kind for name, kind in found.items() if name not in self.left_out}

    @cached_property
    def left_out(self) -> frozenset[str]:
        """The components of its class that it is loaded without."""
        index, spare = weights.read_json(self.folder / weights.INDEX), self._spare
        if all(
            index.get(name) not in (None, [None, None]) and self._has_spare(name) for name in spare
        ):
            spare = frozenset()
        return spare if self.safety_checker else spare | {CHECKER} & index.keys()

    @cached_property
    def _spare(self) -> frozenset[str]:
        """The components that its class does without."""
        index = weights.read_json(self.folder / weights.INDEX)
        return SPARE.get(str(index.get("_class_name")), frozenset())

    def _has_spare(self, component: str) -> bool:
        if self.checkpoint:
            return checkpoints.has_third_text_encoder(self.checkpoint)
        return isinstance(self.source, Repository) or identity.is_folder(self.folder / component)

    @cached_property
    def revision(self) -> str:
        """The hub's commit; of what lies on the disk the digest.

        Raises:
            ModelError: It cannot be had or read, or is not the one that was asked for.
        """
        return self.identify(_unheard)

    def identify(self, report: Report) -> str:
        """The revision; reads all weights where they are not known.

        Args:
            report: Told of a reading that takes long; what it raises stops it.

        Raises:
            ModelError: It cannot be had or read, or is not the one that was asked for.
        """
        if "revision" not in vars(self):
            found = self._identity(report)
            if self.wanted not in (None, found) and self.wanted != self._former:
                raise ModelError(
                    f"{self.name} has the digest {found} here, not {self.wanted}: it was changed, "
                    f"or is another of that name"
                )
            if self.is_local:
                identity.register.put(found, self.name, Path(str(self.source)))
            vars(self)["revision"] = found
        return self.revision

    def confirm(self, report: Report) -> None:
        """Makes sure that its files are those that its revision stands for.

        Args:
            report: As in `identify`.

        Raises:
            ModelError: They are not.
        """
        if (found := self._identity(report)) != self.revision:
            raise ModelError(
                f"{self.name} was changed while it was in use: it was {self.revision}, and is "
                f"{found} now; ask again for images of what it is now"
            )

    def _identity(self, report: Report) -> str:
        if isinstance(self.source, Repository):
            return self.folder.name
        self._require_source()
        if self.known:  # the embedded one; as it was before there was a register
            found = sorted(self.folder.rglob("*.safetensors"))
            content = (bytes.fromhex(identity.register.sha256(path)) for path in found)
            return hashlib.sha256(b"".join(content)).hexdigest()[: identity.DIGITS]
        # The safety checker decides whether there is a picture, not which.
        parts = {name: kind for name, kind in self.parts.items() if name != CHECKER}
        if not self.checkpoint:
            return identity.register.digest(self.name, self._decisive(parts), report)
        names = [f"{part}/config.json" for part in weights.have_weights(parts)]
        names += [weights.INDEX, "scheduler/scheduler_config.json"]
        files = {name: self.folder / name for name in names}
        return identity.register.digest(self.name, {"": self.checkpoint, **files}, report)

    @property
    def _former(self) -> str | None:
        """The revision that earlier versions gave it."""
        if not self.checkpoint:
            return None
        return identity.register.sha256(self.checkpoint)[: identity.DIGITS]

    def _require_source(self) -> None:
        if isinstance(self.source, Path) and not identity.is_there(self.source):
            raise ModelError(f"{self.name} is not at {self.source} any more; give its new place")

    def _decisive(self, parts: dict[str, str]) -> dict[str, Path]:
        """The files in its folder that decide what these components are, by name.

        Raises:
            ModelError: Some are missing, or are pickles.
        """
        names = [weights.INDEX, *weights.names_in(self.folder)]
        needed = weights.needed(names, parts, pickles=self.allow_pickle, spare=self._spare)
        return {name: self.folder / name for name in needed}

    @cached_property
    def checker(self) -> str:
        """What tells its safety checker from those of its like; "" without one."""
        if CHECKER not in self.parts or not self.is_local or self.checkpoint:
            return CHECKER if CHECKER in self.parts else ""
        files = self._decisive({CHECKER: self.parts[CHECKER]})
        return identity.register.digest(self.name, files, _unheard)

    def fetch(self, report: Report) -> None:
        """Gets what is missing of its files, and checks them.

        Args:
            report: Told how far a download is; what it raises stops it.

        Raises:
            ModelError: They cannot be had, or are not what they should be.
        """
        self._require_source()
        if self.checkpoint:
            if self.checkpoint.suffix in weights.PICKLES:
                weights.refuse_pickle(self.checkpoint, allowed=self.allow_pickle)
            else:
                weights.header(self.checkpoint)
        if self._published and not self.is_here:
            # What its branch is called now may be another commit.
            pinned = replace(self._published, revision=self.folder.name)
            alone = bool(self.checkpoint)
            pinned.fetch(self.parts, report, pickles=self.allow_pickle, texts=alone)
        for path in () if self.checkpoint else self._decisive(self.parts).values():
            weights.check(path)

    @property
    def variants(self) -> dict[str, str]:
        """For each component with weights the variant of its files, as diffusers names it."""
        names = weights.names_in(self.folder)
        choices = {part: weights.choose(names, part) for part in weights.have_weights(self.parts)}
        return {part: choice.variant for part, choice in choices.items() if choice}

    def counted(self) -> dict[str, int]:
        """The parameters of its components, counted in the files that are there."""
        if self.checkpoint:
            return checkpoints.counted(self.checkpoint)
        counts: dict[str, int] = {}
        names = weights.names_in(self.folder)
        for part in weights.have_weights(self.parts):
            choice = weights.choose(names, part)
            if not choice or not choice.complete:
                return {}
            counts[part] = sum(weights.parameters(self.folder / name) for name in choice.files)
        return counts


def _stamps(path: Path) -> dict[str, identity.Stamp]:
    """What a model's files look like now; nothing where they cannot be looked at."""
    try:
        names = [weights.INDEX, *weights.names_in(path)] if path.is_dir() else [""]
        return {name: identity.stamp(path / name) for name in names}
    except (OSError, ModelError):
        return {}


def _unheard(_: str) -> None:
    pass
