"""Frames of a clip: spread evenly, or drawn with equal chances, whatever number a clip has."""

from __future__ import annotations

import itertools
from collections import Counter

import torch
from hypothesis import given
from hypothesis import strategies as st

from rankbench.tasks.clips.sampling import drawn, spread

CLIPS = st.lists(st.integers(4, 30), min_size=1, max_size=6).map(torch.tensor)


@given(stored=CLIPS, shown=st.integers(1, 4))
def test_spread_frames_reach_from_the_first_to_the_last(stored: torch.Tensor, shown: int) -> None:
    steps = spread(shown, stored)
    assert steps.shape == (len(stored), shown)
    assert (steps[:, 0] == 0).all()
    assert shown == 1 or torch.equal(steps[:, -1], stored - 1)
    gaps = steps.diff(dim=1)
    assert (gaps > 0).all()
    assert shown < 3 or (gaps.amax(1) - gaps.amin(1) <= 1).all()


@given(stored=CLIPS, shown=st.integers(1, 4), seed=st.integers(0, 2**31))
def test_drawn_frames_ascend_within_the_clip(stored: torch.Tensor, shown: int, seed: int) -> None:
    steps = drawn(shown, stored, torch.Generator().manual_seed(seed))
    assert steps.shape == (len(stored), shown)
    assert (steps.diff(dim=1) > 0).all()
    assert (steps >= 0).all()
    assert (steps < stored[:, None]).all()


def test_every_choice_is_drawn_equally_often_in_clips_of_any_length() -> None:
    stored = torch.tensor([3, 5]).repeat_interleave(6000)
    steps = drawn(2, stored, torch.Generator().manual_seed(0)).tolist()
    for length, rows in ((3, steps[:6000]), (5, steps[6000:])):
        seen = Counter(map(tuple, rows))
        choices = list(itertools.combinations(range(length), 2))
        assert sorted(seen) == choices
        assert max(seen.values()) < 1.25 * min(seen.values())
