"""Lines of the log: what Kubernetes' own tools read, and what nobody who is told of in them can forge."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

from apiservice.logformat import JsonFormatter, TextFormatter, go_duration, quote
from apiservice.logs import fields, level_of

HEADER = re.compile(r"[IWE]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w.]+:\d+\] ")


def record(message: str, *args: object, level: int = logging.INFO, error: BaseException | None = None, **told: object) -> Any:
    """A record as a logger makes it."""
    trace = (type(error), error, error.__traceback__) if error is not None else None
    made = logging.LogRecord("apiservice.x", level, "/somewhere/apiservice/place.py", 12, message, args, trace)
    for key, value in fields(told).items():
        setattr(made, key, value)
    return made


def text(message: str, *args: object, context: dict[str, object] | None = None, **told: Any) -> str:
    return TextFormatter(lambda: context or {}).format(record(message, *args, **told))


def document(message: str, *args: object, context: dict[str, object] | None = None, **told: Any) -> dict[str, Any]:
    line = JsonFormatter(lambda: context or {}).format(record(message, *args, **told))
    assert "\n" not in line
    read: dict[str, Any] = json.loads(line)
    return read


def caught(message: str) -> ValueError:
    try:
        raise ValueError(message)  # noqa: TRY301 - for its trace
    except ValueError as error:
        return error


def test_a_line_is_one_of_klog():
    line = text("HTTP", verb="LIST", resp=200, ok=True, context={"audit-ID": "a1"})
    assert HEADER.match(line)
    assert re.sub(r"^.{22}", "", line).split(maxsplit=1)[1] == 'place.py:12] "HTTP" verb="LIST" resp=200 ok=true audit-ID="a1"'


@pytest.mark.parametrize(
    ("level", "letter"),
    [(level_of(0), "I"), (level_of(7), "I"), (logging.WARNING, "W"), (logging.ERROR, "E"), (logging.CRITICAL, "E")],
)
def test_the_severity_is_the_first_letter(level: int, letter: str):
    assert text("said", level=level)[0] == letter


def test_a_message_has_its_arguments():
    assert '] "3 of 5"' in text("%d of %d", 3, 5)
    assert document("%d of %d", 3, 5)["msg"] == "3 of 5"


FORGERIES = [
    'x\nE1122 01:47:23.123456    7 main.go:1] "forged"',
    "x\r\nforged",
    "x\x1b[2Jforged",
    "x\u2028forged",
    "x\x85forged",
    'x" resp=200 user="admin',
    "x\udcff\udc0aforged",
    "x\x00forged",
]


@pytest.mark.parametrize("forgery", FORGERIES, ids=ascii)
def test_nothing_told_makes_a_second_line_or_another_value(forgery: str):
    for line in (text(forgery), text("HTTP", userAgent=forgery), text("HTTP", context={"audit-ID": forgery})):
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        line.encode()
        # Outside quotes there is nothing of it.
        assert "forged" not in re.sub(r'"(\\.|[^"\\])*"', "", line)
        assert "admin" not in re.sub(r'"(\\.|[^"\\])*"', "", line)


@pytest.mark.parametrize("forgery", FORGERIES, ids=ascii)
def test_nothing_told_breaks_json(forgery: str):
    read = document(forgery, userAgent=forgery)
    assert (read["msg"], read["userAgent"]) == (forgery, forgery)
    assert JsonFormatter(dict).format(record(forgery)).isascii()


def test_a_trace_is_indented_so_that_it_holds_no_line_of_its_own():
    error = caught('broken\nE1122 01:47:23.123456    7 main.go:1] "forged"\x1b[2J')
    first, *rest = text("a request failed", level=logging.ERROR, error=error).split("\n")
    assert first.endswith("stack=<")
    assert 'err="ValueError: broken\\nE1122' in first
    assert rest[-1] == " >"
    assert all(line.startswith("\t") for line in rest[:-1])
    assert any("forged" in line for line in rest)
    assert all(line[1:].isprintable() for line in rest)


def test_json_is_that_of_component_base():
    read = document("HTTP", level=level_of(3), verb="LIST", resp=200, context={"audit-ID": "a1"})
    assert 1_600_000_000_000 < read.pop("ts") < 10_000_000_000_000
    assert read == {
        "caller": "apiservice/place.py:12",
        "msg": "HTTP",
        "v": 3,
        "verb": "LIST",
        "resp": 200,
        "audit-ID": "a1",
    }


def test_an_error_in_json_says_what_went_wrong_and_has_no_verbosity():
    read = document("a request failed", level=logging.ERROR, error=caught("broken"))
    assert (read["err"], read["level"], "v" in read) == ("ValueError: broken", "error", False)
    assert read["stack"].startswith("Traceback (most recent call last)")


def test_a_warning_in_json_is_information_with_a_level():
    read = document("going on", level=logging.WARNING)
    assert (read["level"], read["v"]) == ("warning", 0)


def test_the_context_goes_before_what_a_line_says_of_itself():
    assert 'audit-ID="real" resp=200' in text("HTTP", **{"audit-ID": "claimed", "resp": 200}, context={"audit-ID": "real"})


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ('say "hi" \\', '"say \\"hi\\" \\\\"'),
        ("a\n\t\r\x07\x08\x0b\x0c", '"a\\n\\t\\r\\a\\b\\v\\f"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("\x85\u2028\ufeff", '"\\u0085\\u2028\\ufeff"'),
        ("\U000e0001", '"\\U000e0001"'),
        ("größe 網格 ✓", '"größe 網格 ✓"'),
        ("\udcff", '"\\xff"'),
    ],
    ids=ascii,
)
def test_text_is_quoted_as_go_quotes_it(given: str, quoted: str):
    assert quote(given) == quoted


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [
        (0, "0s"),
        (0.0000004, "0s"),
        (0.000012, "12µs"),
        (0.0012, "1.2ms"),
        (0.001234567, "1.235ms"),
        (0.1, "100ms"),
        (1, "1s"),
        (2.5, "2.5s"),
        (61.25, "61.25s"),
    ],
)
def test_durations_are_printed_as_go_prints_them(seconds: float, printed: str):
    assert go_duration(seconds) == printed


def test_a_value_of_any_kind_is_quoted():
    assert "what=\"{'a': 1}\" none=null" in text("said", what={"a": 1}, none=None)
    assert document("said", what=frozenset())["what"] == "frozenset()"
