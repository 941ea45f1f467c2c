"""The dashboards as files: Grafana takes them, their data sources are provisioned, and their links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.grafana.dashboards import ALL, NAMES, PROVISIONED, dashboard, datasources, panels, targets, variables

PLAIN = re.compile(r"(?:trafficmetrics_[a-z_]+)?\{[^{}()\[\]]*\}(?<!\{\})")
"""A selector of series, and nothing around it: the facade evaluates no functions."""

_VARIABLE = re.compile(r"\$\{(\w+)[^}]*\}|\$(\w+)")
_BUILT_IN = frozenset({"__data", "__field", "__url_time_range"})
UIDS = {dashboard(name)["uid"]: name for name in NAMES}


def texts(value: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def links(name: str) -> Iterator[str]:
    """The address of every link: those of the dashboard, and those in its panels."""
    yield from (link["url"] for link in dashboard(name)["links"])
    for panel in panels(name):
        for override in panel["fieldConfig"]["overrides"]:
            for each in override["properties"]:
                if each["id"] == "links":
                    yield from (link["url"] for link in each["value"])


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_can_be_imported_again_and_again(name: str) -> None:
    document = dashboard(name)
    assert document["id"] is None
    assert document["uid"] == f"trafficmetrics-{name}"
    assert document["schemaVersion"] >= 39
    assert document["tags"] == ["trafficmetrics"]
    assert document["refresh"] in document["timepicker"]["refresh_intervals"]
    assert document["description"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_lie_side_by_side(name: str) -> None:
    found = panels(name)
    assert len({panel["title"] for panel in found}) == len(found)
    assert [panel["id"] for panel in found] == list(range(1, len(found) + 1))
    places = [panel["gridPos"] for panel in found]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"], (one, other)


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows(name: str) -> None:
    assert all(panel["title"] and panel["description"].endswith(".") for panel in panels(name))


@pytest.mark.parametrize("name", NAMES)
def test_every_query_asks_the_data_source_that_is_chosen(name: str) -> None:
    chosen = variables(name)["datasource"]
    wanted = {"type": chosen["query"], "uid": "${datasource}"}
    assert all(panel["datasource"] == wanted for panel in panels(name))
    assert all(target["datasource"] == wanted for _, target in targets(name))
    assert all(each["datasource"] == wanted for each in variables(name).values() if each["type"] == "query")


@pytest.mark.parametrize("provisioned", PROVISIONED)
@pytest.mark.parametrize("name", NAMES)
def test_the_data_source_that_is_chosen_first_is_provisioned(name: str, provisioned: str) -> None:
    chosen = variables(name)["datasource"]
    source = datasources(provisioned)[chosen["current"]["value"]]
    assert (source["type"], source["name"]) == (chosen["query"], chosen["current"]["text"])


@pytest.mark.parametrize("name", NAMES)
def test_every_variable_that_is_used_exists(name: str) -> None:
    known = {*variables(name), *_BUILT_IN}
    used = {first or second for text in texts(dashboard(name)) for first, second in _VARIABLE.findall(text)}
    assert used - {"__all"} <= known
    assert set(variables(name)) - used == set(), "nobody needs a variable that is not used"
    for each in variables(name).values():
        value = each["current"].get("value", "")
        assert not each["includeAll"] or value == ALL
        assert each["type"] != "custom" or each["options"] == [*each["options"]]


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_to_a_dashboard_and_chooses_what_it_has(name: str) -> None:
    found = list(links(name))
    assert found
    for url in found:
        parts = urlsplit(re.sub(r"\$\{(\w+):queryparam\}", r"var-\1=x", url).replace("${__url_time_range}", "from=1&to=2"))
        uid = parts.path.removeprefix("/d/")
        assert uid in UIDS, url
        chosen = {key for key, _ in parse_qsl(parts.query, strict_parsing=True)}
        assert {key.removeprefix("var-") for key in chosen if key.startswith("var-")} <= set(variables(UIDS[uid])), url
        assert all(key.startswith("var-") or key in ("from", "to") for key in chosen), url


@pytest.mark.parametrize("name", ["namespace", "workload"])
def test_every_query_of_prometheus_is_a_plain_selector(name: str) -> None:
    for panel, target in targets(name):
        assert PLAIN.fullmatch(target["expr"]), panel["title"]
        assert "trafficmetrics_" in target["expr"]


@pytest.mark.parametrize("name", NAMES)
def test_no_traffic_is_told_by_a_text_and_unknown_by_another(name: str) -> None:
    for panel in panels(name):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] == "stat":
            assert defaults["noValue"] == ("unknown" if panel["title"] in ("Requests", "Sources") else "-")
        if panel["type"] == "table":
            options = {
                each["matcher"]["options"]: {each["id"]: each["value"] for each in each["properties"]}
                for each in panel["fieldConfig"]["overrides"]
            }
            assert options["Success"]["noValue"] == "-"
            assert options["Requests/s"]["noValue"] == "unknown"
            assert options["Requests/s"]["mappings"][0]["options"] == {"0": {"index": 0, "text": "no traffic"}}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_dashboard_is_loaded_from_elsewhere(name: str) -> None:
    assert not [text for text in texts(dashboard(name)) if "://" in text]
