"""Health endpoints, with the paths, parameters and texts of the Kubernetes API servers.

``/livez``, ``/readyz`` and ``/healthz`` answer ``ok``, or 500 with one line for each check; why a check failed goes to the log,
because these paths are public, and to ``/readyz/NAME``, which is not. ``?verbose`` lists the checks of a healthy server and
``?exclude=NAME`` leaves one out.
Format: ``k8s.io/apiserver/pkg/server/healthz/healthz.go``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aiohttp import web
from multidict import MultiMapping

__all__ = ["PING", "Check", "Checks", "Health", "Observe"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Check:
    """A named probe. It does no I/O and answers None, or the reason for failing in one sentence.

    A check that is not ``required`` is shown and has a path of its own, and never fails the whole: readiness must not follow the
    sources, because an API server that is not ready disturbs the whole cluster.
    """

    name: str
    probe: Callable[[], str | None]
    required: bool = True


PING = Check("ping", lambda: None)


Checks = Iterable[Check] | Callable[[], Iterable[Check]]
"""Checks that stay, or whoever tells which there are now."""


class Observe(Protocol):
    """Whoever is told what came of a check, both named as in ``/readyz/ping``."""

    def __call__(self, endpoint: str, check: str, *, passed: bool) -> None:
        """Take note."""


class _Outcome(NamedTuple):
    line: str
    failure: str


class Health:
    """The three endpoints and a path below them for each of their checks. ``observe`` is told each result."""

    def __init__(
        self,
        *,
        livez: Checks = (PING,),
        readyz: Checks = (PING,),
        healthz: Checks = (PING,),
        observe: Observe | None = None,
    ) -> None:
        self._checks = {"livez": _lister(livez), "readyz": _lister(readyz), "healthz": _lister(healthz)}
        self._observe = observe

    @property
    def paths(self) -> Collection[str]:
        """The paths answered."""
        below = [f"/{name}/{check.name}" for name, listed in self._checks.items() for check in listed()]
        return [*(f"/{name}" for name in self._checks), *below]

    def respond(self, path: str, query: Mapping[str, str], headers: MultiMapping[str]) -> web.Response | None:  # noqa: ARG002
        """The state at a path; None when it is not one of these. ``query`` may hold ``exclude`` several times."""
        name, _, check_name = path.removeprefix("/").partition("/")
        listed = self._checks.get(name)
        if listed is None:
            return None
        checks = tuple(listed())
        if not check_name:
            return self._whole(name, checks, query)
        check = next((check for check in checks if check.name == check_name), None)
        if check is None:
            return None
        reason = _run(check)
        return _text("ok") if reason is None else _text(f"internal server error: {reason}\n", 500)

    def _whole(self, name: str, checks: tuple[Check, ...], query: Mapping[str, str]) -> web.Response:
        excluded = set(query.getall("exclude", [])) if isinstance(query, MultiMapping) else {*filter(None, [query.get("exclude")])}
        outcomes = [self._outcome(name, check, excluded) for check in checks]
        lines = [outcome.line for outcome in outcomes]
        unknown = sorted(excluded - {check.name for check in checks})
        if unknown:
            quoted = ",".join(json.dumps(each, ensure_ascii=False) for each in unknown)
            lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
        failures = [outcome.failure for outcome in outcomes if outcome.failure]
        if failures:
            _LOG.warning("%s check failed: %s", name, "; ".join(failures))
            return _text("\n".join([*lines, f"{name} check failed", ""]), 500)
        if "verbose" not in query:
            return _text("ok")
        return _text("\n".join([*lines, f"{name} check passed", ""]))

    def _outcome(self, endpoint: str, check: Check, excluded: set[str]) -> _Outcome:
        if check.name in excluded:
            return _Outcome(f"[+]{check.name} excluded: ok", "")
        reason = _run(check)
        if self._observe is not None:
            self._observe(endpoint, check.name, passed=reason is None)
        if reason is None:
            return _Outcome(f"[+]{check.name} ok", "")
        if not check.required:
            return _Outcome(f"[~]{check.name} failed: not required", "")
        return _Outcome(f"[-]{check.name} failed: reason withheld", f"{check.name}: {reason}")


def _lister(checks: Checks) -> Callable[[], Iterable[Check]]:
    if callable(checks):
        return checks
    fixed = tuple(checks)
    return lambda: fixed


def _run(check: Check) -> str | None:
    try:
        return check.probe()
    except Exception as error:  # noqa: BLE001  a probe that breaks is a check that fails
        _LOG.error("health check %s broke", check.name, exc_info=error)
        return f"the check itself broke: {type(error).__name__}"


def _text(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, headers={"X-Content-Type-Options": "nosniff"})
