"""``kubectl traffic gate``: whether a workload's traffic holds what a pipeline demands of it, for as long as it demands it."""

from kubectl_traffic.gate.command import main
from kubectl_traffic.gate.options import CHOICES

__all__ = ["CHOICES", "main"]
