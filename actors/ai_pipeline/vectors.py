"""Words to a sparse TF-IDF matrix, a slice of texts at a time."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

#: Different words that the matrix has columns for, the most frequent ones.
MOST_COLUMNS = 30_000
#: A word in more than this share of the texts tells none of them apart.
_TOO_COMMON = 0.5


def vocabulary_of(slices: Iterable[Sequence[list[str]]]) -> list[str]:
    """The words that become columns, sorted: neither in one or two texts only nor in most of them."""
    seen: Counter[str] = Counter()
    count = 0
    for texts in slices:
        count += len(texts)
        for words in texts:
            seen.update(set(words))
    most = _TOO_COMMON * count if count >= 50 else count
    for least in (3 if count >= 1000 else 2, 1):
        kept = [(number, word) for word, number in seen.items() if least <= number <= most]
        if len(kept) >= 2:
            break
    kept.sort(key=lambda entry: (-entry[0], entry[1]))
    return sorted(word for _, word in kept[:MOST_COLUMNS])


def counts_of(texts: Sequence[list[str]], vocabulary: Sequence[str]) -> Any:
    """How often each text has each word: a sparse matrix of texts × words."""
    counter = CountVectorizer(analyzer=_itself, vocabulary=vocabulary, dtype=np.float32)
    return counter.transform(texts)


def weigh(counts: Any, fitted_on: np.ndarray) -> Any:
    """Counts as TF-IDF, each text of length one; how rare a word is, the mask ``fitted_on`` tells."""
    weights = TfidfTransformer(sublinear_tf=True).fit(counts[np.flatnonzero(fitted_on)])
    return weights.transform(counts).astype(np.float32).tocsr()


def save(matrix: Any) -> bytes:
    """A sparse matrix as the bytes of an .npz file."""
    memory = io.BytesIO()
    sparse.save_npz(memory, matrix)
    return memory.getvalue()


def _itself(words: list[str]) -> list[str]:
    return words
