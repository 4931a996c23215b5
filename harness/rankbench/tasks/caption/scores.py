"""Score sentences against reference captions: BLEU by sacrebleu, CIDEr by pycocoevalcap."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from itertools import zip_longest

ORDERS = (1, 2, 3, 4)
_NEEDED = ("sacrebleu", "pycocoevalcap")


def missing_packages() -> str | None:
    """Return one line about a package that is not installed; None if all are."""
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            return f"package {name} is not installed; run `pip install 'rankbench[captions]'`"
    return None


def score(sentences: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Compute bleu_1 ... bleu_4 and cider of sentences.

    BLEU-n (Papineni et al. 2002) is computed over the corpus, from 0 to 1: the brevity penalty,
    from the references closest in length, times the geometric mean of the clipped precisions of 1
    to n words, without smoothing. CIDEr is CIDEr-D (Vedantam et al. 2015), from 0 to 10; document
    frequencies are counted over these references.

    Args:
        sentences: One sentence per image, with spaces between its words.
        references: The captions of each image, in the same form.

    Returns:
        The scores by column name.
    """
    bleu = importlib.import_module("sacrebleu.metrics").BLEU
    cider = importlib.import_module("pycocoevalcap.cider.cider").Cider
    streams = [list(stream) for stream in zip_longest(*references)]
    scores = {}
    for order in ORDERS:
        metric = bleu(max_ngram_order=order, tokenize="none", smooth_method="none")
        scores[f"bleu_{order}"] = float(metric.corpus_score(list(sentences), streams).score) / 100
    expected = {index: list(captions) for index, captions in enumerate(references)}
    written = {index: [sentence] for index, sentence in enumerate(sentences)}
    scores["cider"] = float(cider().compute_score(expected, written)[0])
    return scores
