"""What the server counts about itself, and ``/metrics`` to read it."""

from apiservice.telemetry.callers import CountedAuthenticator, CountedAuthorizer
from apiservice.telemetry.exposition import Telemetry

__all__ = ["CountedAuthenticator", "CountedAuthorizer", "Telemetry"]
