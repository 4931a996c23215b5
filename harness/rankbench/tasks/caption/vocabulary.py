"""Captions as words, and words as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

# A clitic as the Penn Treebank has it ('s), or letters and digits, hyphens between them.
_WORD = re.compile(r"'(?:s|m|d|re|ve|ll|t)\b|[^\W_]+(?:-[^\W_]+)*")

PAD, START, END, UNKNOWN = range(4)
_SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")


def words(caption: str) -> list[str]:
    """The words of a caption in lower case, punctuation left out.

    What MSCOCO's evaluation has its tokenizer in Java do, but for contractions (don 't, not
    do n't) and words in brackets.
    """
    return _WORD.findall(caption.lower())


class Vocabulary:
    """Words that occur `min_count` times or more, each a number; all others are one, UNKNOWN.

    More frequent words come first, equally frequent ones in the order of the alphabet.
    """

    def __init__(self, captions: Iterable[Sequence[str]], min_count: int) -> None:
        counts = Counter(word for caption in captions for word in caption)
        kept = sorted((-count, word) for word, count in counts.items() if count >= min_count)
        self.words = (*_SPECIAL, *(word for _, word in kept))
        self._number = {word: at for at, word in enumerate(self.words)}
        for special in _SPECIAL:
            del self._number[special]  # no caption can spell one

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, caption: Sequence[str]) -> list[int]:
        """The numbers of a caption's words, END after them."""
        return [*(self._number.get(word, UNKNOWN) for word in caption), END]

    def decode(self, numbers: Iterable[int]) -> str:
        """The sentence up to END, its words with a space between them."""
        said = []
        for number in numbers:
            if number == END:
                break
            said.append(self.words[number])
        return " ".join(said)
