"""Metrics sent to CloudWatch by OTLP, asked by PromQL: the configuration of what is otherwise a Prometheus source.

CloudWatch answers the query API of Prometheus 3 (CloudWatch User Guide, "Prometheus-compatible APIs"), so what understands the answers is
the source for those stores; the registry puts the two together. Here is what CloudWatch has of its own: requests are signed, it must be
told the name of each metric and cannot be asked which dialects it keeps, and histograms are whole, however they were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from backends.cloudwatch.settings import CloudWatchSettings, read_settings
from backends.cloudwatch.signing import CloudWatchSigner
from backends.dialects import Dialect
from backends.dialects.configured import DIALECT as NAMED
from backends.dialects.configured import OVERRIDES, read_configured
from backends.dialects.keeping import Keeping
from backends.dialects.overrides import Overrides, override
from backends.transport import Signer
from metrics_api.document import Node
from metrics_api.forms import MAPPING, seconds
from metrics_api.keys import key, read_keys

__all__ = ["DIALECT", "PromqlSettings", "read_promql"]

DIALECT = "cloudwatch-otel"
"""The dialect of a source that names none."""

_NATIVE = Overrides(keeping=Keeping(native=True))


@dataclass(frozen=True, slots=True)
class PromqlSettings:
    """One source that asks CloudWatch by PromQL: ``common`` is what it shares with the others, ``dialect`` has the ``overrides`` in it.

    ``params`` go with every query. ``scrape_interval`` is seconds between two exports of a metric, 0 to find it out.
    """

    common: CloudWatchSettings
    dialect: Dialect = field(
        metadata=key("a built-in [dialect](dialects.md), or the path of a file", NAMED, otherwise=f"`{DIALECT}`")
    )
    overrides: Overrides = field(
        metadata=key("what is to differ from the dialect, [see below](#overrides)", OVERRIDES, otherwise="nothing")
    )
    params: Mapping[str, str] = field(default_factory=dict, metadata=key("parameters for every query", MAPPING))
    scrape_interval: int = field(
        default=0, metadata=key("how often series get a sample", seconds("1s", "1h"), otherwise="measured")
    )

    @property
    def signer(self) -> Callable[[], Signer]:
        """Makes what signs requests."""
        return partial(CloudWatchSigner, self.common)


def read_promql(node: Node, name: str) -> PromqlSettings | None:
    """Settings from an entry of ``backends``; mistakes go to the node's problems, and None says that there were too many."""
    common = read_settings(node, name)
    entries = node.mapping()
    why = "CloudWatch must be told the name of every metric it is asked for: name a dialect, or leave it out"
    configured = read_configured(entries, auto=False, default=DIALECT, otherwise=why)
    told = read_keys(PromqlSettings, entries)
    if configured is not None and configured.overrides.keeping.native is False:
        entries["overrides"].problem('"histograms: classic" cannot be: CloudWatch keeps histograms whole')
    if common is None or configured is None or configured.dialect is None:
        return None
    return PromqlSettings(common, override(configured.dialect, _NATIVE), configured.overrides, **told)
