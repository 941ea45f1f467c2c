"""Which cluster is home, and which sources tell of which."""

from __future__ import annotations

from typing import cast

import pytest

from apiservice.federation.fanouts import by_cluster, home_of
from metrics_api import Backend, Source, Terms


class Named:
    def __init__(self, name: str) -> None:
        self.name = name


def sources(**clusters: str) -> list[Source]:
    """Sources by name, each with the cluster it tells of."""
    return [Source(cast("Backend", Named(name)), Terms(cluster=cluster)) for name, cluster in clusters.items()]


@pytest.mark.parametrize(
    ("of", "configured", "standalone", "home"),
    [
        pytest.param({"a": ""}, "", True, "", id="nobody names a cluster"),
        pytest.param({"a": "", "b": "west"}, "", True, "", id="what names none is home"),
        pytest.param({"a": "west", "b": "west"}, "", True, "west", id="without Kubernetes, the only cluster there is"),
        pytest.param({"a": "west", "b": "west"}, "", False, "", id="with Kubernetes nobody knows which cluster this is"),
        pytest.param({"a": "west", "b": "east"}, "", True, "", id="of two clusters none"),
        pytest.param({"a": "west", "b": ""}, "east", False, "east", id="as configured"),
    ],
)
def test_home_is(of: dict[str, str], configured: str, *, standalone: bool, home: str):
    assert home_of(sources(**of), configured, standalone=standalone) == home


@pytest.mark.parametrize(
    ("of", "home", "found"),
    [
        pytest.param({"a": "", "b": ""}, "", {"": ["a", "b"]}, id="one without a name"),
        pytest.param({"a": "west", "b": "", "c": "east"}, "east", {"east": ["b", "c"], "west": ["a"]}, id="home first"),
        pytest.param({"a": "west"}, "east", {"west": ["a"]}, id="nobody tells of home"),
    ],
)
def test_sources_are_apart_by_the_cluster_they_tell_of(of: dict[str, str], home: str, found: dict[str, list[str]]):
    told = {name: [source.name for source in members] for name, members in by_cluster(sources(**of), home).items()}
    assert (told, list(told)) == (found, list(found))
