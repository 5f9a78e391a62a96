"""How well ai_pipeline finds topics and classes, on generated texts whose topics are known.

python -m benchmarks.texts [--count 3000] [--seeds 3]

Beside it stand NMF and k-means on TF-IDF, which are given the number of topics. ARI: adjusted Rand index.
"""

from __future__ import annotations

import argparse
import random
import time
import warnings
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from actors.ai_pipeline.classes import classes_of, find_classes
from actors.ai_pipeline.cleaning import plain
from actors.ai_pipeline.topics import calm_threads, find_topics
from actors.ai_pipeline.vectors import counts_of, vocabulary_of, weigh
from actors.ai_pipeline.words import Stems, raw_words
from samples.texts import Writer

#: Kinds of corpora: share of sentences astray, share of words that say nothing.
KINDS = {"plain": (0.12, 0.35), "noisy": (0.20, 0.45)}
LABELLED = 0.1


def main() -> None:
    """Print a line for each language and kind of corpus."""
    parser = argparse.ArgumentParser(description="Topics and classes of generated texts.")
    parser.add_argument("--count", type=int, default=3000)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    calm_threads()
    print(
        "corpus       seconds  topics         ARI    NMI   |8 given: ARI    NMF   k-means | classes, held out"
    )
    for language in ("ko", "en"):
        for kind, (astray, common) in KINDS.items():
            rows = [
                measure(language, given.count, seed, astray, common) for seed in range(1, given.seeds + 1)
            ]
            mean = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
            n = ",".join(str(int(row["topics"])) for row in rows)
            print(
                f"{language} {kind:9} {mean['seconds']:7.1f}  {n:13}  {mean['ari']:.3f}  {mean['nmi']:.3f}"
                f" | {mean['given']:12.3f}  {mean['nmf']:.3f}  {mean['k_means']:.3f} |"
                f" {mean['accuracy']:.3f}    {mean['held_out']:.3f}"
            )


def measure(language: str, count: int, seed: int, astray: float, common: float) -> dict[str, float]:
    """All figures for one corpus."""
    texts = list(Writer(language, seed=seed, astray=astray, common=common).write(count))
    truth = np.array([text.topic for text in texts])
    began = time.perf_counter()
    raw = [raw_words(plain(text.text)) for text in texts]
    stems = Stems()
    for words in raw:
        stems.count(words)
    tokens = [stems.words(words) for words in raw]
    features: Any = weigh(counts_of(tokens, vocabulary_of([tokens])), np.ones(count, bool))
    usable = np.diff(features.indptr) > 0
    found = find_topics(features, usable, None, 500, _ignore)
    seconds = time.perf_counter() - began
    given = find_topics(features, usable, 8, 500, _ignore)
    factors = NMF(8, init="nndsvda", random_state=0, max_iter=200).fit_transform(features)
    chance = random.Random(seed)
    labels = [topic if chance.random() < LABELLED else None for topic in truth]
    names, _ = classes_of(labels, usable)
    classes = find_classes(features, usable, labels, names, 500, _ignore)
    unseen = np.array([label is None for label in labels])
    return {
        "seconds": seconds,
        "topics": found.shares.shape[1],
        "ari": adjusted_rand_score(truth, found.group),
        "nmi": normalized_mutual_info_score(truth, found.group),
        "given": adjusted_rand_score(truth, given.group),
        "nmf": adjusted_rand_score(truth, factors.argmax(axis=1)),
        "k_means": adjusted_rand_score(truth, KMeans(8, n_init=4, random_state=0).fit_predict(features)),
        "accuracy": float((np.array(names)[classes.group] == truth)[unseen].mean()),
        "held_out": classes.facts["held_out_accuracy"],
    }


def _ignore(*_: Any) -> None:
    """No progress."""


if __name__ == "__main__":
    main()
