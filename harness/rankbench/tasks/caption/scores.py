"""How near sentences are to what people said: BLEU by sacrebleu, CIDEr by pycocoevalcap."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from itertools import zip_longest

ORDERS = (1, 2, 3, 4)
_NEEDED = ("sacrebleu", "pycocoevalcap")


def missing_packages() -> str | None:
    """One line on a package that is not here, None when all are."""
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            return f"package {name} is not installed; `pip install 'rankbench[captions]'` does it"
    return None


def score(sentences: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """bleu_1 ... bleu_4 and cider of sentences, each beside its references.

    All are words with spaces between them. BLEU-n (Papineni et al. 2002) is the corpus's, 0 to 1:
    the brevity penalty by the references nearest in length times the geometric mean of the
    clipped precisions of 1 to n words, unsmoothed. CIDEr is CIDEr-D (Vedantam et al. 2015), 0 to
    10; a word is the rarer the fewer images of these references have it.
    """
    bleu = importlib.import_module("sacrebleu.metrics").BLEU
    cider = importlib.import_module("pycocoevalcap.cider.cider").Cider
    streams = [list(stream) for stream in zip_longest(*references)]
    found = {}
    for order in ORDERS:
        metric = bleu(max_ngram_order=order, tokenize="none", smooth_method="none")
        found[f"bleu_{order}"] = float(metric.corpus_score(list(sentences), streams).score) / 100
    told = {at: list(own) for at, own in enumerate(references)}
    said = {at: [sentence] for at, sentence in enumerate(sentences)}
    found["cider"] = float(cider().compute_score(told, said)[0])
    return found
