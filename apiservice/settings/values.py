"""The forms of values that the server's own sections have beside the common ones."""

from __future__ import annotations

import ipaddress
import re

from metrics_api import Window
from metrics_api.document import Node
from metrics_api.forms import DURATION, parsed
from metrics_api.keys import Form
from metrics_api.source import parse_cluster

__all__ = ["ADDRESS", "CLUSTER", "NAMES", "OBJECT_NAME", "WINDOW"]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_OBJECT_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_NAME = 253


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ValueError(f'"{text}" is not an IP address') from error


def _object_name(text: str) -> str:
    """Source of the rule: Kubernetes, "Object Names and IDs", DNS subdomain names."""
    if text and (len(text) > _LONGEST_NAME or not _OBJECT_NAME.fullmatch(text)):
        raise ValueError(f'"{text}" is not the name of an object: that has lower-case letters, digits, hyphens and dots')
    return text


def _names(node: Node, _: tuple[str, ...] | None) -> tuple[str, ...] | None:
    text = node.text()
    names = tuple(filter(None, (name.strip() for name in text.split(","))))
    if text and not names:
        node.problem(f'"{text}" has no name in it; what is empty allows any name')
    return names


ADDRESS: Form[str] = parsed(_address, "an IP address")
OBJECT_NAME: Form[str] = parsed(_object_name, "a name", schema={"type": "string", "pattern": f"^({_OBJECT_NAME.pattern})?$"})
CLUSTER: Form[str] = parsed(parse_cluster, "a name")
NAMES: Form[tuple[str, ...] | None] = Form("separated by commas", {"type": "string"}, _names)
WINDOW: Form[Window] = parsed(Window.parse, "`1s` to `24h`", schema=DURATION)
