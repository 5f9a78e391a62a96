"""Makes texts whose topics are known, in Korean and in English: what the samples and the measurements share.

Each text is about one topic. What makes it hard: topics share words, a part of the sentences is about
something else or nothing in particular, words are misspelt, some texts are one short sentence, and all of it
may be wrapped in HTML, link addresses and stray blanks.

``python -m samples.texts [FOLDER]`` writes the samples.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KOREAN = {
    "경제": (
        "금리 환율 주가 투자 은행 수출 물가 성장 시장 소비 대출 채권 기업 실적 고용 임금 세금 예산 증시 "
        "무역"
    ),
    "축구": (
        "경기 감독 선수 득점 수비 공격 골키퍼 리그 우승 패배 심판 관중 훈련 부상 전술 결승 기록 이적 주장 "
        "응원"
    ),
    "건강": (
        "병원 환자 의사 치료 수술 운동 혈압 식단 수면 비타민 예방 접종 증상 통증 진단 약국 체중 검사 회복 "
        "관리"
    ),
    "기술": (
        "서버 코드 개발 데이터 알고리즘 화면 배포 오류 보안 저장소 모델 학습 검색 설정 기능 속도 네트워크 "
        "검사 기록 사용자"
    ),
    "요리": (
        "재료 양념 국물 고기 채소 간장 마늘 냄비 오븐 반죽 레시피 소금 볶음 식단 조리 맛집 디저트 밀가루 "
        "향신료 시장"
    ),
    "여행": (
        "공항 호텔 여권 관광 숙소 일정 비행기 해변 지도 예약 배낭 기차 박물관 현지 환율 풍경 맛집 사진 휴가 "
        "안내"
    ),
    "교육": (
        "학생 교사 수업 시험 교실 대학 과제 성적 학습 강의 교과서 입시 졸업 장학금 질문 토론 독서 상담 예산 "
        "평가"
    ),
    "환경": (
        "기후 탄소 오염 에너지 재활용 태양광 미세먼지 숲 하천 생태계 온도 플라스틱 배출 멸종 보호 쓰레기 "
        "풍력 홍수 관리 지도"
    ),
}  # fmt: skip
ENGLISH = {
    "economy": (
        "interest currency stock investor bank export price growth market consumer loan bond company "
        "earning wage tax budget trade inflation account"
    ),
    "football": (
        "match coach player goal defence striker keeper league title referee crowd training injury tactic "
        "final record transfer captain penalty fan"
    ),
    "health": (
        "hospital patient doctor treatment surgery exercise pressure diet sleep vitamin vaccine symptom "
        "pain diagnosis pharmacy weight test recovery muscle care"
    ),
    "software": (
        "server code developer data algorithm screen release bug security repository model training search "
        "setting feature speed network test record user"
    ),
    "cooking": (
        "ingredient sauce broth beef vegetable garlic pan oven dough recipe salt flavour dessert flour "
        "spice butter onion market diet knife"
    ),
    "travel": (
        "airport hotel passport tourist room itinerary flight beach map booking luggage train museum guide "
        "currency landscape photo holiday ticket island"
    ),
    "education": (
        "student teacher lesson exam classroom university homework grade lecture textbook degree "
        "scholarship question debate reading counsellor budget campus essay test"
    ),
    "environment": (
        "climate carbon pollution energy recycling panel emission forest river species temperature plastic "
        "waste wind flood habitat ocean drought map care"
    ),
}  # fmt: skip
_KOREAN_COMMON = (
    "사람 시간 문제 결과 방법 이유 생각 경우 모습 상황 오늘 내용 정도 부분 하루 계획 변화 의견 이야기 준비"
).split()
_KOREAN_VERBS = (
    "살펴보 확인하 설명하 준비하 소개하 비교하 기다리 이야기하 정리하 바꾸 늘리 줄이 고르 찾 선택하 결정하 "
    "시작하 끝내"
).split()
_KOREAN_ENDINGS = [
    "았습니다",
    "고 있습니다",
    "려고 합니다",
    "는 편이다",
    "기로 했다",
    "지 않았다",
    "면 좋겠어요",
    "겠습니다",
]
_ENGLISH_COMMON = (
    "people time problem result way reason idea case situation today part day plan change opinion story "
    "detail"
).split()
_ENGLISH_VERBS = (
    "shows changed explains needs kept found followed compared improved reports missed checks raised".split()
)
_ENGLISH_ADJECTIVES = (
    "new recent small important different early difficult local strong simple final common".split()
)
_HOUSES = ("https://example.com/a/{}", "www.example.org/news?id={}", "@writer{}", "#{}")


@dataclass(frozen=True)
class Text:
    """A text and the topic that it is about. ``kind`` says what was done to it: plain, empty or repeated."""

    text: str
    topic: str
    kind: str = "plain"


@dataclass
class Writer:
    """Writes texts.

    Attributes:
        language: ``ko`` or ``en``.
        seed: the same seed writes the same texts.
        topics: how many of the eight topics.
        astray: share of the sentences that are about another topic.
        common: share of the words that say nothing about the topic.
        typos: share of the words that are misspelt.
        sentences: of the longest texts; most are far shorter.
    """

    language: str = "ko"
    seed: int = 1
    topics: int = 8
    astray: float = 0.12
    common: float = 0.35
    typos: float = 0.02
    sentences: int = 14
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        source = KOREAN if self.language == "ko" else ENGLISH
        self.words = {name: words.split() for name, words in list(source.items())[: self.topics]}

    def write(self, count: int, *, empty: float = 0.0, repeated: float = 0.0) -> Iterator[Text]:
        """So many texts; a share of them empty, and a share that repeats an earlier one in all but blanks."""
        names = list(self.words)
        # Topics of very different sizes, as texts of real life have them.
        weights = [1.0 / (1 + 0.35 * index) for index in range(len(names))]
        written: list[Text] = []
        for _ in range(count):
            draw = self.chance.random()
            if draw < empty:
                yield Text(self.chance.choice(["", "   ", "<p> </p>", "&nbsp;", "!!!"]), "", "empty")
            elif draw < empty + repeated and written:
                first = self.chance.choice(written)
                yield Text(f"  {first.text.replace(' ', '  ')}\n", first.topic, "repeated")
            else:
                topic = self.chance.choices(names, weights)[0]
                written.append(Text(self._text(topic), topic))
                yield written[-1]

    def _text(self, topic: str) -> str:
        count = min(self.sentences, 1 + int(self.chance.expovariate(0.35)))
        sentences = []
        for _ in range(count):
            about = topic
            if count > 1 and self.chance.random() < self.astray:
                about = self.chance.choice(list(self.words))
            sentences.append(self._korean(about) if self.language == "ko" else self._english(about))
        return self._wrapped(sentences)

    def _word(self, topic: str, common: list[str]) -> str:
        if self.chance.random() < self.common:
            return self.chance.choice(common)
        words = self.words[topic]
        # The first words of a topic are frequent, the last ones rare.
        word = words[min(int(self.chance.expovariate(0.16)), len(words) - 1)]
        return self._misspelt(word) if self.chance.random() < self.typos else word

    def _misspelt(self, word: str) -> str:
        place = self.chance.randrange(len(word))
        return word[:place] + word[place + 1 :] if len(word) > 2 else word + word[-1]

    def _korean(self, topic: str) -> str:
        nouns = [self._word(topic, _KOREAN_COMMON) for _ in range(self.chance.randint(2, 4))]
        pairs = [
            ("은", "는"),
            ("에서", "에서"),
            ("과", "와"),
            ("이", "가"),
            ("의", "의"),
            ("도", "도"),
            ("으로", "로"),
        ]
        words = [particle(noun, *self.chance.choice(pairs)) for noun in nouns[:-1]]
        words.append(particle(nouns[-1], "을", "를"))
        verb = self.chance.choice(_KOREAN_VERBS)
        ending = self.chance.choice(_KOREAN_ENDINGS)
        if ending == "았습니다":
            verb, ending = (verb[:-1], "했습니다") if verb.endswith("하") else (verb, "고 말했습니다")
        return " ".join([*words, verb + ending]) + self.chance.choice([".", ".", ".", "!", "..", " ^^"])

    def _english(self, topic: str) -> str:
        def noun() -> str:
            word = self._word(topic, _ENGLISH_COMMON)
            if self.chance.random() < 0.35 and word.isalpha():
                word += "es" if word.endswith(("s", "h", "x")) else "s"
            return f"{self.chance.choice(_ENGLISH_ADJECTIVES)} {word}" if self.chance.random() < 0.3 else word

        first, verb = noun(), self.chance.choice(_ENGLISH_VERBS)
        sentence = f"the {first} {verb} the {noun()}"
        if self.chance.random() < 0.7:
            sentence += f" {self.chance.choice(['of', 'in', 'for', 'with', 'after'])} the {noun()}"
        return sentence[0].upper() + sentence[1:] + self.chance.choice([".", ".", "!", "?", "..."])

    def _wrapped(self, sentences: list[str]) -> str:
        draw = self.chance.random()
        if draw < 0.06:
            return "".join(f"<p>{sentence}&nbsp;</p>" for sentence in sentences)
        if draw < 0.10:
            return (
                "<div class='body'><b>" + "</b><br/>".join(sentences) + "</div><script>var price=1;</script>"
            )
        if draw < 0.16:
            link = self.chance.choice(_HOUSES).format(self.chance.randrange(10_000))
            return f"{link} " + " ".join(sentences)
        return "  ".join(sentences) if draw < 0.24 else " ".join(sentences)


def particle(noun: str, after_consonant: str, after_vowel: str) -> str:
    """A noun with the form of a particle that fits its last sound."""
    final = (ord(noun[-1]) - 0xAC00) % 28
    closed = final != 0 and not (after_consonant == "으로" and final == 8)
    return noun + (after_consonant if closed else after_vowel)


def main(folder: Path) -> None:
    """Write the samples: Korean JSON lines, a fifth of them labelled, and English CSV without labels."""
    chance = random.Random(5)
    korean = list(Writer("ko", seed=7, topics=6).write(600, empty=0.01, repeated=0.02))
    lines = [
        {"id": f"ko-{number:04d}", "text": text.text}
        | ({"label": text.topic} if text.topic and chance.random() < 0.2 else {})
        for number, text in enumerate(korean, start=1)
    ]
    with (folder / "texts_korean.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with (folder / "texts_english.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "comment", "received"])
        for number, text in enumerate(
            Writer("en", seed=8, topics=7).write(700, empty=0.01, repeated=0.02), start=1
        ):
            writer.writerow([f"en-{number:04d}", text.text, f"2025-10-{1 + number % 28:02d}"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
