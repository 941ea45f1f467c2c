"""Tables as text: as wide as kubectl's, or as narrow as a terminal."""

from __future__ import annotations

import re

import pytest

from kubectl_traffic.sheet import Cell, Heading, clean, clip, lay_out, shorten

HEADINGS = [Heading("NAME", elastic=True), Heading("RPS"), Heading("P50", spare=1), Heading("TREND", spare=2)]
ROWS = [
    [Cell("deployment.checkout-worker-eu-west"), Cell("1.0rps"), Cell("3ms"), Cell("▁▂▃▄▅▆▇█")],
    [Cell("deployment.web", "red"), Cell("10.0rps"), Cell("-"), Cell("▁")],
]


def test_columns_are_as_wide_as_those_of_kubectl():
    lines = lay_out([Heading("A"), Heading("LONGER"), Heading("B")], [[Cell("1"), Cell("2"), Cell("3")]])
    assert lines == ["A     LONGER   B", "1     2        3"]


@pytest.mark.parametrize("width", range(20, 90, 7))
def test_a_table_fits_the_terminal_as_long_as_a_name_says_something(width: int):
    lines = lay_out(HEADINGS, ROWS, width=width)
    assert max(map(len, lines)) <= max(width, len("deploy…-west   10.0rps"))
    assert all(line.startswith(("NAME", "deploy")) for line in lines)
    assert lines[1].split()[0].endswith("west")


def test_what_is_spare_goes_when_names_are_as_short_as_they_can_be():
    assert lay_out(HEADINGS, ROWS, width=47)[0].split() == ["NAME", "RPS", "P50", "TREND"]
    assert lay_out(HEADINGS, ROWS, width=46)[0].split() == ["NAME", "RPS", "P50"]
    assert lay_out(HEADINGS, ROWS, width=30)[0].split() == ["NAME", "RPS"]
    assert lay_out(HEADINGS, ROWS, width=10)[1].split() == ["deploy…-west", "1.0rps"]


def test_only_names_are_shortened():
    assert lay_out(HEADINGS, ROWS, width=50)[1].split() == ["deployment.…ker-eu-west", "1.0rps", "3ms", "▁▂▃▄▅▆▇█"]


def test_colours_take_no_room():
    plain, coloured = lay_out(HEADINGS, ROWS), lay_out(HEADINGS, ROWS, colour=True)
    assert [re.sub(r"\x1b\[[0-9]+m", "", line) for line in coloured] == plain
    assert coloured[2].startswith("\x1b[31mdeployment.web\x1b[0m ")
    assert "\x1b" not in "".join(plain)


def test_a_table_without_heads_has_rows_alone():
    assert lay_out([Heading(""), Heading("")], [[Cell("a"), Cell("b")]]) == ["a     b"]


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [("web", 3, "web"), ("checkout", 7, "che…out"), ("checkout", 6, "che…ut"), ("checkout", 2, "c…"), ("checkout", 1, "…")],
)
def test_a_name_loses_its_middle(text: str, width: int, short: str):
    assert (shorten(text, width), len(short) <= width) == (short, True)


def test_names_do_nothing_to_a_terminal():
    (_, line) = lay_out([Heading("NAME")], [[Cell("evil\x1b[2J\nhost\x07")]])
    assert line == "evil?[2J?host?"
    assert clean("grün.example") == "grün.example"


def test_a_line_is_clipped_by_what_shows():
    assert clip("\x1b[31mfailing\x1b[0m now", 4) == "\x1b[31mfail\x1b[0m"
    assert clip("plain", 9) == "plain"
