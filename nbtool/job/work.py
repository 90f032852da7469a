"""The work on a job's images: asks the store first, hands the rest to the engine, stores each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nbtool.engines.base import (
    Adapting,
    Event,
    Failed,
    Finished,
    Loading,
    Started,
    Stepped,
    is_exact,
)
from nbtool.errors import (
    GenerationError,
    PartError,
    RecipeError,
    StoreError,
    without_secrets,
)
from nbtool.results.steps import told
from nbtool.results.store import Listing, Store

if TYPE_CHECKING:
    from nbtool.engines.base import Engine
    from nbtool.job.account import Account
    from nbtool.job.line import Turn
    from nbtool.recipes.axes import Sweep
    from nbtool.recipes.recipe import Recipe
    from nbtool.results.image import GeneratedImage
    from nbtool.results.labelled import Cell
    from nbtool.results.share import Share
    from nbtool.results.steps import Steps

NOT_EXACT = (
    "some images were made without exact=True and are as the store has them; "
    "exact ones need a store of their own"
)


class Work:
    """The work on the images of one job, on that job's own thread.

    Args:
        sweep: What is asked for.
        engine: Makes what the store does not have.
        store: Keeps the images.
        account: Told what comes of them.
        share: What is made here, and what is left to others.
        turn: When it is the job's turn.
        generate: What an image is given to make others like it.
        again: Makes a recipe that failed once more.
        steps: What must be made before; None where nothing is made from pictures.
        unfit: By its key, why an image cannot be made.
    """

    def __init__(
        self,
        sweep: Sweep,
        engine: Engine,
        store: Store,
        *,
        account: Account,
        share: Share,
        turn: Turn,
        generate: Callable[[Recipe], GeneratedImage],
        again: Callable[[Recipe], Any],
        steps: Steps | None,
        unfit: Mapping[str, PartError],
    ) -> None:
        self._sweep = sweep
        self._keys = account.cells.keys()
        self._engine = engine
        self._store = store
        self._account = account
        self._share = share
        self._turn = turn
        self._generate = generate
        self._again = again
        self._steps = steps
        self._unfit = unfit
        self._earlier: dict[str, Recipe] = {}  # made before, and in no cell
        self._moved = False  # whether it is to go on with another priority
        self._stored = Listing(())  # what the store has
        self._prepared = False  # whether it is sure that it can be written

    def prepare(self) -> None:
        """Looks into the store before anything is made.

        Raises:
            StoreError: It cannot be read; or it cannot be written, and does not have all there is.
            PartError: None can be made, and none is there.
        """
        self._stored = self._store.listing()
        if not any(key in self._stored or key not in self._unfit for key in self._keys):
            raise next(iter(self._unfit.values()))
        # A store that may only be read still gives what it has.
        if not all(key in self._stored for key in self._keys):
            self._store.prepare()
            self._prepared = True

    def reorder(self) -> None:
        """Goes on with the priority that its turn has now, once what is in the making is done."""
        self._moved = True

    def run(self) -> None:
        """All of it."""
        # Compared with a listing first: only what is there needs to be read and verified.
        missing = [key for key in self._keys if not (key in self._stored and self._take(key))]
        for key in self._unfit.keys() & missing:
            self._fail(key, str(self._unfit[key]))
        missing = [key for key in missing if key not in self._unfit]
        if missing and not self._account.cancelled and not self._prepared:
            self._store.prepare()
        missing = self._without_misfits(missing)
        for keys in self._in_turn(missing):
            self._make(keys)

    def _without_misfits(self, missing: list[str]) -> list[str]:
        """What is left to make once the LoRAs of the sweep were tried."""
        loras = self._sweep.loras
        if not loras or not missing or not isinstance(self._engine, Adapting):
            return missing
        faults = self._engine.misfits(loras, self._handle, lambda: not self._account.cancelled)
        for key in missing if faults else ():
            for lora in self._recipe(key).loras or ():
                if lora.key in faults and self._account.outcome(key) is None:
                    self._fail(key, faults[lora.key])
        return [key for key in missing if self._account.outcome(key) is None]

    def _in_turn(self, missing: list[str]) -> Iterator[list[str]]:
        """What is to be made, one level after the other: first what others are made from."""
        if self._steps is None:
            yield missing
            return
        levels = self._steps.levels(map(self._recipe, missing))
        recipes = {key: recipe for level in levels for key, recipe in level.items()}
        self._earlier = {key: recipes[key] for key in recipes if key not in self._keys}
        later: dict[str, set[str]] = {key: set() for key in self._earlier}
        for key, recipe in recipes.items():
            for before in self._steps.before(recipe):
                if before.key in later:
                    later[before.key].add(key)
        self._account.expect(later)
        for level in levels:
            yield [key for key in level if not self._is_settled(key)]

    def _is_settled(self, key: str) -> bool:
        """Whether there is nothing to make, since it is there, or what it is made from failed."""
        if self._account.outcome(key) is not None:
            return True
        for before in self._steps.before(self._recipe(key)) if self._steps else ():
            if isinstance(failure := self._account.outcome(before.key), GenerationError):
                self._fail(key, f"what it is made from could not be made: {failure}")
                return True
        if key in self._keys:
            return False
        if key in self._stored and self._take(key):
            return True
        try:
            self._engine.check(self._earlier[key])
        except RecipeError as error:
            self._fail(key, str(error))
            return True
        return False

    def _make(self, missing: list[str]) -> None:
        while missing and not self._account.cancelled:
            self._moved = False
            self._engine.run(
                self._wanted(missing), self._handle, self._is_unwanted, priority=self._turn.priority
            )
            left = self._not_begun(missing) if self._moved else []
            missing = left or self._take_from_others()

    def _not_begun(self, keys: Iterable[str]) -> list[str]:
        return [key for key in keys if self._account.awaits(key) and key not in self._share.left]

    def _take_from_others(self) -> list[str]:
        """What others were making is taken when it is done; the keys of what came to nothing."""
        while free := self._share.wait(self._account.awaits):
            if lost := [key for key in free if not self._take(key)]:
                return lost
        return []

    def _wanted(self, keys: Iterable[str]) -> Iterator[Recipe]:
        """The recipes of these keys, made one by one as they are asked for."""
        for key in keys:
            if self._account.cancelled or self._moved:
                return
            if self._account.wants(key) and key not in self._share.left:
                recipe = self._recipe(key)
                yield self._steps.ready(recipe) if self._steps else recipe

    def _is_unwanted(self, recipe: Recipe) -> bool:
        if not self._account.wants(recipe.key):
            return True
        if self._moved and not self._account.makes(recipe.key):  # it is begun with the new priority
            return True
        if left := self._share.leaves(recipe.key):
            self._account.let_go(recipe.key)
        return left

    def _take(self, key: str) -> bool:
        """Takes an image from the store, if it is there; whether there is nothing to make."""
        if self._account.cancelled:
            return False
        try:
            image = self._store[key]
        except KeyError:
            return False
        except StoreError as error:  # nothing is made in its place
            self._fail(key, str(error))
            return True
        image.generate = self._generate
        if is_exact(self._engine) and not image.provenance.exact and not self._recipe(key).past:
            self._account.note(NOT_EXACT)
        self._settle(key, image, stored=1)
        return True

    def _handle(self, event: Event) -> None:
        if self._account.ending.came:  # cancelled before anything was begun
            return
        if isinstance(event, Loading):
            self._account.update(activity=event.what)
        elif isinstance(event, Started):
            self._begin(event.recipe.key)
        elif isinstance(event, Stepped):
            self._account.advance(event.recipe.key, event.step, event.steps, event.preview)
        elif isinstance(event, Failed):
            self._fail(event.recipe.key, without_secrets(event.reason))
        elif isinstance(event, Finished):
            self._keep(event)

    def _begin(self, key: str) -> None:
        with self._account.changed:  # the end comes before both or after both
            if self._account.begin(key):
                self._share.take(key)

    def _keep(self, event: Finished) -> None:
        key, provenance = event.recipe.key, event.provenance
        if self._steps and (exchanged := self._steps.exchanged(event.recipe)):
            notes = (*provenance.notes, told(exchanged))
            provenance = replace(provenance, inputs=exchanged, notes=notes)
        try:
            image = self._store.put(event.image, event.recipe, provenance)
        except StoreError as error:
            # Not on disk, but not lost either: it stays in memory, and the run stops.
            self._settle(key, error.unsaved, made=1)
            raise
        image.generate = self._generate
        self._share.made(key)
        for note in provenance.notes:
            self._account.note(note)
        self._settle(key, image, made=1)

    def _fail(self, key: str, reason: str) -> None:
        failure = GenerationError(reason)
        failure.recipe = recipe = self._recipe(key)
        failure.again = partial(self._again, recipe)
        self._settle(key, failure, failed=1)

    def _settle(self, key: str, cell: Cell, **counts: int) -> None:
        self._account.settle(key, cell, **counts)
        self._share.drop(key)

    def _recipe(self, key: str) -> Recipe:
        return self._earlier.get(key) or self._sweep.recipe(self._account.cells[key][0])
