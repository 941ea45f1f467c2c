"""Health endpoints, to the letter of what Kubernetes API servers answer."""

from __future__ import annotations

import pytest
from aiohttp import web
from multidict import CIMultiDict, MultiDict

from apiservice.health import PING, Check, Health

WELL = Health(readyz=[PING, Check("shutdown", lambda: None)])
ILL = Health(
    livez=[PING],
    readyz=[PING, Check("informer-sync", lambda: "pods are not listed yet"), Check("shutdown", lambda: None)],
)


def ask(health: Health, path: str, *query: tuple[str, str]) -> web.Response:
    response = health.respond(path, MultiDict(query), CIMultiDict())
    assert response is not None
    return response


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_a_healthy_server_says_ok(path: str) -> None:
    response = ask(WELL, path)
    assert (response.status, response.text) == (200, "ok")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_verbose_lists_the_checks() -> None:
    assert ask(WELL, "/readyz", ("verbose", "")).text == "[+]ping ok\n[+]shutdown ok\nreadyz check passed\n"
    assert ask(WELL, "/livez", ("verbose", "1")).text == "[+]ping ok\nlivez check passed\n"


def test_a_failure_lists_the_checks_and_keeps_the_reason_for_the_log(caplog: pytest.LogCaptureFixture) -> None:
    response = ask(ILL, "/readyz")
    assert response.status == 500
    assert response.text == "[+]ping ok\n[-]informer-sync failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n"
    assert "pods are not listed yet" in caplog.text


def test_one_endpoint_failing_leaves_the_others_well() -> None:
    assert ask(ILL, "/livez").status == ask(ILL, "/healthz").status == 200


def test_checks_can_be_left_out() -> None:
    response = ask(ILL, "/readyz", ("exclude", "informer-sync"), ("exclude", "shutdown"), ("verbose", ""))
    assert response.text == "[+]ping ok\n[+]informer-sync excluded: ok\n[+]shutdown excluded: ok\nreadyz check passed\n"
    assert ask(ILL, "/readyz", ("exclude", "informer-sync")).text == "ok"


def test_leaving_out_a_check_that_is_not_there_is_mentioned() -> None:
    text = ask(WELL, "/readyz", ("exclude", "zz"), ("exclude", "aa"), ("verbose", "")).text
    assert text == (
        '[+]ping ok\n[+]shutdown ok\nwarn: some health checks cannot be excluded: no matches for "aa","zz"\nreadyz check passed\n'
    )


def test_each_check_has_a_path_of_its_own_with_its_reason() -> None:
    assert ask(WELL, "/readyz/shutdown").text == "ok"
    response = ask(ILL, "/readyz/informer-sync")
    assert (response.status, response.text) == (500, "internal server error: pods are not listed yet\n")


@pytest.mark.parametrize("path", ["/readyz/unknown", "/livez/shutdown", "/health", "/"])
def test_other_paths_are_left_to_others(path: str) -> None:
    assert WELL.respond(path, MultiDict(), CIMultiDict()) is None


def test_a_source_that_is_down_is_shown_and_does_not_fail_readiness() -> None:
    health = Health(readyz=[PING, Check("source-mesh", lambda: "connection refused", required=False)])
    assert ask(health, "/readyz").text == "ok"
    assert ask(health, "/readyz", ("verbose", "")).text == "[+]ping ok\n[~]source-mesh failed: not required\nreadyz check passed\n"
    assert ask(health, "/readyz/source-mesh").text == "internal server error: connection refused\n"


def test_a_check_that_breaks_is_a_check_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> str | None:
        raise KeyError("secret")

    response = ask(Health(livez=[Check("broken", broken)]), "/livez/broken")
    assert response.text == "internal server error: the check itself broke: KeyError\n"
    assert "KeyError" in caplog.text


def test_every_path_is_listed() -> None:
    assert {"/livez", "/readyz", "/healthz", "/readyz/shutdown", "/livez/ping"} <= set(WELL.paths)
