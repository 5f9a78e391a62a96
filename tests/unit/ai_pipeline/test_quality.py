"""How well topics and classes are found, on generated texts whose topics are known."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from actors.ai_pipeline.classes import classes_of, find_classes
from actors.ai_pipeline.cleaning import plain
from actors.ai_pipeline.topics import find_topics, words_of
from actors.ai_pipeline.vectors import counts_of, vocabulary_of, weigh
from actors.ai_pipeline.words import Stems, raw_words
from callboard.errors import BadInput
from samples.texts import ENGLISH, KOREAN, Writer


class Corpus:
    """Generated texts as a TF-IDF matrix, and their topics."""

    def __init__(self, language: str, count: int, **options: Any) -> None:
        texts = list(Writer(language, **options).write(count))
        raw = [raw_words(plain(text.text)) for text in texts]
        stems = Stems()
        for words in raw:
            stems.count(words)
        tokens = [stems.words(words) for words in raw]
        self.vocabulary = vocabulary_of([tokens])
        self.features = weigh(counts_of(tokens, self.vocabulary), np.ones(count, bool))
        self.usable = np.diff(self.features.indptr) > 0
        self.truth = [text.topic for text in texts]


def ignore(*_: Any) -> None:
    """No progress."""


@pytest.mark.parametrize(("language", "topics"), [("ko", 8), ("en", 8), ("ko", 4), ("en", 5)])
def test_topics_and_their_number_are_found(language: str, topics: int) -> None:
    corpus = Corpus(language, 1500, seed=31, topics=topics)
    found = find_topics(corpus.features, corpus.usable, None, 500, ignore)
    assert found.shares.shape[1] == topics
    assert adjusted_rand_score(corpus.truth, found.group) > 0.8
    assert normalized_mutual_info_score(corpus.truth, found.group) > 0.75
    # The largest topic comes first, and its words are its own.
    assert (np.diff(np.bincount(found.group[found.group >= 0])) <= 0).all()
    own = {name: set(words.split()) for name, words in (KOREAN if language == "ko" else ENGLISH).items()}
    for words in words_of(corpus.features, found.group, topics, corpus.vocabulary, 8):
        assert max(len(known & set(words)) for known in own.values()) >= 6


def test_a_share_is_about_as_often_right_as_it_says() -> None:
    corpus = Corpus("ko", 3000, seed=33, topics=6)
    found = find_topics(corpus.features, corpus.usable, 6, 500, ignore)
    truth = np.array(corpus.truth)
    right = np.zeros(len(truth), bool)
    for own in range(6):
        members = found.group == own
        names, counts = np.unique(truth[members], return_counts=True)
        right |= members & (truth == names[counts.argmax()])
    sure, unsure = found.confidence > 0.9, found.confidence < 0.6
    assert right[sure].mean() > 0.95
    assert 0.2 < right[unsure].mean() < 0.85
    np.testing.assert_allclose(found.shares[corpus.usable].sum(axis=1), 1, atol=1e-6)


def test_the_same_texts_give_the_same_topics() -> None:
    corpus = Corpus("en", 600, seed=2, topics=5)
    first, second = (find_topics(corpus.features, corpus.usable, None, 500, ignore) for _ in range(2))
    np.testing.assert_array_equal(first.group, second.group)
    np.testing.assert_array_equal(first.shares, second.shares)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_classes_and_what_is_said_of_their_accuracy(language: str) -> None:
    corpus = Corpus(language, 2500, seed=35)
    chance = random.Random(1)
    labels = [topic if chance.random() < 0.12 else None for topic in corpus.truth]
    names, few = classes_of(labels, corpus.usable)
    assert (len(names), few) == (8, [])
    found = find_classes(corpus.features, corpus.usable, labels, names, 500, ignore)
    unseen = np.array([label is None for label in labels])
    right = np.array([names[own] == topic for own, topic in zip(found.group, corpus.truth, strict=True)])
    accuracy = right[unseen].mean()
    assert accuracy > 0.88
    assert abs(found.facts["held_out_accuracy"] - accuracy) < 0.05
    assert found.facts["held_out_accuracy"] > found.facts["largest_class_share"] + 0.4


def test_labels_that_mean_nothing_are_told_as_such() -> None:
    corpus = Corpus("en", 800, seed=36, topics=4)
    chance = random.Random(2)
    labels: list[str | None] = [chance.choice(["red", "blue"]) for _ in corpus.truth]
    found = find_classes(corpus.features, corpus.usable, labels, ["red", "blue"], 500, ignore)
    assert found.facts["held_out_accuracy"] < 0.6


def test_too_few_labels() -> None:
    corpus = Corpus("en", 60, seed=37, topics=3)
    labels: list[str | None] = ["a"] * 6 + ["b"] * 4 + [None] * 50
    assert classes_of(labels, np.ones(60, bool)) == (["a"], ["b"])
    with pytest.raises(BadInput, match="two labels or more with 5 examples each, found a"):
        find_classes(corpus.features, corpus.usable, labels, ["a"], 500, ignore)


@pytest.mark.parametrize("count", [2, 3, 9, 30])
def test_very_few_texts(count: int) -> None:
    corpus = Corpus("ko", count, seed=38, topics=2, sentences=3)
    found = find_topics(corpus.features, corpus.usable, None, 500, ignore)
    assert len(found.group) == count
    assert found.shares.shape[1] >= 1
