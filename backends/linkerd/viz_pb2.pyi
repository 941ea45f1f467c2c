from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OK: _ClassVar[CheckStatus]
    FAIL: _ClassVar[CheckStatus]
    ERROR: _ClassVar[CheckStatus]
OK: CheckStatus
FAIL: CheckStatus
ERROR: CheckStatus

class Empty(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Resource(_message.Message):
    __slots__ = ("namespace", "type", "name")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    namespace: str
    type: str
    name: str
    def __init__(self, namespace: _Optional[str] = ..., type: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ResourceSelection(_message.Message):
    __slots__ = ("resource", "label_selector")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    resource: Resource
    label_selector: str
    def __init__(self, resource: _Optional[_Union[Resource, _Mapping]] = ..., label_selector: _Optional[str] = ...) -> None: ...

class ResourceError(_message.Message):
    __slots__ = ("resource", "error")
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    resource: Resource
    error: str
    def __init__(self, resource: _Optional[_Union[Resource, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...

class StatSummaryRequest(_message.Message):
    __slots__ = ("selector", "time_window", "none", "to_resource", "from_resource", "skip_stats", "tcp_stats")
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    TIME_WINDOW_FIELD_NUMBER: _ClassVar[int]
    NONE_FIELD_NUMBER: _ClassVar[int]
    TO_RESOURCE_FIELD_NUMBER: _ClassVar[int]
    FROM_RESOURCE_FIELD_NUMBER: _ClassVar[int]
    SKIP_STATS_FIELD_NUMBER: _ClassVar[int]
    TCP_STATS_FIELD_NUMBER: _ClassVar[int]
    selector: ResourceSelection
    time_window: str
    none: Empty
    to_resource: Resource
    from_resource: Resource
    skip_stats: bool
    tcp_stats: bool
    def __init__(self, selector: _Optional[_Union[ResourceSelection, _Mapping]] = ..., time_window: _Optional[str] = ..., none: _Optional[_Union[Empty, _Mapping]] = ..., to_resource: _Optional[_Union[Resource, _Mapping]] = ..., from_resource: _Optional[_Union[Resource, _Mapping]] = ..., skip_stats: bool = ..., tcp_stats: bool = ...) -> None: ...

class StatSummaryResponse(_message.Message):
    __slots__ = ("ok", "error")
    class Ok(_message.Message):
        __slots__ = ("stat_tables",)
        STAT_TABLES_FIELD_NUMBER: _ClassVar[int]
        stat_tables: _containers.RepeatedCompositeFieldContainer[StatTable]
        def __init__(self, stat_tables: _Optional[_Iterable[_Union[StatTable, _Mapping]]] = ...) -> None: ...
    OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ok: StatSummaryResponse.Ok
    error: ResourceError
    def __init__(self, ok: _Optional[_Union[StatSummaryResponse.Ok, _Mapping]] = ..., error: _Optional[_Union[ResourceError, _Mapping]] = ...) -> None: ...

class StatTable(_message.Message):
    __slots__ = ("pod_group",)
    class PodGroup(_message.Message):
        __slots__ = ("rows",)
        class Row(_message.Message):
            __slots__ = ("resource", "time_window", "meshed_pod_count", "running_pod_count", "stats", "failed_pod_count", "ts_stats")
            RESOURCE_FIELD_NUMBER: _ClassVar[int]
            TIME_WINDOW_FIELD_NUMBER: _ClassVar[int]
            MESHED_POD_COUNT_FIELD_NUMBER: _ClassVar[int]
            RUNNING_POD_COUNT_FIELD_NUMBER: _ClassVar[int]
            STATS_FIELD_NUMBER: _ClassVar[int]
            FAILED_POD_COUNT_FIELD_NUMBER: _ClassVar[int]
            TS_STATS_FIELD_NUMBER: _ClassVar[int]
            resource: Resource
            time_window: str
            meshed_pod_count: int
            running_pod_count: int
            stats: BasicStats
            failed_pod_count: int
            ts_stats: TrafficSplitStats
            def __init__(self, resource: _Optional[_Union[Resource, _Mapping]] = ..., time_window: _Optional[str] = ..., meshed_pod_count: _Optional[int] = ..., running_pod_count: _Optional[int] = ..., stats: _Optional[_Union[BasicStats, _Mapping]] = ..., failed_pod_count: _Optional[int] = ..., ts_stats: _Optional[_Union[TrafficSplitStats, _Mapping]] = ...) -> None: ...
        ROWS_FIELD_NUMBER: _ClassVar[int]
        rows: _containers.RepeatedCompositeFieldContainer[StatTable.PodGroup.Row]
        def __init__(self, rows: _Optional[_Iterable[_Union[StatTable.PodGroup.Row, _Mapping]]] = ...) -> None: ...
    POD_GROUP_FIELD_NUMBER: _ClassVar[int]
    pod_group: StatTable.PodGroup
    def __init__(self, pod_group: _Optional[_Union[StatTable.PodGroup, _Mapping]] = ...) -> None: ...

class BasicStats(_message.Message):
    __slots__ = ("success_count", "failure_count", "latency_ms_p50", "latency_ms_p95", "latency_ms_p99")
    SUCCESS_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_COUNT_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_P50_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_P95_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_P99_FIELD_NUMBER: _ClassVar[int]
    success_count: int
    failure_count: int
    latency_ms_p50: int
    latency_ms_p95: int
    latency_ms_p99: int
    def __init__(self, success_count: _Optional[int] = ..., failure_count: _Optional[int] = ..., latency_ms_p50: _Optional[int] = ..., latency_ms_p95: _Optional[int] = ..., latency_ms_p99: _Optional[int] = ...) -> None: ...

class TrafficSplitStats(_message.Message):
    __slots__ = ("apex", "leaf", "weight")
    APEX_FIELD_NUMBER: _ClassVar[int]
    LEAF_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    apex: str
    leaf: str
    weight: str
    def __init__(self, apex: _Optional[str] = ..., leaf: _Optional[str] = ..., weight: _Optional[str] = ...) -> None: ...

class EdgesRequest(_message.Message):
    __slots__ = ("selector",)
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    selector: ResourceSelection
    def __init__(self, selector: _Optional[_Union[ResourceSelection, _Mapping]] = ...) -> None: ...

class EdgesResponse(_message.Message):
    __slots__ = ("ok", "error")
    class Ok(_message.Message):
        __slots__ = ("edges",)
        EDGES_FIELD_NUMBER: _ClassVar[int]
        edges: _containers.RepeatedCompositeFieldContainer[Edge]
        def __init__(self, edges: _Optional[_Iterable[_Union[Edge, _Mapping]]] = ...) -> None: ...
    OK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ok: EdgesResponse.Ok
    error: ResourceError
    def __init__(self, ok: _Optional[_Union[EdgesResponse.Ok, _Mapping]] = ..., error: _Optional[_Union[ResourceError, _Mapping]] = ...) -> None: ...

class Edge(_message.Message):
    __slots__ = ("src", "dst", "client_id", "server_id", "no_identity_msg")
    SRC_FIELD_NUMBER: _ClassVar[int]
    DST_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    SERVER_ID_FIELD_NUMBER: _ClassVar[int]
    NO_IDENTITY_MSG_FIELD_NUMBER: _ClassVar[int]
    src: Resource
    dst: Resource
    client_id: str
    server_id: str
    no_identity_msg: str
    def __init__(self, src: _Optional[_Union[Resource, _Mapping]] = ..., dst: _Optional[_Union[Resource, _Mapping]] = ..., client_id: _Optional[str] = ..., server_id: _Optional[str] = ..., no_identity_msg: _Optional[str] = ...) -> None: ...

class CheckResult(_message.Message):
    __slots__ = ("SubsystemName", "CheckDescription", "Status", "FriendlyMessageToUser")
    SUBSYSTEMNAME_FIELD_NUMBER: _ClassVar[int]
    CHECKDESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FRIENDLYMESSAGETOUSER_FIELD_NUMBER: _ClassVar[int]
    SubsystemName: str
    CheckDescription: str
    Status: CheckStatus
    FriendlyMessageToUser: str
    def __init__(self, SubsystemName: _Optional[str] = ..., CheckDescription: _Optional[str] = ..., Status: _Optional[_Union[CheckStatus, str]] = ..., FriendlyMessageToUser: _Optional[str] = ...) -> None: ...

class SelfCheckRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SelfCheckResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[CheckResult]
    def __init__(self, results: _Optional[_Iterable[_Union[CheckResult, _Mapping]]] = ...) -> None: ...

class ListPodsRequest(_message.Message):
    __slots__ = ("selector",)
    SELECTOR_FIELD_NUMBER: _ClassVar[int]
    selector: ResourceSelection
    def __init__(self, selector: _Optional[_Union[ResourceSelection, _Mapping]] = ...) -> None: ...

class ListPodsResponse(_message.Message):
    __slots__ = ("pods",)
    PODS_FIELD_NUMBER: _ClassVar[int]
    pods: _containers.RepeatedCompositeFieldContainer[Pod]
    def __init__(self, pods: _Optional[_Iterable[_Union[Pod, _Mapping]]] = ...) -> None: ...

class Pod(_message.Message):
    __slots__ = ("name", "added", "controllerNamespace", "proxyReady", "proxyVersion")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    CONTROLLERNAMESPACE_FIELD_NUMBER: _ClassVar[int]
    PROXYREADY_FIELD_NUMBER: _ClassVar[int]
    PROXYVERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    added: bool
    controllerNamespace: str
    proxyReady: bool
    proxyVersion: str
    def __init__(self, name: _Optional[str] = ..., added: bool = ..., controllerNamespace: _Optional[str] = ..., proxyReady: bool = ..., proxyVersion: _Optional[str] = ...) -> None: ...
