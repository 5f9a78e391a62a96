"""What becomes a message and what does not: addresses, headers, templates, lists and options."""

from __future__ import annotations

import csv
import email
import email.policy
import io
from pathlib import Path
from typing import Any

import pytest

from actors.messaging.addresses import mailbox, one_line
from actors.messaging.messages import Renderer
from actors.messaging.options import Options
from actors.messaging.recipients import Recipient, open_recipients
from actors.messaging.report import as_csv
from actors.messaging.templates import Template
from callboard.errors import BadInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kim@example.com", "kim@example.com"),
        (" kim+x@example.com ", "kim+x@example.com"),
        ("o'neil@sub.example.co.kr", "o'neil@sub.example.co.kr"),
        ("kim@예시.kr", "kim@" + "예시.kr".encode("idna").decode()),
        ("root@localhost", "root@localhost"),
    ],
)
def test_addresses_that_are_taken(text: str, expected: str) -> None:
    assert mailbox(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kim",
        "@example.com",
        "kim@",
        "a b@example.com",
        "kim@exa mple.com",
        "kim@example..com",
        "kim@-example.com",
        ".kim@example.com",
        "kim@example.com\nBcc: all@example.com",
        "kim@example.com\r\nBcc: all@example.com",
        "kim\n@example.com",
        "Kim <kim@example.com>",
        "kim@example.com, lee@example.com",
        "김@example.com",
        "k" * 65 + "@example.com",
        "kim@" + "e" * 64 + ".com",
        "kim@" + "e." * 130 + "com",
        "kim@example.com>",
        '"kim"@example.com',
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        mailbox(text)


@pytest.mark.parametrize("text", ["a\nb", "a\rBcc: x", "a\0", "a\x7f", "a\x85b", "a\u2028b"])
def test_no_header_of_several_lines(text: str) -> None:
    with pytest.raises(ValueError, match="line break or a control character"):
        one_line(text)


def test_a_template() -> None:
    assert Template("text", "{{x}} {name}: {나이}").render({"name": "{y}", "나이": "7"}) == "{x} {y}: 7"
    assert Template("html", "<b>{name}</b>", escape=True).render({"name": "<i>&"}) == "<b>&lt;i&gt;&amp;</b>"
    with pytest.raises(ValueError, match=r"^has no value for \{name\}$"):
        Template("text", "{name}").render({})


@pytest.mark.parametrize(
    "text",
    ["{", "}", "{}", "{0}", "{name.__class__}", "{name[0]}", "{name!r}", "{name:>10}", "{name:{width}}"],
)
def test_a_template_holds_nothing_but_names(text: str) -> None:
    with pytest.raises(BadInput, match=r"^options\.text: "):
        Template("options.text", text)


def renderer(**options: Any) -> Renderer:
    return Renderer(
        "chain", Options(**{"subject": "Hi {name}", "text": "{name}", **options}), 1_700_000_000.0
    )


def recipient(row: int = 1, to: str = "kim@example.com", **values: str) -> Recipient:
    return Recipient(row, to, {"name": "Kim", "to": to, **values})


def test_the_same_recipient_is_the_same_message_and_another_chain_another() -> None:
    first, again = renderer().render(recipient()), renderer(text="changed").render(recipient())
    assert first.id == again.id
    assert Renderer("other", Options(subject="s", text="t"), 0.0).render(recipient()).id != first.id


def test_one_address_twice() -> None:
    made = renderer()
    first = made.render(recipient())
    second = made.render(recipient(2, name="Kim's brother"))
    assert first.id != second.id
    with pytest.raises(ValueError, match="the same message to the same address as row 1"):
        made.render(recipient(3))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"name": "Kim\nBcc: all@example.com"}, "^subject .* has a line break"),
        ({"to": "kim"}, "^address 'kim' is no address"),
        ({"subject": "a\rb"}, "^subject .* has a line break"),
    ],
)
def test_rows_that_cannot_be_sent(values: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        renderer().render(recipient(**values))


def test_a_message_needs_a_subject_and_a_text() -> None:
    with pytest.raises(ValueError, match="has no subject"):
        renderer(subject="").render(recipient())
    with pytest.raises(ValueError, match="has neither text nor html"):
        renderer(text="").render(recipient())
    assert renderer(subject="", transport="webhook").render(recipient(to="@kim")).subject == ""


def test_one_mailbox_however_it_is_written_is_sent_a_message_once() -> None:
    one = renderer(subject="Hello", text="at seven")
    first = one.render(recipient(to="kim@example.com"))
    for number, again in enumerate((" kim@example.com", "kim@EXAMPLE.com", "Kim@example.com"), start=2):
        with pytest.raises(ValueError, match="the same message to the same address as row 1"):
            one.render(Recipient(number, again, {"to": again}))
    other = one.render(Recipient(5, "Kim@example.com", {"to": "Kim@example.com", "text": "at eight"}))
    assert (other.to, other.id == first.id) == ("Kim@example.com", False)


def test_no_mail_holds_a_nul() -> None:
    for name in ("text", "html"):
        with pytest.raises(ValueError, match="has a NUL character"):
            renderer(**{name: "{body}"}).render(recipient(body="a\0b"))


def test_the_mail_survives_any_text() -> None:
    text = "From here\n.\n.dots\n" + "긴 줄 " * 400
    mail = renderer(text="{body}").render(recipient(body=text)).as_mail("club@example.com")
    mail.decode("ascii")
    assert max(len(line) for line in mail.split(b"\r\n")) <= 998
    read = email.message_from_bytes(mail, policy=email.policy.default)
    assert read.get_content().replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"options": []}, "options: read"),
        ({"options": {"smtp_url": "x"}}, "options: read 'smtp_url', expected one of subject,"),
        ({"options": {"transport": "pigeon"}}, "expected one of smtp, webhook, file"),
        ({"options": {"per_second": 0}}, "expected a number above 0 to 1000"),
        ({"options": {"per_second": True}}, "expected a number"),
        ({"options": {"max_attempts": 1.5}}, "expected a whole number from 1 to 20"),
        ({"options": {"success_threshold": 2}}, "expected a number from 0 to 1"),
        ({"options": {"repeat_uncertain": "no"}}, "expected true or false"),
        ({"options": {"subject": 7}}, "expected a text"),
    ],
)
def test_options(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadInput, match=expected):
        Options.of(options)


def rows(document: dict[str, Any]) -> list[Recipient]:
    with open_recipients(document) as (found, count):
        listed = list(found)
    assert len(listed) == count
    return listed


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text(
        '\ufeff{"to": "a@x.kr", "n": 7}\n\n{"to": "b@x.kr", "n": [1]}\n{oops\n"text"\n{"n": "1"}\n'
    )
    found = rows({"file_path": str(path)})
    assert found[0] == Recipient(1, "a@x.kr", {"to": "a@x.kr", "n": "7"})
    assert [one.problem.split(":")[0] for one in found[1:]] == [
        "has '[1]' as 'n', expected a text or a number",
        "is no JSON",
        "is 'text', expected an object",
        "has no address (to)",
    ]


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text('to,name\na@x.kr,"Kim, Min"\nb@x.kr\nc@x.kr,1,2\n', "utf-8-sig")
    found = rows({"file_path": str(path)})
    assert [(one.to, one.values.get("name"), one.problem) for one in found] == [
        ("a@x.kr", "Kim, Min", ""),
        ("b@x.kr", "", ""),
        ("", None, "has 3 cells, its header 2"),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name,age\nx,1\n", "read the columns 'name, age', expected one named to or email"),
        (b"\xff\xfe\x00", "neither UTF-8 nor CP949"),
        (b"", "expected one named to or email"),
        (b"to\n", "read 0 recipients"),
        (b"to,name,to\na@x.kr,Kim,b@x.kr\n", "the column 'to' is there twice"),
    ],
)
def test_files_that_are_no_lists(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=expected):
        rows({"file_path": str(path)})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"messages": [], "file_path": "x"},
        {"messages": []},
        {"messages": {}},
        {"file_path": 7},
        {"file_path": "/no"},
    ],
)
def test_inputs_that_name_no_list(document: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        rows(document)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_spreadsheet_takes_no_cell_for_a_formula(first: str) -> None:
    row = dict.fromkeys(("row", "attempts", "repeats", "at"), 0) | {"status": "failed", "message_id": ""}
    table = as_csv([{**row, "to": f"{first}cmd@x.kr", "reply": f"{first}1"}]).decode("utf-8-sig")
    _, one = csv.reader(io.StringIO(table, newline=""))
    assert (one[1], one[-1]) == (f"'{first}cmd@x.kr", f"'{first}1")
