"""What the doctor says of proxies that are scraped directly."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from backends.dialects import builtin_dialects, load_dialect
from backends.scrape import ScrapeSettings, Target
from backends.scrape.diagnosis import diagnose
from backends.transport import Credentials
from metrics_api import Window
from metrics_api.diagnosis import Diagnosis, Finding, Level
from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.mesh_series import Page
from tests.doubles.meshes.all import MESHES

HALF_A_MINUTE = Window(30)
OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM

Pages = Callable[[str], list[Target]]


def page(text: str) -> web.Response:
    return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})


@pytest.fixture(scope="module")
async def pages() -> AsyncIterator[Pages]:
    """Every proxy of every mesh that can be scraped, on one server; the targets of a mesh by its name."""
    texts: dict[str, str] = {}
    labels: dict[str, dict[str, dict[str, str]]] = {}
    for name, mesh in MESHES.items():
        for workload in (*WORKLOADS, *mesh.extra):
            for pod in workload.pods:
                rows = list(mesh.rows(workload, pod))
                if rows and mesh.scraped:
                    path = f"/{name}/{pod.name}"
                    texts[path] = Page.of(rows, pod).render(20.0)
                    labels.setdefault(name, {})[path] = mesh.scrape_labels(workload, pod)

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path == "/slow":
            await asyncio.sleep(0.3)
        if request.path == "/secret" and request.headers.get("Authorization") != "Bearer hunter2":
            return web.Response(status=401)
        return page(texts[request.path]) if request.path in texts else page("up 1\n")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"127.0.0.1:{runner.addresses[0][1]}"

    def targets(name: str) -> list[Target]:
        known = labels.get(name)
        if known is None:
            return [Target(address, name)]
        return [Target(address, path, labels=tuple(sorted(given.items()))) for path, given in known.items()]

    yield targets
    await runner.cleanup()


async def examine(dialect: str, targets: list[Target], **changes: object) -> Diagnosis:
    made = ScrapeSettings("edge", load_dialect(dialect), tuple(targets), **changes)  # type: ignore[arg-type] # names of fields
    return await diagnose(made, HALF_A_MINUTE)


@pytest.mark.parametrize("name", [name for name in builtin_dialects() if MESHES[name].scraped])
async def test_nothing_is_wrong_with_healthy_proxies_of_any_mesh(pages: Pages, name: str):
    diagnosis = await examine(name, pages(name))
    assert diagnosis.level is OK
    assert not [able for able in diagnosis.abilities if able.lost]
    assert diagnosis.facts["targetsAnswering"] == len(pages(name))


async def test_targets_that_do_not_answer_are_named_each_with_its_reason(pages: Pages):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = Target(f"127.0.0.1:{closed.getsockname()[1]}")
        diagnosis = await examine("istio", [*pages("istio"), dead, *pages("/secret")])
    refused, unauthorised = diagnosis.findings
    assert refused.what == f"{dead.address} cannot be scraped: Connection refused"
    assert refused.advice == "is the proxy running, and are port and path those of its metrics?"
    assert "it refused our credentials (HTTP 401)" in unauthorised.what
    assert {refused.level, unauthorised.level} == {PROBLEM}


async def test_of_many_targets_that_do_not_answer_three_are_named():
    diagnosis = await examine("istio", [Target("127.0.0.1:1", f"/{number}") for number in range(9)])
    assert [finding.check for finding in diagnosis.findings] == ["targets"] * 4
    assert diagnosis.findings[3].what == "6 more of 9 targets cannot be scraped"
    assert diagnosis.abilities == ()


async def test_credentials_are_sent_and_not_told(pages: Pages):
    diagnosis = await examine("istio", pages("/secret"), credentials=Credentials("edge", {"Authorization": "Bearer hunter2"}))
    assert [finding.check for finding in diagnosis.findings] == ["dialect"]
    assert "hunter2" not in str(diagnosis)


async def test_proxies_of_another_mesh_are_told_by_its_name(pages: Pages):
    for configured, there in (("linkerd", "istio"), ("envoy", "consul")):
        targets = pages(there)
        (finding,) = (await examine(configured, targets)).findings
        what = f"dialect: {configured} is configured, and {len(targets)} of {len(targets)} targets show series of {there}"
        assert finding == Finding(PROBLEM, "edge", "dialect", what, f"dialect: {there}")


async def test_one_proxy_of_another_mesh_among_many_is_a_warning(pages: Pages):
    (finding,) = (await examine("istio", [*pages("istio"), pages("linkerd")[0]])).findings
    assert (finding.level, finding.advice) == (WARNING, "dialect: linkerd")


async def test_one_proxy_without_traffic_among_many_is_no_fault(pages: Pages):
    (finding,) = (await examine("istio", [*pages("istio"), *pages("/up")])).findings
    assert finding.level is OK
    assert "a proxy that had no traffic yet shows none either" in finding.advice


async def test_a_page_without_series_of_any_mesh_is_told(pages: Pages):
    (finding,) = (await examine("istio", pages("/up"))).findings
    assert finding.level is PROBLEM
    assert finding.what.endswith("shows no series of istio")
    assert finding.advice.startswith("is /up the right path?")


async def test_a_label_that_is_not_given_is_told_with_who_gives_it(pages: Pages):
    targets = [Target(target.address, target.path) for target in pages("consul")]
    findings = (await examine("consul", targets)).findings
    assert {finding.check for finding in findings} == {"labels"}
    assert '"pod"' in "".join(finding.what for finding in findings)


async def test_a_label_under_another_name_is_told_with_the_override(pages: Pages):
    renamed = [
        Target(
            target.address, target.path, labels=tuple(("pod_name" if key == "pod" else key, value) for key, value in target.labels)
        )
        for target in pages("consul")
    ]
    (finding,) = (await examine("consul", renamed)).findings
    assert (finding.level, finding.advice) == (PROBLEM, "overrides: {labels: {pod: pod_name}}")


async def test_a_target_that_takes_long_for_the_interval_is_told(pages: Pages):
    diagnosis = await examine("istio", [*pages("istio"), *pages("/slow")], interval=0.5)
    slow = [finding for finding in diagnosis.findings if "of the 0.5s between two scrapes" in finding.what]
    assert [finding.level for finding in slow] == [WARNING]


async def test_a_target_listed_twice_is_told(pages: Pages):
    first, *rest = pages("istio")
    twin = Target(first.address, first.path, labels=(*first.labels, ("zone", "b")))
    (finding,) = (await examine("istio", [first, twin, *rest])).findings
    assert (finding.level, finding.check) == (PROBLEM, "replicas")
    assert finding.what.startswith(f"{first.url} is listed 2 times")


async def test_more_series_than_are_kept_is_told(pages: Pages):
    (finding,) = (await examine("istio", pages("istio"), series_limit=10)).findings
    assert (finding.level, finding.check) == (PROBLEM, "series")


@pytest.mark.parametrize(
    ("interval", "longest", "found"),
    [
        (7.5, 300, []),
        (15.0, 300, [WARNING]),
        (16.0, 300, [PROBLEM]),
        (5.0, 20, [PROBLEM]),
    ],
    ids=["four", "two", "fewer", "short history"],
)
async def test_a_window_needs_two_scrapes_and_better_four_and_history(
    pages: Pages, interval: float, longest: int, found: list[Level]
):
    diagnosis = await examine("istio", pages("istio"), interval=interval, longest_window=longest)
    assert [finding.level for finding in diagnosis.findings] == found


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "cannot be read: No such file"), ("[", "not JSON"), ("[]", "it has no targets")],
    ids=["missing", "malformed", "empty"],
)
async def test_a_targets_file_that_names_nobody_is_told(tmp_path: Path, content: str | None, what: str):
    path = tmp_path / "targets.json"
    if content is not None:
        path.write_text(content)
    (finding,) = (await examine("istio", [], targets_file=str(path))).findings
    assert (finding.level, finding.check) == (PROBLEM, "targets")
    assert what in finding.what


async def test_targets_of_a_file_are_examined(tmp_path: Path, pages: Pages):
    path = tmp_path / "targets.json"
    groups = [
        {"targets": [target.address], "labels": {**dict(target.labels), "__metrics_path__": target.path}}
        for target in pages("istio")
    ]
    path.write_text(json.dumps(groups))
    diagnosis = await examine("istio", [], targets_file=str(path))
    assert diagnosis.findings == ()
    assert diagnosis.facts["targets"] == len(groups)
