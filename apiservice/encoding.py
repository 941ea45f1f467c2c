"""Documents as bytes: JSON, YAML, and gzip where it pays."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from apiservice.negotiate import Encoding

__all__ = ["GZIP_ABOVE", "accepts_gzip", "compress", "encode", "indent", "yaml_text"]

GZIP_ABOVE = 128 * 1024
"""Bytes from which on a body is compressed, as in Kubernetes: below, compressing costs more than sending."""

# The C emitter is some ten times faster; PyYAML may have been built without it.
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def encode(document: Any, encoding: Encoding, *, pretty: bool = False) -> bytes:
    """A whole document; JSON ends in a newline, as Kubernetes sends it."""
    if encoding is Encoding.YAML:
        return yaml_text(document)
    body = msgspec.json.encode(document)
    return (indent(body) if pretty else body) + b"\n"


def indent(body: bytes) -> bytes:
    """JSON with two spaces for each level."""
    return msgspec.json.format(body, indent=2)


def yaml_text(document: Any) -> bytes:
    """Block style, keys in the order of the document."""
    text: bytes = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, encoding="utf-8", width=4096)
    return text


def compress(body: bytes) -> bytes:
    """The body as gzip, at the level that costs least time."""
    return gzip.compress(body, compresslevel=1, mtime=0)


def accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Whether Accept-Encoding names gzip without refusing it."""
    for clause in headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, parameters = clause.partition(";")
        if coding.strip() == "gzip":
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
