"""Linkerd viz as a source: what its metrics-api tells of the traffic of objects, asked over gRPC."""

import os

# gRPC writes to standard error by itself, in a form of its own, that connections have ended. It reads this once, when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from backends.linkerd.backend import LinkerdBackend
from backends.linkerd.settings import LinkerdSettings, read_settings

__all__ = ["LinkerdBackend", "LinkerdSettings", "read_settings"]
