"""Credentials in files are read for each request: a new one counts at once, and without one nothing is asked."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from backends.prometheus.client import PrometheusClient
from backends.scrape import ScrapeSettings, Target
from backends.scrape.fetch import Fetcher, ScrapeFailed
from backends.transport import Credentials
from metrics_api import BackendRefused
from tests.backends.prometheus.queryapi import INSTANT, Asked, QueryApi, counted, query_api, settings, text
from tests.doubles.small import SMALL

Ask = Callable[[], Awaitable[object]]


def by_token(file: str) -> Credentials:
    return Credentials("mesh", bearer_token_file=file)


def by_password(file: str) -> Credentials:
    return Credentials("mesh", username="ali", password_file=file)


def by_header(file: str) -> Credentials:
    return Credentials("mesh", header_files={"X-Api-Key": file})


SENT: Mapping[str, tuple[Callable[[str], Credentials], Callable[[str], tuple[str, str]]]] = {
    "bearerTokenFile": (by_token, lambda secret: ("Authorization", f"Bearer {secret}")),
    "passwordFile": (by_password, lambda secret: ("Authorization", f"Basic {b64encode(f'ali:{secret}'.encode()).decode()}")),
    "headerFiles": (by_header, lambda secret: ("X-Api-Key", secret)),
}


@asynccontextmanager
async def prometheus(api: QueryApi, credentials: Credentials) -> AsyncIterator[Ask]:
    async with PrometheusClient(settings(api, credentials=credentials)) as client:
        yield lambda: client.query("up", INSTANT)


@asynccontextmanager
async def scrape(api: QueryApi, credentials: Credentials) -> AsyncIterator[Ask]:
    async with Fetcher(ScrapeSettings("mesh", SMALL, credentials=credentials)) as fetcher:
        yield lambda: fetcher.fetch(Target(api.url.removeprefix("http://")))


@pytest.mark.parametrize("asking", [prometheus, scrape], ids=lambda asking: asking.__name__)
@pytest.mark.parametrize("key", SENT)
async def test_a_new_secret_counts_at_once_and_none_is_no_request(
    key: str, asking: Callable[[QueryApi, Credentials], object], tmp_path: Path
):
    file = tmp_path / "secret"
    file.write_text("s3cret-before\n")
    credentials, header = SENT[key]
    wanted = {"secret": "s3cret-before"}

    def answer(asked: Asked) -> object:
        name, value = header(wanted["secret"])
        if asked.headers.get(name) != value:
            return text("who are you?", 401)
        return counted(asked) if asked.method == "POST" else text("up 1\n", 200, "text/plain")

    async with query_api(answer) as api, asking(api, credentials(str(file))) as ask:
        await ask()
        wanted["secret"] = "s3cret-after"
        with pytest.raises((BackendRefused, ScrapeFailed)) as stale:
            await ask()
        assert "(HTTP 401)" in str(stale.value)
        file.write_text("s3cret-after\n")
        await ask()
        assert len(api.everything) == 3
        file.write_text("\n")
        with pytest.raises((BackendRefused, ScrapeFailed)) as empty:
            await ask()
        file.unlink()
        with pytest.raises((BackendRefused, ScrapeFailed)) as gone:
            await ask()
        assert len(api.everything) == 3
    assert f'the credentials in "{file}" are empty' in str(empty.value)
    assert f'the credentials in "{file}" cannot be read' in str(gone.value)
    assert not [each for each in (stale, empty, gone) if "s3cret" in str(each.value)]
