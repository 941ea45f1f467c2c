"""What splits traffic, read from the specs of TrafficSplits, HTTPRoutes and GRPCRoutes: the Service called, and those that answer.

TrafficSplit: ``servicemeshinterface/smi-spec``, apis/traffic-split, v1alpha1 to v1alpha4. Weights are quantities in v1alpha1 (``900m``,
``1``) and numbers after it. Where one of a split's weights is no whole number, all of them are given in thousandths, or in the first of
millionths and billionths that makes them whole, so that their proportions stay.

Routes: ``kubernetes-sigs/gateway-api``, apis/v1 (httproute_types.go, shared_types.go, object_reference_types.go). A route of a mesh has
Services of the core group for parents, and the first of them is the apex; clients of one that has Gateways alone call no Service. Weights
count within a rule; a Service that several rules send to, or one rule by several ports, has the sum of its weights. Backends that are no
Services are left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from apiservice.objects import BackendService, Split
from metrics_api import BadQuery, Quantity, ResourceRef

__all__ = ["BackendService", "Split", "split_of"]

_CORE = ("", "core")
"""How specs write the group of Services; Gateway API has the empty one, and Linkerd takes both."""

_NANO = 10**9
_SCALES = (1, 10**3, 10**6, _NANO)
_LARGEST = 2**63 - 1
"""The most that clients can read: an ``int`` of Go."""


class _Weighted(msgspec.Struct, gc=False):
    service: str
    weight: int | float | str


class _TrafficSplit(msgspec.Struct, gc=False):
    service: str
    backends: list[_Weighted] | None = None


class _Reference(msgspec.Struct, gc=False):
    name: str
    kind: str | None = None
    group: str | None = None
    namespace: str | None = None


class _BackendRef(_Reference, gc=False):
    weight: int | None = None


class _Rule(msgspec.Struct):
    backends: list[_BackendRef] | None = msgspec.field(name="backendRefs", default=None)


class _Route(msgspec.Struct):
    parents: list[_Reference] | None = msgspec.field(name="parentRefs", default=None)
    rules: list[_Rule] | None = None


_traffic_split = msgspec.json.Decoder(_TrafficSplit)
_route = msgspec.json.Decoder(_Route)


def split_of(kind: str, namespace: str, name: str, spec: bytes) -> Split | None:
    """The split that an object of this kind and name describes by its ``spec``, in JSON; None when that makes no sense."""
    ref = ResourceRef(kind, namespace, name)
    try:
        if kind == "TrafficSplit":
            return _of_traffic_split(ref, _traffic_split.decode(spec))
        return _of_route(ref, _route.decode(spec))
    except (msgspec.MsgspecError, BadQuery, ValueError, RecursionError):
        return None


def _of_traffic_split(ref: ResourceRef, spec: _TrafficSplit) -> Split:
    backends = spec.backends or ()
    names = [_named(backend.service) for backend in backends]
    weights = _whole([Quantity.parse(str(backend.weight)).nano for backend in backends])
    return Split(ref, _named(spec.service), _together((ref.namespace, *each) for each in zip(names, weights, strict=True)))


def _of_route(ref: ResourceRef, spec: _Route) -> Split:
    parents = [parent for parent in spec.parents or () if parent.kind == "Service" and parent.group in _CORE]
    apex = _named(parents[0].name) if parents else ""
    if parents and parents[0].namespace not in (None, "", ref.namespace):
        apex = f"{apex}.{parents[0].namespace}"
    found = [backend for rule in spec.rules or () for backend in rule.backends or () if _is_service(backend)]
    weighted = [(backend.namespace or ref.namespace, _named(backend.name), _weight(backend)) for backend in found]
    return Split(ref, apex, _together(weighted))


def _is_service(backend: _BackendRef) -> bool:
    """Whether it is a Service, which is what a backend is unless it says otherwise."""
    return backend.kind in (None, "Service") and (backend.group is None or backend.group in _CORE)


def _weight(backend: _BackendRef) -> int:
    return 1 if backend.weight is None else _checked(backend.weight)


def _whole(nanos: list[int]) -> list[int]:
    """Weights in billionths, as whole numbers in the same proportions: the smallest of the scales that gives such."""
    scale = next(scale for scale in _SCALES if all(nano * scale % _NANO == 0 for nano in nanos))
    return [_checked(nano * scale // _NANO) for nano in nanos]


def _checked(weight: int) -> int:
    if not 0 <= weight <= _LARGEST:
        raise ValueError(f"{weight} is no weight")
    return weight


def _named(name: str) -> str:
    if not name:
        raise ValueError("a Service has a name")
    return name


def _together(backends: Iterable[tuple[str, str, int]]) -> tuple[BackendService, ...]:
    """Each Service once, with the sum of its weights."""
    sums: dict[tuple[str, str], int] = {}
    for namespace, name, weight in backends:
        sums[namespace, name] = _checked(sums.get((namespace, name), 0) + weight)
    return tuple(BackendService(*place, weight) for place, weight in sums.items())
