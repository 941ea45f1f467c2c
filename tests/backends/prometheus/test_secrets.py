"""Secrets reach the store and nobody else: no error and no line of any log has one."""

from __future__ import annotations

import asyncio
import logging
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.transport import Credentials
from metrics_api import BackendError, BackendRefused
from tests.backends.prometheus.queryapi import Asked, QueryApi, failed, query_api, question, settings, text, vector

SECRETS = ("t0ken-of-ours", "passw0rd-of-ours", "tenant-0f-ours", "fixed-0f-ours")
ALL = (*SECRETS, b64encode(b"ali:passw0rd-of-ours").decode())


@pytest.fixture
async def api() -> AsyncIterator[QueryApi]:
    async with query_api(lambda _: vector()) as double:
        yield double


@pytest.fixture(params=["bearer", "basic"])
def credentials(tmp_path: Path, request: pytest.FixtureRequest) -> Credentials:
    for name, secret in zip(("token", "password", "tenant"), SECRETS, strict=False):
        (tmp_path / name).write_text(secret)
    by_token = request.param == "bearer"
    return Credentials(
        "mesh",
        {"X-Api-Key": SECRETS[3]},
        {"X-Scope-OrgID": str(tmp_path / "tenant")},
        bearer_token_file=str(tmp_path / "token") if by_token else "",
        username="" if by_token else "ali",
        password_file="" if by_token else str(tmp_path / "password"),
    )


async def _reset(_: Asked) -> web.StreamResponse:
    raise asyncio.CancelledError


FAILURES: dict[str, Callable[[Asked], object]] = {
    "401": lambda _: failed(401, "unauthorized"),
    "500": lambda _: failed(500, "internal"),
    "bad": lambda _: failed(400, "bad_data", "parse error"),
    "html": lambda _: text("<html>"),
    "redirect": lambda _: text("", 302, Location="http://elsewhere"),
    "reset": _reset,
    "not-gzip": lambda _: text(b"x", 200, "application/json", **{"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("failure", [*FAILURES, "down"])
async def test_no_secret_is_in_an_error_or_in_a_log(
    api: QueryApi, credentials: Credentials, failure: str, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    made = settings(api, credentials=credentials)
    if failure == "down":
        made = settings(api, credentials=credentials, url="http://127.0.0.1:1")
    else:
        api.answer = FAILURES[failure]  # type: ignore[assignment] # any of the kinds of answer
    async with PrometheusBackend(made) as source:
        with pytest.raises(BackendError) as caught:
            await source.answer(question())
    if failure != "down":
        assert SECRETS[2] in api.everything[0].headers["X-Scope-OrgID"], "the store was told"
    said = [caught.value.message, str(caught.value), "".join(traceback.format_exception(caught.value)), caplog.text]
    assert not [secret for secret in ALL for text in said if secret in text]


def test_no_secret_is_in_what_settings_look_like(api_settings: PrometheusSettings):
    assert not [secret for secret in ALL if secret in repr(api_settings)]


@pytest.fixture
def api_settings(credentials: Credentials) -> PrometheusSettings:
    return settings(QueryApi(lambda _: vector(), "http://prometheus"), credentials=credentials)


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        (None, "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"two\nlines", "are not one line of text"),
        (b"tab\tbed", "are not one line of text"),
    ],
    ids=["missing", "not-text", "two-lines", "control-character"],
)
async def test_a_credential_that_cannot_be_sent_is_named_by_its_file(
    api: QueryApi, tmp_path: Path, content: bytes | None, phrase: str
):
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    async with PrometheusBackend(settings(api, credentials=Credentials("mesh", bearer_token_file=str(path)))) as source:
        with pytest.raises(BackendRefused) as caught:
            await source.answer(question())
    assert str(path) in caught.value.message
    assert phrase in caught.value.message
    assert not api.everything
    assert "lines" not in caught.value.message
