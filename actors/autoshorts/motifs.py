"""Who or what a scene shows: simple figures in front of its scenery, called for by words."""

from __future__ import annotations

from collections.abc import Callable

from .canvas import Canvas, Point
from .living import bird, cat, dog, fish, flower, tree
from .palettes import Palette
from .things import book, bulb, car, cup, heart, house, note, robot, rocket, star

Painter = Callable[[Canvas, Point, float, Palette], None]

#: Words (Korean and English) that call for a figure, by the name of its painter.
WORDS: dict[str, tuple[str, ...]] = {
    "cat": ("고양이", "냥", "cat", "kitten"),
    "dog": ("강아지", "멍멍", "반려견", "dog", "puppy"),
    "rocket": ("로켓", "우주선", "우주여행", "발사", "rocket", "spaceship", "launch"),
    "robot": ("로봇", "인공지능", "기계", "robot", "machine", "computer"),
    "bird": ("새", "참새", "비행", "철새", "bird", "fly", "wing"),
    "fish": ("물고기", "고래", "상어", "fish", "whale", "shark"),
    "house": ("집", "마을", "건축", "house", "home", "village"),
    "book": ("책", "공부", "독서", "학교", "book", "read", "study", "school", "learn"),
    "cup": ("커피", "카페", "차 한", "coffee", "tea", "cafe"),
    "heart": ("사랑", "마음", "건강", "love", "heart", "health", "friend"),
    "bulb": ("방법", "이유", "아이디어", "비결", "생각", "how to", "why", "idea", "tip", "think"),
    "car": ("자동차", "드라이브", "운전", "car", "drive", "road"),
    "note": ("음악", "노래", "춤", "music", "song", "dance", "sing"),
    "tree": ("나무", "식물", "텃밭", "tree", "plant"),
    "flower": ("꽃", "정원", "flower", "rose", "tulip"),
}

#: A star stands where nothing else is named.
PAINTERS: dict[str, Painter] = {
    painter.__name__: painter
    for painter in (
        *(cat, dog, rocket, robot, bird, fish, house, book, cup, heart, bulb, car, note, tree, flower),
        star,
    )
}
