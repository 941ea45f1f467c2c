"""``kubectl traffic dashboard``: a page in the browser that asks the API as its user, through a door of its own on loopback."""

from kubectl_traffic.dashboard.command import main

__all__ = ["main"]
