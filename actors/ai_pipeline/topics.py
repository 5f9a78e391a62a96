"""The topics of texts: k-means on the unit sphere of a latent semantic space, and how many topics there are.

TF-IDF is reduced by a truncated SVD (latent semantic analysis) to twice as many dimensions as there are
topics; there texts of one topic lie in one direction. On texts of known topics this found them better than
NMF and than k-means on TF-IDF itself (docs/workflows.md has the figures).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import adjusted_rand_score, silhouette_score
from threadpoolctl import threadpool_limits

#: Of everything that draws lots here.
SEED = 20_251_105
#: Texts that topics are learnt from, and that their number is chosen by; a random sample of them where there
#: are more.
LEARNT_FROM = 20_000
CHOSEN_BY = 3_000
#: The most topics that are tried when their number is not given.
MOST_TRIED = 15
#: Dimensions of the space in which different numbers of topics are compared.
_COMMON_SPACE = 20
#: How sharply a similarity turns into a share; found by comparing shares with how often they are right.
_SHARPNESS = 10.0
_HALVINGS = 3
#: Of the best score: the smallest number of topics that comes so near is taken; one topic too many often
#: scores a little better (24 generated corpora of 3 to 8 topics: 21 numbers right without it, all with it).
_NEARLY = 0.94

Report = Callable[[float, str], None]


@dataclass(frozen=True)
class Assignment:
    """What each text is about.

    Attributes:
        group: number of its topic or class from 0; -1 for a text without words. One for each text.
        shares: how much of each topic a text has, rows adding up to one; zeros without words.
        space: the texts in the latent space, of length one.
        facts: how it was found, for people.
    """

    group: np.ndarray
    shares: np.ndarray
    space: np.ndarray
    facts: dict[str, Any]

    @property
    def confidence(self) -> np.ndarray:
        """The share of the topic that each text was given."""
        own = self.shares[np.arange(len(self.group)), np.maximum(self.group, 0)]
        return np.where(self.group >= 0, own, 0.0)


class LatentSpace:
    """The latent semantic space of a TF-IDF matrix.

    Parameters:
        features: texts × words.
        learnt_from: rows that it is learnt from.
        dimensions: at most.
    """

    def __init__(self, features: Any, learnt_from: np.ndarray, dimensions: int) -> None:
        most = min(features.shape[1], len(learnt_from)) - 1
        self._svd = TruncatedSVD(max(1, min(dimensions, most)), random_state=SEED)
        # Where all texts hold the same words, the share that it explains, which is not used, is 0 / 0.
        with np.errstate(invalid="ignore"):
            self._svd.fit(features[learnt_from])

    def place(self, features: Any, dimensions: int | None = None) -> np.ndarray:
        """Texts as unit vectors of the first ``dimensions``; zeros stay zeros."""
        return unit(self._svd.transform(features)[:, :dimensions])


def calm_threads() -> None:
    """Let the libraries compute with one thread each.

    A worker has threads of its own, and theirs spin while they wait for one another: on two busy cores the
    same topics took forty times as long.
    """
    threadpool_limits(limits=1)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length one; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 1e-9, lengths, np.inf))


def sample(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, by chance, in order."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(SEED).choice(rows, most, replace=False))


def find_topics(
    features: Any, usable: np.ndarray, wanted: int | None, size: int, report: Report
) -> Assignment:
    """Find the topics of texts.

    Parameters:
        features: TF-IDF, texts × words.
        usable: mask of the texts to learn from: those with words that repeat no other.
        wanted: how many topics; None: the number that fits best.
        size: texts of a slice.
        report: told the share of the work (0 to 1) and what is being done.
    """
    calm_threads()
    rows = sample(np.flatnonzero(usable), LEARNT_FROM)
    report(0.02, "SVD")
    space = LatentSpace(features, rows, 2 * (wanted or MOST_TRIED))
    facts: dict[str, Any] = {"method": "LSA + k-means"}
    count = wanted
    if count is None:
        count, facts["tried"] = _choose(space.place(features[sample(rows, CHOSEN_BY)]), report)
    count = max(1, min(count, len(rows)))
    report(0.6, "k-means")
    learnt = space.place(features[rows], 2 * count)
    means = _means(count, learnt, 10)
    centres = unit(means.cluster_centers_)
    facts["explained"] = round(float(np.square(learnt @ centres.T).max(axis=1).mean()), 4)
    groups, shares, places = [], [], []
    total = features.shape[0]
    for first in range(0, total, size):
        part = space.place(features[first : first + size], 2 * count)
        similar = part @ centres.T
        silent: np.ndarray = np.logical_not(part.any(axis=1))
        groups.append(np.where(silent, -1, similar.argmax(axis=1)))
        shares.append(np.where(silent[:, None], 0.0, softmax(_SHARPNESS * similar)))
        places.append(part)
        report(0.65 + 0.35 * min(first + size, total) / total, f"{min(first + size, total)} / {total}")
    return _largest_first(
        Assignment(np.concatenate(groups), np.concatenate(shares), np.concatenate(places), facts)
    )


def softmax(values: np.ndarray) -> np.ndarray:
    """Rows of positive numbers that add up to one."""
    raised = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _choose(space: np.ndarray, report: Report) -> tuple[int, dict[str, float]]:
    """The number of topics that both separates the texts and comes out again from half of them.

    Separation is the silhouette in a space that is the same for all numbers; in its own space every number
    looks good.
    """
    space = space[space.any(axis=1)]
    most = min(MOST_TRIED, len(space) // 8)
    common = unit(space[:, :_COMMON_SPACE])
    chance = np.random.default_rng(SEED)
    scores: dict[str, float] = {}
    for count in range(2, most + 1):
        own = unit(space[:, : 2 * count])
        groups = _means(count, common, 4).predict(common)
        if len(set(groups)) < 2:
            break
        separation = silhouette_score(common, groups, sample_size=min(1500, len(common)), random_state=SEED)
        agreements = []
        for _ in range(_HALVINGS):
            order = chance.permutation(len(own))
            halves = order[: len(own) // 2], order[len(own) // 2 :]
            both = [_means(count, own[half], 2).predict(own) for half in halves]
            agreements.append(adjusted_rand_score(*both))
        scores[str(count)] = round(float(max(separation, 0.0) * np.mean(agreements)), 4)
        report(0.05 + 0.55 * (count - 1) / max(1, most - 1), f"{count} topics")
    if not scores:
        return min(2, max(1, len(space))), scores
    enough = _NEARLY * max(scores.values())
    return min(int(count) for count, score in scores.items() if score >= enough), scores


def _means(count: int, space: np.ndarray, starts: int) -> KMeans:
    """k-means with so many centres, or as many as there are different places."""
    places = len(np.unique(np.round(space, 4), axis=0))
    return KMeans(max(1, min(count, places)), n_init=starts, random_state=SEED).fit(space)


def _largest_first(found: Assignment) -> Assignment:
    sizes = np.bincount(found.group[found.group >= 0], minlength=found.shares.shape[1])
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > 0]
    place = np.full(len(sizes), -1)
    place[order] = np.arange(len(order))
    return Assignment(
        np.where(found.group >= 0, place[found.group], -1), found.shares[:, order], found.space, found.facts
    )


def words_of(
    features: Any, group: np.ndarray, count: int, vocabulary: list[str], most: int = 12
) -> list[list[str]]:
    """The words that tell each group from the others, best first."""
    found = []
    total = np.asarray(features.sum(axis=0)).ravel()
    number = features.shape[0]
    for own in range(count):
        members = np.flatnonzero(group == own)
        inside = np.asarray(features[members].sum(axis=0)).ravel()
        others = (total - inside) / max(1, number - len(members))
        lead = inside / max(1, len(members)) - others
        best = np.argsort(-lead, kind="stable")[:most]
        found.append([vocabulary[place] for place in best if lead[place] > 0])
    return found
