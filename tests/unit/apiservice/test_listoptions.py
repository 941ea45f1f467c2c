"""The options of lists, and the rules between them."""

from __future__ import annotations

import pytest

from apiservice.listoptions import ListOptions, parse_list_options, parse_timeout
from apiservice.status import StatusError
from metrics_api import BadQuery, Expired, Invalid


def test_a_plain_list_has_no_bounds() -> None:
    assert parse_list_options({}) == ListOptions()


def test_what_kubectl_sends_is_understood() -> None:
    assert parse_list_options({"limit": "500", "resourceVersion": "0"}) == ListOptions(limit=500, version=0)


def test_a_negative_limit_means_none_as_in_kubernetes() -> None:
    assert parse_list_options({"limit": "-5"}).limit == 0


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"limit": "many"}, id="limit"),
        pytest.param({"limit": "1.5"}, id="a fraction"),
        pytest.param({"limit": "9" * 5000}, id="an endless number"),
        pytest.param({"limit": str(2**63)}, id="more than an int64"),
        pytest.param({"limit": "٣"}, id="digits of another script"),
        pytest.param({"timeoutSeconds": "soon"}, id="timeoutSeconds"),
        pytest.param({"resourceVersion": "yesterday"}, id="resourceVersion"),
        pytest.param({"resourceVersion": "-1"}, id="a negative version"),
        pytest.param({"resourceVersion": "7", "continue": "token"}, id="a version beside a token"),
    ],
)
def test_what_cannot_be_parsed_is_a_bad_query(query: dict[str, str]) -> None:
    with pytest.raises(BadQuery):
        parse_list_options(query)


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        pytest.param({"resourceVersionMatch": "Exact"}, ["FieldValueForbidden"], id="a match without a version"),
        pytest.param(
            {"resourceVersionMatch": "Exact", "resourceVersion": "1", "continue": "x"},
            ["FieldValueForbidden"],
            id="a match beside a token",
        ),
        pytest.param(
            {"resourceVersionMatch": "Roughly", "resourceVersion": "1"}, ["FieldValueNotSupported"], id="an unknown match"
        ),
        pytest.param({"resourceVersionMatch": "Exact", "resourceVersion": "0"}, ["FieldValueForbidden"], id="exactly any"),
        pytest.param({"sendInitialEvents": "true"}, ["FieldValueForbidden"], id="initial events without a watch"),
        pytest.param(
            {"resourceVersionMatch": "Roughly", "sendInitialEvents": "false"},
            ["FieldValueForbidden", "FieldValueNotSupported", "FieldValueForbidden"],
            id="everything at once",
        ),
    ],
)
def test_contradictions_are_named_one_by_one(query: dict[str, str], reasons: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        parse_list_options(query)
    assert [reason for reason, _, _ in refused.value.causes] == reasons
    assert refused.value.message.startswith('ListOptions.meta.k8s.io "" is invalid: ')


@pytest.mark.parametrize(
    ("options", "instant"),
    [
        pytest.param(ListOptions(), 100, id="the most recent"),
        pytest.param(ListOptions(version=0), 100, id="any"),
        pytest.param(ListOptions(version=90, match="NotOlderThan"), 100, id="newer than asked"),
        pytest.param(ListOptions(version=100, match="Exact"), 100, id="just this one"),
        pytest.param(ListOptions(version=100), 100, id="no match given"),
    ],
)
def test_an_answer_new_enough_is_given(options: ListOptions, instant: int) -> None:
    options.check(instant)


def test_an_answer_older_than_asked_is_not_given() -> None:
    with pytest.raises(StatusError) as refused:
        ListOptions(version=101, match="NotOlderThan").check(100)
    document = refused.value.document()
    assert (document["code"], document["reason"]) == (504, "Timeout")
    assert document["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_only_the_latest_version_is_kept() -> None:
    with pytest.raises(Expired):
        ListOptions(version=99, match="Exact").check(100)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(ListOptions(), id="no version"),
        pytest.param(ListOptions(version=0), id="any"),
        pytest.param(ListOptions(version=99), id="an older one, at least"),
        pytest.param(ListOptions(version=100, match="NotOlderThan"), id="this one, at least"),
        pytest.param(ListOptions(version=100, match="Exact"), id="just this one"),
    ],
)
def test_a_version_that_a_past_instant_satisfies_may_be_given_beside_it(options: ListOptions) -> None:
    options.check_past(100)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(ListOptions(version=101), "at least 101", id="a newer one"),
        pytest.param(ListOptions(version=101, match="NotOlderThan"), "at least 101", id="a newer one, in words"),
        pytest.param(ListOptions(version=99, match="Exact"), "exactly 99", id="exactly an older one"),
        pytest.param(ListOptions(version=101, match="Exact"), "exactly 101", id="exactly a newer one"),
    ],
)
def test_a_version_that_contradicts_a_past_instant_is_refused_with_both(options: ListOptions, told: str) -> None:
    with pytest.raises(BadQuery, match=f"1970-01-01T00:01:40Z, which is version 100, and resourceVersion for {told}"):
        options.check_past(100)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", 60), ("5s", 5), ("500ms", 0.5), ("1m30s", 60), ("0s", 60), ("-1s", 60), ("9999h", 60)],
)
def test_a_timeout_is_bounded(text: str, seconds: float) -> None:
    assert parse_timeout({"timeout": text}) == seconds


@pytest.mark.parametrize("text", ["soon", "5", "5 s", "9" * 5000 + "s"], ids=["a word", "no unit", "a space", "endless"])
def test_a_timeout_that_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_timeout({"timeout": text})
    assert (refused.value.code, refused.value.message) == (400, "invalid timeout specified in the request URL")
