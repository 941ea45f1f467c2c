"""What the package offers under its own name: ``from metrics_api import TrafficQuery`` loads this, and with it all of the domain."""

from metrics_api.backend import Backend
from metrics_api.errors import (
    BackendError,
    BackendForgot,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    BadConfiguration,
    BadQuery,
    Expired,
    Invalid,
    NotFound,
    TrafficError,
    Unsupported,
)
from metrics_api.fields import FieldSelector, FieldTerm
from metrics_api.histogram import Histogram, Percentiles, merge
from metrics_api.instant import parse_instant, timestamp
from metrics_api.lift import lift
from metrics_api.measures import Measure, parse_percentiles, parse_stats
from metrics_api.normalise import idle, normalise, row_name
from metrics_api.objects import Edge, Extra, LatencyUnit, SplitBackend, TrafficMetrics, list_wire
from metrics_api.quantity import Format, Quantity
from metrics_api.query import Direction, Side, TrafficQuery
from metrics_api.resources import (
    ANY_WORKLOAD,
    CALLED_HOST,
    EVERYTHING,
    JOINED_SERVICE,
    RESOURCE_TYPES,
    SPLIT_KINDS,
    UNKNOWN,
    WORKLOAD_KINDS,
    ResourceRef,
    ResourceType,
    called_service,
    partings,
    plural_of,
    type_of_kind,
    type_of_plural,
)
from metrics_api.rollup import best_observers, blurred, rename, roll_up
from metrics_api.sample import NEXT_SCHEME, Answer, Identities, Sample
from metrics_api.selector import LabelSelector, Operator, Requirement
from metrics_api.source import Merge, Offer, Source, Terms
from metrics_api.span import Span
from metrics_api.together import aside, together
from metrics_api.window import Window, format_duration, parse_duration
from metrics_api.wording import Naming, first_few

__all__ = [
    "ANY_WORKLOAD",
    "CALLED_HOST",
    "EVERYTHING",
    "JOINED_SERVICE",
    "NEXT_SCHEME",
    "RESOURCE_TYPES",
    "SPLIT_KINDS",
    "UNKNOWN",
    "WORKLOAD_KINDS",
    "Answer",
    "Backend",
    "BackendError",
    "BackendForgot",
    "BackendProtocolError",
    "BackendRefused",
    "BackendTimeout",
    "BackendUnavailable",
    "BadConfiguration",
    "BadQuery",
    "Direction",
    "Edge",
    "Expired",
    "Extra",
    "FieldSelector",
    "FieldTerm",
    "Format",
    "Histogram",
    "Identities",
    "Invalid",
    "LabelSelector",
    "LatencyUnit",
    "Measure",
    "Merge",
    "Naming",
    "NotFound",
    "Offer",
    "Operator",
    "Percentiles",
    "Quantity",
    "Requirement",
    "ResourceRef",
    "ResourceType",
    "Sample",
    "Side",
    "Source",
    "Span",
    "SplitBackend",
    "Terms",
    "TrafficError",
    "TrafficMetrics",
    "TrafficQuery",
    "Unsupported",
    "Window",
    "aside",
    "best_observers",
    "blurred",
    "called_service",
    "first_few",
    "format_duration",
    "idle",
    "lift",
    "list_wire",
    "merge",
    "normalise",
    "parse_duration",
    "parse_instant",
    "parse_percentiles",
    "parse_stats",
    "partings",
    "plural_of",
    "rename",
    "roll_up",
    "row_name",
    "timestamp",
    "together",
    "type_of_kind",
    "type_of_plural",
]
