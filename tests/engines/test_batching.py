"""Merging, telling apart and splitting the rows of calls."""

from __future__ import annotations

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from nbtool.engines.local import batching
from nbtool.engines.local.answers import Answers

VALUES = st.sampled_from([0.0, -1.0, 2.5])  # few, so that rows are often equal


def network(sample, timestep, encoder_hidden_states, extra=None, *, scale=1.0):
    """Rowwise, like every network in evaluation mode; with a nested output, or lists of samples."""
    if isinstance(sample, list):
        stacked = torch.stack(sample), timestep, torch.stack(encoder_hidden_states)
        mixed, more = network(*stacked, scale=scale)
        return list(mixed), more
    timestep = torch.as_tensor(timestep, dtype=torch.float32).expand(len(sample))
    mixed = sample * scale + timestep[:, None] + encoder_hidden_states.sum(-1, keepdim=True)
    if extra:
        mixed = mixed + extra["residuals"][0]
    return mixed, {"pooled": mixed.sum(-1)}


@st.composite
def calls(draw):
    """Arguments of calls that can be answered together, one to three rows each."""
    nested = draw(st.booleans())
    listed = not nested and draw(st.booleans())
    found = []
    for rows in draw(st.lists(st.integers(1, 3), min_size=1, max_size=5)):

        def rows_of(columns, rows=rows):
            values = st.lists(VALUES, min_size=columns, max_size=columns)
            return torch.tensor([draw(values) for _ in range(rows)])

        # Schedulers count in whole numbers or in fractions.
        step = torch.tensor(draw(st.sampled_from([7, 7.0, 3])))
        extra = {"residuals": [rows_of(2)]} if nested else None
        samples = [list(rows) if listed else rows for rows in (rows_of(2), rows_of(1))]
        found.append(((samples[0], step, samples[1]), {"extra": extra, "scale": 0.5}))
    return found


@given(calls(), st.integers(1, 6), st.booleans(), st.booleans())
def test_together_is_as_one_by_one(calls, width, deduplicate, pad):
    described = [batching.describe(args, kwargs) for args, kwargs in calls]
    assert len({call.signature for call in described}) == 1
    total = sum(call.rows for call in described)
    digests = batching.row_digests(described) if deduplicate else [None] * total
    keep, places = batching.unique(digests)
    merged = batching.merge(described, keep)
    answers = []
    for start in range(0, len(keep), width):
        stop = min(start + width, len(keep))
        args, kwargs = batching.arguments(merged, start, stop, width if pad else 0)
        assert len(args[0]) == (width if pad else stop - start)
        output = batching.stacked(network(*args, **kwargs))
        answers += [batching.Rows(output, row, row + 1) for row in range(stop - start)]
    rows = iter(places)
    for call, (args, kwargs) in zip(described, calls, strict=True):
        mine = batching.gather([answers[next(rows)] for _ in range(call.rows)])
        alone = batching.stacked(network(*args, **kwargs))
        assert torch.equal(mine[0], alone[0])
        assert torch.equal(mine[1]["pooled"], alone[1]["pooled"])


@given(calls())
def test_rows_are_the_same_where_and_only_where_the_network_is_asked_the_same(calls):
    described = [batching.describe(args, kwargs) for args, kwargs in calls]
    digests = batching.row_digests(described)
    asked = [
        (
            args[0][row].tolist(),
            float(args[1]),
            args[2][row].tolist(),
            kwargs["extra"] and kwargs["extra"]["residuals"][0][row].tolist(),
        )
        for args, kwargs in calls
        for row in range(len(args[0]))
    ]
    for i, j in itertools.combinations(range(len(asked)), 2):
        # Zero and minus zero are told apart, which costs a row and never a wrong answer.
        assert (digests[i] == digests[j]) == (asked[i] == asked[j])


@given(st.lists(st.sampled_from(["a", "b", "c", None])))
def test_unique_keeps_the_first_of_each(digests):
    keep, places = batching.unique(digests)
    assert [digests[keep[place]] for place in places] == digests
    kept = [digests[row] for row in keep if digests[row] is not None]
    assert len(kept) == len(set(kept))
    assert sum(digest is None for digest in digests) == len(keep) - len(kept)


def described(*args, **kwargs):
    return batching.describe(args, kwargs).signature


def test_only_calls_that_one_forward_can_answer_have_one_signature():
    sample, other = torch.zeros(2, 4, 8, 8), torch.ones(1, 4, 8, 8)
    step = torch.tensor(7)
    assert described(sample, step) == described(other, torch.tensor(3.0))
    assert described(sample, step) != described(torch.zeros(2, 4, 8, 4), step)  # another size
    assert described(sample, step) != described(sample.half(), step)
    assert described(sample, step, scale=1.0) != described(sample, step, scale=0.5)
    assert described(sample, step, return_dict=False) != described(sample, step, return_dict=0)
    # A list of numbers may hold one for each row: not understood, so never merged.
    assert described(sample, shapes=[1, 2]) != described(sample, shapes=[1, 2])


def test_what_has_no_batch_dimension_is_shared_where_it_is_equal():
    sample, positions = torch.zeros(1, 6, 4), torch.arange(6.0)[:, None]
    same = described(sample, img_ids=positions), described(sample, img_ids=positions.clone())
    assert same[0] == same[1]
    assert same[0] != described(sample, img_ids=positions.flip(0))
    one = described(torch.zeros(6, 6, 4), img_ids=positions)  # as long as the batch by chance
    assert one != described(torch.zeros(6, 6, 4), img_ids=positions.flip(0))


def test_answers_are_bounded_and_drop_the_least_recently_used():
    answers = Answers(limit=3 * 4)  # three numbers
    whole = torch.arange(4.0)
    for i in range(3):
        answers.put(i, (whole[i : i + 1], None))
    answers.get(0)
    answers.put(3, (whole[3:4], None))
    assert answers.get(1) is None
    assert answers.get(0)[0].item() == 0
    whole.zero_()  # what is kept is a copy
    assert answers.get(3)[0].item() == 3
