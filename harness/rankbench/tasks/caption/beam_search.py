"""Beam search for the likeliest sentence.

Letters: b sentences, k beams, v words of the vocabulary, L words and an end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rankbench.cells.modules import State
from rankbench.tasks.caption.vocabulary import END, PAD, START, UNKNOWN

# (last words (n,), state) -> (log p of every next word (n, v), next state)
Next = Callable[[Int64[Tensor, " n"], State], tuple[Float[Tensor, "n v"], State]]
NEVER_SAID = (PAD, START, UNKNOWN)


def beam_search(
    state: State, following: Next, width: int, max_length: int
) -> tuple[Int64[Tensor, "b L"], Float[Tensor, " b"]]:
    """The best sentence found of at most `max_length` words for each row of `state`; its log p.

    After every step the `width` likeliest beginnings are kept, ended sentences among them, by the
    sum of log p without regard to length. After `max_length` words a sentence must end, so every
    score has that of its END. With a width of all beginnings the search is exhaustive.
    NEVER_SAID are no candidates. Source: Vinyals et al. 2015, Sec. 3.1.
    """
    first = state[0] if isinstance(state, tuple) else state
    b, device = len(first), first.device
    state = _taken(state, torch.arange(b, device=device).repeat_interleave(width))
    said = torch.full((b, width, 1), START, device=device)
    scores = torch.full((b, width), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0.0  # all beams are alike before the first word
    rows = torch.arange(b, device=device)[:, None]
    for step in range(max_length + 1):
        log_p, state = following(said[:, :, -1].flatten(), state)
        log_p = _allowed(log_p.double().view(b, width, -1), said[:, :, -1], step == max_length)
        words = log_p.shape[2]
        scores, chosen = (scores[:, :, None] + log_p).flatten(1).topk(width, dim=1)
        beam, word = chosen // words, chosen % words
        said = torch.cat([said[rows, beam], word[:, :, None]], dim=2)
        state = _taken(state, (rows * width + beam).flatten())
        if bool((word[:, 0] == END).all()) and bool((word == END).all()):
            break
    return said[:, 0, 1:], scores[:, 0]


def _allowed(
    log_p: Float[Tensor, "b k v"], last: Int64[Tensor, "b k"], must_end: bool
) -> Float[Tensor, "b k v"]:
    """log p where a word may follow, -inf elsewhere; an ended sentence goes on with END for 0."""
    ended, end = last == END, log_p[:, :, END].clone()
    log_p[:, :, list(NEVER_SAID)] = -torch.inf
    if must_end:
        log_p[:] = -torch.inf
    log_p[ended] = -torch.inf
    log_p[:, :, END] = torch.where(ended, torch.zeros_like(end), end)
    return log_p


def _taken(state: Any, places: Tensor) -> Any:
    """The rows `places` of a state."""
    if isinstance(state, tuple):
        return tuple(part[places] for part in state)
    return state[places]
