"""Every key that an entry of ``backends`` may have, for who tells of all: the reference in the documentation, the schema for editors.

Sources are imported for it, and what they need has to be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from backends.cloudwatch.promql import PromqlSettings
from backends.cloudwatch.settings import COMMON_KEYS, REQUIRED, SOURCES, CloudWatchSettings
from backends.dialects.overrides import Overrides
from backends.linkerd.settings import LinkerdSettings
from backends.prometheus.settings import PrometheusSettings
from backends.registry import TYPES
from backends.scrape.settings import ScrapeSettings
from metrics_api.forms import choice
from metrics_api.keys import Form, Key, keys_of
from metrics_api.source import Terms

__all__ = ["CLOUDWATCH", "ENTRY", "OVERRIDES", "SETTINGS", "of_source"]

_NAME: Form[str] = Form("", {"type": "string", "pattern": r"^[^\s,/]([^\t\n\r,/]*[^\s,/])?$"})

ENTRY: tuple[Key, ...] = (
    Key("what the source is called in answers, each by its own name: without `,` and `/`", _NAME, "name", required=True),
    Key("what kind of source it is", choice(TYPES), "type", required=True),
    *keys_of(Terms),
)
"""The keys of entries of every type."""

CLOUDWATCH: tuple[Key, ...] = tuple({each.name: each for each in (*keys_of(CloudWatchSettings), *keys_of(PromqlSettings))}.values())

SETTINGS: Mapping[str, tuple[Key, ...]] = {
    "prometheus": keys_of(PrometheusSettings),
    "scrape": keys_of(ScrapeSettings),
    "cloudwatch": CLOUDWATCH,
    "linkerd": keys_of(LinkerdSettings),
}
"""The keys of each type beside those; of ``cloudwatch``, those of all its sources."""

OVERRIDES: tuple[Key, ...] = keys_of(Overrides)


def of_source(source: str) -> tuple[tuple[Key, ...], Iterable[str]]:
    """The keys of one source of CloudWatch, and which of them it cannot do without."""
    known = {*COMMON_KEYS, *SOURCES[source]}
    return tuple(each for each in CLOUDWATCH if each.name.partition(".")[0] in known), REQUIRED.get(source, ())
