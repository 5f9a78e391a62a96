"""Cleaning, and words without a morphological analyser."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.ai_pipeline.cleaning import LONGEST, fingerprint, plain
from actors.ai_pipeline.words import Stems, raw_words
from samples.texts import KOREAN, Writer, particle


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<p>금리&nbsp;인상</p><script>var a = 1;</script>", "금리 인상"),
        ("a < b and c > d", "a < b and c > d"),
        ("see https://example.com/a?b=1 or ask me@example.com", "see or ask"),
        ("한\u200b글\t\n 사이\u3000띄움", "한글 사이 띄움"),
        ("<!-- 숨김 -->보임<style>p{}</style>", "보임"),
        ("\x00\x07 ", ""),
    ],
)
def test_cleaning(text: str, left: str) -> None:
    assert plain(text) == left


def test_long_texts_are_cut_and_hostile_ones_take_no_time() -> None:
    assert len(plain("가" * 100_000)) == LONGEST
    assert plain("<" * 50_000).startswith("<")
    assert plain("<script" * 8_000)


def test_repeats_are_known_again() -> None:
    assert fingerprint("금리 인상!") == fingerprint("금리  인상") == fingerprint("금리인상…")
    assert fingerprint("Rate") == fingerprint("rate ")
    assert fingerprint("금리 인상") != fingerprint("금리 인하")
    assert fingerprint(" !!! ") == b""


def words_of(*texts: str) -> list[list[str]]:
    stems = Stems()
    for text in texts:
        stems.count(raw_words(text))
    return [stems.words(raw_words(text)) for text in texts]


def test_particles_and_endings_go_where_the_texts_show_the_stem() -> None:
    found = words_of(
        "은행이 금리를 올렸습니다",
        "금리는 은행에서 정합니다",
        "은행과 금리",
        "투자하는 사람에게",
        "투자했습니다",
        "투자를 사람은",
    )
    assert found[0][:2] == ["은행", "금리"]
    assert found[1][:2] == ["금리", "은행"]
    assert found[2] == ["은행", "금리"]
    assert (found[3][0], found[4], found[5][0]) == ("투자", ["투자"], "투자")


def test_a_word_that_only_looks_as_if_it_had_a_particle_is_left_whole() -> None:
    (found,) = words_of("사과 회의 나이 고속도로 바나나")
    assert found == ["사과", "회의", "나이", "고속도로", "바나나"]


def test_english_words_lose_their_plural_and_stop_words() -> None:
    assert words_of("The players' matches and the bus, cities; this gas's boss") == [
        ["player", "match", "bus", "city", "gas", "boss"]
    ]


def test_mixed_texts() -> None:
    assert words_of("GPU가 3개 있는 서버") == [["gpu", "서버"]]


def test_the_nouns_of_generated_texts_are_found() -> None:
    texts = [plain(text.text) for text in Writer("ko", seed=5).write(2000)]
    counted = Counter(word for words in words_of(*texts) for word in words)
    nouns = set(" ".join(KOREAN.values()).split())
    found = {noun for noun in nouns if counted[noun] >= 3}
    assert len(found) >= 0.95 * len(nouns)
    # With a particle still on it a noun would be another word.
    joined = sum(counted[particle(noun, "을", "를")] + counted[particle(noun, "이", "가")] for noun in nouns)
    assert joined < 0.02 * sum(counted[noun] for noun in nouns)
