"""``kubectl traffic topology``: who talks to whom, as text for a terminal, or as a graph for other programs."""

from kubectl_traffic.topology.command import CHOICES, main

__all__ = ["CHOICES", "main"]
