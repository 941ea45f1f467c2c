"""Where the server can be connected to from here: at each of its pods, inside the cluster, or where somebody says."""

from __future__ import annotations

import argparse
from typing import NamedTuple

from apiservice.checkup.replicas import Behind, endpoints_of
from apiservice.checkup.sight import Seen
from apiservice.checkup.subject import Subject

__all__ = ["Door", "doors_of", "parse_address"]

_MOST = 5
_LOOPBACK = "127.0.0.1"


class Door(NamedTuple):
    """A host and a port to connect to."""

    host: str
    port: int


def doors_of(subject: Subject, behind: Behind) -> list[Door]:
    """Where to connect to; nowhere from outside, unless the Service is another name for a host.

    Each pod is asked on its own: they may have different certificates, of which kube-apiserver trusts one.
    """
    if subject.address:
        return [_door(subject.address)]
    if host := _external_name(behind.service):
        return [Door(host, behind.port)] if behind.port else []
    if not subject.inside:
        return []
    return [Door(each.address, each.port) for each in endpoints_of(behind)[:_MOST]] or [Door(_LOOPBACK, subject.port)]


def _external_name(service: Seen) -> str:
    spec = (service.get("spec") or {}) if isinstance(service, dict) else {}
    return str(spec.get("externalName") or "") if spec.get("type") == "ExternalName" else ""


def parse_address(text: str) -> str:
    """The text, which has to be an address as people write it: ``127.0.0.1:6443``, ``[::1]:6443``. Raises ArgumentTypeError."""
    try:
        door = _door(text)
    except ValueError:
        door = Door("", 0)
    if not door.host or not 0 < door.port < 65536:
        raise argparse.ArgumentTypeError(f'"{text}" is not an address: HOST:PORT')
    return text


def _door(text: str) -> Door:
    host, _, port = text.rpartition(":")
    return Door(host.removeprefix("[").removesuffix("]"), int(port))
