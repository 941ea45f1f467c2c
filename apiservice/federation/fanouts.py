"""The clusters that sources tell of, each with a fan-out of its own: what is seen of one never meets what is seen of another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from apiservice.federation.clusters import Clusters
from apiservice.federation.fanout import Fanout
from apiservice.federation.observer import Observer
from apiservice.objects import Objects
from apiservice.sources.health import SourceHealth
from apiservice.traffic import TrafficService
from metrics_api import Source

__all__ = ["Federation", "by_cluster", "home_of"]


class Federation:
    """The fan-outs over all sources, by the name of the cluster; ``home`` is that of the one whose objects the server knows.

    ``fan_out`` makes the one over the sources of one cluster; ``observer`` is told of answers that lack a whole cluster.
    """

    def __init__(
        self, sources: Sequence[Source], home: str, fan_out: Callable[[Sequence[Source]], Fanout], observer: Observer | None = None
    ) -> None:
        self.home = home
        self._observer = observer
        self._sources = tuple(sources)
        self.fanouts: Mapping[str, Fanout] = {name: fan_out(members) for name, members in by_cluster(sources, home).items()}
        self._of = {source.name: self.fanouts[source.terms.cluster or home] for source in sources}

    def service(self, objects: Objects, elsewhere: Objects) -> Clusters:
        """Whoever answers for all clusters; ``objects`` are those of home, and ``elsewhere`` what is known of others."""
        services = {
            name: TrafficService(fanout, objects if name == self.home else elsewhere, name, home=name == self.home)
            for name, fanout in self.fanouts.items()
        }
        return Clusters(services, self.home, self._observer)

    def trouble(self, source: str) -> str | None:
        """Why the last question a source was asked failed; None when it did not, or none was asked yet."""
        return self._of[source].trouble(source)

    def health(self, source: str) -> SourceHealth:
        """How a source has been."""
        return self._of[source].health(source)

    def succeed(self, before: Federation) -> None:
        """Take the place of ``before``.

        Of sources that are the same, on whatever terms, all stays that is known. Its others tell nothing more, not even of what they are
        still being asked.
        """
        for source in self._sources:
            former = before._of.get(source.name)
            if former is not None and (asking := former.hand_over(source)) is not None:
                self._of[source.name].take_over(source.name, asking)
        for fanout in before.fanouts.values():
            fanout.leave()

    async def close(self) -> None:
        """End what is still under way, and what nobody has taken over."""
        for fanout in self.fanouts.values():
            await fanout.close()


def home_of(sources: Sequence[Source], configured: str, *, standalone: bool) -> str:
    """The name of the home cluster: the one configured, or empty. Without Kubernetes the only cluster there is is at home."""
    clusters = {source.terms.cluster for source in sources}
    return next(iter(clusters)) if not configured and standalone and len(clusters) == 1 else configured


def by_cluster(sources: Sequence[Source], home: str) -> dict[str, list[Source]]:
    """The sources by the cluster they tell of, that at home first; sources that name none tell of home."""
    found: dict[str, list[Source]] = {home: []} if any(source.terms.cluster in ("", home) for source in sources) else {}
    for source in sources:
        found.setdefault(source.terms.cluster or home, []).append(source)
    return found
