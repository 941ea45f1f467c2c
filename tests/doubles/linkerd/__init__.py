"""A metrics-api of Linkerd's viz extension: a gRPC server on a loopback socket whose numbers come out of a real Prometheus.

``VizDouble(cluster, url)`` answers StatSummary, Edges, ListPods and SelfCheck as viz does: the same PromQL is sent to the Prometheus at
``url``, and what comes back is rounded and joined with the Kubernetes objects of ``cluster``. What it can be told:

* ``instant``: Unix seconds to ask the Prometheus about, for samples of the past; without it no time is sent, as viz sends none.
* ``faults``: what goes wrong, by method (:class:`~tests.doubles.linkerd.faults.Faults`).
* ``await stop()`` and ``await start()``: gone, and back at the same address.
* ``calls``: every request so far, ``called`` is set by each, and ``queries``: all PromQL that was sent.

It knows the wire by a schema of its own (``schema.py``), so that two parties must agree about it. Written after linkerd/linkerd2,
viz/metrics-api; the files it follows are named in each module.
"""

from __future__ import annotations

from tests.doubles.linkerd.cluster import Cluster, Object, Pod
from tests.doubles.linkerd.faults import Fault, Faults
from tests.doubles.linkerd.server import VizDouble, run_viz

__all__ = ["Cluster", "Fault", "Faults", "Object", "Pod", "VizDouble", "run_viz"]
