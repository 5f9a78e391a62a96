"""Draws the samples and writes beside each, as JSON, what it says: ``python -m samples.draw [FOLDER]``.

The Korean sample needs a Hangul font to be drawn again (Debian: fonts-nanum); without one it is left as is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image, ImageFont

from samples.canvas import Entry, Page, Style, Truth, find_font, grid_entries, moved, scanned

SANS = ["LiberationSans-Regular.ttf", "DejaVuSans.ttf"]
SANS_BOLD = ["LiberationSans-Bold.ttf", "DejaVuSans-Bold.ttf"]
SERIF = ["LiberationSerif-Regular.ttf", "DejaVuSerif.ttf"]
SERIF_BOLD = ["LiberationSerif-Bold.ttf", "DejaVuSerif-Bold.ttf"]
HANGUL = ["NanumGothic.ttf", "NotoSansCJK-Regular.ttc"]
HANGUL_BOLD = ["NanumGothicBold.ttf", "NotoSansCJK-Bold.ttc"]

Drawn = tuple[Image.Image, Truth]


def invoice_ruled() -> Drawn:
    """An invoice with a ruled table whose header and totals have merged cells."""
    plain, bold, title = find_font(SANS, 24), find_font(SANS_BOLD, 24), find_font(SANS_BOLD, 44)
    page = Page(1240, 1500)
    page.text(90, 80, "INVOICE", title)
    fields = {
        "Invoice No": "INV-2024-0317",
        "Date": "2024-03-17",
        "Due Date": "2024-04-16",
        "Customer": "Northwind Traders Ltd.",
    }
    for index, (label, value) in enumerate(fields.items()):
        page.text(90, 170 + 42 * index, f"{label}: {value}", plain)
    goods = [
        ["0012", "Steel bracket, 40 mm", "120", "3.25", "390.00"],
        ["0047", "Hinge, brass", "48", "12.90", "619.20"],
        ["0105", "Cabinet door, oak", "7", "148.00", "1,036.00"],
        ["0233", "Wood screws (box of 200)", "15", "8.40", "126.00"],
        ["0318", "Delivery", "1", "85.00", "85.00"],
        ["0402", "Returned hinge", "-2", "12.90", "-25.80"],
    ]
    header = [
        Entry(0, 0, "Code", row_span=2, align="centre"),
        Entry(0, 1, "Description", row_span=2, align="centre"),
        Entry(0, 2, "Order", column_span=3, align="centre"),
        Entry(1, 2, "Quantity", align="centre"),
        Entry(1, 3, "Unit price", align="centre"),
        Entry(1, 4, "Amount", align="centre"),
    ]
    rows = moved(grid_entries(goods, ["left", "left", "right", "right", "right"], header_rows=0), 2)
    totals = [
        Entry(8, 0, "Subtotal", column_span=4, align="right"),
        Entry(8, 4, "2,230.40", align="right"),
        Entry(9, 0, "VAT 10%", column_span=4, align="right"),
        Entry(9, 4, "223.04", align="right"),
        Entry(10, 0, "Total", column_span=4, align="right"),
        Entry(10, 4, "2,453.44", align="right"),
    ]
    style = Style(plain, bold, header_shade=225, padding=(16, 14), header_rows=2)
    bottom = page.table(90, 380, header + rows + totals, style, widths=[120, 400, 160, 180, 200])
    page.text(90, bottom + 50, "Payment within 30 days. Thank you for your order.", plain)
    return page.image, {**page.truth(), "fields": fields}


def table_unruled() -> Drawn:
    """A report whose columns are told by nothing but their alignment."""
    plain, bold, title = find_font(SERIF, 26), find_font(SERIF_BOLD, 26), find_font(SERIF_BOLD, 36)
    page = Page(1240, 900)
    page.text(100, 70, "Energy use by building", title)
    rows = [
        ["Building", "Electricity", "Gas", "Water", "Change"],
        ["Town hall", "48,210", "12,045", "830", "-3.2%"],
        ["Library", "31,877", "8,410", "412", "1.5%"],
        ["North school", "102,334", "40,118", "2,960", "0.0%"],
        ["Swimming pool", "240,905", "118,720", "15,304", "7.8%"],
        ["Fire station", "17,642", "6,003", "251", "-11.4%"],
        ["Museum", "55,018", "9,870", "377", "2.1%"],
        ["Bus depot", "63,490", "1,225", "1,048", "-0.7%"],
        ["Total", "559,476", "196,391", "21,182", "1.9%"],
    ]
    aligns = ["left", "right", "right", "right", "right"]
    entries = [Entry(r, c, text, align=aligns[c]) for r, row in enumerate(rows) for c, text in enumerate(row)]
    page.table(100, 170, entries, Style(plain, bold, rules="none", padding=(24, 12)))
    page.text(100, 700, "All figures are kilowatt hours, but for water, which is cubic metres.", plain)
    return page.image, page.truth()


def scan_rotated_noisy() -> Drawn:
    """A ruled table that was scanned askew."""
    plain, bold, title = find_font(SANS, 26), find_font(SANS_BOLD, 26), find_font(SANS_BOLD, 38)
    page = Page(1200, 1000)
    page.text(110, 90, "Delivery note 88412", title)
    rows = [
        ["Item", "Weight (kg)", "Boxes", "Value", "Received"],
        ["Ceramic tiles", "1,250.5", "62", "4,380.00", "2024-02-05"],
        ["Grout", "310.0", "31", "558.00", "2024-02-05"],
        ["Adhesive", "475.25", "19", "1,121.00", "2024-02-07"],
        ["Spacers", "12.8", "4", "96.40", "2024-02-07"],
        ["Sealant", "36.0", "6", "214.80", "2024-02-09"],
        ["Trowels", "18.5", "2", "139.90", "2024-02-12"],
        ["Sum", "2,103.05", "124", "6,510.10", ""],
    ]
    style = Style(plain, bold, header_shade=220, padding=(20, 14))
    page.table(110, 180, grid_entries(rows, ["left", "right", "right", "right", "centre"]), style)
    image = scanned(page.image, angle=2.1, noise=9.0, blur=0.7, seed=7)
    return image, page.truth()


def korean_english() -> Drawn | None:
    """A Korean statement of account with English beside it; None without a Hangul font."""
    plain, bold, title = find_font(HANGUL, 26), find_font(HANGUL_BOLD, 26), find_font(HANGUL_BOLD, 44)
    if not isinstance(plain, ImageFont.FreeTypeFont) or "Aileron" in (plain.getname()[0] or ""):
        return None
    page = Page(1300, 1150)
    page.text(90, 70, "거래명세서 Statement", title)
    fields = {
        "거래번호": "KR-2024-1108",
        "거래일자": "2024-11-08",
        "공급자": "한빛상사",
        "Customer": "Blue Harbor Inc.",
    }
    for index, (label, value) in enumerate(fields.items()):
        page.text(90, 165 + 44 * index, f"{label}: {value}", plain)
    goods = [
        ["품목", "Item", "수량", "단가", "금액"],
        ["사무용 의자", "Office chair", "12", "85,000", "1,020,000"],
        ["회의 탁자", "Meeting table", "3", "240,000", "720,000"],
        ["책상 서랍", "Desk drawer", "20", "32,500", "650,000"],
        ["복사 용지", "Copy paper", "45", "18,000", "810,000"],
        ["형광등", "Lamp", "60", "4,200", "252,000"],
    ]
    entries = grid_entries(goods, ["left", "left", "right", "right", "right"])
    totals = [("공급가액", "3,452,000"), ("부가세", "345,200"), ("합계", "3,797,200")]
    for index, (label, amount) in enumerate(totals, start=len(goods)):
        entries.append(Entry(index, 0, label, column_span=4, align="centre"))
        entries.append(Entry(index, 4, amount, align="right"))
    page.table(90, 370, entries, Style(plain, bold, header_shade=230, padding=(20, 14)))
    return page.image, {**page.truth(), "fields": fields}


def statement() -> tuple[list[Image.Image], Truth]:
    """A bank statement of two pages, each with a table."""
    plain, bold, title = find_font(SANS, 26), find_font(SANS_BOLD, 26), find_font(SANS_BOLD, 40)
    movements = [
        ["02/01/2024", "Opening balance", "", "", "12,480.15"],
        ["03/01/2024", "Rent", "1,150.00", "", "11,330.15"],
        ["05/01/2024", "Salary", "", "3,204.77", "14,534.92"],
        ["09/01/2024", "Grocer", "86.41", "", "14,448.51"],
        ["12/01/2024", "Insurance", "219.90", "", "14,228.61"],
        ["15/01/2024", "Transfer A. Meyer", "", "450.00", "14,678.61"],
        ["18/01/2024", "Fuel", "64.08", "", "14,614.53"],
        ["22/01/2024", "Cash", "200.00", "", "14,414.53"],
        ["25/01/2024", "Refund", "", "39.95", "14,454.48"],
        ["29/01/2024", "Telephone", "31.20", "", "14,423.28"],
    ]
    header = ["Date", "Details", "Paid out", "Paid in", "Balance"]
    aligns = ["left", "left", "right", "right", "right"]
    images, tables = [], []
    for number, part in enumerate((movements[:6], movements[6:]), start=1):
        page = Page(1240, 1600)
        page.text(100, 90, "Account statement", title)
        page.text(100, 160, f"Account: 4401-228-907   Page {number} of 2", plain)
        style = Style(plain, bold, rules="all", rule_width=1, rule_colour=150, padding=(18, 14))
        page.table(100, 240, grid_entries([header, *part], aligns), style, [190, 330, 170, 170, 190])
        images.append(page.image)
        tables += [{**table, "page": number} for table in page.truth()["tables"]]
    return images, {"tables": tables}


def no_table() -> Drawn:
    """A letter: text, and no table."""
    plain = find_font(SERIF, 28)
    page = Page(1240, 900)
    letter = [
        "Dear Ms Hartmann,",
        "",
        "thank you for your letter of last week. We have looked into the matter that",
        "you describe and agree that the delay was ours. The parts have left our",
        "warehouse this morning and should reach you before the end of the month.",
        "",
        "Please let us know should anything else be missing. We remain at your",
        "service and look forward to working with you again.",
        "",
        "With kind regards,",
        "Peter Lindqvist",
    ]
    for index, line in enumerate(letter):
        page.text(120, 120 + 48 * index, line, plain)
    return page.image, page.truth()


def report_two_tables() -> Drawn:
    """A page with two tables of different make, text between them."""
    plain, bold, title = find_font(SANS, 24), find_font(SANS_BOLD, 24), find_font(SANS_BOLD, 38)
    page = Page(1240, 1450)
    page.text(100, 70, "Quarterly report", title)
    page.text(100, 140, "Revenue grew in all regions but one, as the first table shows.", plain)
    regions = [
        ["Region", "Q1", "Q2", "Q3", "Q4"],
        ["North", "$1,204.50", "$1,310.00", "$1,298.75", "$1,402.10"],
        ["South", "$980.00", "$1,005.25", "$1,120.40", "$1,133.00"],
        ["East", "$640.10", "$702.95", "$688.30", "$731.60"],
        ["West", "$2,015.00", "$1,987.45", "$1,902.20", "$1,874.90"],
    ]
    style = Style(plain, bold, rule_colour=120, rule_width=1, header_shade=235, padding=(24, 14))
    bottom = page.table(100, 210, grid_entries(regions, ["left"] + ["right"] * 4), style)
    page.text(100, bottom + 60, "Staff numbers were steady over the year.", plain)
    staff = [
        ["Department", "Staff", "Joined", "Left", "Share"],
        ["Production", "148", "12", "9", "52.3%"],
        ["Sales", "61", "7", "8", "21.6%"],
        ["Research", "44", "6", "1", "15.5%"],
        ["Office", "30", "2", "3", "10.6%"],
    ]
    booktabs = Style(plain, bold, rules="header", padding=(26, 12))
    page.table(100, bottom + 140, grid_entries(staff, ["left"] + ["right"] * 4), booktabs)
    return page.image, page.truth()


def main(folder: Path) -> None:
    """Draw all samples into a folder."""
    drawings = {
        "invoice_ruled.png": invoice_ruled(),
        "table_unruled.png": table_unruled(),
        "scan_rotated_noisy.jpg": scan_rotated_noisy(),
        "korean_english.png": korean_english(),
        "no_table.png": no_table(),
        "report_two_tables.png": report_two_tables(),
    }
    for name, drawn in drawings.items():
        if drawn is None:
            print(f"{name}: left as it is, no Hangul font found (Debian: fonts-nanum)")
            continue
        image, truth = drawn
        image.save(folder / name, quality=80, optimize=True)
        _write_truth(folder / name, truth)
    images, truth = statement()
    images[0].save(folder / "statement.pdf", save_all=True, append_images=images[1:], resolution=150)
    _write_truth(folder / "statement.pdf", truth)


def _write_truth(path: Path, truth: Truth) -> None:
    text = json.dumps(truth, ensure_ascii=False, indent=1)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
