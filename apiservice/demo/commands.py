"""What to type: the commands that the demonstration prints, each showing another part of the API."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

__all__ = ["kubectl_lines", "plugin_lines"]


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


def plugin_lines(server_url: str) -> list[str]:
    """Command lines of the plugin: by its path where kubectl would not find it, as in a virtual environment that is not active."""
    program = "kubectl traffic"
    if shutil.which("kubectl-traffic") is None:
        program = shlex.quote(str(Path(sys.executable).with_name("kubectl-traffic")))
    return [f"{program} {command} --server={server_url}" for command in ("top -A -w", "topology -A", "dashboard")]
