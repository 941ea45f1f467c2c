"""What is asked: every way to read there is, by those who may and those who may not, and what each has to be answered with."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from accounts import CLUSTER, FORGED, NOBODY, STRANGER
from server import API

__all__ = ["Question", "Questions"]

_JSON = "application/json"
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_NAMES = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
_ACCEPTS = (_JSON, _JSON, _TABLE, _TABLE, _NAMES, "application/yaml", "text/csv")
_LONG_AGO = "resourceVersion=1"
"""A watch that wants to go on from there is told to list again."""
_WINDOWS = ("30s", "60s", "60s", "60s", "2m")


@dataclass(frozen=True, slots=True)
class Question:
    """One request by somebody of the group ``who``.

    The codes that are right are ``expected``. A ``body`` is sent with POST, as JSON or as a ``form``. Rows are to be true of a
    ``namespace``
    where one is given; a list is read to its end where it is ``paged``, and a watch that ``ends`` is one that has to begin anew.
    """

    name: str
    path: str
    who: str = CLUSTER
    accept: str = _JSON
    expected: tuple[int, ...] = (200,)
    body: str = ""
    form: bool = False
    namespace: str = ""
    paged: bool = False
    ends: bool = False


class Questions:
    """Questions about the deployments of a fleet of so many namespaces."""

    def __init__(self, namespaces: Sequence[str], deployments: int, dice: random.Random) -> None:
        self._namespaces = namespaces
        self._deployments = deployments
        self._dice = dice
        self._kinds: tuple[tuple[Callable[[], Question], int], ...] = (
            (self._true, 12),
            (self._list, 22),
            (self._cluster, 8),
            (self._one, 12),
            (self._edges, 10),
            (self._paged, 4),
            (self._missing, 5),
            (self._bad, 6),
            (self._refused, 8),
            (self._grafana, 4),
            (self._prometheus, 6),
            (self._memory, 6),
            (self._sources, 2),
        )

    def draw(self) -> Question:
        """Any of them."""
        return self._dice.choices([kind for kind, _ in self._kinds], weights=[share for _, share in self._kinds])[0]()

    def all_true(self) -> list[Question]:
        """The numbers of every namespace."""
        return [self._true(space) for space in self._namespaces]

    def watch(self) -> Question:
        """A watch."""
        space, name = self._space(), self._name()
        path, who = self._dice.choice(
            (
                (f"/namespaces/{space}/deployments?watch=true", space),
                (f"/namespaces/{space}/deployments?watch=true&allowWatchBookmarks=true&window={self._window()}", space),
                (f"/namespaces/{space}/pods?watch=1&timeoutSeconds={self._dice.randrange(1, 40)}", space),
                (f"/namespaces/{space}/deployments?watch=true&fieldSelector=metadata.name%3D{name}", space),
                (f"/namespaces/{space}/deployments?watch=true&{_LONG_AGO}", space),
                (
                    "/deployments?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
                    CLUSTER,
                ),
                ("/trafficmetrics?watch=true", CLUSTER),
                ("/namespaces?watch=true", CLUSTER),
            )
        )
        return Question("watch", f"{API}{path}", who, self._dice.choice((_JSON, _JSON, _TABLE)), ends=path.endswith(_LONG_AGO))

    def _true(self, space: str = "") -> Question:
        space = space or self._space()
        path = f"{API}/namespaces/{space}/deployments?window=60s&format=numbers"
        return Question("numbers", path, self._dice.choice((space, CLUSTER)), namespace=space)

    def _list(self) -> Question:
        space = self._space()
        more = self._dice.choice(
            ("", "&pretty=true", "&includeIdle=true", "&labelSelector=canary", f"&fieldSelector=metadata.name%3D{self._name()}")
        )
        plural = self._dice.choice(("deployments", "deployments", "pods", "trafficmetrics", "services"))
        path = f"{API}/namespaces/{space}/{plural}?window={self._window()}{more}"
        return Question("list", path, self._dice.choice((space, CLUSTER)), self._dice.choice(_ACCEPTS), expected=(200, 406))

    def _cluster(self) -> Question:
        plural = self._dice.choice(("deployments", "pods", "namespaces", "trafficmetrics", "replicasets"))
        return Question("cluster list", f"{API}/{plural}?window={self._window()}", CLUSTER, self._dice.choice(_ACCEPTS[:5]))

    def _one(self) -> Question:
        space = self._space()
        path = self._dice.choice(
            (f"deployments/{self._name()}", f"services/{self._name()}", f"deployments/{self._name()}?window=45s")
        )
        return Question("get", f"{API}/namespaces/{space}/{path}", space, self._dice.choice(_ACCEPTS[:4]))

    def _edges(self) -> Question:
        space = self._space()
        if self._dice.random() < 0.15:
            return Question("cluster edges", f"{API}/edges?window={self._window()}", CLUSTER, _JSON, expected=(200, 404))
        path = f"{API}/namespaces/{space}/deployments/{self._name()}/edges?window={self._window()}"
        return Question("edges", path, self._dice.choice((space, CLUSTER)), self._dice.choice((_JSON, _TABLE)))

    def _paged(self) -> Question:
        path = f"{API}/deployments?limit={self._dice.choice((7, 20, 33))}&window={self._window()}"
        return Question("paged list", path, CLUSTER, self._dice.choice((_JSON, _TABLE)), paged=True)

    def _missing(self) -> Question:
        space = self._space()
        path = self._dice.choice((f"deployments/nobody-{self._dice.randrange(10**6)}", "deployments/nobody/edges", "unicorns"))
        return Question("missing", f"{API}/namespaces/{space}/{path}", CLUSTER, expected=(403, 404))

    def _bad(self) -> Question:
        space = self._space()
        query = self._dice.choice(
            ("window=0s", "window=forever", "labelSelector=%21%21", "fieldSelector=x", "limit=7&continue=forged")
        )
        return Question("bad", f"{API}/namespaces/{space}/deployments?{query}", space, expected=(400, 410))

    def _refused(self) -> Question:
        who = self._dice.choice((STRANGER, FORGED, NOBODY, self._namespaces[0]))
        path = f"{API}/namespaces/{self._namespaces[-1]}/deployments?window={self._window()}"
        return Question("refused", path, who, expected=(401,) if who == FORGED else (401, 403))

    def _grafana(self) -> Question:
        space = self._space()
        target, kind = self._dice.choice(
            (("requests_per_second", "deployments"), ("golden_metrics", "workloads"), ("node_graph", "deployments"))
        )
        body = {
            "range": {"from": self._dice.choice(("now-2m", "now-5m")), "to": "now"},
            "intervalMs": 15000,
            "targets": [{"refId": "A", "target": target, "payload": {"kind": kind}}],
        }
        return Question("grafana", f"{API}/namespaces/{space}/grafana/query", space, body=json.dumps(body))

    def _prometheus(self) -> Question:
        space = self._space()
        root = f"{API}/namespaces/{space}/prometheus"
        how = self._dice.randrange(4)
        if how == 0:
            return Question("page to scrape", f"{root}/metrics", space, "text/plain")
        if how == 1:
            query = f"trafficmetrics_requests_per_second%7Bname%3D%22{self._name()}%22%7D"
            return Question("query", f"{root}/api/v1/query", space, body=f"query={query}", form=True)
        if how == 2:
            return Question("labels", f"{root}/api/v1/label/name/values", space)
        body = "query=trafficmetrics_success_ratio&start=NOW-180&end=NOW&step=15"
        return Question("history", f"{root}/api/v1/query_range", space, body=body, form=True)

    def _memory(self) -> Question:
        path = self._dice.choice(("/apis", API, "/openapi/v2", f"/openapi/v3{API}", "/livez", "/version"))
        return Question("from memory", path, CLUSTER)

    def _sources(self) -> Question:
        return Question("sources", f"{API}/sources", CLUSTER)

    def _space(self) -> str:
        return self._dice.choice(self._namespaces)

    def _name(self) -> str:
        return f"service-{self._dice.randrange(self._deployments):03d}"

    def _window(self) -> str:
        """Mostly one that is asked for often, so that there are equal questions, and sometimes any."""
        return f"{self._dice.randrange(30, 180)}s" if self._dice.random() < 0.1 else self._dice.choice(_WINDOWS)
