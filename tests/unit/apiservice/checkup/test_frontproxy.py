"""Whom the cluster lets speak for others, read from its ConfigMap."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from apiservice.checkup.frontproxy import front_proxy_findings
from apiservice.identity.trust import TrustOverrides
from tests.doubles.authority import Authority
from tests.unit.apiservice.checkup.documents import HIDDEN, NOW, YEAR, told

CLIENTS = Authority("kubernetes", lifetime=YEAR)
PROXIES = Authority("front-proxy-ca", lifetime=YEAR)
EDIT = "kubectl edit cm -n kube-system extension-apiserver-authentication"
MAP = "ConfigMap kube-system/extension-apiserver-authentication"


def config_map(proxies: str = PROXIES.pem, names: tuple[str, ...] = ("front-proxy-client",), **other: str) -> dict[str, Any]:
    data = {
        "client-ca-file": CLIENTS.pem,
        "requestheader-client-ca-file": proxies,
        "requestheader-allowed-names": json.dumps(names),
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
    return {"data": {**data, **other}}


def found(seen: Any, overrides: TrustOverrides = TrustOverrides()) -> list[tuple[str, str, str, str]]:  # noqa: B008 - frozen
    return told(front_proxy_findings(seen, overrides, NOW))


def ending(days: float) -> str:
    return Authority("front-proxy-ca", lifetime=(dt.timedelta(days=-99), dt.timedelta(days=days))).pem


def test_one_that_is_well_says_who_is_believed():
    what = f"front proxies named front-proxy-client are believed, whose authority ends on {NOW + YEAR[1]:%Y-%m-%d}"
    assert found(config_map()) == [("ok", "frontproxy", what, "")]


def test_an_authority_of_its_own_may_allow_any_name():
    assert found(config_map(names=()))[0][2].startswith("front proxies named anything are believed")


START = "start kube-apiserver with --requestheader-client-ca-file and --proxy-client-cert-file, or set requestheaderClientCaFile"
WRONG: dict[str, tuple[Any, str, str, str]] = {
    "absent": (None, "problem", f"{MAP} does not exist: whoever comes through kube-apiserver is anonymous", START),
    "no-proxy": (
        {"data": {"client-ca-file": CLIENTS.pem}},
        "problem",
        f"{MAP} names no authority of a front proxy: whoever comes through kube-apiserver is anonymous",
        START,
    ),
    "ended": (
        config_map(ending(-1)),
        "problem",
        f"the authority of the front proxy ended on {NOW - dt.timedelta(days=1):%Y-%m-%d}",
        "renew CN=front-proxy-ca",
    ),
    "ends-soon": (
        config_map(ending(20)),
        "warning",
        f"the authority of the front proxy ends on {NOW + dt.timedelta(days=20):%Y-%m-%d}",
        "renew CN=front-proxy-ca",
    ),
    "nobody-named": (
        config_map(**{"requestheader-username-headers": "[]"}),
        "problem",
        f"requestheader-username-headers in {MAP} is empty: nobody can be named",
        "start kube-apiserver with --requestheader-username-headers=X-Remote-User",
    ),
    "shared": (
        config_map(CLIENTS.pem, ()),
        "problem",
        "front proxy and clients have one authority, and any common name is a front proxy's: every client may pose as anybody",
        "start kube-apiserver with --requestheader-allowed-names=front-proxy-client",
    ),
    "no-list": (
        config_map(**{"requestheader-allowed-names": "front-proxy-client"}),
        "problem",
        f"requestheader-allowed-names in {MAP} is no JSON list of strings",
        f"correct it: {EDIT}",
    ),
    "no-pem": (
        config_map("nonsense"),
        "problem",
        f"requestheader-client-ca-file in {MAP} holds no usable PEM certificates",
        f"correct it: {EDIT}",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_it(case: str):
    seen, level, what, advice = WRONG[case]
    ((found_level, check, found_what, found_advice),) = found(seen)
    assert (found_level, check) == (level, "frontproxy")
    assert found_what.startswith(what)
    assert found_advice.startswith(advice)


def test_one_of_several_authorities_may_have_ended():
    assert found(config_map(ending(-1) + PROXIES.pem))[0][0] == "ok"


def test_nothing_is_said_of_one_that_may_not_be_seen():
    assert found(HIDDEN) == []


def test_files_that_are_configured_count_instead(tmp_path: Path):
    for name, authority in (("clients", CLIENTS), ("proxies", PROXIES)):
        (tmp_path / name).write_text(authority.pem)
    overrides = TrustOverrides(
        client_ca_file=str(tmp_path / "clients"),
        requestheader_client_ca_file=str(tmp_path / "proxies"),
        requestheader_allowed_names=("aggregator",),
    )
    assert found(HIDDEN, overrides)[0][2].startswith("front proxies named aggregator are believed")
    (tmp_path / "proxies").unlink()
    assert (
        found(None, overrides)[0][2]
        == f"--requestheader-client-ca-file {tmp_path / 'proxies'} cannot be read: No such file or directory"
    )
