"""The ways to the cluster are kubectl's: its flags, contexts and namespaces; and what fails there is told in its words."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.apiservice.memory import Door
from tests.plugin.conftest import Plugin

DEAD = "http://127.0.0.1:1"


def kubeconfig(plugin: Plugin, path: Path) -> tuple[str, ...]:
    """A kubeconfig whose current context leads nowhere; ``shop`` leads to the server, and into a namespace."""
    server = plugin.flags[0].removeprefix("--server=")
    clusters = [{"name": "here", "cluster": {"server": server}}, {"name": "dead", "cluster": {"server": DEAD}}]
    contexts = [
        {"name": "shop", "context": {"cluster": "here", "user": "", "namespace": "shop"}},
        {"name": "plain", "context": {"cluster": "here", "user": ""}},
        {"name": "dead", "context": {"cluster": "dead", "user": ""}},
    ]
    config = {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts, "current-context": "dead"}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return (f"--kubeconfig={path}",)


async def test_a_context_brings_its_namespace(plugin: Plugin, tmp_path: Path) -> None:
    flags = kubeconfig(plugin, tmp_path / "config")
    shown = await plugin.traffic("top", "--context", "shop", "--no-headers", flags=flags)
    assert [line[0] for line in shown.table] == ["deployment.api", "deployment.cart", "deployment.web"]
    other = await plugin.traffic("top", "--context=shop", "-n", "data", "--no-headers", flags=flags)
    assert [line[0] for line in other.table] == ["statefulset.db"]


async def test_without_one_it_is_the_default_namespace(plugin: Plugin, tmp_path: Path) -> None:
    said = "No resources found in default namespace.\n"
    assert (await plugin.traffic("top")).err == said
    assert (await plugin.traffic("top", "--context", "plain", flags=kubeconfig(plugin, tmp_path / "config"))).err == said


async def test_a_context_that_is_not_there_is_told(plugin: Plugin, tmp_path: Path) -> None:
    got = await plugin.traffic("top", "--context", "gone", flags=kubeconfig(plugin, tmp_path / "config"))
    assert (got.code, got.out, "gone" in got.err) == (1, "", True)


async def test_contexts_and_namespaces_are_completed(plugin: Plugin, tmp_path: Path) -> None:
    flags = kubeconfig(plugin, tmp_path / "config")
    got = await plugin("__complete", "traffic", "top", *flags, "--context", "", flags=())
    assert got.out.splitlines() == ["dead", "plain", "shop", ":4"]
    got = await plugin("__complete", "traffic", "top", *plugin.flags, "-n", "", flags=())
    assert got.out.splitlines() == ["data", "shop", ":4"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["top", "-n", "shop", "deploy/"], ["deploy/api", "deploy/cart", "deploy/web"]),
        (["top", "-n", "shop", "deploy", "c"], ["cart"]),
        (["edges", "-n", "data", "sts/"], ["sts/db"]),
        (["-n", "shop", "deploy/w"], ["deploy/web"]),
        (["ns/"], ["ns/data", "ns/shop"]),
        (["gate", "-n", "shop", "deploy/web", "--compare=deploy/c"], ["deploy/cart"]),
        (["top", "--namespace=da"], ["data"]),
    ],
    ids=" ".join,
)
async def test_names_are_completed(plugin: Plugin, line: list[str], expected: list[str]) -> None:
    *before, begun = line
    got = await plugin("__complete", "traffic", *before, *plugin.flags, begun, flags=())
    assert got.out.splitlines() == [*expected, ":4"]


async def test_a_server_that_is_not_there(plugin: Plugin) -> None:
    got = await plugin.traffic("top", "-n", "shop", flags=(f"--server={DEAD}", *plugin.flags[1:]))
    assert (got.code, got.out) == (1, "")
    assert got.err.startswith("kubectl traffic: The connection to the server 127.0.0.1:1 was refused")


async def test_an_object_that_is_not_there(plugin: Plugin) -> None:
    got = await plugin.traffic("top", "deploy/nobody", "-n", "shop")
    assert tuple(got) == (1, "", 'kubectl traffic: deployments.metrics.smi-spec.io "nobody" not found in namespace shop\n')


async def test_what_a_server_has_not_is_told_in_its_words(plugin: Plugin) -> None:
    async def answer(_: web.Request) -> web.Response:
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
        return web.json_response({**status, "message": "splits are not served here"}, status=404)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as other:
        got = await plugin.traffic("top", "ts", "-n", "shop", flags=(f"--server=http://127.0.0.1:{other.port}", *plugin.flags[1:]))
    assert tuple(got) == (1, "", "kubectl traffic: splits are not served here\n")


async def test_what_may_not_be_read(plugin: Plugin, door: Door) -> None:
    door.forbidden = frozenset({"/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/deployments"})
    try:
        got = await plugin.traffic("top", "deploy", "-n", "shop")
    finally:
        door.forbidden = frozenset()
    assert (got.code, got.out, len(got.err.splitlines())) == (1, "", 1)
    assert got.err.startswith("kubectl traffic: deployments.metrics.smi-spec.io is forbidden: ")


async def test_a_question_that_makes_no_sense_to_the_server(plugin: Plugin) -> None:
    got = await plugin.traffic("top", "-n", "shop", "--field-selector", "colour=red")
    assert (got.code, got.err.startswith("kubectl traffic: Error from server (BadRequest): ")) == (1, True)


async def test_a_cluster_without_the_api(plugin: Plugin) -> None:
    async with TestServer(web.Application()) as bare:
        got = await plugin.traffic("top", "-A", flags=(f"--server=http://127.0.0.1:{bare.port}", *plugin.flags[1:]))
    assert (got.code, "is TrafficMetrics installed" in got.err, len(got.err.splitlines())) == (1, True, 1)


async def test_what_is_no_answer_of_this_api(plugin: Plugin) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"kind": "PodList", "items": []})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app) as other:
        got = await plugin.traffic("top", "-A", flags=(f"--server=http://127.0.0.1:{other.port}", *plugin.flags[1:]))
    assert (got.code, got.out) == (1, "")
    assert got.err.endswith("answered what is no TrafficMetrics: PodList\n")


async def test_what_kubectl_logs_is_passed_on(plugin: Plugin) -> None:
    got = await plugin.traffic("top", "-n", "shop", "-v=6")
    assert (got.code, len(got.table)) == (0, 4)
    assert "GET http://127.0.0.1" in got.err


async def test_a_context_without_credentials(plugin: Plugin) -> None:
    got = await plugin.traffic("top", "-n", "shop", flags=("--server=https://127.0.0.1:1", *plugin.flags[1:]))
    assert (got.code, got.out) == (1, "")
    assert got.err == "kubectl traffic: this context has no credentials, and there is nobody whom kubectl could ask for them\n"
