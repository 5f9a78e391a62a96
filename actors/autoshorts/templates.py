"""Plot templates: what is told of a prompt where no language model is there to write it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOODS = ("bright", "calm", "tense", "wonder", "warm", "triumph")
#: Characters of the prompt that are put into a sentence.
_SUBJECT_LENGTH = 40
_REQUEST = re.compile(
    r"(에 대한|에 대해서?|에 관한|을|를)?\s*(영상|쇼츠|비디오|이야기)?(을|를)?\s*"
    r"(만들어|그려|보여|설명해)\s*(줘|주세요|달라)?[.!]*$"
    r"|^(please\s+)?(make|create|tell|show|explain)(\s+me)?(\s+an?|\s+the)?(\s+(video|short|story|clip))?"
    r"(\s+(about|of|on))?\s+",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"방법|이유|왜 |어떻게|비결|하는 법|팁"
    r"|\b(how (to|do|does|can|is|are)|why|what (is|are|makes)|tips?|guide|ways? to)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Beat:
    """One scene as told: a title, a sentence, what is to be seen, and how it feels.

    ``anywhere``: the sentence names no place, so that the prompt's own place suits it.
    """

    title: str
    narration: str
    visual: str
    mood: str
    anywhere: bool = False


# {s}: the subject; {s은}, {s을}, {s이}, {s과}: with the particle that its last syllable asks for.
_STORY_KO = (
    Beat("이야기의 시작", "오늘의 주인공, {s을} 소개합니다.", "해돋이 언덕", "warm", anywhere=True),
    Beat("길을 나서다", "어느 날 아침, {s은} 먼 길을 떠났습니다.", "산길", "bright", anywhere=True),
    Beat("낯선 세상", "처음 보는 도시의 불빛이 반짝였습니다.", "밤 도시", "wonder"),
    Beat("거센 파도", "하지만 거센 비바람이 앞을 막아섰습니다.", "비 바다", "tense"),
    Beat("깊은 숲", "조용한 숲에서 잠시 숨을 골랐습니다.", "숲", "calm"),
    Beat("뜻밖의 만남", "그곳에서 {s은} 소중한 친구를 만났습니다.", "들판", "warm", anywhere=True),
    Beat("별을 향해", "별빛을 따라 마지막 힘을 냈습니다.", "우주 별", "wonder"),
    Beat("그리고 오늘", "{s의} 이야기는 이제부터 시작입니다.", "빛", "triumph"),
)
_STORY_EN = (
    Beat("Once upon a time", "Meet the hero of today: {s}.", "sunrise hill", "warm", anywhere=True),
    Beat("Setting out", "One morning the journey began.", "mountain road", "bright", anywhere=True),
    Beat("A strange place", "Lights of an unknown city shone all around.", "night city", "wonder"),
    Beat("The storm", "But wind and rain stood in the way.", "rain sea", "tense"),
    Beat("Into the woods", "In the quiet forest there was time to breathe.", "forest", "calm"),
    Beat("A new friend", "And there, by chance, a friend was waiting.", "meadow", "warm", anywhere=True),
    Beat("To the stars", "Following the starlight, one last step remained.", "space stars", "wonder"),
    Beat("And today", "The story of {s} has only just begun.", "light rays", "triumph"),
)
_ANSWER_KO = (
    Beat("궁금했나요?", "{s}, 궁금하지 않으셨나요?", "빛", "wonder", anywhere=True),
    Beat("왜 중요할까", "작은 차이가 큰 변화를 만듭니다.", "산", "bright", anywhere=True),
    Beat("첫 번째", "먼저, 지금 있는 그대로를 살펴보세요.", "해돋이 언덕", "calm"),
    Beat("두 번째", "다음으로, 하나만 골라 작게 시작하세요.", "들판", "warm"),
    Beat("주의하세요", "서두르면 오히려 길을 잃기 쉽습니다.", "비 바다", "tense"),
    Beat("세 번째", "날마다 조금씩 되풀이하면 길이 보입니다.", "숲", "calm", anywhere=True),
    Beat("달라진 풍경", "어느새 전과 다른 풍경이 펼쳐집니다.", "밤 도시", "wonder"),
    Beat("지금 시작", "{s}, 오늘 바로 시작해 보세요.", "빛", "triumph"),
)
_ANSWER_EN = (
    Beat("Ever wondered?", "{s}: have you ever wondered?", "light rays", "wonder", anywhere=True),
    Beat("Why it matters", "Small differences make a great change.", "mountain", "bright", anywhere=True),
    Beat("First", "First, look at things just as they are.", "sunrise hill", "calm"),
    Beat("Second", "Next, choose one thing and start small.", "meadow", "warm"),
    Beat("Watch out", "Those who hurry easily lose their way.", "rain sea", "tense"),
    Beat("Third", "A little every day, and the path appears.", "forest", "calm", anywhere=True),
    Beat("A new view", "Soon the world around you looks different.", "night city", "wonder"),
    Beat("Start now", "{s}: today is the day to begin.", "light rays", "triumph"),
)
_ARCS = {
    ("story", "ko"): _STORY_KO,
    ("story", "en"): _STORY_EN,
    ("answer", "ko"): _ANSWER_KO,
    ("answer", "en"): _ANSWER_EN,
}
# What is added after a syllable with a final consonant, and after one without.
_PARTICLES = {
    "은": ("은", "는"),
    "을": ("을", "를"),
    "이": ("이", "가"),
    "과": ("과", "와"),
    "의": ("의", "의"),
}
_SLOT = re.compile(r"\{s(\w?)\}")


def beats(prompt: str, language: str, count: int) -> list[Beat]:
    """So many beats of the arc that fits the prompt, first and last always among them."""
    arc = _ARCS["answer" if _QUESTION.search(prompt) else "story", language]
    last = len(arc) - 1
    chosen = [arc[round(index * last / (count - 1))] for index in range(count)] if count > 1 else [arc[0]]
    subject = subject_of(prompt)
    return [
        Beat(beat.title, _filled(beat.narration, subject), _seen(beat, prompt), beat.mood) for beat in chosen
    ]


def subject_of(prompt: str) -> str:
    """What a prompt is about, short enough for a sentence."""
    subject = _REQUEST.sub("", prompt).strip(" .!?\"'") or prompt
    if len(subject) > _SUBJECT_LENGTH:
        cut = subject[: _SUBJECT_LENGTH + 1]
        subject = cut.rsplit(" ", 1)[0] if " " in cut else subject[:_SUBJECT_LENGTH]
    return subject


def with_particle(word: str, particle: str) -> str:
    """A word with a particle in the form that its last syllable asks for, such as 고양이 + 은 → 고양이는."""
    after_consonant, after_vowel = _PARTICLES[particle]
    last = ord(word[-1])
    has_final = 0xAC00 <= last <= 0xD7A3 and (last - 0xAC00) % 28 > 0
    return word + (after_consonant if has_final else after_vowel)


def _seen(beat: Beat, prompt: str) -> str:
    return f"{prompt} {beat.visual}" if beat.anywhere else f"{beat.visual} {prompt}"


def _filled(narration: str, subject: str) -> str:
    def fill(slot: re.Match[str]) -> str:
        return with_particle(subject, slot[1]) if slot[1] else subject

    filled = _SLOT.sub(fill, narration)
    return filled[0].upper() + filled[1:]
