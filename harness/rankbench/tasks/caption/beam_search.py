"""Beam search for the most likely sentence.

Letters: b sentences, k beams, v words of the vocabulary, L words with END.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rankbench.cells.modules import State
from rankbench.tasks.caption.vocabulary import END, PAD, START, UNKNOWN

# Maps the last words (n,) and a state to log p of every next word (n, v) and the next state.
Next = Callable[[Int64[Tensor, " n"], State], tuple[Float[Tensor, "n v"], State]]
NEVER_SAID = (PAD, START, UNKNOWN)


def beam_search(
    state: State, following: Next, width: int, max_length: int
) -> tuple[Int64[Tensor, "b L"], Float[Tensor, " b"]]:
    """Find a likely sentence for each row of a state by beam search.

    After every step, the search keeps the `width` beginnings with the largest sum of log p,
    complete sentences among them, without a correction for length. The words NEVER_SAID are
    excluded. If `width` is the number of all possible beginnings, the search is exhaustive.

    Source: Vinyals et al. 2015, Sec. 3.1.

    Args:
        state: State of the cell after it has seen the image, with b rows.
        following: Returns log p of every next word, and the next state.
        width: Number of beginnings to keep, k.
        max_length: Most words of a sentence; after them it must end.

    Returns:
        The best sentence found for each row, and its log p, that of END included.
    """
    first = state[0] if isinstance(state, tuple) else state
    b, device = len(first), first.device
    state = _select_rows(state, torch.arange(b, device=device).repeat_interleave(width))
    sentences = torch.full((b, width, 1), START, device=device)
    scores = torch.full((b, width), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0.0  # All beams are equal before the first word; only one may continue.
    rows = torch.arange(b, device=device)[:, None]
    for step in range(max_length + 1):
        last = sentences[:, :, -1]
        log_p, state = following(last.flatten(), state)
        log_p = _allowed(log_p.double().view(b, width, -1), last, step == max_length)
        words = log_p.shape[2]
        scores, chosen = (scores[:, :, None] + log_p).flatten(1).topk(width, dim=1)
        beam, word = chosen // words, chosen % words
        sentences = torch.cat([sentences[rows, beam], word[:, :, None]], dim=2)
        state = _select_rows(state, (rows * width + beam).flatten())
        if bool((word[:, 0] == END).all()) and bool((word == END).all()):
            break
    return sentences[:, 0, 1:], scores[:, 0]


def _allowed(
    log_p: Float[Tensor, "b k v"], last: Int64[Tensor, "b k"], must_end: bool
) -> Float[Tensor, "b k v"]:
    """Set log p to -inf for words that must not follow; a complete sentence repeats END for 0."""
    ended, end = last == END, log_p[:, :, END].clone()
    log_p[:, :, list(NEVER_SAID)] = -torch.inf
    if must_end:
        log_p[:] = -torch.inf
    log_p[ended] = -torch.inf
    log_p[:, :, END] = torch.where(ended, torch.zeros_like(end), end)
    return log_p


def _select_rows(state: Any, rows: Tensor) -> Any:
    if isinstance(state, tuple):
        return tuple(part[rows] for part in state)
    return state[rows]
