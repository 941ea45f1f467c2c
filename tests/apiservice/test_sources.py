"""``GET .../sources`` over real sockets: which sources there are, how they are, and that one that hangs keeps nobody waiting."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import yaml

from apiservice.lifecycle import Lifecycle
from apiservice.main import load
from apiservice.main import serving as main_serving
from apiservice.sources.examinations import Examination, Examinations
from apiservice.sources.health import SourceHealth, SourceState
from apiservice.sources.page import Sources
from metrics_api import Backend, Source, Terms, Window
from metrics_api.diagnosis import Diagnosis, Finding, Level, Mesh
from metrics_api.usage import Usage
from tests.apiservice.memory import Door, serving
from tests.unit.apiservice.sources import Examinable, source

PATH = "/apis/metrics.smi-spec.io/v1alpha1/sources"
NOW = 1_795_300_000
WELL = Diagnosis(
    "mesh", "Prometheus 2.53.0", {"product": "Prometheus", "version": "2.53.0"}, meshes=(Mesh("Istio", "istio", ("1.24.1",)),)
)
ILL = Diagnosis("mesh", findings=(Finding(Level.PROBLEM, "mesh", "reach", "it cannot be reached"),))


@dataclass
class Known:
    """How sources have been, by their names."""

    healths: dict[str, SourceHealth] = field(default_factory=dict)
    home: str = "east"

    def health(self, source: str) -> SourceHealth:
        """See :class:`apiservice.sources.health.Outcomes`."""
        return self.healths.get(source, SourceHealth())


class Timer:
    """Seconds that pass when a test says so, beside those that pass."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Metered(Examinable):
    """A source whose use is counted."""

    def usage(self) -> Usage:
        """See :class:`metrics_api.usage.Metered`."""
        return Usage()


@dataclass
class Client:
    """Asks the server."""

    session: aiohttp.ClientSession
    url: str

    async def ask(self, path: str = PATH, method: str = "GET", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body."""
        given = {"User-Agent": "test", **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.request(method, self.url + path, headers=given) as response:
            return response.status, response.headers, await response.read()

    async def document(self, path: str = PATH) -> Any:
        """The JSON of an answer."""
        return json.loads((await self.ask(path))[2])


@asynccontextmanager
async def served(
    *sources: Source, door: Door | None = None, known: Known | None = None, timer: Timer | None = None
) -> AsyncIterator[Client]:
    """A server with these sources."""
    examinations = Examinations(sources, Window(60), lambda: NOW, timer or Timer())
    async with (
        serving(door=door, sources=Sources(examinations, known or Known())) as server,
        aiohttp.ClientSession() as session,
    ):
        yield Client(session, f"http://127.0.0.1:{server.port}")


def backend(of: Source) -> Examinable:
    found = of.backend
    assert isinstance(found, Examinable)
    return found


async def test_the_list_tells_of_every_source_in_the_order_of_the_configuration():
    health = {
        "mesh": SourceHealth(SourceState.OK, since=NOW - 60),
        "edge": SourceHealth(SourceState.FAILING, "no target answers", NOW),
    }
    async with served(source("mesh", outcome=WELL), source("edge", Terms("west"), type="scrape"), known=Known(health)) as client:
        found = await client.document()
    assert (found["kind"], found["apiVersion"], found["metadata"]) == ("SourceList", "metrics.smi-spec.io/v1alpha1", {})
    mesh, edge = found["items"]
    assert mesh["metadata"] == {"name": "mesh"}
    assert mesh["spec"] == {"type": "prometheus", "covers": {"cluster": "east", "namespaces": ["*"]}, "merge": "first"}
    assert mesh["status"]["health"] == {"state": "ok", "since": "2026-11-21T22:25:40Z"}
    assert mesh["status"]["meshes"] == [{"name": "Istio", "dialect": "istio", "versions": ["1.24.1"]}]
    assert mesh["status"]["examination"]["time"] == "2026-11-21T22:26:40Z"
    assert edge["spec"]["covers"]["cluster"] == "west"
    assert edge["status"]["health"] == {"state": "failing", "reason": "no target answers", "since": "2026-11-21T22:26:40Z"}
    assert [finding["check"] for finding in edge["status"]["findings"]] == ["cluster"]


async def test_a_source_that_hangs_says_so_in_time_and_the_others_are_told_of_as_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.sources.examinations.PATIENCE", 0.2)
    hanging = source("hanging", delay=60)
    async with served(hanging, source("mesh", outcome=WELL)) as client:
        begun = time.monotonic()
        stuck, mesh = (await client.document())["items"]
        assert 0.2 <= time.monotonic() - begun < 5
        assert stuck["status"]["examination"]["state"] == "running"
        assert stuck["status"]["examination"]["message"].startswith("it is being examined, and that is not over after")
        assert mesh["status"]["version"] == "2.53.0"
        begun = time.monotonic()
        assert (await client.document(f"{PATH}/mesh"))["status"]["version"] == "2.53.0"
        # What has been waited for as long as anybody waits is not waited for again.
        assert (await client.document())["items"][0]["status"]["examination"]["state"] == "running"
        assert time.monotonic() - begun < 0.2
        assert backend(hanging).examined == 1
        begun = time.monotonic()
    # The server ends at once, and the examination with it.
    assert backend(hanging).ended.is_set()
    assert time.monotonic() - begun < 5


async def test_whoever_asks_at_the_same_time_asks_once():
    slow = source("mesh", outcome=WELL, delay=0.2)
    async with served(slow) as client:
        answers = await asyncio.gather(*(client.document() for _ in range(20)))
    assert {json.dumps(answer) for answer in answers} == {json.dumps(answers[0])}
    assert answers[0]["items"][0]["status"]["version"] == "2.53.0"
    assert backend(slow).examined == 1


async def test_a_client_that_goes_does_not_end_the_examination_for_those_who_stay():
    slow = source("mesh", outcome=WELL, delay=0.5)
    async with served(slow) as client:
        gone = asyncio.create_task(client.document())
        await asyncio.sleep(0.1)
        gone.cancel()
        assert (await client.document())["items"][0]["status"]["version"] == "2.53.0"
    assert backend(slow).examined == 1


@pytest.mark.parametrize(("outcome", "kept"), [(WELL, 60), (ILL, 10)], ids=["well", "with a problem"])
async def test_what_was_found_is_kept_for_a_while(outcome: Diagnosis, kept: int):
    mesh, timer = source("mesh", outcome=outcome), Timer()
    async with served(mesh, timer=timer) as client:
        for ahead, examined in ((0, 1), (kept - 5, 1), (kept + 1, 2)):
            timer.ahead = ahead
            await client.document()
            assert backend(mesh).examined == examined


async def test_what_is_paid_for_by_use_is_examined_more_rarely():
    paid, timer = Metered("aws", WELL), Timer()
    async with served(Source(cast("Backend", paid), Terms(), "cloudwatch"), timer=timer) as client:
        for ahead, examined in ((0, 1), (595, 1), (601, 2)):
            timer.ahead = ahead
            await client.document()
            assert paid.examined == examined


async def test_while_it_is_examined_anew_what_was_found_before_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.sources.examinations.PATIENCE", 0.1)
    mesh, timer = source("mesh", outcome=WELL), Timer()
    async with served(mesh, timer=timer) as client:
        await client.document()
        timer.ahead, backend(mesh).delay = 100, 60
        (item,) = (await client.document())["items"]
    assert (item["status"]["examination"]["state"], item["status"]["version"]) == ("running", "2.53.0")


async def test_one_source_has_a_path_of_its_own_and_what_is_none_is_404():
    async with served(source("mesh", outcome=WELL), source("edge")) as client:
        assert (await client.document(f"{PATH}/mesh"))["metadata"] == {"name": "mesh"}
        status, _, body = await client.ask(f"{PATH}/none")
    assert status == 404
    assert json.loads(body)["message"] == 'sources.metrics.smi-spec.io "none" not found'


async def test_sources_that_change_places_are_examined_anew_and_others_are_not():
    mesh, edge = source("mesh", outcome=WELL), source("edge", outcome=WELL)
    examinations = Examinations([mesh, edge], Window(60))
    await examinations.look(examinations.sources)
    changed, added = source("edge", outcome=ILL), source("new", outcome=WELL)
    examinations.follow([mesh, changed, added])
    found = await examinations.look(examinations.sources)
    assert [backend(each).examined for each in (mesh, edge, changed, added)] == [1, 1, 1, 1]
    assert {name: each.diagnosis for name, each in found.items()} == {"mesh": WELL, "edge": ILL, "new": WELL}


async def test_the_examination_of_a_source_that_leaves_ends():
    hanging = source("mesh", outcome=WELL, delay=60)
    examinations = Examinations([hanging], Window(60))
    looking = asyncio.ensure_future(examinations.look([hanging]))
    while not backend(hanging).examined:  # noqa: ASYNC110
        await asyncio.sleep(0)
    examinations.follow([])
    assert await looking == {"mesh": Examination()}


class Present(Known):
    """How those have been that are there; of others nobody knows."""

    def health(self, source: str) -> SourceHealth:
        """See :class:`apiservice.sources.health.Outcomes`."""
        return self.healths[source]


async def test_a_source_that_goes_while_it_is_examined_is_not_told_of():
    going, staying = source("mesh", outcome=WELL, delay=60), source("edge", outcome=WELL)
    examinations = Examinations([going, staying], Window(60))
    known = Present({"mesh": SourceHealth(), "edge": SourceHealth()})
    async with serving(sources=Sources(examinations, known)) as server, aiohttp.ClientSession() as session:
        client = Client(session, f"http://127.0.0.1:{server.port}")
        asked = [asyncio.ensure_future(client.ask(path)) for path in (PATH, f"{PATH}/mesh")]
        while not backend(going).examined:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        del known.healths["mesh"]
        examinations.follow([staying])
        (status, _, body), (alone, _, _) = await asyncio.gather(*asked)
    assert (status, alone) == (200, 404)
    assert [item["metadata"]["name"] for item in json.loads(body)["items"]] == ["edge"]


async def test_an_examination_that_ends_before_it_began_leaves_no_trace():
    mesh = source("mesh", outcome=WELL)
    examinations = Examinations([mesh], Window(60))
    looking = asyncio.ensure_future(examinations.look([mesh]))
    await asyncio.sleep(0)
    examinations.follow([])
    again = source("mesh", outcome=ILL)
    examinations.follow([again])
    assert (await examinations.look([again]))["mesh"].diagnosis == ILL
    assert not (await looking)["mesh"].running
    await examinations.close()


async def test_one_source_is_examined_alone():
    mesh, edge = source("mesh"), source("edge")
    async with served(mesh, edge) as client:
        await client.document(f"{PATH}/mesh")
    assert (backend(mesh).examined, backend(edge).examined) == (1, 0)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("fieldSelector=metadata.name%3Dedge", ["edge"]),
        ("fieldSelector=metadata.name!%3Dedge", ["mesh"]),
        ("labelSelector=app", []),
        ("labelSelector=!app", ["mesh", "edge"]),
    ],
)
async def test_a_list_is_as_long_as_its_selectors_allow(query: str, names: list[str]):
    async with served(source("mesh"), source("edge")) as client:
        assert [item["metadata"]["name"] for item in (await client.document(f"{PATH}?{query}"))["items"]] == names


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        (PATH, "HEAD", 200),
        (PATH, "POST", 405),
        (f"{PATH}/mesh", "DELETE", 405),
        (f"{PATH}?watch=true", "GET", 405),
        (f"{PATH}?fieldSelector=spec.type%3Dscrape", "GET", 400),
        (f"{PATH}?limit=x", "GET", 400),
        (f"{PATH}/mesh/status", "GET", 404),
        (PATH.replace("/sources", "/namespaces/shop/sources"), "GET", 404),
        (PATH.replace("/v1alpha1", "/v1"), "GET", 404),
        (f"{PATH}/", "GET", 200),
    ],
)
async def test_what_is_no_reading_of_sources_is_refused(path: str, method: str, status: int):
    async with served(source("mesh")) as client:
        told, headers, body = await client.ask(path, method)
    assert told == status
    assert headers.get("Allow", "GET, HEAD") == "GET, HEAD"
    assert (body == b"") is (method == "HEAD")


async def test_it_is_yaml_for_who_wants_it_and_indented_for_who_reads_it():
    async with served(source("mesh", outcome=WELL)) as client:
        _, headers, text = await client.ask(Accept="application/yaml")
        _, _, compact = await client.ask()
        _, _, pretty = await client.ask(User_Agent="curl/8.0")
    assert headers["Content-Type"] == "application/yaml"
    assert yaml.safe_load(text) == json.loads(compact) == json.loads(pretty)
    assert len(compact.splitlines()) == 1 < len(pretty.splitlines())


async def test_nothing_but_json_and_yaml_is_made_of_it():
    async with served(source("mesh")) as client:
        assert (await client.ask(Accept="application/json;as=Table;v=v1;g=meta.k8s.io"))[0] == 406
        both = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        assert json.loads((await client.ask(Accept=both))[2])["kind"] == "SourceList"


async def test_who_may_not_list_sources_is_refused_before_anything_is_examined():
    mesh, door = source("mesh"), Door(forbidden=frozenset({PATH}))
    async with served(mesh, door=door) as client:
        status, _, body = await client.ask()
    assert (status, backend(mesh).examined) == (403, 0)
    assert 'cannot list resource "sources" in API group "metrics.smi-spec.io" at the cluster scope' in json.loads(body)["message"]
    assert [(info.verb, info.resource, info.namespace) for info in door.seen] == [("list", "sources", "")]


async def test_it_is_in_no_discovery_and_a_server_without_it_has_no_such_path():
    async with served(source("mesh")) as client:
        listed = await client.document(PATH.removesuffix("/sources"))
        assert "sources" not in {resource["name"] for resource in listed["resources"]}
    async with serving() as server, aiohttp.ClientSession() as session:
        assert (await Client(session, f"http://127.0.0.1:{server.port}").ask())[0] == 404


async def test_requests_for_sources_are_counted_under_their_name():
    async with served(source("mesh")) as client:
        await client.document()
        await client.document(f"{PATH}/mesh")
        _, _, page = await client.ask("/metrics")
    counted = {line.partition(" ")[0] for line in page.decode().splitlines() if line.startswith("apiserver_request_total{")}
    assert {verb for verb in ("LIST", "GET") for line in counted if 'resource="sources"' in line and f'verb="{verb}"' in line} == {
        "LIST",
        "GET",
    }


async def test_in_the_whole_server_health_follows_the_questions_that_are_asked(tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text(
        "server: {insecurePort: 1}\nkubernetes: {enabled: false, clusterName: east}\n"
        "backends: [{name: mesh, type: prometheus, url: 'http://127.0.0.1:1', dialect: istio, covers: {namespaces: [shop]}}]\n"
    )
    settings, sources = load(str(config), {}, {})
    settings = replace(settings, server=replace(settings.server, insecure_port=0))
    async with main_serving(settings, sources, Lifecycle()) as (url,), aiohttp.ClientSession() as session:
        client = Client(session, url)
        item = await client.document(f"{PATH}/mesh")
        assert item["spec"] == {"type": "prometheus", "covers": {"cluster": "east", "namespaces": ["shop"]}, "merge": "first"}
        assert item["status"]["health"] == {"state": "unknown"}
        assert item["status"]["findings"][0]["what"] == "it cannot be reached at http://127.0.0.1:1: Connection refused"
        status, _, _ = await client.ask(PATH.replace("/sources", "/namespaces/shop/deployments"))
        health = (await client.document(f"{PATH}/mesh"))["status"]["health"]
    assert (status, health["state"]) == (503, "failing")
    assert "cannot be reached at http://127.0.0.1:1" in health["reason"]
    assert health["since"].endswith("Z")
