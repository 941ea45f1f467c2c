"""The list of sources as a document: what each is, how it has been, what is found in it, and what can be asked of it.

Every text that a source or a store had a part in may hold a URL: who it is for and what is asked of it are left out, so that credentials
which somebody put there are told to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from apiservice.sources.examinations import PATIENCE, Examination
from apiservice.sources.health import SourceHealth
from metrics_api import Source, format_duration, timestamp
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, Mesh
from metrics_api.resources import API_VERSION

__all__ = ["KIND", "LIST_KIND", "list_document", "source_document", "without_secrets"]

KIND = "Source"
LIST_KIND = "SourceList"

_URL = re.compile(r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/?#\"']*@)?([^\s?#\"'@]*)(?:[?#](?:[^\s\"']*[^\s\"',.;:])?)?", re.IGNORECASE)
_ANY = "*"
_LEVELS = (Level.PROBLEM, Level.WARNING, Level.OK)


def list_document(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The list of some sources."""
    return {"kind": LIST_KIND, "apiVersion": API_VERSION, "metadata": {}, "items": list(items)}


def source_document(source: Source, health: SourceHealth, examination: Examination, home: str = "") -> dict[str, Any]:
    """One source. What is not known is left out; lists are always there. ``home`` is the cluster of those that name none."""
    return {
        "kind": KIND,
        "apiVersion": API_VERSION,
        "metadata": {"name": source.name},
        "spec": _spec(source, home),
        "status": {
            "health": _health(health),
            "examination": _examination(examination),
            **_found(examination.diagnosis or Diagnosis(source.name)),
            "percentiles": _percentiles(source.offer.percentiles),
            "delay": format_duration(source.offer.delay),
        },
    }


def without_secrets(text: str) -> str:
    """A text whose URLs have neither user and password nor a query."""
    return _URL.sub(r"\1\2", text)


def _spec(source: Source, home: str) -> dict[str, Any]:
    terms = source.terms
    spec: dict[str, Any] = {"type": source.type, "covers": {}, "merge": terms.merge.value}
    if cluster := terms.cluster or home:
        spec["covers"]["cluster"] = cluster
    spec["covers"]["namespaces"] = list(terms.namespaces) or [_ANY]
    return {**spec, "hedgeAfter": _seconds(terms.hedge_after)} if terms.hedge_after else spec


def _health(health: SourceHealth) -> dict[str, Any]:
    told: dict[str, Any] = {"state": health.state.value}
    if health.reason:
        told["reason"] = without_secrets(health.reason)
    if health.since is not None:
        told["since"] = timestamp(int(health.since))
    return told


def _examination(examination: Examination) -> dict[str, Any]:
    """When it was examined last, and how bad the worst is that was found; or why there is nothing to tell."""
    told: dict[str, Any] = {"state": "running" if examination.running else "done" if examination.diagnosis else "pending"}
    if examination.diagnosis is not None:
        told |= {"level": examination.diagnosis.level.value, "time": timestamp(int(examination.ended))}
        if examination.diagnosis.summary:
            told["message"] = without_secrets(examination.diagnosis.summary)
    if examination.running:
        before = "; this is what was found the last time" if examination.diagnosis else ""
        told["message"] = f"it is being examined, and that is not over after {PATIENCE:g}s{before}"
    return told


def _found(diagnosis: Diagnosis) -> dict[str, Any]:
    told = {key: str(diagnosis.facts[key]) for key in ("product", "version") if diagnosis.facts.get(key)}
    return {
        **told,
        "meshes": [_mesh(mesh) for mesh in diagnosis.meshes],
        "answers": [_ability(able) for able in diagnosis.abilities],
        "findings": [_finding(finding) for finding in sorted(diagnosis.findings, key=lambda finding: _LEVELS.index(finding.level))],
    }


def _mesh(mesh: Mesh) -> dict[str, Any]:
    told = {"name": mesh.name, "dialect": mesh.dialect, "versions": list(mesh.versions)}
    return {**told, "versionOf": mesh.of} if mesh.of else told


def _ability(able: Ability) -> dict[str, Any]:
    return {"dialect": able.dialect, "resources": able.resources, "told": list(able.told), "lost": list(able.lost)}


def _finding(finding: Finding) -> dict[str, Any]:
    told = {"level": finding.level.value, "check": finding.check, "what": without_secrets(finding.what)}
    return {**told, "advice": without_secrets(finding.advice)} if finding.advice else told


def _percentiles(quantiles: Sequence[float] | None) -> list[str]:
    return [_ANY] if quantiles is None else [f"{100 * quantile:g}" for quantile in quantiles]


def _seconds(seconds: float) -> str:
    return f"{round(1000 * seconds)}ms" if seconds < 1 else f"{seconds:g}s"
