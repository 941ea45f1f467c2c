"""What to type: the commands that the demonstration prints, each showing another part of the API."""

from __future__ import annotations

__all__ = ["kubectl_lines"]


def kubectl_lines(server_url: str) -> list[str]:
    """Command lines for a shell, for the server at ``server_url``."""
    kubectl = f"kubectl --server={server_url}"
    edges = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/deployments/payments/edges"
    commands = (
        "get trafficmetrics -A",
        "get trafficmetrics -A -o wide",
        "get deployments.metrics.smi-spec.io -n shop web -o yaml",
        "get deployments.metrics.smi-spec.io -n shop web --subresource=edges",
        "get tm -n shop --field-selector edge.direction=to",
        "get tm -n shop -l app=inventory --field-selector window=1m",
        "get statefulsets.metrics.smi-spec.io -n data",
        f"get --raw {edges}",
        "explain trafficmetrics",
    )
    return [f"{kubectl} {command}" for command in commands]
