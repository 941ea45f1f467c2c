"""The text format: what is kept, what is passed over, what is refused and where."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from backends.scrape.exposition import Exposition, ExpositionError, line_of, read_head
from tests.doubles.exporter import sample

METRICS = ("requests_total", "latency_bucket", "a:b_1")

Read = list[tuple[str, Mapping[str, str], float]]


def read(text: str | bytes, *, open_metrics: bool = False) -> Read:
    body = text.encode() if isinstance(text, str) else text
    chunks = Exposition(METRICS).read(body, open_metrics=open_metrics)
    return [(*read_head(head), value) for chunk in chunks for head, value in chunk]


def test_only_the_metrics_asked_for_are_kept():
    text = "# HELP requests_total All.\n# TYPE requests_total counter\n"
    text += 'requests_total{a="1"} 5\nrequests_total_more{a="1"} 6\nrequests 7\nlatency_sum 8\nrequests_total 9\n'
    assert read(text) == [("requests_total", {"a": "1"}, 5.0), ("requests_total", {}, 9.0)]


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        pytest.param('requests_total{a="1"} 5', {"a": "1"}, 5.0, id="plain"),
        pytest.param("requests_total 5", {}, 5.0, id="no labels"),
        pytest.param("requests_total{} 5", {}, 5.0, id="empty braces"),
        pytest.param("requests_total{ } 5", {}, 5.0, id="blank braces"),
        pytest.param('requests_total{a="1",} 5', {"a": "1"}, 5.0, id="trailing comma"),
        pytest.param('requests_total{a="1",b=""} 5', {"a": "1", "b": ""}, 5.0, id="empty value"),
        pytest.param('requests_total{a="x} 7"} 5', {"a": "x} 7"}, 5.0, id="brace and number inside a value"),
        pytest.param('requests_total{a="x # {y}"} 5', {"a": "x # {y}"}, 5.0, id="the mark of an exemplar inside a value"),
        pytest.param(r'requests_total{a="\"q\" \\ \n"} 5', {"a": '"q" \\ \n'}, 5.0, id="escapes"),
        pytest.param(r'requests_total{a="\d"} 5', {"a": r"\d"}, 5.0, id="an unknown escape stands for itself"),
        pytest.param(r'requests_total{a="ends\\"} 5', {"a": "ends\\"}, 5.0, id="an escaped backslash at the end"),
        pytest.param('requests_total{a="äöü 🦊"} 5', {"a": "äöü 🦊"}, 5.0, id="unicode"),
        pytest.param('  requests_total  {  a = "1" , b="2" }   5  ', {"a": "1", "b": "2"}, 5.0, id="blanks everywhere"),
        pytest.param('\trequests_total\t{a="1"}\t5\t1395066363000', {"a": "1"}, 5.0, id="tabs"),
        pytest.param('requests_total{a="1"}5', {"a": "1"}, 5.0, id="no blank before the value"),
        pytest.param('requests_total{a="1"} 5 1395066363000', {"a": "1"}, 5.0, id="a timestamp in milliseconds"),
        pytest.param('requests_total{a="1"} 5 1520879607.789', {"a": "1"}, 5.0, id="a timestamp in seconds"),
        pytest.param('requests_total{a="1"} 5 -3982045', {"a": "1"}, 5.0, id="a timestamp before 1970"),
        pytest.param("requests_total 5 1395066363000", {}, 5.0, id="a timestamp without labels"),
        pytest.param('requests_total{a="1"} 5 # {trace_id="x} 9"} 0.67', {"a": "1"}, 5.0, id="an exemplar"),
        pytest.param('requests_total{a="1"} 5 1.5 # {trace_id="x"} 0.67 1.4', {"a": "1"}, 5.0, id="timestamp and exemplar"),
        pytest.param("requests_total 5 # {} 0.67", {}, 5.0, id="an exemplar without labels"),
        pytest.param('requests_total{a="1"} 5\r', {"a": "1"}, 5.0, id="a carriage return"),
        pytest.param('requests_total{a="1"} 1.5e3', {"a": "1"}, 1500.0, id="an exponent"),
        pytest.param('requests_total{a="1"} 1E+3', {"a": "1"}, 1000.0, id="an exponent with a sign"),
    ],
)
def test_a_line_is_read_however_it_is_written(line: str, labels: dict[str, str], value: float):
    assert read(f"{line}\n") == [("requests_total", labels, value)]


@pytest.mark.parametrize("value", ["NaN", "nan", "+Inf", "-Inf", "Inf", "-1", "-0.5"])
@pytest.mark.parametrize("after", ["", " 1395066363000"], ids=["bare", "with a timestamp"])
def test_a_value_that_is_no_count_is_left_out(value: str, after: str):
    assert read(f'requests_total{{a="1"}} {value}{after}\nrequests_total{{a="2"}} 4\n') == [("requests_total", {"a": "2"}, 4.0)]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('requests_total{a="1"} five', id="a word for a value"),
        pytest.param('requests_total{a="1"}', id="no value"),
        pytest.param("requests_total ", id="no value and no labels"),
        pytest.param('requests_total{a="1"} 5 soon', id="a word for a timestamp"),
        pytest.param('requests_total{a="1"} 5 6 7', id="too many numbers"),
        pytest.param('requests_total{a="1" 5', id="the brace is not closed"),
        pytest.param('requests_total{a="1 5', id="the quote is not closed"),
        pytest.param('requests_total{a="1} 5', id="the quote is not closed before the brace"),
        pytest.param("requests_total{a=1} 5", id="no quotes"),
        pytest.param("requests_total{a} 5", id="no value of a label"),
        pytest.param('requests_total{a="1" b="2"} 5', id="no comma"),
        pytest.param('requests_total{="1"} 5', id="no name of a label"),
        pytest.param('requests_total{1a="1"} 5', id="a name that begins with a digit"),
        pytest.param('requests_total{a="1",a="2"} 5', id="a label twice"),
        pytest.param('requests_total{a="1"}} 5', id="two braces"),
    ],
)
def test_a_malformed_line_is_refused(line: str):
    with pytest.raises(ValueError, match=r".+"):
        read(f'requests_total{{a="0"}} 1\n{line}\n')


def test_the_number_of_a_malformed_line_is_told():
    lines = [f'other{{a="{number}"}} 5' for number in range(40_000)]
    lines[31_416] = 'requests_total{a="1"} five'
    with pytest.raises(ExpositionError, match=r"line 31417\b"):
        read("\n".join(lines) + "\n")


def test_the_line_of_a_head_is_found():
    body = b'x 1\nrequests_total{a="1"} 5\nrequests_total{b="} 5\n'
    assert line_of(body, b'requests_total{b="') == 3
    assert line_of(body, b"x") == 1


def test_a_message_never_quotes_what_the_target_sent():
    with pytest.raises(ExpositionError) as caught:
        read('requests_total{token="s3cret"} hunter2\n')
    assert "s3cret" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"<!DOCTYPE html>\n<html><body>login</body></html>\n", "neither a comment nor a sample", id="HTML"),
        pytest.param(b'{"error": "not found"}\n', "neither a comment nor a sample", id="JSON"),
        pytest.param(b"404 page not found\n", "neither a comment nor a sample", id="a sentence"),
        pytest.param(bytes(range(256)) * 40 + b"\n", "neither a comment nor a sample", id="binary"),
        pytest.param(b"\n\n<html>\n", "line 3 is neither", id="after empty lines"),
        pytest.param(b'requests_total{a="1"} 5\nrequests_total{a="2"} 1', "breaks off", id="half a line"),
        pytest.param(b"\xff\xfe" + b"a 1\n" * 3, "neither a comment nor a sample", id="another encoding"),
    ],
)
def test_what_is_something_else_altogether_is_refused(body: bytes, reason: str):
    with pytest.raises(ExpositionError, match=reason):
        read(body)


def test_a_label_that_is_not_utf_8_is_refused():
    with pytest.raises(ValueError, match="UTF-8"):
        read(b'requests_total{a="\xff"} 5\n')


@pytest.mark.parametrize("body", [b"", b"\n", b"# nothing yet\n", b"other 1\n"], ids=["empty", "blank", "comment", "others"])
def test_a_text_without_a_series_of_ours_is_a_text(body: bytes):
    assert read(body) == []


@pytest.mark.parametrize("end", ["# EOF\n", "# EOF"], ids=["with a line feed", "without"])
def test_open_metrics_ends_with_its_mark(end: str):
    assert read(f'requests_total{{a="1"}} 5\n{end}', open_metrics=True) == [("requests_total", {"a": "1"}, 5.0)]


def test_open_metrics_without_its_mark_broke_off():
    with pytest.raises(ExpositionError, match="EOF"):
        read('requests_total{a="1"} 5\n', open_metrics=True)


def test_a_line_longer_than_a_stretch_is_read_whole():
    value = "x" * 200_000
    assert read(f'other 1\nrequests_total{{a="{value}"}} 5\nrequests_total{{b="2"}} 6\n') == [
        ("requests_total", {"a": value}, 5.0),
        ("requests_total", {"b": "2"}, 6.0),
    ]


def test_a_large_text_comes_in_stretches():
    body = b"".join(b'requests_total{a="%d"} 5\n' % number for number in range(20_000))
    sizes = [len(chunk) for chunk in Exposition(METRICS).read(body)]
    assert sum(sizes) == 20_000
    assert len(sizes) > 5
    assert max(sizes) < 5_000


names = st.sampled_from(METRICS)
label_names = st.sampled_from(["a", "b_1", "Code", "_x", "le", "envoy_cluster_name"])
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=20)
counts = st.floats(min_value=0, allow_infinity=False, allow_nan=False)
series = st.tuples(names, st.dictionaries(label_names, texts, max_size=5), counts)


def as_tuples(rows: Read) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
    return [(name, tuple(sorted(labels.items())), value) for name, labels, value in rows]


@settings(deadline=None)
@given(st.lists(series, max_size=8))
def test_whatever_is_written_is_read_back(rows: list[tuple[str, dict[str, str], float]]):
    text = "".join(sample(name, value, **labels) for name, labels, value in rows)
    assert as_tuples(read(text)) == as_tuples(list(rows))


plain = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"], exclude_characters="\\"), max_size=12)
plain_series = st.tuples(st.just("requests_total"), st.dictionaries(label_names, plain, max_size=4), counts)


@settings(deadline=None)
@given(st.lists(plain_series, max_size=6))
def test_another_parser_of_the_format_reads_the_same(rows: list[tuple[str, dict[str, str], float]]):
    text = "# TYPE requests_total counter\n" + "".join(sample(name, value, **labels) for name, labels, value in rows)
    others = [(each.name, each.labels, each.value) for family in text_families(text) for each in family.samples]
    assert as_tuples(read(text)) == as_tuples(others)


def test_another_parser_of_open_metrics_reads_the_same():
    text = (
        "# HELP requests All # of them.\n# TYPE requests counter\n"
        'requests_total{code="200",path="/a b"} 17.0 # {trace_id="oHg5SJ#YRHA0"} 9.8 1520879607.789\n'
        'requests_total{code="500",path="\\"quoted\\""} 3 1520879607.5\n'
        "requests_created 1520430000.123\n"
        "# TYPE latency histogram\n"
        'latency_bucket{le="0.1"} 8 # {} 0.054\nlatency_bucket{le="+Inf"} 9 # {id="x} 1"} 11\nlatency_count 9\nlatency_sum 3.5\n# EOF\n'
    )
    others = [
        (each.name, each.labels, each.value)
        for family in open_metrics_families(text)
        for each in family.samples
        if each.name in METRICS
    ]
    assert as_tuples(read(text, open_metrics=True)) == as_tuples(others)


@settings(deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_whatever_arrives_is_read_or_refused(noise: bytes, open_metrics: bool):  # noqa: FBT001 hypothesis gives it
    body = b'requests_total{a="1"} 5\n' + noise + b'\nrequests_total{a="2"} 6\n'
    try:
        rows = read(body, open_metrics=open_metrics)
    except ValueError:
        return
    assert ("requests_total", {"a": "1"}, 5.0) in rows
    assert all(0 <= value < math.inf for _, _, value in rows)


@settings(deadline=None)
@given(st.text('ab{}="\\, 1\n#\t', max_size=40))
def test_lines_that_nearly_are_samples_are_read_alike_by_both_paths(tail: str):
    """The quick path and the careful one agree; a tab in a comment is what sends a stretch down the careful one."""
    body = f"requests_total{tail}\n"
    outcomes = []
    for text in (f"#\n{body}", f"#\t\n{body}"):
        try:
            outcomes.append(as_tuples(read(text)))
        except ValueError:
            outcomes.append(None)
    assert outcomes[0] == outcomes[1]
