"""Warning headers: safe to send, bounded, each sentence once."""

from __future__ import annotations

import pytest

from apiservice.warning import warning_headers


@pytest.mark.parametrize(
    ("text", "header"),
    [
        pytest.param("rounded up", '299 - "rounded up"', id="plain"),
        pytest.param('source "mesh" is down', r'299 - "source \"mesh\" is down"', id="quotes"),
        pytest.param("a\\b", r'299 - "a\\b"', id="a backslash"),
        pytest.param("one\r\nX-Evil: 1\ttwo\x00", '299 - "one X-Evil: 1 two"', id="control characters"),
        pytest.param("fenêtre", '299 - "fenêtre"', id="beyond ASCII"),
        pytest.param("caf\udce9", '299 - "caf"', id="not UTF-8"),
    ],
)
def test_a_warning_is_one_quoted_line(text: str, header: str) -> None:
    assert warning_headers([text]) == [header]


def test_the_same_sentence_is_said_once_and_nothing_is_not_said() -> None:
    assert warning_headers(["b", "a", "", "b", " \n"]) == ['299 - "b"', '299 - "a"']


def test_long_warnings_are_whole_while_there_is_room() -> None:
    (header,) = warning_headers(["x" * 4000])
    assert len(header) > 4000


def test_too_many_are_cut_short_and_then_left_out() -> None:
    headers = warning_headers([f"{number:03d}" + "x" * 1000 for number in range(100)])
    assert len(headers) == 16
    assert {len(header) for header in headers} == {len('299 - ""') + 256}
