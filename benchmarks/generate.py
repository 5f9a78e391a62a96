"""Random tables with their truth, for measuring on what nobody has fitted the code to."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from PIL import Image, ImageFont

from samples.canvas import Entry, Page, Style, Truth, as_jpeg, column_widths, row_heights, scanned

NOUNS = [
    "Anchor", "Basket", "Cable", "Door", "Engine", "Filter", "Gasket", "Hammer", "Insulation", "Joint",
    "Kettle", "Lamp", "Motor", "Nozzle", "Oil", "Pump", "Quartz", "Rail", "Screw", "Table", "Valve", "Window",
    "Yarn", "Zinc", "North", "South", "Service", "Transport", "Rent", "Paper", "Brush", "Glass",
]  # fmt: skip
ADJECTIVES = [
    "red", "blue", "small", "large", "steel", "brass", "wooden", "used", "heavy", "light", "round", "spare",
    "daily", "annual", "first",
]  # fmt: skip
IN_EUROS = {
    "grouped": "dotted", "decimal": "euro", "money": "euro", "dollar": "euro", "parentheses": "euro",
    "negative": "integer", "percent": "integer",
}  # fmt: skip
NUMBER_FORMATS = (
    "integer", "integer", "grouped", "grouped", "decimal", "money", "money", "percent", "negative", "dollar",
    "euro", "parentheses", "date", "dotted",
)  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """A page with one table, its truth, and how it was drawn (``clean`` or ``scan``)."""

    name: str
    image: Image.Image
    truth: Truth
    kind: str


def machine_fonts() -> list[Path]:
    """Upright Latin fonts of this machine."""
    names = (
        "*Regular.ttf",
        "DejaVuSans.ttf",
        "DejaVuSerif.ttf",
        "DejaVuSansMono.ttf",
        "DejaVuSansCondensed.ttf",
    )
    paths = {path for name in names for path in Path("/usr/share/fonts").rglob(name)}
    return sorted(path for path in paths if "nanum" not in str(path).lower())


def drawings(count: int, seed: int) -> Iterator[Drawing]:
    """Random drawings: two thirds clean, one third as a scanner may see them. The same for the same seed."""
    fonts = machine_fonts()
    for index in range(count):
        dice = random.Random(f"{seed}-{index}")
        yield _drawing(dice, fonts, f"{seed}-{index}", scan=index % 3 == 2)


def _drawing(dice: random.Random, fonts: list[Path], name: str, *, scan: bool) -> Drawing:
    size = dice.choice((14, 16, 18, 20, 24, 28, 32, 40) if not scan else (20, 24, 28, 32, 36))
    plain, bold = _fonts(dice, fonts, size)
    rules = dice.choice(("all", "all", "all", "all", "inner", "horizontal", "header", "none"))
    style = Style(
        font=plain,
        header_font=bold,
        rules=rules,
        rule_width=dice.choice((1, 1, 2, 3, 4)) if size > 18 else dice.choice((1, 1, 2)),
        rule_colour=dice.choice((0, 0, 60, 120, 170, 200) if not scan else (0, 60, 110)),
        header_shade=dice.choice((255, 255, 235, 210, 70)),
        zebra_shade=dice.choice((255, 255, 255, 242)),
        ink=dice.choice((0, 0, 30, 80)),
        padding=(round(size * dice.uniform(0.35, 1.0)), round(size * dice.uniform(0.25, 0.7))),
    )
    if rules in ("header", "none", "horizontal"):
        # Without rules between columns only white space tells them apart.
        style = Style(
            **{**style.__dict__, "padding": (round(size * dice.uniform(0.7, 1.3)), style.padding[1])}
        )
    entries = _entries(dice, merges=rules in ("all", "inner"))
    widths, heights = column_widths(entries, style), row_heights(entries, style)
    margin = 3 * size
    page = Page(max(sum(widths) + 2 * margin, 600), sum(heights) + 2 * margin + 4 * size)
    page.text(margin, margin, f"{dice.choice(NOUNS)} {dice.choice(ADJECTIVES)} report", bold)
    page.table(margin, margin + 3 * size, entries, style, widths)
    image = page.image
    if scan:
        image = scanned(
            image,
            angle=dice.uniform(-4, 4),
            noise=dice.uniform(0, 12),
            blur=dice.uniform(0, 0.9),
            seed=dice.randrange(1 << 30),
        )
    if dice.random() < 0.4:
        image = as_jpeg(image, dice.randint(60, 92))
    return Drawing(
        f"{name} {rules} {size}px {image.width}x{image.height}",
        image,
        page.truth(),
        "scan" if scan else "clean",
    )


def _fonts(dice: random.Random, fonts: list[Path], size: int) -> tuple[Any, Any]:
    if not fonts:
        return ImageFont.load_default(size), ImageFont.load_default(size)
    path = dice.choice(fonts)
    stem = path.stem.replace("-Regular", "")
    bold = path.with_name(f"{stem}-Bold.ttf")
    heavy = bold if bold.exists() and dice.random() < 0.6 else path
    return ImageFont.truetype(str(path), size), ImageFont.truetype(str(heavy), size)


def _entries(dice: random.Random, *, merges: bool) -> list[Entry]:
    rows, columns = dice.randint(4, 14), dice.randint(3, 7)
    formats = ["text", *(dice.choice((*NUMBER_FORMATS, "text")) for _ in range(columns - 1))]
    if "euro" in formats or "dotted" in formats:
        # One document writes its numbers in one way.
        formats = [IN_EUROS.get(form, form) for form in formats]
    empty = dice.choice((0.0, 0.0, 0.1))
    entries = []
    for column, form in enumerate(formats):
        header = (
            f"{dice.choice(NOUNS)} {dice.choice(ADJECTIVES)}" if dice.random() < 0.3 else dice.choice(NOUNS)
        )
        entries.append(Entry(0, column, header, align=dice.choice(("left", "centre"))))
        align = "left" if form == "text" else dice.choice(("right", "right", "right", "centre"))
        for row in range(1, rows):
            text = "" if column and dice.random() < empty else _text(dice, form)
            entries.append(Entry(row, column, text, align=align))
    if merges and dice.random() < 0.5:
        entries = [entry for entry in entries if entry.row < rows - 1 or entry.column == columns - 1]
        entries.append(
            Entry(
                rows - 1, 0, "Total", column_span=columns - 1, align=dice.choice(("left", "right", "centre"))
            )
        )
    if merges and rows > 4 and dice.random() < 0.3:
        entries = [entry for entry in entries if entry.column or entry.row not in (1, 2)]
        entries.append(Entry(1, 0, _text(dice, "text"), row_span=2))
    return sorted(entries, key=lambda entry: (entry.row, entry.column))


def _text(dice: random.Random, form: str) -> str:
    number = dice.choice((dice.randint(0, 9), dice.randint(10, 999), dice.randint(1000, 9_999_999)))
    cents = dice.randint(0, 99)
    if form == "text":
        return " ".join([dice.choice(NOUNS), *dice.sample(ADJECTIVES, dice.randint(0, 2))])
    if form == "date":
        return (date(2019, 1, 1) + timedelta(days=dice.randint(0, 2500))).isoformat()
    return {
        "integer": f"{number}",
        "grouped": f"{number:,}",
        "decimal": f"{number % 10000}.{cents:02d}",
        "money": f"{number:,}.{cents:02d}",
        "percent": f"{number % 100}.{cents % 10}%",
        "negative": f"-{number:,}.{cents:02d}" if cents % 2 else f"{number:,}.{cents:02d}",
        "dollar": f"${number:,}.{cents:02d}",
        "euro": f"{number:,}".replace(",", ".") + f",{cents:02d}",
        "parentheses": f"({number:,}.{cents:02d})" if cents % 2 else f"{number:,}.{cents:02d}",
        "dotted": f"{number:,}".replace(",", "."),
    }[form]
