"""Labels under another name: what scraping tends to call a label that a dialect has by another name.

Source of the spellings: prometheus/prometheus, docs/configuration/configuration.md, ``honor_labels`` (``exported_``);
istio/istio, samples/addons/extras/prometheus-operator.yaml (``pod_name``); the relabelling of many scrape configurations
(``kubernetes_namespace``, ``kubernetes_node``); open-telemetry/semantic-conventions, ``k8s.pod.name``.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["lookalike"]

_SPELLINGS = ("{0}_name", "kubernetes_{0}", "kubernetes_{0}_name", "k8s_{0}", "k8s_{0}_name", "exported_{0}", "kube_{0}")


def lookalike(label: str, labels: Collection[str], taken: Collection[str]) -> str:
    """The label among ``labels`` that probably is ``label``, and is not one of those ``taken``; empty when there is none."""
    stem = label.removeprefix("k8s_").removesuffix("_name")
    spellings = [spelling.format(name) for name in dict.fromkeys((label, stem)) for spelling in _SPELLINGS]
    return next((name for name in (*spellings, stem) if name != label and name in labels and name not in taken), "")
