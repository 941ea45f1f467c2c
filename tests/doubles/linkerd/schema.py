"""The messages of ``linkerd2.viz`` as the double knows them: field numbers and types, made into classes without generated code.

Source: linkerd/linkerd2, viz/metrics-api/proto/viz.proto. Names of messages are not on the wire, and nested ones are written flat here.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

__all__ = ["PACKAGE", "SERVICE", "Message", "message"]

PACKAGE = "linkerd2.viz"
SERVICE = f"{PACKAGE}.Api"

Message = Any
"""A message of a class that is made while the program runs: its fields are those below."""

_FIELDS: dict[str, tuple[str, ...]] = {
    "Empty": (),
    "Resource": ("1 namespace string", "2 type string", "3 name string"),
    "ResourceSelection": ("1 resource Resource", "2 label_selector string"),
    "ResourceError": ("1 resource Resource", "2 error string"),
    "StatSummaryRequest": (
        "1 selector ResourceSelection",
        "2 time_window string",
        "3 none Empty outbound",
        "4 to_resource Resource outbound",
        "5 from_resource Resource outbound",
        "6 skip_stats bool",
        "7 tcp_stats bool",
    ),
    "StatSummaryResponse": ("1 ok StatSummaryOk response", "2 error ResourceError response"),
    "StatSummaryOk": ("1 stat_tables StatTable *",),
    "StatTable": ("1 pod_group PodGroup table",),
    "PodGroup": ("1 rows Row *",),
    "Row": (
        "1 resource Resource",
        "2 time_window string",
        "3 meshed_pod_count uint64",
        "4 running_pod_count uint64",
        "5 stats BasicStats",
        "6 failed_pod_count uint64",
        "8 tcp_stats TcpStats",
        "9 status string",
        "10 ts_stats TrafficSplitStats",
    ),
    "BasicStats": (
        "1 success_count uint64",
        "2 failure_count uint64",
        "3 latency_ms_p50 uint64",
        "4 latency_ms_p95 uint64",
        "5 latency_ms_p99 uint64",
        "6 actual_success_count uint64",
        "7 actual_failure_count uint64",
    ),
    "TcpStats": ("1 open_connections uint64", "2 read_bytes_total uint64", "3 write_bytes_total uint64"),
    "TrafficSplitStats": ("2 apex string", "3 leaf string", "4 weight string"),
    "EdgesRequest": ("1 selector ResourceSelection",),
    "EdgesResponse": ("1 ok EdgesOk response", "2 error ResourceError response"),
    "EdgesOk": ("1 edges Edge *",),
    "Edge": ("1 src Resource", "2 dst Resource", "3 client_id string", "4 server_id string", "5 no_identity_msg string"),
    "ListPodsRequest": ("2 selector ResourceSelection",),
    "ListPodsResponse": ("1 pods Pod *",),
    "Pod": (
        "1 name string",
        "3 deployment string owner",
        "4 status string",
        "5 added bool",
        "7 controllerNamespace string",
        "10 replica_set string owner",
        "11 replication_controller string owner",
        "12 stateful_set string owner",
        "13 daemon_set string owner",
        "14 job string owner",
        "15 proxyReady bool",
        "16 proxyVersion string",
    ),
    "SelfCheckRequest": (),
    "SelfCheckResponse": ("1 results CheckResult *",),
    "CheckResult": ("1 SubsystemName string", "2 CheckDescription string", "3 Status int32", "4 FriendlyMessageToUser string"),
}
"""Each field as its number, name, type, and then ``*`` if it is repeated or else the ``oneof`` it belongs to.

``Status`` is an enum (OK 0, FAIL 1, ERROR 2), which is an int32 on the wire.
"""

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "uint64": _Field.TYPE_UINT64,
    "int32": _Field.TYPE_INT32,
    "bool": _Field.TYPE_BOOL,
}


def message(name: str) -> Message:
    """The class of a message; KeyError for one that the double does not know."""
    return _CLASSES[name]


def _add(to: descriptor_pb2.DescriptorProto, field: str) -> None:
    number, name, type_, *rest = field.split()
    added = to.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if type_ in _SCALARS:
        added.type = _SCALARS[type_]
    else:
        added.type, added.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{type_}"
    if rest == ["*"]:
        added.label = _Field.LABEL_REPEATED
    elif rest:
        if rest[0] not in [one.name for one in to.oneof_decl]:
            to.oneof_decl.add(name=rest[0])
        added.oneof_index = [one.name for one in to.oneof_decl].index(rest[0])


def _classes() -> dict[str, Message]:
    """A class for each message, in a pool of their own: others in this process may know messages of the same names."""
    file = descriptor_pb2.FileDescriptorProto(name="double.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        made = file.message_type.add(name=name)
        for field in fields:
            _add(made, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _FIELDS}


_CLASSES = _classes()
