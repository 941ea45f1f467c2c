"""Blocks of the documentation that need a cluster do what the text says, with kubectl, in one that has the API and traffic."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.commands.pages import Block, blocks
from tests.commands.running import copy_project, programs, run
from tests.controlplane.plane import manifests
from tests.controlplane.served.api import Api

RUN = [block for block in blocks() if block.word == "run" and block.rest == "cluster"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
async def environment(api: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """That of an administrator, where the configuration is in the cluster as it is after an installation."""
    installed = manifests("configmap.yaml")
    await api.plane.apply(*installed)
    yield {**api.plane.environment(), "PATH": programs(tmp_path_factory.mktemp("commands") / "bin")}
    for document in installed:
        metadata = document["metadata"]
        await api.prints("delete", document["kind"], metadata["name"], "-n", metadata["namespace"])


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.place)
async def test_a_block_runs(block: Block, project: Path, environment: dict[str, str]):
    ended = await run(block, project, environment)
    assert ended.code == 0, f"{block.place} ended with {ended.code}:\n{ended.told}"
    assert ended.complaints == [], ended.told


async def test_what_a_block_creates_is_gone_after_it(api: Api, project: Path, environment: dict[str, str]):
    text = "kubectl create rolebinding left-behind -n shop --clusterrole=trafficmetrics-reader --user=ann\n"
    ended = await run(Block("page", 1, "sh", f"{text}kubectl get rolebinding left-behind -n shop\n"), project, environment)
    assert ended.code == 0, ended.told
    assert (await api.kubectl("get", "rolebinding", "left-behind", "-n", "shop")).code == 1
