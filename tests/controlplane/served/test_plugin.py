"""``kubectl traffic`` through kube-apiserver: as whom kubectl is logged in, and as nobody else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.controlplane.plane import ADMIN, Person, Run
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import CLUSTER_READER, SHOP_READER, STRANGER
from tests.plugin.conftest import plugin_for

pytestmark = pytest.mark.real


async def traffic(api: Api, home: Path, *arguments: str, user: Person) -> Run:
    """The outcome of ``kubectl traffic ARGUMENTS`` of this person."""
    programs = plugin_for(0, home).environment["PATH"].partition(":")[0]
    environment = api.plane.environment(user)
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "traffic", *arguments),
        env=environment | {"PATH": f"{programs}:{environment['PATH']}"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return Run(process.returncode or 0, out.decode(), err.decode())


async def test_a_reader_of_a_namespace_sees_it_as_with_kubectl_get(api: Api, tmp_path: Path):
    shown = await traffic(api, tmp_path, "top", "deploy", "-n", "shop", "-o", "json", user=SHOP_READER)
    assert (shown.code, shown.stderr) == (0, "")
    names = await api.names("deployments.metrics.smi-spec.io", "-n", "shop", user=SHOP_READER)
    rows = json.loads(shown.stdout)
    assert [f"{row['namespace']}/{row['name']}" for row in rows] == names
    assert {row["source"] for row in rows} != {""}


@pytest.mark.parametrize(
    ("person", "line", "refused"),
    [
        pytest.param(SHOP_READER, "top -A", "at the cluster scope", id="everywhere"),
        pytest.param(SHOP_READER, "top deploy/api -n data", 'in the namespace "data"', id="in another namespace"),
        pytest.param(SHOP_READER, "sources", "at the cluster scope", id="sources"),
        pytest.param(STRANGER, "top -n shop", 'in the namespace "shop"', id="a stranger"),
    ],
)
async def test_what_a_person_may_not_read_is_refused_in_one_line(api: Api, tmp_path: Path, person: Person, line: str, refused: str):
    shown = await traffic(api, tmp_path, *line.split(), user=person)
    assert (shown.code, shown.stdout, len(shown.stderr.splitlines())) == (1, "", 1)
    assert shown.stderr.startswith("kubectl traffic: ")
    assert f'User "{person.name}" cannot ' in shown.stderr
    assert shown.stderr.rstrip().endswith(refused)


async def test_whoever_may_be_somebody_else_sees_what_that_one_sees(api: Api, tmp_path: Path):
    shown = await traffic(api, tmp_path, "top", "-n", "data", "--as", STRANGER.name, user=ADMIN)
    assert (shown.code, f'User "{STRANGER.name}" cannot' in shown.stderr) == (1, True)


async def test_a_reader_of_the_cluster_sees_where_numbers_come_from(api: Api, tmp_path: Path):
    shown = await traffic(api, tmp_path, "sources", user=CLUSTER_READER)
    assert (shown.code, shown.stderr) == (0, "")
    assert [line.split()[1:3] for line in shown.stdout.split("\n\n")[0].splitlines()[1:]] == [["prometheus", "ok"]]


async def test_the_cluster_has_the_api(api: Api, tmp_path: Path):
    shown = await traffic(api, tmp_path, "version", user=SHOP_READER)
    assert (shown.code, shown.stdout.splitlines()[-1]) == (0, "API: metrics.smi-spec.io/v1alpha1, 16 resources")
