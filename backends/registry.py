"""From configuration to sources: the type names, and a lazy constructor for each, so that nothing is imported that is not used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec

from metrics_api import Backend
from metrics_api.document import Node

__all__ = ["TYPES", "configured"]

Maker = Callable[[Node, str], Backend | None]


def _prometheus(node: Node, name: str) -> Backend | None:
    from backends.prometheus import PrometheusBackend, read_settings  # noqa: PLC0415 loaded when configured

    settings = read_settings(node, name)
    return None if settings is None else PrometheusBackend(settings)


def _scrape(node: Node, name: str) -> Backend | None:
    from backends.scrape import ScrapeBackend, read_settings  # noqa: PLC0415 loaded when configured

    settings = read_settings(node, name)
    return None if settings is None else ScrapeBackend(settings)


def _cloudwatch(node: Node, name: str) -> Backend | None:
    if find_spec("aiobotocore") is None:
        node.problem('sources of type "cloudwatch" need the SDK of AWS: pip install "trafficmetrics[cloudwatch]"')
        return None
    from backends.cloudwatch.settings import read_settings, source_of  # noqa: PLC0415 loaded when configured

    source = source_of(node)
    if not source:
        return None
    if source == "promql":
        return _promql(node, name)
    from backends.cloudwatch.backend import CloudWatchBackend  # noqa: PLC0415 loaded when configured

    settings = read_settings(node, name)
    return None if settings is None else CloudWatchBackend(settings)


def _promql(node: Node, name: str) -> Backend | None:
    """CloudWatch's own settings and signatures, and the source for Prometheus, which understands what it answers."""
    from backends.cloudwatch.promql import read_promql  # noqa: PLC0415 loaded when configured
    from backends.prometheus import PrometheusBackend, PrometheusSettings  # noqa: PLC0415 loaded when configured

    settings = read_promql(node, name)
    if settings is None:
        return None
    common = settings.common
    return PrometheusBackend(
        PrometheusSettings(
            name=name,
            url="",
            dialect=settings.dialect,
            timeout=common.timeout,
            tls=common.tls,
            params=settings.params,
            scrape_interval=settings.scrape_interval,
            concurrency=common.concurrency,
            overrides=settings.overrides,
            signer=settings.signer,
            type="cloudwatch",
        )
    )


TYPES: dict[str, Maker] = {"prometheus": _prometheus, "scrape": _scrape, "cloudwatch": _cloudwatch}


def configured(entries: Iterable[Node]) -> list[Backend]:
    """The sources of the ``backends`` list, not yet opened. Mistakes go to the problems of the nodes, all of them."""
    backends: list[Backend] = []
    names: set[str] = set()
    for node in entries:
        # Each source knows its own keys; the two that every entry has are read here.
        common = node.mapping()
        for key in ("name", "type"):
            if key not in common:
                node.problem(f'"{key}" is missing')
        if "type" not in common or "name" not in common:
            continue
        name = common["name"].text()
        if not name or name in names:
            common["name"].problem(
                f'"{name}" is the name of another source; each needs its own' if name else "a source needs a name"
            )
        names.add(name)
        kind = common["type"].choice(TYPES, "")
        if kind:
            backend = TYPES[kind](node, name)
            if backend is not None:
                backends.append(backend)
    return backends
