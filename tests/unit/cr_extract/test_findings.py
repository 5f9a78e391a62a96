"""Fields by rules, and the sums done again."""

from __future__ import annotations

from actors.cr_extract.checks import check_fields, check_table, mark_reviews
from actors.cr_extract.findings import Findings, make_field
from actors.cr_extract.rules import find_fields
from actors.cr_extract.tables import Cell, Table
from actors.cr_extract.values import Habits
from actors.cr_extract.words import Box, PageWords, Word

HEADER = ["Item", "Quantity", "Unit price", "Amount"]
INVOICE = [HEADER, ["Door", "7", "148.00", "1,036.00"], ["Hinge", "48", "12.90", "619.20"]]
TOTALS = [["Subtotal", "", "", "1,655.20"], ["VAT 10%", "", "", "165.52"], ["Total", "", "", "1,820.72"]]


def page(*lines: str, confidence: float = 0.99) -> PageWords:
    """A page with some lines; two spaces stand for a wide gap."""
    words = []
    for row, line in enumerate(lines):
        x = 50.0
        for piece in line.split("  "):
            for text in piece.split():
                words.append(
                    Word(text, Box(x, 40.0 * row, x + 10 * len(text), 40.0 * row + 18), confidence, row)
                )
                x += 10 * len(text) + 6
            x += 60
    return PageWords(1, 1000, 1400, words=words)


def table(rows: list[list[str]]) -> Table:
    box = Box(0, 0, 1, 1)
    cells = [Cell(r, c, text, box) for r, row in enumerate(rows) for c, text in enumerate(row)]
    return Table(1, box, len(rows), len(rows[0]), ruled=True, cells=cells)


def fields_of(*lines: str) -> dict[str, str]:
    return {field.label: field.value for field in find_fields([page(*lines)]).fields}


def test_labels_with_a_colon() -> None:
    assert fields_of("Invoice No: INV-7", "Customer: Blue Harbor Inc.", "공급자: 한빛상사") == {
        "Invoice No": "INV-7",
        "Customer": "Blue Harbor Inc.",
        "공급자": "한빛상사",
    }


def test_labels_and_values_far_apart() -> None:
    assert fields_of("Date:  2024-03-17  Due Date:  2024-04-16") == {
        "Date": "2024-03-17",
        "Due Date": "2024-04-16",
    }


def test_known_labels_need_no_colon() -> None:
    found = fields_of("Total 1,234.00", "Invoice No 123", "합계  3,797,200", "Total recall of goods")
    assert found == {"Total": "1,234.00", "Invoice No": "123", "합계": "3,797,200"}


def test_dates_and_amounts_in_running_text() -> None:
    findings = find_fields([page("Payment is due on 2024-05-01 at the latest", "we owe you $1,250.00 still")])
    assert [(field.label, field.value, field.kind) for field in findings.fields] == [
        ("date", "2024-05-01", "date"),
        ("amount", "$1,250.00", "decimal"),
    ]


def test_the_engine_says_its_name_and_survives_json() -> None:
    findings = find_fields([page("Total 5.00")])
    assert findings.engine == "rules"
    assert Findings.from_json(findings.to_json()) == findings


def test_low_confidence_is_for_review() -> None:
    (field,) = find_fields([page("Total: 5.00", confidence=0.6)]).fields
    assert field.review == "it was read with low confidence"


def test_sum_and_tax_make_the_total() -> None:
    good = find_fields([page("Subtotal 100.00", "VAT 10% 10.00", "Total 110.00")])
    assert [(check.rule, check.passed) for check in good.checks] == [("sum + tax = total", True)]
    bad = find_fields([page("Subtotal 100.00", "VAT 10% 10.00", "Total 170.00")])
    assert [check.passed for check in bad.checks] == [False]
    assert all(field.review for field in bad.fields)


def test_fields_without_a_sum_are_not_checked() -> None:
    assert check_fields([make_field("Total", "110.00", Habits())]) == []


def test_all_sums_of_a_good_invoice_pass() -> None:
    checks = check_table(table(INVOICE + TOTALS), 0)
    assert [check.rule for check in checks] == [
        "quantity × price = amount",
        "quantity × price = amount",
        "rows = subtotal",
        "sum + tax = total",
    ]
    assert all(check.passed for check in checks)


def test_a_misread_amount_is_marked() -> None:
    rows = [list(row) for row in INVOICE]
    rows[2][3] = "679.20"
    invoice = table(rows)
    checks = check_table(invoice, 0)
    failed = [check for check in checks if not check.passed]
    assert [(check.row, check.column, check.expected) for check in failed] == [(2, 3, "619.2")]
    marked = [cell for cell in mark_reviews(invoice, checks).cells if cell.review]
    assert [cell.text for cell in marked] == ["679.20"]


def test_korean_headings_are_known() -> None:
    rows = [
        ["품목", "수량", "단가", "금액"],
        ["의자", "12", "85,000", "1,020,000"],
        ["합계", "", "", "1,020,001"],
    ]
    checks = check_table(table([*rows[:2], ["탁자", "1", "5", "5"], rows[2]]), 0)
    assert [(check.rule, check.passed) for check in checks] == [
        ("quantity × price = amount", True),
        ("quantity × price = amount", True),
        ("rows = total", False),
    ]


def test_rounded_products_pass() -> None:
    rows = [
        ["Item", "Qty", "Price", "Amount"],
        ["Rope", "2.5", "3.333", "8.33"],
        ["Wire", "3", "1.005", "3.02"],
    ]
    assert all(check.passed for check in check_table(table(rows), 0))


def test_tables_without_such_headings_are_left_alone() -> None:
    assert check_table(table([["Region", "Q1"], ["North", "1"], ["South", "2"]]), 0) == []
