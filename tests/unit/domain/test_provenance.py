"""Where a number comes from: every observed row says it, rows of one origin share what they say, and idle ones say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from metrics_api import EVERYTHING, Direction, Identities, ResourceRef, Sample, Side, TrafficMetrics, Window, idle, normalise
from metrics_api.sample import Covered

GROUP = "metrics.smi-spec.io"
WEB = ResourceRef("Deployment", "shop", "web")
SAMPLE = Sample(WEB, EVERYTHING, Direction.FROM, Side.SERVER, 1.0, 0.0, None, source="mesh", dialect="istio")
ASKED = 1_790_000_000
LATE: Mapping[str, Covered] = {"aws": (ASKED - 125, Window(60))}


def rows(*samples: Sample, elsewhere: Mapping[str, Covered] = LATE, asked: int = ASKED, **more: str) -> list[TrafficMetrics]:
    return normalise(samples, ASKED, Window(30), lambda _: {}, elsewhere=elsewhere, asked=asked, **more)


def told(row: TrafficMetrics) -> dict[str, str]:
    """The annotations of a row as sent, by their names in the group."""
    sent = row.wire()["metadata"].get("annotations", {})
    assert all(name.startswith(f"{GROUP}/") for name in sent)
    return {name.removeprefix(f"{GROUP}/"): text for name, text in sent.items()}


def test_an_observed_row_says_where_its_numbers_come_from():
    [row] = rows(SAMPLE)
    assert told(row) == {"source": "mesh", "dialect": "istio", "effective-window": "30s", "staleness": "0s"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"dialect": ""}, {"dialect": None}, id="a source without a dialect"),
        pytest.param({"source": "aws"}, {"source": "aws", "effective-window": "1m0s", "staleness": "2m5s"}, id="a late source"),
        pytest.param(
            {"source": "aws,mesh"},
            {"source": "aws,mesh", "effective-window": "1m0s", "staleness": "2m5s"},
            id="several late sources",
        ),
        pytest.param({"marks": frozenset({"stale", "sampled"})}, {"stale": "true", "sampled": "true"}, id="marks"),
        pytest.param(
            {"identities": Identities("web.shop", "api.shop")},
            {"client-identity": "web.shop", "server-identity": "api.shop"},
            id="mutual TLS",
        ),
        pytest.param({"identities": Identities(insecure="not provided")}, {"no-identity": "not provided"}, id="no TLS"),
        pytest.param({"identities": Identities("web.shop")}, {"client-identity": "web.shop"}, id="one identity"),
        pytest.param({"identities": Identities()}, {}, id="identities of which nothing is known"),
    ],
)
def test_what_else_is_known_of_a_row(change: dict[str, object], expected: dict[str, str | None]):
    [row] = rows(replace(SAMPLE, **change))  # type: ignore[arg-type] # fields of a sample
    usual = {"source": "mesh", "dialect": "istio", "effective-window": "30s", "staleness": "0s"}
    assert told(row) == {name: text for name, text in {**usual, **expected}.items() if text is not None}


@pytest.mark.parametrize(
    ("asked", "staleness"),
    [(ASKED, "0s"), (ASKED + 55, "55s"), (ASKED + 3600, "1h0m0s"), (ASKED - 10, "0s")],
    ids=["on time", "late", "very late", "newer than asked"],
)
def test_staleness_is_how_long_before_the_instant_asked_about_the_numbers_end(asked: int, staleness: str):
    [row] = rows(SAMPLE, elsewhere={}, asked=asked)
    assert (told(row)["staleness"], row.instant) == (staleness, ASKED)


def test_without_an_instant_asked_about_it_is_that_of_the_answer():
    [row] = normalise([SAMPLE], ASKED, Window(30), lambda _: {})
    assert told(row)["staleness"] == "0s"


def test_rows_of_a_cluster_with_a_name_say_it_and_may_be_named_after_it():
    [row] = rows(SAMPLE, cluster="west", suffix="@west")
    [qualified] = normalise([SAMPLE], ASKED, Window(30), lambda _: {}, qualified=True, cluster="west", suffix="@west")
    assert (row.name, qualified.name, row.resource.name, row.cluster) == ("web@west", "deployment.web@west", "web", "west")
    assert told(row)["cluster"] == "west"
    assert "cluster" not in told(rows(SAMPLE)[0])


def test_what_nobody_observed_comes_from_nowhere():
    row = idle(WEB, ASKED, Window(30), {})
    assert (told(row), row.source, row.cluster) == ({}, "", "")
    far = idle(WEB, ASKED, Window(30), {}, qualified=True, cluster="west", suffix="@west")
    assert (told(far), far.name, far.cluster) == ({"cluster": "west"}, "deployment.web@west", "west")


def test_rows_of_one_origin_share_their_annotations():
    """Of a hundred thousand rows most have the same: they must not be written down a hundred thousand times."""
    others = [replace(SAMPLE, resource=WEB._replace(name=f"web-{number}")) for number in range(20)]
    found = rows(*others, replace(SAMPLE, source="aws"), replace(SAMPLE, dialect="linkerd"))
    assert len({id(row.annotations) for row in found}) == 3
