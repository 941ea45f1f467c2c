"""Expressions of readers: they take no more memory than there is, however many are sent."""

from __future__ import annotations

from apiservice.surfaces.pattern import Pattern, _compiled


def test_few_expressions_are_kept_compiled():
    """One may have taken a megabyte by the time it has matched something."""
    for number in range(200):
        assert Pattern(f"web-{number}.*").matches(f"web-{number}-x")
    assert _compiled.cache_info().currsize <= 128
