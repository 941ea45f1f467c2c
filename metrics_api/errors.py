"""Everything that can go wrong, grouped by what the caller can do about it.

    TrafficError
    ├── BadQuery              400  the question is malformed: correct it
    ├── Invalid               422  the question contradicts itself: correct it
    ├── NotFound              404  no such object: check the name
    ├── Unsupported           404  no configured source can tell: read the reason, ask for another kind
    ├── Expired               410  the page or version asked for is gone: list again
    ├── BadConfiguration       -   the server cannot start: every problem is listed
    └── BackendError          503  a source failed
        ├── BackendUnavailable     503  it cannot be reached or is overloaded: retry
        ├── BackendTimeout         504  it did not answer in time: retry, or ask for less
        ├── BackendForgot          410  it keeps nothing of the time asked about: ask about a later one
        ├── BackendRefused         503  it rejected our credentials or our query: an operator must look
        └── BackendProtocolError   503  it answered something that is not its protocol

Messages are for the person who reads them. They never hold secrets, header values or query text of a source;
those go to the log of the server.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "BackendError",
    "BackendForgot",
    "BackendProtocolError",
    "BackendRefused",
    "BackendTimeout",
    "BackendUnavailable",
    "BadConfiguration",
    "BadQuery",
    "Expired",
    "Invalid",
    "NotFound",
    "TrafficError",
    "Unsupported",
]


class TrafficError(Exception):
    """The root of every error this project raises on purpose."""

    @property
    def message(self) -> str:
        """One sentence for the reader."""
        return str(self.args[0]) if self.args else type(self).__name__


class BadQuery(TrafficError):
    """The question cannot be parsed: a selector, a window, a parameter."""


class Invalid(TrafficError):
    """Each parameter parses, but together they contradict the Kubernetes list rules.

    ``causes`` holds ``(reason, message, field)`` triples, as a Kubernetes Status reports them.
    """

    def __init__(self, message: str, causes: Sequence[tuple[str, str, str]] = ()) -> None:
        super().__init__(message)
        self.causes = tuple(causes)


class NotFound(TrafficError):
    """The named object does not exist."""

    def __init__(self, resource: str, name: str, message: str | None = None) -> None:
        super().__init__(message or f'{resource} "{name}" not found')
        self.resource = resource
        self.name = name


class Unsupported(TrafficError):
    """No configured source can answer this kind of question, whatever the traffic is; the message says why."""


class Expired(TrafficError):
    """The snapshot behind a continue token or a resourceVersion is no longer kept."""


class BadConfiguration(TrafficError):
    """Configuration is wrong; ``problems`` lists every mistake found, each with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class BackendError(TrafficError):
    """A source failed. ``backend`` is the name it has in the configuration.

    ``retry_after`` is seconds. It is short, because client-go repeats a request ten times after that long before it shows the error.
    """

    def __init__(self, backend: str, message: str, *, retry_after: int = 1) -> None:
        super().__init__(f'source "{backend}": {message}')
        self.backend = backend
        self.retry_after = retry_after


class BackendUnavailable(BackendError):
    """The source cannot be reached, or says it is overloaded."""


class BackendTimeout(BackendError):
    """The source did not answer within the deadline."""


class BackendForgot(BackendError):
    """The source keeps nothing of the time asked about, which is before its memory begins; asking again does not help."""


class BackendRefused(BackendError):
    """The source answered, and refused: credentials, tenant, or a query it will not run."""


class BackendProtocolError(BackendError):
    """The source answered something that is not its protocol: HTML, half a body, an unknown shape."""
