"""Split captions into words, and number the words of a vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile

# Either a clitic as in the Penn Treebank ('s), or letters and digits joined by hyphens.
_WORD = re.compile(r"'(?:s|m|d|re|ve|ll|t)\b|[^\W_]+(?:-[^\W_]+)*")

PAD, START, END, UNKNOWN = range(4)
_SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")


def words(caption: str) -> list[str]:
    """Split a caption into lower-case words, without punctuation.

    The result equals that of MSCOCO's Java tokenizer except for contractions (don 't instead of
    do n't) and words in brackets.

    Example:
        >>> words("A dog's well-known trick.")
        ['a', 'dog', "'s", 'well-known', 'trick']
    """
    return _WORD.findall(caption.lower())


class Vocabulary:
    """The words that occur at least `min_count` times, by number; all others are UNKNOWN.

    More frequent words come first, and equally frequent ones in alphabetical order.

    Args:
        captions: Captions as lists of words.
        min_count: How often a word must occur.

    Example:
        >>> vocabulary = Vocabulary([["a", "dog"], ["a", "cat"]], min_count=2)
        >>> vocabulary.words
        ('<pad>', '<start>', '<end>', '<unk>', 'a')
        >>> vocabulary.encode(["a", "dog"])
        [4, 3, 2]
    """

    def __init__(self, captions: Iterable[Sequence[str]], min_count: int) -> None:
        counts = Counter(word for caption in captions for word in caption)
        frequent = sorted((-count, word) for word, count in counts.items() if count >= min_count)
        self.words = (*_SPECIAL, *(word for _, word in frequent))
        self._number = {word: number for number, word in enumerate(self.words)}
        for special in _SPECIAL:
            del self._number[special]  # A caption that contains this text must not encode to it.

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, caption: Sequence[str]) -> list[int]:
        """Return the numbers of a caption's words, followed by END."""
        return [*(self._number.get(word, UNKNOWN) for word in caption), END]

    def decode(self, numbers: Iterable[int]) -> str:
        """Return the words before END, joined by spaces."""
        return " ".join(self.words[number] for number in takewhile(lambda n: n != END, numbers))
