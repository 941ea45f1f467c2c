"""What the page about Grafana shows works, and what it lists is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from apiservice.surfaces.grafana.asking import ROWS
from apiservice.surfaces.grafana.filters import NUMBERS, WORDS
from apiservice.surfaces.grafana.metrics import TARGETS
from apiservice.surfaces.grafana.nodegraph import MOST_NODES
from apiservice.surfaces.grafana.times import MOST_INSTANTS
from apiservice.surfaces.grafana.wanted import FIELDS
from tests.unit.surfaces.grafana.town import grafana, post, query

PAGE = (
    (Path(__file__).parents[4] / "docs" / "grafana.md")
    .read_text(encoding="utf-8")
    .partition("\n## JSON data source\n")[2]
    .partition("\n## ")[0]
)


def part(title: str) -> str:
    """What stands below a heading, up to the next."""
    return re.split(r"^##", PAGE.partition(f"### {title}\n")[2], flags=re.MULTILINE)[0]


def listed(title: str) -> set[str]:
    """The words in the first column of a table."""
    return {word for cell in re.findall(r"^\| ([^|]*) \|", part(title), re.MULTILINE) for word in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("target", msgspec.json.decode(part("Payload").partition("```json")[2].partition("```")[0]), ids=str)
async def test_every_example_of_a_query_is_answered(target: dict[str, object]):
    async with grafana() as session:
        frames = await post(session, "query", query(target))
    assert frames
    assert all(field["values"] for frame in frames for field in frame["fields"])
    assert not any("notices" in frame["meta"] for frame in frames)


async def test_the_example_without_grafana_is_answered():
    path, body = re.findall(r"kubectl create --raw (\S+) -f - <<'BODY'\n(.*?)BODY", PAGE, re.DOTALL)[0]
    payload = msgspec.json.decode(part("Five minutes").partition("```json")[2].partition("```")[0])
    document = msgspec.json.decode(body)
    assert document["targets"][0]["payload"] == payload
    async with grafana() as session, session.post(path, data=body) as response:
        (frame,) = await response.json()
    assert (response.status, frame["name"], len(frame["fields"][0]["values"])) == (200, "web", 10)


async def test_the_examples_of_the_graph_are_answered():
    (path,) = re.findall(r"kubectl get --raw '(\S+/grafana/graph\S+)'", PAGE)
    async with grafana() as session, session.get(path) as response:
        assert len((await response.json())["edges"]) == 4


async def test_every_example_of_a_variable_and_an_annotation_is_answered():
    variables = re.findall(r"`((?:peers|workloads)\?[^`]+)`", part("Variables"))
    (json_,) = re.findall(r'`(\{"target".*?\})`', part("Variables"))
    (annotation,) = re.findall(r"`(failure_ratio\?[^`]+)`", part("Older versions"))
    async with grafana() as session:
        for text in variables:
            target = text.replace("$namespace", "shop").replace("$workload", "web")
            assert await post(session, "variable", {"payload": {"target": target}})
        assert await post(session, "variable", {"payload": msgspec.json.decode(json_)})
        document = {"range": {"from": "now-10m", "to": "now"}, "annotation": {"query": annotation}}
        assert len(await post(session, "annotations", document)) == 1
    assert variables


def test_the_page_lists_what_there_is():
    short = {"rps", "p50", "p90", "p99"}
    assert listed("Metrics") == {target.name for target in TARGETS} | short
    assert listed("Payload") == {*FIELDS} - {"t"} | {"resource", "edges"}
    filters = part("Ad hoc filters")
    assert {word for word in WORDS if f"`{word}`" in filters} == set(WORDS)
    assert "the eight metrics" in filters
    assert len(NUMBERS) == 8


def test_the_page_tells_the_bounds():
    assert f"{MOST_INSTANTS:,}".replace(",", " ") + " points" in " ".join(part("Time").split())
    assert f"{ROWS:,}".replace(",", " ") + " rows" in part("Time")
    assert f"{MOST_NODES:,}".replace(",", " ") + " nodes" in part("Node graphs")
