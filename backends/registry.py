"""From configuration to sources: the type names, and a lazy constructor for each, so that nothing is imported that is not used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from backends.terms import KEYS, read_terms
from metrics_api import Backend, Source
from metrics_api.document import Node

__all__ = ["TYPES", "configured", "dialect_files"]

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


def _linkerd(node: Node, name: str) -> Backend | None:
    if find_spec("grpc") is None or find_spec("google") is None or find_spec("google.protobuf") is None:
        node.problem('sources of type "linkerd" need gRPC: pip install "trafficmetrics[linkerd]"')
        return None
    from backends.linkerd import LinkerdBackend, read_settings  # noqa: PLC0415 loaded when configured

    settings = read_settings(node, name)
    return None if settings is None else LinkerdBackend(settings)


TYPES: dict[str, Maker] = {"prometheus": _prometheus, "scrape": _scrape, "cloudwatch": _cloudwatch, "linkerd": _linkerd}


def configured(entries: Iterable[Node]) -> list[Source]:
    """The sources of the ``backends`` list, not yet opened. Mistakes go to the problems of the nodes, all of them."""
    sources: list[Source] = []
    names: set[str] = set()
    for node in entries:
        # Each source knows its own keys; those that every entry has are read here.
        common = node.mapping()
        terms = read_terms(common)
        for key in ("name", "type"):
            if key not in common:
                node.problem(f'"{key}" is missing')
        if "type" not in common or "name" not in common:
            continue
        name = common["name"].text()
        _check_name(common["name"], name, names)
        names.add(name)
        kind = common["type"].choice(TYPES, "")
        if kind:
            # Before anything is read: a dialect file that changes meanwhile then is another one at the next look.
            written = _written(node)
            backend = TYPES[kind](replace(node, read_before=KEYS), name)
            if backend is not None:
                sources.append(Source(backend, terms, kind, written))
    return sources


def _check_name(node: Node, name: str, others: Collection[str]) -> None:
    """Report what cannot be the name of a source, beside those of ``others``."""
    if not name.strip():
        node.problem("a source needs a name")
        return
    if name in others:
        node.problem(f'"{name}" is the name of another source; each needs its own')
    if not name.isprintable():
        # Names stand in lines of health checks and of logs, and one with a line break would make lines of its own.
        node.problem(f"{json.dumps(name)} has characters in it that cannot be printed")
    elif name != name.strip():
        node.problem(f'"{name}" begins or ends with a blank, which nobody sees')
    if "," in name:
        # Where several add up to one number it is told with the names of all, and commas between them.
        node.problem(f'"{name}" has a comma in it, which stands between the names of several sources')
    if "/" in name:
        node.problem(f'"{name}" has a slash in it, which no path to it can have (/sources/NAME)')


def dialect_files(entries: Iterable[Node]) -> list[Path]:
    """The files of dialects that entries of the ``backends`` list name, there or not: what is in them is configuration, too."""
    return sorted({file for node in entries if (file := _dialect_file(node)) is not None})


def _dialect_file(node: Node) -> Path | None:
    from backends.dialects.load import dialect_file  # noqa: PLC0415 loaded when configured

    named = node.value.get("dialect") if isinstance(node.value, dict) else None
    return dialect_file(named.value) if named is not None and isinstance(named.value, str) else None


def _written(node: Node) -> str:
    """What stands for all that is written of a source: its entry but for its terms, and the file of its dialect."""
    told = hashlib.sha256(json.dumps(_plain(replace(node, value=_without_terms(node))), sort_keys=True).encode())
    file = _dialect_file(node)
    if file is not None:
        # One that was gone in between is known by what is left of it, as is what can be no path; a pipe would be empty for who reads it.
        with suppress(OSError, ValueError):
            told.update(file.read_bytes() if file.is_file() else b"")
    return told.hexdigest()


def _without_terms(node: Node) -> dict[str, Node]:
    return {key: value for key, value in node.mapping().items() if key not in KEYS}


def _plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: _plain(value) for key, value in node.value.items()}
    return [_plain(each) for each in node.value] if isinstance(node.value, list) else node.value
