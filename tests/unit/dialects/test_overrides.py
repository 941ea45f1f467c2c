"""Overrides: what configuration may say about a dialect, every mistake with its line, and what becomes of the dialect."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from backends.dialects import Dialect, Identity, Outcome, load_dialect, parse_dialect, parse_matchers
from backends.dialects.codes import CodeSet
from backends.dialects.overrides import Overrides, override, read_overrides
from backends.dialects.renaming import labels_of
from backends.prometheus.settings import PrometheusSettings, read_settings
from backends.scrape.settings import read_settings as read_scrape_settings
from metrics_api import BadConfiguration, ResourceRef
from metrics_api.document import Problems, parse_document

LINES = """\
name: lines
recognise: calls_total{observer!=""}
views:
- name: calls
  side: {label: observer, values: {callee: server, caller: client}}
  match: mesh="a", kind!~"probe"
  requests: calls_total
  outcome:
  - ignore: {code: "1.."}
  - failure: {code: "5..|0"}
  - success: {}
  codes: {http: code}
  route: route
  source:
  - Host: {is: unknown}
  destination:
  - Deployment: {namespace: ns, name: app, when: {app_kind: Deployment}}
  - ReplicaSet: {namespace: ns, name: "{app}-{hash}"}
  - Workload: {from: target, pattern: '(?P<name>[^.]+)'  , namespace: ns}
  - Service: {from: service, pattern: '(?P<joined>[a-z-]+)'}
  - Namespace: {name: ns}
- name: connections
  side: server
  connections: opened_total
  destination:
  - Deployment: {namespace: ns, name: app}
labels:
  hash: the scrape job
"""

SOURCE = """\
name: mesh
type: prometheus
url: http://prometheus:9090
dialect: {dialect}
overrides:
"""


@pytest.fixture(scope="module")
def lines() -> Dialect:
    return parse_dialect(LINES, "lines.yaml")


def read(text: str) -> tuple[Overrides | None, list[str]]:
    problems = Problems()
    return read_overrides(parse_document(text, "c.yaml", problems)), problems.found


def configured(dialect: str, text: str) -> tuple[PrometheusSettings | None, list[str]]:
    """A source with these overrides, which begin on line 6."""
    problems = Problems()
    body = SOURCE.replace("{dialect}", dialect) + "".join(f"  {line}\n" for line in text.splitlines())
    return read_settings(parse_document(body, "c.yaml", problems), "mesh"), problems.found


def test_everything_that_can_be_said_is_read():
    got, problems = read("""\
labels: {pod: pod_name}
match: 'mesh_id="prod", cluster="eu-1"'
namespace: shop
failure: {http: ["5xx", "429", "0"], grpc: [2, unavailable, "13"]}
ignore: {http: ["4XX"], grpc: [1]}
excludedRoutes: ["/healthz", "probe*"]
routeLabel: request_operation
""")
    assert problems == []
    assert got == Overrides(
        labels={"pod": "pod_name"},
        match=parse_matchers('mesh_id="prod",cluster="eu-1"'),
        namespace="shop",
        failure=CodeSet(("5xx", "429", "0"), (2, 14, 13)),
        ignore=CodeSet(("4xx",), (1,)),
        excluded_routes=("/healthz", "probe*"),
        route_label="request_operation",
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("label: {}", 'c.yaml:1: label: unknown key "label"; known are labels, match, namespace, failure'),
        ("labels: {pod: pod-name}", 'c.yaml:1: labels.pod: "pod-name" is not the name of a label'),
        ("labels: {po-d: pod}", '"po-d" is not a label name'),
        ("labels: {pod: le}", 'labels.pod: "le" is not the name of a label that could stand for another'),
        ("labels: pod", "must be a mapping"),
        ("match: cluster=eu", "is not a list of matchers"),
        ("match: '{}'", "name at least one matcher"),
        ("match: 'le=\"1\"'", '"le" is not the same for all series of a request'),
        ("namespace: Shop", '"Shop" is not the name of a namespace'),
        ("failure: {}", "name codes"),
        ("failure: {http: }", 'failure.http: name codes, or write [] for "none of them"'),
        ("failure: {https: [5xx]}", 'unknown key "https"; known are http, grpc'),
        ("failure:\n  http:\n  - 5xx\n  - 600", 'c.yaml:4: failure.http[1]: "600" is not an HTTP code: write 503, or 5xx'),
        ("failure: {http: [6xx]}", '"6xx" is not an HTTP code'),
        ("failure: {http: ['5..']}", '"5.." is not an HTTP code'),
        ("failure: {http: ['503', '503']}", '"503" is named twice'),
        ("failure: {http: 5xx}", "must be a list"),
        ("failure: {grpc: [17]}", '"17" is not a gRPC status: write a number from 0 to 16, or a word'),
        ("failure: {grpc: [GONE]}", '"GONE" is not a gRPC status'),
        ("failure: {grpc: [14, UNAVAILABLE]}", '"UNAVAILABLE" is named twice'),
        ("failure: {http: [4xx]}\nignore: {http: [4xx]}", 'c.yaml:2: ignore.http: "4xx" is named under "failure" as well'),
        ("failure: {grpc: [0]}\nignore: {grpc: [OK]}", '"0" is named under "failure" as well'),
        ("excludedRoutes: ['*']", '"*" would leave everything out'),
        ("excludedRoutes: ['']", '"" would leave everything out'),
        ("routeLabel: op", '"routeLabel" says where "excludedRoutes" are told, and there are none'),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, problem: str):
    got, problems = read(text)
    assert got is None
    assert any(problem in found for found in problems), problems


@pytest.mark.parametrize(
    ("dialect", "text", "problem"),
    [
        (
            "linkerd",
            "match: 'a=\"b\"'\nlabels: {pod: pod_name, podname: pod}",
            'c.yaml:7: overrides.labels.podname: dialect linkerd uses no label "podname"; it uses authority, classification, ',
        ),
        (
            "envoy",
            "failure: {http: [5xx, 0, 429]}",
            'c.yaml:6: overrides.failure.http[2]: dialect envoy tells classes of codes alone: 4xx, 5xx; "429" cannot',
        ),
        ("envoy", "ignore: {http: [0]}", '"0" cannot be told from the others of its class'),
        ("envoy", "ignore: {grpc: [1]}", "overrides.ignore.grpc: dialect envoy counts gRPC statuses apart from the requests"),
        ("envoy", "ignore: {http: [5xx]}", "may have counted calls with the gRPC status UNAVAILABLE as 5xx"),
        ("otel-servicegraph", "failure: {http: [5xx]}", "overrides.failure.http: dialect otel-servicegraph tells no HTTP codes"),
        ("otel-servicegraph", "ignore: {grpc: [1]}", "overrides.ignore.grpc: dialect otel-servicegraph tells no gRPC statuses"),
        (
            "istio",
            "excludedRoutes: [/healthz]",
            'overrides.excludedRoutes: dialect istio names no label that tells routes: say which one does with "routeLabel"',
        ),
        ("auto", "labels: {podname: pod}", 'c.yaml:6: overrides.labels.podname: no built-in dialect uses a label "podname"'),
        ("auto", "failure: {http: [700]}", '"700" is not an HTTP code'),
    ],
)
def test_what_a_dialect_cannot_take_is_named_with_its_line(dialect: str, text: str, problem: str):
    got, problems = configured(dialect, text)
    assert got is None
    assert any(problem in found for found in problems), problems


def test_mistakes_of_all_kinds_are_reported_together():
    _, problems = configured("lnkerd", "match: a\nfailure: {http: [700]}")
    assert len(problems) == 3


def test_a_source_has_the_dialect_as_it_was_overridden():
    got, problems = configured("linkerd", "labels: {pod: pod_name}\nmatch: 'replica=\"a\"'")
    assert problems == []
    assert got is not None
    assert got.dialect == override(load_dialect("linkerd"), Overrides({"pod": "pod_name"}, parse_matchers('replica="a"')))
    assert got.dialect != load_dialect("linkerd")


def test_a_store_that_is_asked_itself_keeps_the_overrides_for_later():
    got, problems = configured("auto", "labels: {pod: pod_name}\nfailure: {http: ['429']}\nexcludedRoutes: [probe]")
    assert problems == []
    assert got is not None
    assert got.dialect is None
    assert got.overrides.labels == {"pod": "pod_name"}


def test_proxies_cannot_be_asked_what_they_speak():
    problems = Problems()
    node = parse_document("{name: p, type: scrape, targets: ['a:1'], dialect: auto}", "c.yaml", problems)
    assert read_scrape_settings(node, "p") is None
    assert problems.found == [
        'c.yaml:1: dialect: "auto" is for stores, which can be asked what they have: say which dialect the targets speak'
    ]


def test_a_scrape_source_takes_the_same_overrides():
    problems = Problems()
    node = parse_document(
        "{name: p, type: scrape, targets: ['a:1'], dialect: linkerd, overrides: {namespace: shop}}", "c.yaml", problems
    )
    got = read_scrape_settings(node, "p")
    assert problems.found == []
    assert got is not None
    assert got.dialect == override(load_dialect("linkerd"), Overrides(namespace="shop"))


def test_a_label_is_renamed_wherever_it_stands(lines: Dialect):
    names = {label: f"their_{label}" for label in labels_of(lines)}
    assert sorted(names) == ["app", "app_kind", "code", "hash", "kind", "mesh", "ns", "observer", "route", "service", "target"]
    assert labels_of(override(lines, Overrides(names))) == tuple(sorted(names.values()))
    assert override(lines, Overrides(names)).origins == {"their_hash": "the scrape job"}


def test_what_a_warning_looks_for_and_what_it_looks_for_in_vain_are_those_of_this_store():
    (trap,) = override(load_dialect("istio"), Overrides({"grpc_response_status": "grpc"}, parse_matchers('mesh="a"'))).traps
    assert trap.sign.matchers == parse_matchers('request_protocol="grpc",mesh="a"')
    assert trap.absent is not None
    assert trap.absent.matchers == parse_matchers('grpc!="",mesh="a"')


def test_labels_may_change_places(lines: Dialect):
    changed = override(lines, Overrides({"ns": "app", "app": "ns"}))
    deployment, replica_set = changed.views[0].destination[:2]
    assert (deployment.namespace, deployment.name, replica_set.name) == ("{app}", "{ns}", "{ns}-{hash}")


def test_two_names_for_one_label_make_one_identity():
    istio = load_dialect("istio")
    (pods, changed) = (
        [identity for view in dialect.views for identity in view.destination if identity.kind == "Pod"]
        for dialect in (istio, override(istio, Overrides({"pod": "pod_name"})))
    )
    assert [identity.name for identity in pods] == ["{pod}", "{pod_name}"]
    assert [identity.name for identity in changed] == ["{pod_name}"]


def test_matchers_are_added_to_every_view_and_every_sign(lines: Dialect):
    extra = parse_matchers('cluster="eu-1"')
    changed = override(lines, Overrides(match=extra))
    assert [view.match for view in changed.views] == [view.match + extra for view in lines.views]
    assert [sign.matchers for sign in changed.signs] == [sign.matchers + extra for sign in lines.signs]


def named(identities: Iterable[Identity], kinds: set[str], **labels: str) -> ResourceRef | None:
    """What a series is taken for, by the first identity of these kinds that can name it."""
    wanted = [identity for identity in identities if identity.kind in kinds]
    by = tuple(dict.fromkeys((*labels, *(label for identity in wanted for label in identity.labels))))
    values = [labels.get(label, "") for label in by]
    return next((ref for identity in wanted if (ref := identity.reader(by)(values)) is not None), None)


def test_a_namespace_is_that_of_whatever_has_none(lines: Dialect):
    end = override(lines, Overrides(namespace="shop")).views[0].destination
    assert named(end, {"Deployment"}, app="web", app_kind="Deployment") == ResourceRef("Deployment", "shop", "web")
    assert named(end, {"Deployment"}, app="web", app_kind="Deployment", ns="bank") == ResourceRef("Deployment", "bank", "web")
    assert override(lines, Overrides(namespace="shop")).views[0].source == lines.views[0].source


@pytest.mark.parametrize(
    ("labels", "namespace"),
    [
        ({"app": "web", "app_kind": "Deployment"}, "shop"),
        ({"app": "web", "app_kind": "Deployment", "ns": "bank"}, "bank"),
        ({"app": "web", "app_kind": "Robot"}, None),
        ({"target": "web"}, "shop"),
        ({"target": "example.com"}, None),
        ({"service": "bank-web"}, None),
        ({}, None),
    ],
)
def test_what_has_no_namespace_of_its_own_counts_for_that_one(lines: Dialect, labels: dict[str, str], namespace: str | None):
    got = named(override(lines, Overrides(namespace="shop")).views[0].destination, {"Namespace"}, **labels)
    assert got == (None if namespace is None else ResourceRef("Namespace", "", namespace))


def test_a_namespace_that_is_told_in_another_label_is_not_that_one():
    apart = parse_dialect(LINES.replace("- Namespace: {name: ns}", "- Namespace: {name: zone}"), "lines.yaml")
    end = override(apart, Overrides(namespace="shop")).views[0].destination
    assert named(end, {"Namespace"}, app="web", app_kind="Deployment", ns="bank") is None
    assert named(end, {"Namespace"}, app="web", app_kind="Deployment") == ResourceRef("Namespace", "", "shop")


def test_excluded_routes_are_patterns_and_nothing_else_in_them_is_special(lines: Dialect):
    changed = override(lines, Overrides(excluded_routes=("/health.z", "probe*", "*/ready/*")))
    (extra,) = changed.views[0].match[len(lines.views[0].match) :]
    excluded = {"/health.z", "probe", "probes", "/ready/", "a/ready/", "/ready/b"}
    kept = {"", "/healthxz", "/health.z/deep", "a-probe", "x/ready"}
    assert {route for route in excluded | kept if extra.accepts({"route": route})} == kept
    assert changed.views[1].match == lines.views[1].match


def test_routes_are_told_where_configuration_says():
    changed = override(load_dialect("istio"), Overrides(excluded_routes=("GET /healthz",), route_label="request_operation"))
    for view in changed.views:
        extra = [matcher for matcher in view.match if matcher.label == "request_operation"]
        assert [matcher.accepts({"request_operation": "GET /healthz"}) for matcher in extra] == (
            [] if view.connections else [False]
        )


def outcome(dialect: Dialect, **labels: str) -> Outcome:
    view = dialect.views[0]
    by = tuple(dict.fromkeys((*view.outcome_labels, *labels)))
    return view.classifier(by)([labels.get(label, "") for label in by])


def test_the_dialects_own_rules_decide_where_no_code_does():
    linkerd = override(load_dialect("linkerd"), Overrides(failure=CodeSet(http=("5xx", "4xx"))))
    assert outcome(linkerd, classification="success", status_code="404") is Outcome.FAILURE
    assert outcome(linkerd, classification="failure") is Outcome.FAILURE
    assert outcome(linkerd, classification="success") is Outcome.SUCCESS
    assert outcome(linkerd) is Outcome.IGNORE


def test_a_request_without_a_response_fails_unless_it_is_ignored_by_name(lines: Dialect):
    assert outcome(override(lines, Overrides(failure=CodeSet(http=("4xx",)))), code="0") is Outcome.FAILURE
    assert outcome(override(lines, Overrides(ignore=CodeSet(http=("0",)))), code="0") is Outcome.IGNORE


def test_what_failed_whatever_its_code_is_fails_still():
    """A response that broke off after its headers has the status of a success."""
    broken = override(load_dialect("linkerd-policy"), Overrides(failure=CodeSet(http=("5xx", "429"))))
    (view,) = (view for view in broken.views if view.codes.failed)
    classify = view.classifier(("error", "http_status", "grpc_status"))
    assert classify(("RESET", "200", "")) is Outcome.FAILURE
    assert classify(("", "200", "")) is Outcome.SUCCESS
    assert classify(("", "429", "")) is Outcome.FAILURE


def test_what_the_dialect_leaves_out_stays_out(lines: Dialect):
    assert outcome(override(lines, Overrides(failure=CodeSet(http=("1xx",)))), code="101") is Outcome.IGNORE
    later = parse_dialect(LINES.replace("  - success: {}\n", '  - ignore: {kind: "test"}\n  - success: {}\n'), "lines.yaml")
    assert outcome(override(later, Overrides(failure=CodeSet(http=("4xx",)))), code="200", kind="test") is Outcome.IGNORE


def test_counters_of_statuses_are_those_of_the_statuses_that_fail():
    corrections = override(load_dialect("envoy"), Overrides(failure=CodeSet(grpc=(14, 8)))).views[0].corrections
    assert [(item.metrics, item.overlap) for item in corrections] == [
        (("envoy_cluster_grpc_8",), False),
        (("envoy_cluster_grpc_14",), True),
    ]


def test_counters_do_not_overlap_with_a_class_that_does_not_fail():
    corrections = override(load_dialect("envoy"), Overrides(failure=CodeSet(("4xx",), (14,)))).views[0].corrections
    assert [(item.metrics, item.overlap) for item in corrections] == [(("envoy_cluster_grpc_14",), False)]


def test_where_possible_leaves_out_what_a_dialect_cannot_take():
    wanted = Overrides(
        {"pod": "pod_name", "reporter": "observer"},
        failure=CodeSet(("5xx", "4xx", "429")),
        ignore=CodeSet(grpc=(1,)),
        excluded_routes=("probe",),
    )
    envoy = load_dialect("envoy")
    with pytest.raises(BadConfiguration) as caught:
        override(envoy, wanted)
    assert len(caught.value.problems) == 4
    assert all(problem.startswith("dialect envoy ") for problem in caught.value.problems)
    fitting = Overrides({"pod": "pod_name"}, failure=CodeSet(("5xx", "4xx")))
    assert override(envoy, wanted, where_possible=True) == override(envoy, fitting)


def test_without_overrides_a_dialect_is_what_it_was(lines: Dialect):
    assert override(lines, Overrides()) == lines
