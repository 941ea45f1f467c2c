"""A real Prometheus that reads traffic through kube-apiserver with the token of a service account, which may read one namespace."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import TOKEN_READER
from tests.controlplane.served.server import GV
from tests.prometheus_surface.scraper import run_scraper

pytestmark = pytest.mark.real


def job(name: str, url: str, path: str, token: str, authority: Path) -> dict[str, Any]:
    return {
        "job_name": name,
        "scheme": "https",
        "metrics_path": f"{GV}/{path}",
        "honor_labels": True,
        "authorization": {"credentials": token},
        "tls_config": {"ca_file": str(authority)},
        "static_configs": [{"targets": [URL(url).authority]}],
    }


async def test_a_prometheus_scrapes_what_its_service_account_may_read(api: Api, tmp_path: Path):
    namespace, account = TOKEN_READER
    token = (await api.prints("create", "token", account, "-n", namespace)).strip()
    configuration = await api.prints("config", "view", "--raw", "-o", "jsonpath={.clusters[0].cluster.certificate-authority-data}")
    authority = tmp_path / "ca.crt"
    authority.write_bytes(base64.b64decode(configuration))
    url = api.plane.url
    jobs = [
        job("own", url, "namespaces/shop/prometheus/metrics", token, authority),
        job("another", url, "namespaces/data/prometheus/metrics", token, authority),
        job("all", url, "prometheus/metrics", token, authority),
    ]
    async with run_scraper(tmp_path, jobs) as prometheus:
        await prometheus.until("scrape_samples_scraped", lambda found: len(found) == 3)
        await prometheus.until('up{job="own"} == 1', lambda found: len(found) == 1)
        found = await prometheus.vector("trafficmetrics_requests_per_second")
        assert {(labels["namespace"], labels["name"]) for labels, _ in found} == {("shop", "api"), ("shop", "web")}
        assert {value for _, value in await prometheus.vector('up{job!="own"}')} == {0}
        targets = (await prometheus.ask("targets"))["data"]["activeTargets"]
        errors = {target["labels"]["job"]: target["lastError"] for target in targets}
        assert errors == {
            "own": "",
            "another": "server returned HTTP status 403 Forbidden",
            "all": "server returned HTTP status 403 Forbidden",
        }
