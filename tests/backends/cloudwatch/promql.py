"""Sources of type cloudwatch that ask by PromQL, made as configuration makes them, and an environment in which nothing else is AWS."""

from __future__ import annotations

import os

import pytest

from backends.prometheus import PrometheusBackend
from backends.registry import configured
from metrics_api.document import Problems, parse_document
from tests.doubles.cloudwatch_promql import PromqlEndpoint

__all__ = ["problems_of", "settle", "source_of"]


def settle(monkeypatch: pytest.MonkeyPatch, endpoint: PromqlEndpoint) -> None:
    """Credentials and the region of an endpoint in the environment, and nothing else of AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    kept = {
        "AWS_ACCESS_KEY_ID": endpoint.identity.access_key,
        "AWS_SECRET_ACCESS_KEY": endpoint.identity.secret_key,
        "AWS_DEFAULT_REGION": endpoint.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent/config",
        "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials",
    }
    for name, value in kept.items():
        monkeypatch.setenv(name, value)


def source_of(url: str, more: str = "") -> PrometheusBackend:
    """The source whose entry is ``{name: otlp, type: cloudwatch, source: promql, endpointUrl: url}`` and ``more``, lines of it.

    It is patient unless ``more`` says otherwise: on a busy machine a query may take seconds.
    """
    patience = "" if "timeout" in more else "timeout: 1m\n"
    made, problems = _made(f"endpointUrl: {url}\n{patience}{more}")
    assert not problems, problems
    assert isinstance(made[0], PrometheusBackend)
    return made[0]


def problems_of(more: str) -> list[str]:
    """What is wrong with such an entry."""
    return _made(more)[1]


def _made(more: str) -> tuple[list[object], list[str]]:
    lines = ["name: otlp", "type: cloudwatch", "source: promql", *more.splitlines()]
    text = "- " + "\n  ".join(lines) + "\n"
    problems = Problems()
    made = configured(parse_document(text, "config.yaml", problems).items())
    return [source.backend for source in made], list(problems.found)
