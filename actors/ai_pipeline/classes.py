"""The classes of texts, learnt from the labelled ones: logistic regression, held against labels unseen.

It sees the TF-IDF of a text and its place in the latent space of all texts: what words go together, the texts
without a label tell as well, which counts most where few have one (docs/workflows.md has the figures).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold

from callboard.errors import BadInput

from .topics import SEED, Assignment, LatentSpace, Report, calm_threads, sample

#: Labelled texts that a class needs, and that are learnt from at most.
FEWEST = 5
LEARNT_FROM = 20_000
_FOLDS = 5
#: Labels that were mixed up most often, as told.
_MIXED_UP = 10


def classes_of(labels: list[str | None], usable: np.ndarray) -> tuple[list[str], list[str]]:
    """The classes with examples enough among the usable texts, most frequent first; and the others."""
    counts = Counter(label for label, good in zip(labels, usable, strict=True) if label and good)
    ordered = sorted(counts, key=lambda label: (-counts[label], label))
    return [label for label in ordered if counts[label] >= FEWEST], [
        label for label in ordered if counts[label] < FEWEST
    ]


def find_classes(
    features: Any, usable: np.ndarray, labels: list[str | None], names: list[str], size: int, report: Report
) -> Assignment:
    """Give each text a class.

    What a labelled text is given, a model says that has not seen it: so it may differ from its label, and is
        worth a second look then.

    Parameters:
        features: TF-IDF, texts × words.
        usable: mask of the texts that may be learnt from.
        labels: of each text, or None.
        names: the classes; see :func:`classes_of`.
        size: texts of a slice.
        report: told the share of the work (0 to 1) and what is being done.

    Raises:
        BadInput: fewer than two classes.
    """
    if len(names) < 2:
        raise BadInput(
            f"options.task: classes need two labels or more with {FEWEST} examples each, "
            f"found {', '.join(names) or 'none'}"
        )
    calm_threads()
    number = {name: place for place, name in enumerate(names)}
    known = np.array([number.get(label or "", -1) for label in labels])
    rows = sample(np.flatnonzero(usable & (known >= 0)), LEARNT_FROM)
    truth = known[rows]
    report(0.02, "SVD")
    space = LatentSpace(features, sample(np.flatnonzero(usable), LEARNT_FROM), 2 * len(names))
    seen = _with_space(features[rows], space.place(features[rows]))
    counts = np.bincount(truth, minlength=len(names))
    folds = StratifiedKFold(max(2, min(_FOLDS, int(counts.min()))), shuffle=True, random_state=SEED)
    unseen = np.zeros((len(rows), len(names)), np.float64)
    for fold, (learning, held_out) in enumerate(folds.split(rows, truth), start=1):
        model = _model().fit(seen[learning], truth[learning])
        unseen[np.ix_(held_out, model.classes_)] = model.predict_proba(seen[held_out])
        report(0.05 + 0.5 * fold / folds.get_n_splits(), f"fold {fold} / {folds.get_n_splits()}")
    facts = {
        "method": "logistic regression on TF-IDF and LSA",
        **_held_out(truth, unseen.argmax(axis=1), names),
    }
    model = _model().fit(seen, truth)
    report(0.6, "fit")
    shares, places = [], []
    total = features.shape[0]
    for first in range(0, total, size):
        part = features[first : first + size]
        places.append(space.place(part))
        shares.append(model.predict_proba(_with_space(part, places[-1])))
        report(0.65 + 0.35 * min(first + size, total) / total, f"{min(first + size, total)} / {total}")
    every = np.concatenate(shares)
    every[rows] = unseen
    silent = np.diff(features.indptr) == 0
    every[silent] = 0.0
    return Assignment(np.where(silent, -1, every.argmax(axis=1)), every, np.concatenate(places), facts)


def _with_space(features: Any, places: np.ndarray) -> Any:
    return sparse.hstack([features, places.astype(np.float32)]).tocsr()


def _model() -> LogisticRegression:
    return LogisticRegression(C=10.0, class_weight="balanced", max_iter=300, random_state=SEED)


def _held_out(truth: np.ndarray, said: np.ndarray, names: list[str]) -> dict[str, Any]:
    pairs = Counter((int(t), int(s)) for t, s in zip(truth, said, strict=True) if t != s)
    counts = np.bincount(truth, minlength=len(names))
    accuracy = float(accuracy_score(truth, said))
    return {
        "labelled": len(truth),
        "held_out_accuracy": round(accuracy, 4),
        # Of the accuracy, give or take, 19 times of 20.
        "held_out_margin": round(1.96 * (accuracy * (1 - accuracy) / len(truth)) ** 0.5, 4),
        "held_out_macro_f1": round(float(f1_score(truth, said, average="macro", zero_division=0)), 4),
        "largest_class_share": round(float(counts.max() / len(truth)), 4),
        "mixed_up": [
            {"label": names[was], "taken_for": names[taken], "texts": number}
            for (was, taken), number in pairs.most_common(_MIXED_UP)
        ],
    }
