"""The order in which the cells of a sweep are made."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbtool import Recipe
from nbtool.recipes.axes import Axis, Edit, Sweep
from nbtool.recipes.order import order, spread


def sweep_of(**axes):
    return Sweep(
        Recipe(),
        tuple(
            Axis(name, tuple(values), tuple(Edit(parameters={name: value}) for value in values))
            for name, values in axes.items()
        ),
    )


PLACES = st.lists(st.integers(1, 7).flatmap(lambda size: st.permutations(range(size))), max_size=4)


@given(PLACES)
def test_every_cell_comes_once(axes):
    assert sorted(spread(axes)) == sorted(itertools.product(*axes))


@given(PLACES.filter(bool))
def test_the_first_few_have_every_row_and_column(axes):
    first = list(itertools.islice(spread(axes), max(map(len, axes))))
    for number, axis in enumerate(axes):
        assert {index[number] for index in first} == set(axis)


@pytest.mark.parametrize("size", [1, 2, 64, 100])
def test_a_few_cells_show_the_whole_range_of_a_quantity(size):
    guidance = [index for (index,) in order(sweep_of(guidance_scale=range(size)))]
    assert sorted(guidance) == list(range(size))
    first = sorted(guidance[: size // 8 + 1])
    assert max(b - a for a, b in itertools.pairwise([*first, size])) <= 16


def test_seeds_and_words_come_in_turn():
    assert list(order(sweep_of(seed=range(9)))) == [(i,) for i in range(9)]
    both = list(order(sweep_of(scheduler=["ddim", "euler"], seed=range(9))))
    assert [seed for _, seed in both[:9]] == list(range(9))


def test_cells_of_one_model_come_together():
    sweep = sweep_of(seed=range(3), model="ab", eta=(0, 1))
    models = [sweep.recipe(index).model for index in order(sweep)]
    assert models == ["a"] * 6 + ["b"] * 6
    assert len(set(order(sweep))) == 12
