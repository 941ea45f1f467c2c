"""Findings about the cluster, in its name."""

from __future__ import annotations

from metrics_api.diagnosis import Finding, Level

__all__ = ["NAME", "ok", "problem", "warning"]

NAME = "cluster"
"""What the findings are told under."""


def ok(check: str, what: str, advice: str = "") -> Finding:
    """Something that is as it should be, or worth knowing."""
    return Finding(Level.OK, NAME, check, what, advice)


def warning(check: str, what: str, advice: str) -> Finding:
    """Something that is lost, or will be one day."""
    return Finding(Level.WARNING, NAME, check, what, advice)


def problem(check: str, what: str, advice: str) -> Finding:
    """Something that keeps people from numbers, or makes them wrong."""
    return Finding(Level.PROBLEM, NAME, check, what, advice)
