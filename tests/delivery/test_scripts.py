"""Plain numbers for scripts, Iter8 and Infinity: what the pages tell people to type and to fill in does what they say."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from metrics_api import Edge, ResourceRef, TrafficMetrics, Window
from metrics_api.numbers import number_row
from tests.delivery.conftest import TOKEN, Shop
from tests.delivery.controllers import iter8
from tests.delivery.examples import blocks, command, documents, fill

NUMBERS, DELIVERY = "numbers.md", "progressive-delivery.md"
BASE = "https://kubernetes.default.svc"
BEARER = {"Authorization": f"Bearer {TOKEN}"}

NO_JQ = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not on the PATH")


async def shell(shop: Shop, script: str, directory: Path) -> tuple[int, str]:
    """Exit code and output of a script in which ``kubectl get --raw`` asks this server."""
    _, _, rest = script.partition("--raw '")
    path, _, _ = rest.partition("'")
    answer = await shop.ask(BASE + path, headers=BEARER)
    (directory / "answer").write_text(answer.body, encoding="utf-8")
    kubectl = directory / "kubectl"
    kubectl.write_text(f'#!/bin/sh\n[ "$1 $2" = "get --raw" ] && cat {directory}/answer\n', encoding="utf-8")
    kubectl.chmod(0o700)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", f"PATH={directory}:$PATH\n{script}", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert not err, err.decode()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.real
@NO_JQ
@pytest.mark.parametrize(
    ("numbers", "away", "code"),
    [
        pytest.param((995, 5, 0.25), False, 0, id="good"),
        pytest.param((980, 20, 0.25), False, 1, id="fails too often"),
        pytest.param((995, 5, 0.301), False, 1, id="too slow"),
        pytest.param((995, 5, None), False, 1, id="without latencies"),
        pytest.param((0, 0, None), False, 1, id="without requests"),
        pytest.param((995, 5, 0.25), True, 1, id="of a part"),
    ],
)
async def test_the_check_of_the_page_tells_good_from_bad(
    shop: Shop, tmp_path: Path, numbers: tuple[float, float, float | None], *, away: bool, code: int
) -> None:
    shop.fares(*numbers)
    shop.other.away = away
    found, _ = await shell(shop, command(NUMBERS, "jq -e"), tmp_path)
    assert found == code


@pytest.mark.real
@NO_JQ
async def test_the_table_of_the_page_begins_with_what_fails_most(shop: Shop, tmp_path: Path) -> None:
    shop.fares(500, 500, 0.25)
    shop.mesh.versions["idle"] = 0, 0, None
    code, out = await shell(shop, command(NUMBERS, "@csv"), tmp_path)
    rows = [line.split(",") for line in out.splitlines()]
    names = [row[1].strip('"') for row in rows]
    assert (code, names[0] in ("web", "web-5f6b"), names[-1]) == (0, True, "idle")
    assert (rows[0][3], rows[-1][2:]) == ("0.5", ["0", "", ""])


def iter8_template() -> Any:
    """The template of the page for the canary."""
    (block,) = (block for block in blocks(DELIVERY, "yaml") if "jqExpression" in block)
    values = {"{{ .namespace }}": "shop", "{{ .deployment }}": "web", "{{ .token }}": TOKEN}
    return fill(yaml.safe_load(block), values)


@pytest.mark.real
@NO_JQ
async def test_iter8_reads_its_metrics(shop: Shop) -> None:
    shop.fares(995, 5, 0.25)
    assert await iter8(iter8_template(), shop.ask) == {"failure-ratio": 0.005, "latency-p99": 250}
    assert shop.mesh.windows == {"1m0s"}


@pytest.mark.real
@NO_JQ
@pytest.mark.parametrize(("away", "left"), [(True, {"failure-ratio"}), (False, set())], ids=["of a part", "without requests"])
async def test_iter8_leaves_out_what_has_no_value(shop: Shop, *, away: bool, left: set[str]) -> None:
    shop.fares(*((995, 5, 0.25) if away else (0, 0, None)))
    shop.other.away = away
    assert (await iter8(iter8_template(), shop.ask)).keys() == left


async def test_infinity_reads_to_the_last_page(shop: Shop) -> None:
    """As its backend does: the field is added to the URL while the extraction path leads to some text; nowhere is an error."""
    shop.fares(995, 5, 0.25)
    url = f"{BASE}/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/deployments?format=numbers&window=1m&limit=3"
    headers = {**BEARER, "Accept": "application/json;q=0.9,text/plain", "Accept-Encoding": "gzip"}
    names: list[str] = []
    cursor = ""
    for _ in range(5):
        answer = await shop.ask(url + (f"&continue={cursor}" if cursor else ""), headers=headers)
        assert answer.status == 200
        document = json.loads(answer.body)
        names += [row["name"] for row in document["items"]]
        cursor = document["metadata"]["continue"]
        if not cursor:
            break
    assert names == ["web", "web-5f6b", "web-7d9c", "web-primary"]


def test_the_data_source_of_infinity_sends_its_token_to_the_server_alone() -> None:
    (provisioned,) = (each for each in documents(NUMBERS) if "datasources" in each)
    (source,) = provisioned["datasources"]
    assert source["jsonData"] == {"auth_method": "bearerToken", "allowedHosts": [BASE], "tlsAuthWithCACert": True}
    assert source["secureJsonData"].keys() == {"bearerToken", "tlsCACert"}


def test_the_example_of_a_document_is_what_is_sent() -> None:
    example = json.loads(next(block for block in blocks(NUMBERS, "json") if '"rps"' in block))
    row = TrafficMetrics(
        "web",
        "shop",
        ResourceRef("Deployment", "shop", "web"),
        Edge(),
        1_795_300_000,
        Window(30),
        p99=12_300,
        p90=8_000,
        p50=3_100,
        success=597_000,
        failure=3_000,
        source="mesh",
    )
    assert list(example.items()) == [*number_row(row).items(), ("warnings", [])]


def test_every_key_is_on_the_page() -> None:
    example = json.loads(next(block for block in blocks(NUMBERS, "json") if '"rps"' in block))
    page = (Path(__file__).parent.parent.parent / "docs" / NUMBERS).read_text(encoding="utf-8")
    table = page.partition("## The keys")[2].partition("## Lists")[0]
    assert [key for key in example if f"`{key}`" not in table] == []
