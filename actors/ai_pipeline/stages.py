"""The four stages as Dramatiq actors: preprocessing → feature extraction → model inference → post-processing.

Between stages travels a small dict; texts, words, matrices and results lie in the chain's folder. What needs
the extra ``ai`` is imported when a stage runs. Work goes in slices, so that a revoked chain ends at once.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from actors.progress import current_stage, progress
from actors.storage import Folder, local_copy, read_json
from actors.workflow import stage
from callboard.errors import BadInput

from . import contents
from .contents import TEXTS, WORDS

QUEUE = "ai_pipeline"
#: Texts of one input.
MOST_TEXTS = 200_000
#: Rows that are told by number when they cannot be used.
MOST_PROBLEMS = 10_000
SLICE = 500
_HOUR = 3_600_000
_OPTIONS: dict[str, Any] = {"queue_name": QUEUE, "throws": BadInput, "time_limit": _HOUR}


@stage(name="데이터 전처리", actor_name="ai_pipeline.preprocess", **_OPTIONS)
def preprocess(document: dict[str, Any]) -> dict[str, Any]:
    """Read the texts, clean them, find repeats, and split them into words.

    Args:
        document: see :data:`.options.ACCEPTS`.

    Returns:
        ``options``, ``texts_url`` (JSON lines: row, id, text, label, duplicate_of), ``words_url`` (a line of
        words for each text), ``problems_url`` (JSON), and counts: ``texts``, ``duplicates``,
        ``without_words``, ``skipped``.

    Raises:
        BadInput: the input does not fit, or has no two different texts with words.
    """
    from .options import check_input  # noqa: PLC0415
    from .reading import inline_records, open_records  # noqa: PLC0415
    from .words import Stems, raw_words  # noqa: PLC0415

    options = check_input(document)
    stems = Stems()
    if "texts" in document:
        counts, problems = _clean(inline_records(document["texts"]), stems)
    else:
        with local_copy(document["file_path"]) as path, open_records(path, options) as records:
            counts, problems = _clean(records, stems)
    folder = current_stage().folder
    without = different = 0
    with folder.open(WORDS, "wb") as file:
        for number, record in enumerate(contents.texts(folder), start=1):
            words = stems.words(raw_words(record["text"]))
            without += not words
            different += bool(words) and record["duplicate_of"] is None
            file.write(" ".join(words).encode() + b"\n")
            if number % 200 == 0:
                _report(60 + 40 * number / counts["texts"], "토큰화", done=number)
    if different < 2:
        found = f"{counts['texts']} texts were found"
        if counts["texts"]:
            found += f", {without} of them without words and {counts['duplicates']} repeats"
        elif problems:
            found += f" (row {problems[0]['row']}: {problems[0]['problem']})"
        raise BadInput(f"{found}: two different ones with words are needed")
    progress(100, texts=counts["texts"], skipped=counts["skipped"])
    return {
        "options": document.get("options") or {},
        "texts_url": folder.url_of(TEXTS),
        "words_url": folder.url_of(WORDS),
        "problems_url": folder.write_json("problems.json", problems),
        **counts,
        "without_words": without,
    }


@stage(name="특성 추출", actor_name="ai_pipeline.extract_features", **_OPTIONS)
def extract_features(document: dict[str, Any]) -> dict[str, Any]:
    """Make a TF-IDF matrix.

    Returns:
        The document with ``features_url`` (texts × words, sparse, .npz) and ``vocabulary_url`` (JSON).

    Raises:
        BadInput: the texts have no two words to tell them apart by.
    """
    from scipy import sparse  # noqa: PLC0415

    from .vectors import counts_of, save, vocabulary_of, weigh  # noqa: PLC0415

    folder, total = current_stage().folder, document["texts"]
    # How rare a word is, texts that repeat another do not tell.
    usable = contents.usable(folder, total)
    vocabulary = vocabulary_of(
        [words for words, good in zip(texts, usable[first:], strict=False) if good]
        for first, texts in _word_slices(folder, total, "어휘 집계", 1, 45)
    )
    if len(vocabulary) < 2:
        raise BadInput("the texts have no two words to tell them apart by")
    parts = [counts_of(texts, vocabulary) for _, texts in _word_slices(folder, total, "벡터화", 45, 90)]
    features = weigh(sparse.vstack(parts), usable)
    _report(95, "벡터화", words=len(vocabulary))
    return {
        **document,
        "features_url": folder.write_bytes("features.npz", save(features)),
        "vocabulary_url": folder.write_json("vocabulary.json", vocabulary),
        "words": len(vocabulary),
    }


@stage(name="모델 추론", actor_name="ai_pipeline.infer", **_OPTIONS)
def infer(document: dict[str, Any]) -> dict[str, Any]:
    """Find topics, or give classes.

    Returns:
        The document with ``task`` (``topics`` or ``classes``), ``model_url`` (JSON: names, words and facts)
        and ``assignment_url`` (.npz), and ``warnings``.

    Raises:
        BadInput: classes are asked for, and there are too few labels.
    """
    import numpy as np  # noqa: PLC0415
    from scipy import sparse  # noqa: PLC0415

    from .classes import FEWEST, classes_of, find_classes  # noqa: PLC0415
    from .options import Options  # noqa: PLC0415
    from .topics import find_topics, words_of  # noqa: PLC0415

    folder, options = current_stage().folder, Options(**document["options"])
    with local_copy(document["features_url"]) as path:
        features = sparse.load_npz(path)
    usable = contents.usable(folder, document["texts"]) & (np.diff(features.indptr) > 0)
    labels = [record["label"] for record in contents.texts(folder)]
    names, few = classes_of(labels, usable)
    task = options.task if options.task != "auto" else "classes" if len(names) >= 2 else "topics"
    warnings = [f"class {name!r} has fewer than {FEWEST} examples: it is not learnt" for name in few[:20]]
    if task == "classes":
        found = find_classes(features, usable, labels, names, SLICE, _within(1, 95))
    else:
        found = find_topics(features, usable, options.topics, SLICE, _within(1, 95))
        warnings = (
            ["labels are given, but no two classes with examples enough: topics were found"] if few else []
        )
        names = [str(number) for number in range(1, found.shares.shape[1] + 1)]
    vocabulary = read_json(document["vocabulary_url"])
    words = words_of(features, found.group, len(names), vocabulary)
    memory = io.BytesIO()
    np.savez_compressed(
        memory,
        group=found.group,
        shares=found.shares.astype(np.float32),
        space=found.space.astype(np.float32),
    )
    model = {"names": names, "words": words, "quality": found.facts}
    return {
        **document,
        "task": task,
        "model_url": folder.write_json("model.json", model),
        "assignment_url": folder.write_bytes("assignment.npz", memory.getvalue()),
        "warnings": warnings,
    }


@stage(name="후처리", actor_name="ai_pipeline.postprocess", **_OPTIONS)
def postprocess(document: dict[str, Any]) -> dict[str, Any]:
    """Write the tables and draw the map.

    Returns:
        The chain's final result: ``task``, counts, ``topics`` (or classes: number or name, words, texts,
        share), ``quality``, ``excel_url``, ``json_url``, ``picture_url``, ``download_url`` and ``warnings``.
    """
    from .picture import draw_map  # noqa: PLC0415
    from .report import counted, write_excel, write_json  # noqa: PLC0415

    context = current_stage()
    folder, task, total = context.folder, document["task"], document["texts"]
    model, found = read_json(document["model_url"]), contents.assignment(document["assignment_url"])
    problems = read_json(document["problems_url"])
    groups = contents.groups(folder, found, model, task)
    _report(5, "지도")
    title = f"{'주제' if task == 'topics' else '분류'} 지도 · 텍스트 {total:,}건"
    picture, warnings = draw_map(found, [contents.label_of(group, task) for group in groups], title)
    summary = {
        "task": task,
        **{name: document[name] for name in ("texts", "duplicates", "without_words", "skipped")},
        "topics": groups,
        "quality": model["quality"],
        "warnings": [*document["warnings"], *warnings],
    }
    picture_url = folder.write_bytes("map.png", picture)
    for name, write, span in (
        ("results.json", write_json, (15, 40)),
        ("results.xlsx", write_excel, (40, 98)),
    ):
        report = _within(*span)
        with folder.open(name, "wb") as file:
            rows = counted(
                contents.rows(folder, found, groups, task), total, partial(_report_file, report, name)
            )
            write(file, summary, rows, problems, task)
    return {
        **summary,
        "excel_url": folder.url_of("results.xlsx"),
        "json_url": folder.url_of("results.json"),
        "picture_url": picture_url,
        "download_url": context.download_url("results.xlsx"),
    }


def _clean(records: Iterator[tuple[Any, float]], stems: Any) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """Write the usable texts to the chain's folder, counting their words; returns counts, and problems."""
    from .cleaning import LONGEST, fingerprint, plain  # noqa: PLC0415
    from .words import raw_words  # noqa: PLC0415

    first_with: dict[bytes, int] = {}
    counts = {"texts": 0, "duplicates": 0, "skipped": 0}
    problems: list[dict[str, Any]] = []
    with current_stage().folder.open(TEXTS, "wb") as file:
        for seen, (record, share) in enumerate(records, start=1):
            text = plain(record.text or "")
            mark = fingerprint(text)
            if not mark:
                counts["skipped"] += 1
                if len(problems) < MOST_PROBLEMS:
                    problems.append({"row": record.row, "problem": record.problem or _why_empty(record.text)})
            else:
                counts["texts"] += 1
                if counts["texts"] > MOST_TEXTS:
                    raise BadInput(f"more than {MOST_TEXTS} texts: split the file")
                before = first_with.setdefault(mark, record.row)
                repeats = before if before != record.row else None
                counts["duplicates"] += repeats is not None
                if repeats is None:
                    stems.count(raw_words(text))
                if len(text) == LONGEST and len(problems) < MOST_PROBLEMS:
                    problems.append({"row": record.row, "problem": f"cut to {LONGEST} characters"})
                line = {
                    "row": record.row,
                    "id": record.id,
                    "text": text,
                    "label": record.label,
                    "duplicate_of": repeats,
                }
                file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            if seen % 200 == 0:
                _report(60 * share, "정제", done=seen)
    return counts, problems


def _why_empty(text: str | None) -> str:
    return "no text" if not (text or "").strip() else "nothing is left of it but markup, links and signs"


def _word_slices(
    folder: Folder, total: int, substep: str, start: float, end: float
) -> Iterator[tuple[int, list[list[str]]]]:
    """The words of texts, in slices with the number of their first text; progress goes from start to end."""
    part: list[list[str]] = []
    for number, line in enumerate(contents.lines(folder, WORDS), start=1):
        part.append(line.split())
        if len(part) == SLICE or number == total:
            yield number - len(part), part
            part = []
            _report(start + (end - start) * number / total, substep, done=number)


def _within(start: float, end: float) -> Callable[[float, str], None]:
    """Reports the share of a part of a stage, which goes from one percentage to the other."""
    return lambda share, substep: _report(start + (end - start) * min(share, 1.0), substep)


def _report_file(report: Callable[[float, str], None], name: str, share: float) -> None:
    report(share, name)


def _report(percent: float, substep: str, **metadata: Any) -> None:
    # A stage that has begun shows at least 1 %.
    progress(max(min(percent, 100.0), 1.0), substep=substep, **metadata)
