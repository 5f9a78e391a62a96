"""Texts to words, without a morphological analyser.

English words lose their plural. A Korean word (the run of syllables between blanks) is a stem with particles
or an ending behind it. Which it is, the texts themselves tell: a stem that is seen with several particles, or
alone, is a stem. So there are two passes: :class:`Stems` first counts the words of all texts, then splits
them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

#: Different words that are counted; what comes later is split by rule alone.
MOST_WORDS = 1_000_000
# What stands behind a figure or a Latin word is mostly a counter or a particle: 3개, GPU가.
_GLUED = re.compile(r"(?<=[0-9a-z])[가-힣]+")
_WORD = re.compile(r"[가-힣]+|[a-z][a-z'’]*[a-z]|[a-z]")

# Particles, by what the sound before them must be: a consonant, a vowel, or either.
_AFTER_CONSONANT = (
    "은 이 을 과 으로 이나 이라 이라고 이라는 이랑 이며 이고 이다 입니다 이었다 이에요 으로는 으로도 "
    "으로부터 으로서 으로써"
)
_AFTER_VOWEL = "는 가 를 와 로 나 라 라고 라는 랑 며 다 였다 예요 로는 로도 로부터 로서 로써"
_AFTER_EITHER = (
    "의 에 에는 에도 에서 에서는 에서도 에서의 에게 에게는 에게서 에게도 한테 한테서 께 께서 께서는 도 만 "
    "만은 만이 만을 까지 까지도 "
    "까지는 부터 부터는 보다 보다는 처럼 만큼 마다 조차 마저 밖에 대로 이든 들 들은 들이 들을 들의 들에게 "
    "들도 들과 들에 "
    "과는 와는 과의 와의 과도 와도 이라도 라도 이나마 에다 에다가 으로의 로의"
)
# What 하다 and 되다 become behind a noun: 투자했습니다 → 투자.
_DOING = (
    "하다 하는 하고 하며 하면 하면서 하지 하지만 하게 하기 하기로 하기에 하기는 하여 하였다 하려고 하려면 "
    "하던 하자 하세요 하시 "
    "한 한다 한다고 한다면 할 할지 함 함을 합니다 합니다만 해 해도 해서 해야 해요 해주 했고 했는데 했다 "
    "했던 했습니다 했어요 "
    "하겠습니다 하겠다 되다 되는 되고 되며 되면 되지 되어 되었다 되었습니다 된 된다 될 됩니다 돼 됐다 "
    "됐습니다 돼요 되기 시키는 시킨 시켜 "
    "하기도 하네요 하더라 하거나 하도록 하므로 했으며 했으나 했지만 했기 적인 적으로 적이 스러운 스럽게 "
    "롭게 로운"
)
# Endings of other verbs and adjectives.
_ENDINGS = (
    "습니다 ㅂ니다 었습니다 았습니다 였습니다 겠습니다 었다 았다 는데 는다 는다고 다고 지만 으면 으면서 "
    "면서 으려고 려고 으려 려 기로 "
    "기에 기가 기를 기는 기도 으니 니까 으니까 어서 아서 여서 어요 아요 여요 네요 는지 을지 은지 더라 던 "
    "던데 도록 거나 든지 자마자 "
    "고 고서 고는 지 지는 지도 게 는 을 은 어 아 며 면"
)
#: Behind two syllables or more these are endings, whatever else was seen.
_STRIPPED_ALWAYS = frozenset(
    "을 를 에서 에서는 에서도 에게 에게는 께서 으로 으로는 까지 부터 처럼 보다 만큼 마다 들은 들이 들을 "
    "입니다".split()
) | {ending for ending in _DOING.split() if len(ending) > 1 and ending[0] in "하했해합함되됐됩한된시"}
_STOPPED = frozenset(
    "그리고 그러나 하지만 그래서 그런데 그러면 그러므로 따라서 또한 또는 및 등 것 수 때 더 매우 아주 너무 "
    "정말 진짜 가장 모두 다시 이미 "
    "바로 아직 항상 자주 많이 조금 약간 그냥 나 너 저 우리 너희 저희 그 이 저것 이것 그것 여기 거기 저기 "
    "누구 무엇 어떤 어떻게 왜 언제 어디 "
    "안 못 싶다 싶은 싶습니다 있었습니다 없었습니다 있네요 없네요 있어요 없어요 "
    "있다 없다 있는 없는 있습니다 없습니다 있고 없고 있어 없어 있었다 없었다 이다 아니다 아닌 같은 같다 "
    "위해 위한 통해 대한 대해 따른 따라 "
    "관련 경우 하나 둘 않다 않았다 않는 않고 않은 못한 말했습니다 말했다 했다 했습니다 한다 합니다 하는 "
    "하고 됩니다 됐다 좋겠어요 편이다 "
    "the a an and or but if of in on at to for from by with about into over after before between under "
    "again then once "
    "is are was were be been being am do does did doing have has had having will would shall should can "
    "could may might must "
    "i you he she it we they me him her us them my your his its our their mine yours this that these those "
    "there here what which "
    "who whom whose when where why how all any both each few more most other some such no nor not only own "
    "same so than too very just "
    "as up down out off through during above below while because until against also one two s t d ll re ve "
    "m don isn aren wasn "
    "didn doesn couldn won wouldn shouldn hasn haven".split()
)


def _rules() -> dict[str, str]:
    """What may stand behind a stem, and the sound before it: C, V or blank for any; E for an ending."""
    kinds = (
        (_ENDINGS, "E"),
        (_DOING, "E"),
        (_AFTER_EITHER, ""),
        (_AFTER_CONSONANT, "C"),
        (_AFTER_VOWEL, "V"),
    )
    return {ending: kind for endings, kind in kinds for ending in endings.split()}


_RULES = _rules()
_NOUN_ENDINGS = frozenset(_DOING.split()) | {ending for ending, kind in _RULES.items() if kind != "E"}
_LONGEST_RULE = max(map(len, _RULES))


def raw_words(text: str) -> list[str]:
    """The runs of Korean syllables and of Latin letters, in lower case; figures and signs are no words."""
    return _WORD.findall(_GLUED.sub(_unglue, text.lower()))


def _unglue(match: re.Match[str]) -> str:
    return " " if len(match[0]) == 1 or match[0] in _RULES else f" {match[0]}"


class Stems:
    """Counts words, then splits them.

    ``count`` all texts first; ``words`` gives a text's words afterwards.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self._support: dict[str, set[str]] | None = None
        self._stem = lru_cache(maxsize=1 << 16)(self._find_stem)

    def count(self, words: Iterable[str]) -> None:
        """Take the raw words of one text into account."""
        for word in words:
            if word in self._seen or len(self._seen) < MOST_WORDS:
                self._seen[word] += 1

    def words(self, raw: Iterable[str]) -> list[str]:
        """The stems of a text's raw words; words that say nothing are left out, as are lone letters."""
        if self._support is None:
            self._weigh()
        found = []
        for word in raw:
            if word in _STOPPED:
                continue
            stem = self._stem(word)
            if stem not in _STOPPED and (len(stem) > 1 or "가" <= stem <= "힣"):
                found.append(stem)
        return found

    def _weigh(self) -> None:
        """For each stem that may be one, what was seen behind it; blank where it stood alone."""
        self._support = {}
        for word in self._seen:
            if not _is_korean(word):
                continue
            self._support.setdefault(word, set()).add("")
            for stem, ending in _splits(word):
                self._support.setdefault(stem, set()).add(ending)

    def _find_stem(self, word: str) -> str:
        if not _is_korean(word):
            return _singular(word.replace("’", "'").removesuffix("'s").replace("'", ""))
        best, best_score = word, 0.0
        support = self._support or {}
        for stem, ending in _splits(word):
            behind = support.get(stem, set())
            # Its own ending proves nothing.
            others = len(behind - {ending})
            nouns = len((behind - {ending}) & _NOUN_ENDINGS) + ("" in behind)
            if others == 0 and not (ending in _STRIPPED_ALWAYS and len(stem) >= 2):
                continue
            if len(stem) == 1 and nouns < 3:
                continue
            # A stem in many forms; of two, the one that leaves the longer ending.
            score = 1 + nouns + 0.5 * others + len(ending)
            if score > best_score:
                best, best_score = stem, score
        return best


def _splits(word: str) -> list[tuple[str, str]]:
    """The ways in which a Korean word may be a stem and what stands behind it."""
    found = []
    for size in range(1, min(_LONGEST_RULE, len(word) - 1) + 1):
        stem, ending = word[:-size], word[-size:]
        kind = _RULES.get(ending)
        if kind is None:
            continue
        final = (ord(stem[-1]) - 0xAC00) % 28
        # 로 also stands behind ㄹ, which is number 8.
        vowel = final == 0 or (ending.startswith("로") and final == 8)
        if (kind == "C" and vowel) or (kind == "V" and not vowel):
            continue
        found.append((stem, ending))
    return found


def _singular(word: str) -> str:
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zes")):
        return word[:-2]
    return word[:-1]


def _is_korean(word: str) -> bool:
    return "가" <= word[0] <= "힣"
