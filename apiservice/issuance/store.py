"""The Secret and the APIServices where they are kept: read, and written only over what was read.

Replicas that write at the same time are settled by kube-apiserver: one wins, the others are told :class:`Overtaken` and read again.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

from apiservice.issuance.contents import LABELS, Contents, is_foreign, written
from apiservice.issuance.registration import Registration, read_registration
from apiservice.issuance.rights import grant_create, grant_registration, grant_secret
from apiservice.kube import KubeError
from metrics_api.errors import TrafficError

__all__ = ["IssuanceFailed", "Kube", "Overtaken", "Store"]

_API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


class IssuanceFailed(TrafficError):
    """The certificate or a ``caBundle`` cannot be kept; the message says why and what to do."""


class Overtaken(TrafficError):
    """What was to be written has changed since it was read."""


class Kube(Protocol):
    """kube-apiserver; all raise :class:`apiservice.kube.KubeError`."""

    async def get_json(self, path: str) -> dict[str, Any]:
        """The document at a path."""
        ...

    async def post_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Add a document to a collection."""
        ...

    async def put_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace a document."""
        ...

    async def patch_json(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Merge something into a document."""
        ...


class Store:
    """One Secret, and the APIServices of these names, as the server behind Service ``service`` of the same namespace sees them."""

    def __init__(self, kube: Kube, namespace: str, secret: str, service: str, names: tuple[str, ...]) -> None:
        self._kube = kube
        self._namespace = namespace
        self._secret = secret
        self._service = service
        self.names = names
        self._collection = f"/api/v1/namespaces/{namespace}/secrets"
        self.title = f"Secret {namespace}/{secret}"

    async def secret(self) -> dict[str, Any] | None:
        """The Secret; None when there is none. Raises :class:`IssuanceFailed`."""
        try:
            return await self._kube.get_json(f"{self._collection}/{self._secret}")
        except KubeError as error:
            if error.status == 404:
                return None
            hint = grant_secret(error, self._namespace, self._secret)
            raise IssuanceFailed(f"{self.title} cannot be read: {error}{hint}") from error

    async def write(self, before: Mapping[str, Any] | None, contents: Contents) -> None:
        """Put contents into the Secret as it was read, or make it. Raises :class:`Overtaken` and :class:`IssuanceFailed`.

        A Secret with a certificate of somebody else is not written to: its key may be nowhere else.
        """
        if before is not None and is_foreign(before):
            raise IssuanceFailed(
                f"{self.title} holds a certificate that this server has not made, and stays as it is: give server.certSecret the name of"
                " a Secret that is not there yet; or mount this one, and serve with it by server.tlsCertFile and server.tlsPrivateKeyFile;"
                f" or, if nobody needs it: kubectl delete secret {self._secret} -n {self._namespace}"
            )
        try:
            if before is None:
                await self._kube.post_json(self._collection, self._document(contents))
            else:
                data = {**(before.get("data") or {}), **written(contents)}
                metadata = {**before["metadata"], "labels": {**(before["metadata"].get("labels") or {}), **LABELS}}
                await self._kube.put_json(f"{self._collection}/{self._secret}", {**before, "metadata": metadata, "data": data})
        except KubeError as error:
            if error.status == 409 or (error.status == 404 and before is not None):
                raise Overtaken(f"{self.title} has changed meanwhile") from error
            raise IssuanceFailed(f"{self.title} cannot be written: {error}{self._hint(error, new=before is None)}") from error

    async def registration(self, name: str) -> Registration | None:
        """An APIService; None when there is none. Raises :class:`IssuanceFailed`."""
        try:
            document = await self._kube.get_json(f"{_API_SERVICES}/{name}")
        except KubeError as error:
            if error.status == 404:
                return None
            raise IssuanceFailed(f"APIService {name} cannot be read: {error}{grant_registration(error, self.names)}") from error
        return read_registration(document, self._service, self._namespace)

    async def register(self, registration: Registration, bundle: bytes) -> None:
        """Give an APIService another bundle (PEM). Raises :class:`Overtaken` and :class:`IssuanceFailed`."""
        body = {
            # Whoever changes it in between has to be looked at first.
            "metadata": {"resourceVersion": registration.version},
            "spec": {"caBundle": base64.b64encode(bundle).decode()},
        }
        try:
            await self._kube.patch_json(f"{_API_SERVICES}/{registration.name}", body)
        except KubeError as error:
            if error.status in (404, 409):
                raise Overtaken(f"APIService {registration.name} has changed meanwhile") from error
            hint = grant_registration(error, self.names)
            raise IssuanceFailed(f"the caBundle of APIService {registration.name} cannot be written: {error}{hint}") from error

    def _document(self, contents: Contents) -> dict[str, Any]:
        metadata = {"name": self._secret, "namespace": self._namespace, "labels": LABELS}
        return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": written(contents)}

    def _hint(self, error: KubeError, *, new: bool) -> str:
        if error.status == 404:
            return f"; is {self._namespace} the namespace of the server? server.serviceNamespace says so"
        return grant_create(error, self._namespace) if new else grant_secret(error, self._namespace, self._secret)
