"""A kube-apiserver in memory whose every call waits for its turn, replicas that are moved on call by call, and an aggregator behind."""

from __future__ import annotations

import base64
import copy
from collections.abc import Coroutine, Generator, Mapping
from typing import Any

from cryptography import x509

from apiservice.certificates import is_signed_by, service_names
from apiservice.issuance.contents import LABELS, certificates_of
from apiservice.issuance.issuer import Issuer
from apiservice.issuance.store import Store
from apiservice.kube import KubeError
from tests.doubles.clock import ManualClock

__all__ = ["APIS", "NAMES", "SECRET", "Cluster", "Replica", "finish"]

NAMES = service_names("trafficmetrics", "mesh")
APIS = ("v1alpha1.metrics.smi-spec.io", "v1beta1.external.metrics.k8s.io")
SECRETS = "/api/v1/namespaces/mesh/secrets"
SECRET = f"{SECRETS}/issued"
_API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


class _Turn:
    """Lets others go first."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class Cluster:
    """The Secret and the APIServices, which a test may change; refuses what is written over a version that is not the newest.

    ``aggregated`` are the bundles that kube-apiserver verifies with, by APIService: those of the last :meth:`spread`. ``refused`` are the
    calls, as ``GET /path``, that fail with a status.
    """

    def __init__(self) -> None:
        self._version = 0
        self.documents: dict[str, dict[str, Any]] = {}
        self.aggregated: dict[str, bytes] = {}
        self.refused: dict[str, int] = {}
        self.calls: list[str] = []
        for name in APIS:
            self.register(name)
        self.spread()

    def register(self, name: str, **spec: Any) -> None:
        """Make an APIService that leads to our Service, or one that ``spec`` makes something else of."""
        service = {"service": {"name": "trafficmetrics", "namespace": "mesh"}}
        self._store(f"{_API_SERVICES}/{name}", {"metadata": {"name": name}, "spec": service | spec})

    def annotate(self, name: str, annotation: str, value: str) -> None:
        """Give an APIService an annotation."""
        document = self.documents[f"{_API_SERVICES}/{name}"]
        self._store(
            f"{_API_SERVICES}/{name}", {**document, "metadata": {**document["metadata"], "annotations": {annotation: value}}}
        )

    def unregister(self, name: str) -> None:
        """Take an APIService away."""
        del self.documents[f"{_API_SERVICES}/{name}"]

    def bundle(self, name: str = APIS[0]) -> bytes:
        """What an APIService says now."""
        return base64.b64decode(self.documents[f"{_API_SERVICES}/{name}"]["spec"].get("caBundle") or "")

    def set_bundle(self, pem: bytes, name: str = APIS[0]) -> None:
        """Write a bundle by hand."""
        document = copy.deepcopy(self.documents[f"{_API_SERVICES}/{name}"])
        document["spec"]["caBundle"] = base64.b64encode(pem).decode()
        self._store(f"{_API_SERVICES}/{name}", document)

    @property
    def data(self) -> dict[str, bytes]:
        """What the Secret holds, decoded; nothing when there is none."""
        document = self.documents.get(SECRET, {})
        return {key: base64.b64decode(value) for key, value in document.get("data", {}).items()}

    def set_data(self, data: Mapping[str, bytes]) -> None:
        """Write the Secret by hand, with the labels it has, or those of one that was there before."""
        metadata = self.documents.get(SECRET, {"metadata": {"labels": LABELS}})["metadata"]
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        metadata = {"labels": metadata.get("labels", {}), "name": "issued", "namespace": "mesh"}
        self._store(SECRET, {"metadata": metadata, "type": "kubernetes.io/tls", "data": encoded})

    def set_foreign(self, data: Mapping[str, bytes], **labels: str) -> None:
        """Make the Secret as somebody else would, who labels it otherwise."""
        self.set_data(data)
        self.documents[SECRET]["metadata"]["labels"] = labels

    def delete_secret(self) -> None:
        """Take the Secret away."""
        self.documents.pop(SECRET, None)

    def spread(self) -> None:
        """Let the aggregator learn what the APIServices say."""
        self.aggregated = {
            path.rpartition("/")[2]: self.bundle(path.rpartition("/")[2]) for path in self.documents if path != SECRET
        }

    async def get_json(self, path: str) -> dict[str, Any]:
        await self._turn("GET", path)
        if path not in self.documents:
            raise KubeError(404, f"GET {path}: 404 Not Found")
        document = copy.deepcopy(self.documents[path])
        await _Turn()
        return document

    async def post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await self._turn("POST", path)
        target = f"{path}/{body['metadata']['name']}"
        if target in self.documents:
            raise KubeError(409, f"POST {path}: 409 Conflict: already exists")
        return await self._written(target, dict(body))

    async def put_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await self._turn("PUT", path)
        self._precondition(path, body)
        return await self._written(path, dict(body))

    async def patch_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        await self._turn("PATCH", path)
        self._precondition(path, body)
        before = self.documents[path]
        return await self._written(path, {**before, "spec": {**before["spec"], **body["spec"]}})

    async def _turn(self, method: str, path: str) -> None:
        await _Turn()
        self.calls.append(f"{method} {path}")
        status = self.refused.get(f"{method} {path}")
        if status is not None:
            who = 'is forbidden: User "system:serviceaccount:mesh:tm" cannot do it'
            raise KubeError(status, f"{method} {path}: {status}: {who if status == 403 else 'told to fail'}")

    def _precondition(self, path: str, body: Mapping[str, Any]) -> None:
        if path not in self.documents:
            raise KubeError(404, f"{path}: 404 Not Found")
        if body["metadata"]["resourceVersion"] != self.documents[path]["metadata"]["resourceVersion"]:
            raise KubeError(409, f"{path}: 409 Conflict: the object has been modified")

    async def _written(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        self._store(path, document)
        written = self.documents[path]
        await _Turn()
        return written

    def _store(self, path: str, document: dict[str, Any]) -> None:
        self._version += 1
        metadata = {**document["metadata"], "resourceVersion": str(self._version)}
        self.documents[path] = {**copy.deepcopy(document), "metadata": metadata}


class Replica:
    """One server: it looks when it is told to, call by call. ``ready`` is whether requests are sent to it."""

    def __init__(self, cluster: Cluster, clock: ManualClock) -> None:
        self._cluster = cluster
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """Begin anew, without anything that was known."""
        store = Store(self._cluster, "mesh", "issued", "trafficmetrics", APIS)
        self.issuer = Issuer(store, NAMES, self._clock)
        self.ready = False
        self._work: Coroutine[Any, Any, None] | None = None
        self.looked = self._clock.monotonic()

    @property
    def busy(self) -> bool:
        """Whether it is in the midst of a look."""
        return self._work is not None

    def step(self) -> None:
        """One call more; the first begins a look."""
        if self._work is None:
            self._work = self.issuer.look()
        try:
            self._work.send(None)
        except StopIteration:
            self._work = None
            self.looked = self._clock.monotonic()

    def look(self) -> None:
        """A whole look, from its beginning; one that is under way is finished first."""
        if self.busy:
            self.finish()
        self.step()
        self.finish()

    def finish(self) -> None:
        """Finish the look that is under way."""
        while self.busy:
            self.step()

    def close(self) -> None:
        """Give up what it has."""
        if self._work is not None:
            self._work.close()
        self.issuer.close()

    @property
    def leaf(self) -> x509.Certificate | None:
        """What it serves with."""
        return self.issuer.serving.leaf[0] if self.issuer.serving else None

    @property
    def expired(self) -> bool:
        """Whether nobody accepts any more what it serves with."""
        return self.leaf is not None and self._clock.now() > self.leaf.not_valid_after_utc

    def distrusted(self, name: str) -> str:
        """Why requests that the aggregator sends to it would fail, or ""; one that is not ready is sent none."""
        leaf, now = self.leaf, self._clock.now()
        if not self.ready or leaf is None:
            return ""
        trusted = certificates_of(self._cluster.aggregated[name])
        if any(is_signed_by(leaf, each) and each.not_valid_before_utc <= now <= each.not_valid_after_utc for each in trusted):
            return ""
        return f"{leaf.issuer.rfc4514_string()} is not among {[each.subject.rfc4514_string() for each in trusted]}"


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run to its end what waits for turns alone."""
    try:
        while True:
            work.send(None)
    except StopIteration:
        return
