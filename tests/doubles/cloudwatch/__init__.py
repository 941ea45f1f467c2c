"""A double of AWS on a real socket: CloudWatch, X-Ray, Application Signals, STS and Pod Identity, as far as sources of traffic use them.

    async with run_aws() as aws:                       # aws.url; aws.environment() are the variables for a client
        aws.put("ApplicationSignals", "Latency", {"Environment": "eks:prod/shop", "Service": "orders"}, minute, values={12.0: 30})
        aws.put("AWS/ECS", "RequestCount", {"DiscoveryName": "orders"}, minute, statistics=StatisticSet(3, 30, 5, 20), unit="Count")

Every request must be signed by one of ``aws.identities`` (``aws.identity`` is the usual one) for ``aws.region``. Knobs, all of which may
be turned at any time:

* ``aws.clock``: Unix seconds, for retention, delays and recency; signatures and credentials go by the real clock.
* ``aws.delay``: seconds after its end at which what is put for a minute can be read (None: at once); ``put(visible=...)`` overrides it.
* ``aws.data.anchor``: ``"start"`` or ``"epoch"``, where periods begin. ``aws.data.page_points``: data points a page.
  ``aws.data.empty_partial``: results that have to wait for a later page are on this one too, empty and ``PartialData``.
  ``aws.data.spoiled["Latency"] = Spoiled("Forbidden", [("code", "text")])`` by the name of a metric or "*"; ``aws.data.messages``: global.
  ``aws.data.endless``: there is a next page, always.
* ``aws.listing.page_metrics``; ``aws.listing.delay``: seconds until a new metric is listed; ``aws.listing.slack``: by how many seconds
  "recently active" is too generous (AWS says up to 3000).
* ``aws.denied.add("cloudwatch:GetMetricData")``; ``aws.throttle("ListMetrics", 2)``; ``aws.fail("GetMetricData", "drop")``, a
  :data:`Fault`; ``aws.slow("GetMetricData", seconds)``; ``times=None`` is for ever; ``aws.hold("ListMetrics")``
  gives an event before which nothing is answered; ``aws.recover()`` ends it all.
* ``aws.query_errors = False``: CloudWatch's errors have the codes of the JSON protocol (AccessDeniedException, not AccessDenied).
* ``aws.graph.services = [node(0, "orders", outcomes(ok=3), {0.01: 3}, [edge(1, outcomes(ok=2))])]`` is X-Ray's graph, or a function of
  the range; ``aws.graph.groups`` by name, ``aws.graph.page_services``, ``aws.graph.old_groups``.
* ``aws.signals.add("orders", "eks:prod/shop", on_kubernetes("prod", "shop", "orders"))`` for ListServices; ``aws.signals.page_services``.
* ``aws.web_identity(folder)``, ``aws.pod_identity(folder)``: environments of pods with either kind of role; ``aws.issuer.lifetime``:
  seconds for which credentials are good; ``aws.issuer.issued``: which were given. Expire any: ``identity.expires = time.time()``.
* ``aws.calls``, ``aws.called("GetMetricData")``: a log of :class:`Call`; ``aws.billed``: metrics requested, as AWS bills them;
  ``aws.under_way`` and ``aws.busiest``: calls at once, now and
  at most; ``await aws.until(lambda aws: aws.under_way == 3)`` waits for them.

Percentiles are exact: the smallest value up to which there are at least q of all observations.
"""

from tests.doubles.cloudwatch.calls import Call
from tests.doubles.cloudwatch.faults import Fault
from tests.doubles.cloudwatch.graph import edge, node, outcomes
from tests.doubles.cloudwatch.metricdata import Spoiled
from tests.doubles.cloudwatch.server import Aws, run_aws
from tests.doubles.cloudwatch.signals import on_kubernetes
from tests.doubles.cloudwatch.signing import Identity
from tests.doubles.cloudwatch.store import StatisticSet

__all__ = [
    "Aws",
    "Call",
    "Fault",
    "Identity",
    "Spoiled",
    "StatisticSet",
    "edge",
    "node",
    "on_kubernetes",
    "outcomes",
    "run_aws",
]
