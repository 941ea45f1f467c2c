"""Errors and warnings of a source, as its findings tell them."""

from __future__ import annotations

import pytest

from metrics_api.diagnosis import advised, sentence


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param('source "aws": cannot be reached', "it cannot be reached", id="what it does"),
        pytest.param(
            'source "aws": lists metrics in pages that do not end', "it lists metrics in pages that do not end", id="a verb"
        ),
        pytest.param('source "aws" leaves out services', "it leaves out services", id="a warning"),
        pytest.param('source "aws": AWS does not allow it', "AWS does not allow it", id="somebody else"),
        pytest.param('source "aws": GetMetricData failed', "GetMetricData failed", id="an operation"),
        pytest.param('source "aws": cloudwatch:ListMetrics is missing', "cloudwatch:ListMetrics is missing", id="an action"),
        pytest.param('source "aws": the certificate is not trusted', "the certificate is not trusted", id="something of its"),
        pytest.param('source "aws": it refused AssumeRole', "it refused AssumeRole", id="itself"),
    ],
)
def test_what_is_said_of_a_source_is_a_sentence_about_it(text: str, told: str) -> None:
    assert sentence("aws", text) == told


def test_what_stands_behind_the_semicolon_is_what_to_do() -> None:
    assert advised("aws", 'source "aws": is closed; open it; then ask') == ("it is closed", "open it; then ask")
    assert advised("aws", 'source "aws": is closed') == ("it is closed", "")
